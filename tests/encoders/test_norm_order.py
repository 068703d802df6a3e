"""Batch normalisation: before or after the activation, and its gradient where layers are concatenated."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Data

from graphssl.encoders import build_encoder
from graphssl.encoders.norms import BatchNorm


@pytest.mark.parametrize("norm_first", [True, False])
def test_gin_normalises_before_or_after_the_activation(norm_first: bool) -> None:
    torch.manual_seed(0)
    graph = Data(x=torch.randn(40, 6), edge_index=torch.randint(40, (2, 120)))
    encoder = build_encoder(
        "gin", 6, hidden_channels=8, num_layers=2, activation="relu", options={"norm_first": norm_first}
    )
    out = encoder(graph)
    assert bool((out >= 0).all()) == norm_first  # the last is the ReLU, or else the norm
    if not norm_first:
        assert torch.allclose(out.mean(0), torch.zeros(8), atol=1e-5)


def test_the_gradient_of_a_slice_arrives_contiguous_and_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, plain = BatchNorm(4), nn.BatchNorm1d(4)
    x, other, weight = torch.randn(10, 4), torch.randn(10, 3), torch.randn(10, 7)
    seen, gradients = [], []
    for norm in (lambda x: ours(x, Data()), plain):
        leaf = x.clone().requires_grad_()
        out = norm(leaf)
        out.register_hook(lambda grad: seen.append(grad.is_contiguous()))
        (torch.cat([out, other], dim=1) * weight).sum().backward()
        gradients.append(leaf.grad)
    assert seen == [True, False]  # torch alone is handed the slice
    assert torch.allclose(*gradients, atol=1e-6)
