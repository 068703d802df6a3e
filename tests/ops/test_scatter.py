"""Equality with torch-scatter, an independent implementation; ``make scatter`` builds it and runs this."""

import pytest
import torch

from graphssl.ops import segment_logsumexp, segment_reduce, segment_softmax

torch_scatter = pytest.importorskip("torch_scatter", reason="torch-scatter is not installed: make scatter builds it")


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("op", ["sum", "mean", "max", "min", "softmax", "logsumexp"])
def test_equals_torch_scatter_in_value_and_gradient(op, ordered):
    generator = torch.Generator().manual_seed(0)
    src = torch.randn(3000, 33, generator=generator)
    index = torch.randint(50, (3000,), generator=generator)
    index[:50] = torch.arange(50)  # no empty segment: torch-scatter's logsumexp gives another value there
    index = index.sort()[0] if ordered else index

    def theirs(src):
        if op in ("softmax", "logsumexp"):
            wide = index.unsqueeze(-1).expand_as(src)
            return getattr(torch_scatter, f"scatter_{op}")(src, wide, 0, dim_size=50)
        return torch_scatter.scatter(src, index, 0, dim_size=50, reduce=op)

    def ours(src):
        if op == "softmax":
            return segment_softmax(src, index, 50)
        return segment_logsumexp(src, index, 50) if op == "logsumexp" else segment_reduce(src, index, 50, op)

    results = []
    for run in (ours, theirs):
        leaf = src.clone().requires_grad_()
        out = run(leaf)
        out.backward(torch.linspace(-1, 1, out.numel()).view_as(out))
        results.append((out.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)
