"""GCC: its loss, what its encoder reads, its embeddings, its batches, and fine-tuning."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

import graphssl
from graphssl.data import write_graph
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.evaluation import Split, fine_tune
from graphssl.method import create_method
from graphssl.methods import gcc
from graphssl.ops import positional_embeddings
from graphssl.samplers import SeedLoader
from graphssl.testing.methods import example_graph, example_graphs
from graphssl.training import embed_data, train

OPTIONS = dict(walk_length=12, hidden_channels=8, num_layers=2, dropout=0.0)
E2E = {**OPTIONS, "momentum": None}
MOCO = {**OPTIONS, "momentum": 0.9, "queue_size": 20}


def made(**options) -> gcc.GCC:
    return create_method("gcc", None, seed=0, **options)


def pairs(data: Data, method: gcc.GCC, batch_size: int = 6) -> list[gcc.Pair]:
    return list(method.batches(data, batch_size=batch_size, seed=0).epoch(0))


def by_loops(q: Tensor, keys: Tensor, negatives: list[Tensor], temperature: float) -> float:
    terms = []
    for i, anchor in enumerate(q):
        positive = math.exp(float(anchor @ keys[i]) / temperature)
        others = sum(math.exp(float(anchor @ k) / temperature) for k in negatives[i])
        terms.append(-math.log(positive / (positive + others)))
    return sum(terms) / len(terms)


def others(keys: Tensor) -> list[Tensor]:
    return [torch.cat([keys[:i], keys[i + 1 :]]) for i in range(keys.size(0))]


def test_end_to_end_loss_equals_loops() -> None:
    method = made(**E2E)
    pair = pairs(example_graph(), method)[0]
    q, keys = method.encoder(pair.query).detach(), method.encoder(pair.key).detach()
    assert method.loss(pair).item() == pytest.approx(by_loops(q, keys, others(keys), 0.07), rel=1e-4)
    method.loss(pair).backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_queue_holds_the_keys_of_earlier_batches_and_gets_no_gradient() -> None:
    method = made(**MOCO)
    with torch.no_grad():
        for parameter in method.target.target.parameters():
            parameter.add_(0.1)  # so that it differs from the encoder
    seen: list[Tensor] = []
    for pair in pairs(example_graph(), method)[:4] * 2:
        q, keys = method.encoder(pair.query).detach(), method.target(pair.key)
        negatives = [torch.cat(seen)[-20:]] * 6 if seen else others(keys)  # the first batch has none but its own
        loss = method.loss(pair)
        assert loss.item() == pytest.approx(by_loops(q, keys, negatives, 0.07), rel=1e-3)
        loss.backward()
        before = [p.clone() for p in method.target.target.parameters()]
        method.after_step(0.0)
        seen.append(keys)
        stored = method.queue.values()
        assert torch.allclose(stored.sort(0).values, torch.cat(seen)[-20:].sort(0).values)
        for slow, old, fast in zip(method.target.target.parameters(), before, method.encoder.parameters(), strict=True):
            assert slow.grad is None
            assert torch.allclose(slow, 0.9 * old + 0.1 * fast, atol=1e-6)
    assert len(method.queue) == 20


@pytest.mark.parametrize("options", [E2E, MOCO])
def test_one_node_has_no_negative(options: dict) -> None:
    with pytest.raises(ConfigurationError, match="two nodes"):
        made(**options).loss(Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=1))


def test_the_encoder_reads_eigenvectors_degrees_and_the_seed() -> None:
    method = made(**E2E, max_degree=3)
    data = example_graph()
    found = method.subgraphs(data, torch.tensor([3, 0, 23]))
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), torch.bincount(found.batch).cumsum(0)])
    assert torch.equal(found.seed, ptr[:-1])
    assert torch.equal(found.position, positional_embeddings(found.edge_index.flip(0), ptr, 32))
    assert int(ptr[-1] - ptr[-2]) == 1  # node 23 has no edge
    read = []
    method.encoder.layers.register_forward_pre_hook(lambda module, given: read.append(given[0].x))
    method.eval().encoder(found)
    x = read[0]
    degree = [int((found.edge_index[1] == node).sum()) for node in range(x.size(0))]
    assert max(degree) > 3
    assert torch.equal(x[:, :32], found.position)
    assert torch.equal(x[:, 32:48], method.encoder.degrees.weight[[min(d, 3) for d in degree]])
    assert x[:, 48].nonzero().view(-1).tolist() == ptr[:-1].tolist()


def test_embedding_is_the_mean_of_unit_codes_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    method, data = made(**E2E, views=3).eval(), example_graph()
    whole = embed_data(method, data, device="cpu")
    assert whole.shape == (24, 8)
    with torch.no_grad():
        views = [method.encoder(method.subgraphs(data, torch.arange(24), seed=i)) for i in range(3)]
    for codes in views:
        assert torch.allclose(codes.norm(dim=1), torch.ones(24), atol=1e-5)
    assert torch.allclose(whole, sum(views) / 3, atol=1e-6)
    assert torch.equal(whole, embed_data(method, data, device="cpu"))
    monkeypatch.setattr(gcc, "EMBEDDED", 5)
    assert torch.allclose(whole, embed_data(method, data, device="cpu"), atol=1e-5)
    assert torch.allclose(whole, embed_data(method, data, memory_bytes=1000, device="cpu"), atol=1e-5)


def test_directions_duplicates_and_features_are_not_read() -> None:
    method = made(**E2E).eval()
    both, other = example_graph(), example_graph(num_nodes=9, seed=1)
    one_way = both.edge_index[:, both.edge_index[0] < both.edge_index[1]]
    bare = Data(edge_index=torch.cat([one_way, one_way[:, :5]], 1), num_nodes=24, x=torch.ones(24, 3))
    assert torch.equal(embed_data(method, both, device="cpu"), embed_data(method, bare, device="cpu"))
    wholes = [embed_data(method, [graph, other], device="cpu") for graph in (both, bare)]
    assert wholes[0].shape == (2, 8)
    assert torch.equal(*wholes)


def test_graphs_of_a_batch_do_not_see_each_other_and_hubs_are_marked() -> None:
    method, graphs = made(**E2E).eval(), example_graphs(4)
    with torch.no_grad():
        whole = method.embed(Batch.from_data_list(graphs))
        for graph, code in zip(graphs, whole, strict=True):
            hub = int(torch.bincount(graph.edge_index[0]).argmax())
            position = positional_embeddings(graph.edge_index, torch.tensor([0, graph.num_nodes]), 32)
            batch = torch.zeros(graph.num_nodes, dtype=torch.long)
            alone = method.encoder(gcc.Structures(graph.edge_index, batch, position, torch.tensor([hub])))
            assert torch.allclose(alone[0], code, atol=1e-4)


def test_embedder_fits_several_graphs_and_embeds_others(tmp_path: Path) -> None:
    other = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]), num_nodes=5)
    mixed = [example_graph(), example_graph(num_features=3, seed=1)]
    embedder = graphssl.Embedder("gcc", **E2E, max_steps=2).fit(mixed)
    assert embedder.transform(other).shape == (5, 8)
    assert embedder.transform(example_graph(num_features=2)).shape == (24, 8)
    assert embedder.transform([other, mixed[0]]).shape == (2, 8)
    embedder.save_pretrained(tmp_path / "saved")
    again = graphssl.Embedder.from_pretrained(tmp_path / "saved")
    assert np.array_equal(again.transform(other), embedder.transform(other))


@pytest.mark.parametrize("options", [E2E, MOCO])
def test_a_resumed_run_ends_as_an_uninterrupted_one(options: dict, tmp_path: Path) -> None:
    data = example_graph()

    class StopError(Exception):
        pass

    def stop(step: int, loss: float) -> None:
        if step == 5:
            raise StopError

    def run(**settings) -> dict[str, Tensor]:
        method = made(**{**options, "dropout": 0.5})
        train(method, data, steps=9, lr=1e-2, batch_size=8, seed=0, device="cpu", **settings)
        return method.state_dict()

    path = tmp_path / "run"
    with pytest.raises(StopError):
        run(checkpoint=path, checkpoint_every=2, on_step=stop)
    resumed, whole = run(checkpoint=path, checkpoint_every=2), run()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def drawn(csr, seeds: Tensor, streams: Tensor, key: int) -> Tensor:
    return seeds


def test_seeds_have_odds_of_degree_to_three_quarters() -> None:
    data = example_graph(12, isolated=3)
    degree = torch.bincount(data.edge_index[0], minlength=12).double()
    loader = SeedLoader(data, drawn, batch_size=12, power=0.75, seed=1)
    seen = torch.bincount(torch.cat([seeds for _ in range(400) for seeds in loader]), minlength=12).numpy()
    assert seen.sum() == 4800
    assert not seen[-3:].any()
    odds = degree[:9].pow(0.75).numpy()
    assert chisquare(seen[:9], seen.sum() * odds / odds.sum()).pvalue > 1e-3


def test_several_graphs_are_one_without_edges_between_them(tmp_path: Path) -> None:
    graphs = example_graphs(3)
    whole = Batch.from_data_list(graphs)
    csr = SeedLoader(graphs, drawn, batch_size=4).csr
    row = torch.repeat_interleave(torch.arange(csr.num_nodes), csr.ptr.diff())
    assert csr.num_nodes == whole.num_nodes
    edges = torch.stack([row, csr.neighbour.long()])
    assert torch.equal(edges.unique(dim=1), whole.edge_index.unique(dim=1))
    disk = write_graph(tmp_path / "graph", graphs[0])
    assert torch.equal(
        SeedLoader(disk, drawn, batch_size=4).csr.ptr, SeedLoader(graphs[0], drawn, batch_size=4).csr.ptr
    )


def test_an_epoch_is_the_same_again_and_the_next_one_another() -> None:
    loader = SeedLoader(example_graph(25), drawn, batch_size=8, power=0.75, seed=3, workers=2)
    first, again, second = (torch.cat(list(loader.epoch(number))) for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert torch.equal(first[8:], torch.cat(list(loader.epoch(0, start=1))))
    assert len(loader) == 3  # a last batch of one seed is left out
    with pytest.raises(InvalidGraphError, match="edges"):
        SeedLoader(Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=3), drawn, batch_size=2)


def roles() -> Data:
    """20 stars and 20 cliques on a ring; the label is the role: ring, centre, leaf, clique."""
    edges, labels = [(i, (i + 1) % 40) for i in range(40)], [0] * 40
    for at in range(40):
        first = len(labels)
        star = [(first, first + i) for i in range(1, 5)]
        clique = [(first + i, first + j) for i in range(5) for j in range(i)]
        edges += [(at, first), *(star if at % 2 else clique)]
        labels += [1, 2, 2, 2, 2] if at % 2 else [3] * 5
    ends = torch.tensor(edges).t()
    return Data(edge_index=torch.cat([ends, ends.flip(0)], dim=1), y=torch.tensor(labels), num_nodes=len(labels))


def test_fine_tuning_learns_from_training_labels_alone() -> None:
    data = roles()
    y = data.y.numpy()
    order = np.random.default_rng(0).permutation(len(y))
    split = Split(order[:160], order[160:160], order[160:])
    method = made(**{**E2E, "hidden_channels": 16})
    before = {name: value.clone() for name, value in method.state_dict().items()}

    def predict(labels: np.ndarray, **settings) -> np.ndarray:
        def batch_of(nodes: Tensor, seed: int) -> gcc.Structures:
            return method.subgraphs(data, nodes, seed=seed)

        return fine_tune(method, batch_of, labels, split, **{"epochs": 20, "batch_size": 20, **settings})

    predicted = predict(y)
    chance = np.bincount(y).max() / len(y)
    assert (predicted == y[split.test]).mean() > chance + 0.3
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    other = y.copy()
    other[split.test] = np.random.default_rng(1).permutation(y[split.test])
    assert np.array_equal(predicted, predict(other))
    with pytest.raises(ConfigurationError, match="two rows"):
        predict(y, batch_size=1)
    with pytest.raises(ConfigurationError, match="views >= 1"):
        predict(y, views=0)


def test_fine_tuning_predicts_by_the_mean_of_views() -> None:
    """The head sees +v in half of the draws of a row and -3 v in the others: the mean probability decides."""

    class Plain(nn.Module):
        def embed(self, batch: Tensor) -> Tensor:
            return batch

    y = np.array([0, 1] * 10)
    split = Split(np.arange(10), np.arange(0), np.arange(10, 20))
    signs = torch.from_numpy(2.0 * y - 1)[:, None].float()

    def batch_of(rows: Tensor, seed: int) -> Tensor:
        training = bool((rows < 10).all())
        return signs[rows] * (1.0 if training or seed % 2 == 0 else -3.0)

    settings = {"epochs": 50, "batch_size": 10, "lr": 0.05, "weight_decay": 0.0}
    one, two = (fine_tune(Plain(), batch_of, y, split, views=views, **settings) for views in (1, 2))
    assert np.array_equal(one, y[split.test])
    assert np.array_equal(two, 1 - y[split.test])


def test_a_code_is_the_sum_of_linear_maps_of_the_summed_input_and_layers() -> None:
    method = made(**E2E).eval()
    encoder, graphs = method.encoder, pairs(example_graph(), method)[0].query
    with torch.no_grad():
        codes = encoder(graphs)
        degree = torch.bincount(graphs.edge_index[1], minlength=graphs.batch.numel())
        mark = torch.zeros(degree.numel(), 1)
        mark[graphs.seed] = 1
        h = torch.cat([graphs.position, encoder.degrees(degree), mark], dim=1)
        x = Data(edge_index=graphs.edge_index)
        parts = [h]
        for layer in range(2):
            h = encoder.layers.layer(layer, h, x)
            assert (h >= 0).all()  # ReLU comes last
            parts.append(h)
        for graph in range(graphs.seed.numel()):
            inside = graphs.batch == graph
            code = sum(head(part[inside].sum(0)) for head, part in zip(encoder.heads, parts, strict=True))
            assert torch.allclose(codes[graph], code / code.norm(), atol=1e-5)
