"""InfoGraph chooses the form of its loss by size; both are the same loss."""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

import graphssl
from graphssl.methods import infograph


def test_a_large_batch_keeps_no_scores_and_loses_nothing(monkeypatch):
    batch = Batch.from_data_list(graphssl.load_dataset("digits-graphs")[:6])
    batch.x = batch.x.double()
    method = graphssl.create_method("infograph", batch, hidden_channels=8).double()
    parameters = list(method.parameters())
    dense = method.loss(batch)
    expected = torch.autograd.grad(dense, parameters)
    monkeypatch.setattr(infograph, "_MANY_SCORES", 0)
    monkeypatch.setattr(method.critic, "forward", None)  # nobody asks for the scores
    blocked = method.loss(batch)
    torch.testing.assert_close(blocked, dense)
    for got, right in zip(torch.autograd.grad(blocked, parameters), expected, strict=True):
        torch.testing.assert_close(got, right)
