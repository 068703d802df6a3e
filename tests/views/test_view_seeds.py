"""Views that drop nodes of a sampled batch: seeds remain, and the losses of two views compare the same nodes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from view_strategies import generator

from graphssl import train
from graphssl.data import planted_communities
from graphssl.encoders import build_encoder
from graphssl.errors import InvalidGraphError
from graphssl.methods.cca_ssg import CCASSG
from graphssl.methods.grace import GRACE
from graphssl.samplers import NeighborLoader
from graphssl.views import Compose, DropNodes, Identity, RandomWalkSubgraph, View, align_rows

GRAPH = planted_communities(60, 3, num_features=6, seed=0)


def batch_of(seeds: list[int], **settings: object) -> Data:
    return next(iter(NeighborLoader(GRAPH, [3, 3], torch.tensor(seeds), batch_size=len(seeds), prefetch=0, **settings)))


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("p", [0.99, 1.0])
def test_the_first_two_seeds_of_a_batch_remain(p, disjoint):
    view = DropNodes(p)
    for seeds in ([5], [5, 9], list(range(50, 20, -1))):
        batch = batch_of(seeds, disjoint=disjoint)
        for run in range(30):
            out = view(view(batch, generator=generator(run)), generator=generator(run + 1))
            sure = min(2, len(seeds))
            assert sure <= out.batch_size <= len(seeds)
            assert out.n_id[:sure].tolist() == seeds[:sure]
            assert torch.equal(out.n_id[: out.batch_size], torch.tensor(seeds)[out.input_id])
            if p == 1 and not disjoint:
                assert out.num_nodes == out.batch_size == sure


def test_the_other_seeds_are_dropped_at_the_rate_of_all_nodes():
    batch = batch_of(list(range(40)))
    kept = torch.zeros(batch.num_nodes)
    for run in range(500):
        out = DropNodes(0.7)(batch, generator=generator(run))
        kept[torch.isin(batch.n_id, out.n_id)] += 1
    assert kept[:2].tolist() == [500, 500]
    rate = kept[2:] / 500  # standard deviation of each: 0.0205
    assert float((rate - 0.3).abs().max()) < 0.1
    assert float(rate[:38].mean()) == pytest.approx(0.3, abs=0.017)  # five standard deviations of the mean


@pytest.mark.parametrize("ratio", [0.0, 0.1])
def test_a_walk_starts_at_the_first_seed(ratio):
    batch = batch_of([7, 3, 20])
    for run in range(20):
        out = RandomWalkSubgraph(ratio)(batch, generator=generator(run))
        assert out.n_id[0] == 7
        assert out.batch_size >= 1


class Numbers(nn.Module):
    """The "representation" of a node is its number in the graph."""

    def forward(self, data: Data) -> torch.Tensor:
        return data.number[: data.batch_size].float()[:, None]


@pytest.mark.parametrize("views", [(DropNodes(0.9), DropNodes(0.9)), (Identity(), DropNodes(0.99))], ids=str)
def test_rows_of_two_views_are_those_of_the_same_seeds(views: tuple[View, View]):
    seeds = [11, 4, 59, 0, 23, 8]
    batch = batch_of(seeds)
    batch.number = batch.n_id.clone()
    for run in range(30):
        first, second = (view(batch, generator=generator(2 * run + i)) for i, view in enumerate(views))
        z1, z2 = align_rows(Numbers()(first), first, Numbers()(second), second)
        assert torch.equal(z1, z2)
        both = [s for s in seeds if all(s in out.n_id[: out.batch_size] for out in (first, second))]
        assert z1.view(-1).tolist() == both
        assert both[:2] == seeds[:2]


@pytest.mark.parametrize("method", [GRACE, CCASSG])
@pytest.mark.parametrize("batch_size", [2, 16])
def test_training_on_batches_that_lose_nearly_all_nodes(method, batch_size):
    encoder, view = build_encoder("gcn", 6, hidden_channels=8), Compose([DropNodes(0.97)])
    parts = (encoder, nn.Linear(8, 8)) if method is GRACE else (encoder,)
    history = train(method(*parts, view, view), GRAPH, epochs=2, batch_size=batch_size, device="cpu")
    assert torch.tensor(history.loss).isfinite().all()


def test_views_of_a_small_graph_without_a_common_node_are_refused():
    data = Data(x=torch.eye(2), edge_index=torch.tensor([[0, 1], [1, 0]]))
    first, second = (Data(x=data.x[[i]], n_id=torch.tensor([i])) for i in (0, 1))
    with pytest.raises(InvalidGraphError, match="drop fewer"):
        align_rows(first.x, first, second.x, second)
    for run in range(20):
        assert DropNodes(0.999)(data, generator=generator(run)).num_nodes >= 1
