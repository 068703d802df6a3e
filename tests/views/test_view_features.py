from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torch_geometric.data import Batch, Data
from view_strategies import batches, few, generator, sample_is_plausible, seeds

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.views import MaskFeatureColumns, MaskFeatureEntries, MaskNodes, ShuffleFeatures

EDGES = torch.zeros(2, 0, dtype=torch.long)
ONES = Data(x=torch.ones(100, 200), edge_index=EDGES)
MASKS = [MaskFeatureColumns, MaskFeatureEntries, MaskNodes]


def test_whole_columns_are_masked():
    x = MaskFeatureColumns(0.5)(ONES, generator=generator()).x
    assert torch.equal(x, x[:1].expand_as(x))
    assert set(x[0].tolist()) == {0.0, 1.0}


def test_whole_rows_are_masked():
    x = MaskNodes(0.5)(ONES, generator=generator()).x
    assert torch.equal(x, x[:, :1].expand_as(x))
    assert set(x[:, 0].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_rates(p):
    masked = int((MaskFeatureEntries(p)(ONES, generator=generator()).x == 0).sum())
    assert sample_is_plausible(masked, ONES.x.numel(), p)
    columns = rows = 0
    for seed in range(50):
        columns += int((MaskFeatureColumns(p)(ONES, generator=generator(seed)).x[0] == 0).sum())
        rows += int((MaskNodes(p)(ONES, generator=generator(seed)).x[:, 0] == 0).sum())
    assert sample_is_plausible(columns, 50 * 200, p)
    assert sample_is_plausible(rows, 50 * 100, p)


@pytest.mark.parametrize("mask", MASKS)
def test_extreme(mask):
    assert not mask(1.0)(ONES).x.any()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int32])
def test_dtype_is_kept(mask, dtype):
    x = mask(0.5)(Data(x=torch.ones(9, 9, dtype=dtype), edge_index=EDGES), generator=generator()).x
    assert x.dtype == dtype
    assert x.unique().tolist() == [0, 1]


@pytest.mark.parametrize("mask", MASKS)
def test_gradients_pass_what_is_not_masked(mask):
    x = torch.ones(9, 9, requires_grad=True)
    out = mask(0.5)(Data(x=x, edge_index=EDGES), generator=generator()).x
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_noise():
    graph = Data(x=torch.full((400, 200), 9.0), edge_index=EDGES)
    x = MaskNodes(0.5, fill="noise")(graph, generator=generator()).x
    noise = x[x[:, 0] != 9]
    assert sample_is_plausible(len(noise), 400, 0.5)
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(noise.std()) == pytest.approx(0.5, abs=0.02)
    assert len(noise.unique()) > 0.9 * noise.numel()  # drawn for each entry
    with pytest.raises(ConfigurationError, match="floating point"):
        MaskNodes(0.5, fill="noise")(Data(x=torch.ones(3, 2, dtype=torch.long), edge_index=EDGES))
    with pytest.raises(ConfigurationError, match="fill"):
        MaskNodes(0.5, fill="ones")


@few
@given(batches(), seeds)
def test_shuffled_rows_stay_in_their_graph(batch, seed):
    out = ShuffleFeatures()(batch, generator=generator(seed))
    for before, after in zip(batch.to_data_list(), out.to_data_list(), strict=True):
        assert torch.equal(after.x.sort(dim=0).values, before.x)
        assert torch.equal(after.edge_index, before.edge_index)
        assert torch.equal(after.node_number, before.node_number)


def test_all_permutations_within_graphs_are_equally_likely():
    graph = Data(x=torch.arange(3.0)[:, None], edge_index=EDGES)
    x = ShuffleFeatures()(Batch.from_data_list([graph] * 3000), generator=generator()).x.view(3000, 3)
    counts = (x @ torch.tensor([9.0, 3.0, 1.0])).unique(return_counts=True)[1]
    assert counts.numel() == 6
    assert float(((counts - 500.0) ** 2 / 500).sum()) < 24  # 5 degrees of freedom: p = 0.0002


def test_shuffling_a_batch_in_any_order():
    graph = torch.tensor([1, 0, 1, 0, 2, 1])
    data = Data(x=graph.float()[:, None] * 10 + torch.arange(6.0)[:, None] / 10, edge_index=EDGES, batch=graph)
    moved = 0
    for seed in range(10):
        x = ShuffleFeatures()(data, generator=generator(seed)).x
        assert torch.equal((x.view(-1) / 10).long(), graph)
        assert torch.equal(x.sort(dim=0).values, data.x.sort(dim=0).values)
        moved += int((x != data.x).sum())
    assert moved


def test_across_graphs_is_a_choice():
    batch = Batch.from_data_list([Data(x=torch.full((5, 1), float(g)), edge_index=EDGES) for g in range(4)])
    assert torch.equal(ShuffleFeatures()(batch).x, batch.x)
    mixed = ShuffleFeatures(across_graphs=True)(batch, generator=generator()).x
    assert not torch.equal(mixed, batch.x)
    assert torch.equal(mixed.sort(dim=0).values, batch.x)


@pytest.mark.parametrize("view", [*(mask(p) for mask in MASKS for p in (0.0, 0.5)), ShuffleFeatures()])
def test_features_are_needed(view):
    with pytest.raises(InvalidGraphError, match="features x"):
        view(Data(edge_index=EDGES, num_nodes=3))
    with pytest.raises(InvalidGraphError, match="features x"):
        view(Data(x=torch.eye(3).to_sparse(), edge_index=EDGES))
    with pytest.raises(InvalidGraphError, match=r"\(3,\)"):
        view(Data(x=torch.ones(3), edge_index=EDGES))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities_are_checked(mask, p):
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        mask(p)


@pytest.mark.parametrize("view", [*(mask(0.5) for mask in MASKS), ShuffleFeatures()])
def test_generator_on_another_device(view):
    with pytest.raises(ConfigurationError, match=r"torch.Generator\(device="):
        view(Data(x=torch.ones(3, 2, device="meta"), edge_index=EDGES), generator=generator())
