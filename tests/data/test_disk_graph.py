"""A graph on disk is the graph that was written, whichever way it is asked."""

import json
import pickle
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, TensorAttr
from torch_geometric.loader.utils import filter_custom_store
from torch_geometric.utils import to_undirected

from graphssl.data import GraphWriter, disk_features, open_graph, write_graph
from graphssl.errors import (
    ConfigurationError,
    CorruptFileError,
    InvalidGraphError,
    MissingFileError,
    StorageError,
)
from graphssl.ops.csr import CSR
from graphssl.samplers import NeighborLoader


def random_graph(nodes=40, edges=300, seed=0, **more):
    draw = torch.Generator().manual_seed(seed)
    ends = torch.randint(nodes, (2, edges), generator=draw)
    x = torch.randn(nodes, 5, generator=draw)
    return Data(x=x, edge_index=ends, y=torch.randint(3, (nodes,), generator=draw), **more)


def valued(data, seed=1):
    draw = torch.Generator().manual_seed(seed)
    data.edge_weight = torch.rand(data.edge_index.size(1), generator=draw)
    data.time = torch.randint(1000, (data.edge_index.size(1),), generator=draw)
    return data


def same(left, right, *names):
    for name in names:
        a, b = getattr(left, name), getattr(right, name)
        assert (a is None) == (b is None), name
        assert a is None or (torch.equal(a, b) and a.dtype == b.dtype), name


def edges_of(csr):
    return torch.stack([torch.repeat_interleave(torch.arange(csr.num_nodes), csr.ptr.diff()), csr.neighbour.long()])


def assert_directions(graph, data):
    """Both directions equal those made in memory; numbers of edges are places in the outgoing one."""
    weight, time = data.get("edge_weight"), data.get("time")
    out = CSR.from_edges(data.edge_index, graph.num_nodes, weight=weight, time=time)
    back = CSR.from_edges(edges_of(out), graph.num_nodes, direction="in", weight=out.weight, time=out.time)
    same(graph.topology(), out, "ptr", "neighbour", "weight", "time")
    assert graph.topology().edge is None
    into = graph.topology("in")
    same(into, back, "ptr", "neighbour", "weight", "time")
    assert torch.equal(edges_of(out)[:, into.edge].flip(0), edges_of(into))


DIRECTED = {
    "random multigraph": random_graph(),
    "weights and times": valued(random_graph()),
    "isolated nodes": Data(x=torch.ones(9, 2), edge_index=torch.tensor([[3, 3, 3], [3, 5, 3]])),
    "no edges": Data(x=torch.ones(4, 1), edge_index=torch.empty(2, 0, dtype=torch.long)),
    "no edges but weights": valued(Data(x=torch.ones(4, 1), edge_index=torch.empty(2, 0, dtype=torch.long))),
    "one node": Data(x=torch.ones(1, 1), edge_index=torch.zeros(2, 0, dtype=torch.long)),
    "one loop": Data(x=torch.ones(1, 1), edge_index=torch.zeros(2, 1, dtype=torch.long)),
    "no features": Data(edge_index=torch.tensor([[0, 2], [2, 1]]), num_nodes=3),
}


@pytest.mark.parametrize("data", DIRECTED.values(), ids=DIRECTED)
def test_a_directed_graph_comes_back(data, tmp_path):
    graph = write_graph(tmp_path / "g", data, shard_rows=7)
    assert (graph.num_nodes, graph.num_edges) == (data.num_nodes, data.edge_index.size(1))
    assert graph.num_features == data.num_features
    if data.x is not None:
        assert torch.equal(graph.gather(torch.arange(data.num_nodes)), data.x)
    same(graph, Data(y=data.y), "y")
    assert_directions(graph, data)


def test_an_undirected_graph_has_both_directions_once(tmp_path):
    data = valued(random_graph())
    del data.time
    graph = write_graph(tmp_path / "g", data, undirected=True)
    edges, weight = to_undirected(data.edge_index, data.edge_weight, data.num_nodes, reduce="max")
    same(graph.topology(), CSR.from_edges(edges, 40, weight=weight), "ptr", "neighbour", "weight", "time")
    assert graph.topology("in") is graph.topology("out")
    assert graph.undirected


@pytest.mark.parametrize("memory", [1 << 20, 20_000])
@pytest.mark.parametrize("whole", [False, True])
def test_attributes_stay_with_their_edges(tmp_path, whole, memory):
    """The attribute of an edge tells its ends, so that a wrong one shows."""
    data = valued(random_graph(edges=3000))
    name = data.edge_index[0] * 40 + data.edge_index[1]
    data.edge_attr = name if whole else torch.stack([name, -name], dim=1) / 4
    with GraphWriter(tmp_path / "g", num_nodes=40, memory_bytes=memory) as writer:
        for part in torch.arange(3000).split(700):
            chosen = {"weight": data.edge_weight[part], "time": data.time[part], "attr": data.edge_attr[part]}
            writer.add_edges(data.edge_index[:, part], **chosen)
    graph = open_graph(tmp_path / "g", verify=True)
    assert_directions(graph, data)
    row, col = edges_of(graph.topology())
    expected = row * 40 + col if whole else torch.stack([row * 40 + col, -row * 40 - col], dim=1) / 4
    assert torch.equal(graph.edge_attr, expected)
    assert graph.edge_attr.dtype == (torch.int64 if whole else torch.float32)
    for batch in NeighborLoader(graph, num_neighbors=[4, 4], batch_size=10, weight_attr=None, prefetch=0):
        assert batch.edge_index.numel()
        source, target = batch.n_id[batch.edge_index]
        assert torch.equal(batch.edge_attr if whole else 4 * batch.edge_attr[:, 0], source * 40 + target)


def test_both_directions_of_an_edge_have_the_attributes_of_the_first(tmp_path):
    ends = torch.tensor([[0, 1, 2, 2, 1], [1, 0, 2, 1, 2]])
    graph = write_graph(tmp_path / "g", Data(edge_index=ends, num_nodes=3, edge_attr=torch.arange(5)), undirected=True)
    assert edges_of(graph.topology()).tolist() == [[0, 1, 1, 2, 2], [1, 0, 2, 1, 2]]
    assert graph.edge_attr.tolist() == [0, 0, 3, 3, 2]


def test_in_an_undirected_graph_edges_of_other_times_are_other_edges(tmp_path):
    ends = torch.tensor([[0, 1, 0, 1, 2], [1, 0, 1, 0, 2]])
    data = Data(edge_index=ends, num_nodes=3, time=torch.tensor([9, 9, 5, 7, 1]), edge_weight=torch.arange(5.0))
    graph = write_graph(tmp_path / "g", data, undirected=True)
    csr = graph.topology()
    assert edges_of(csr).tolist() == [[0, 0, 0, 1, 1, 1, 2], [1, 1, 1, 0, 0, 0, 2]]
    assert csr.time.tolist() == [5, 7, 9, 5, 7, 9, 1]
    assert csr.weight.tolist() == [2, 3, 1, 2, 3, 1, 4]


@pytest.mark.parametrize("seed", range(24))
def test_the_memory_and_the_blocks_do_not_change_the_graph(tmp_path, seed):
    undirected, values = bool(seed % 2), bool(seed // 2 % 2)
    draw = np.random.default_rng(seed)
    nodes, edges, memory, block = (
        int(draw.integers(low, high)) for low, high in ((1, 12), (0, 80), (1, 4000), (1, 70))
    )
    data = random_graph(nodes, edges, seed)
    if values:
        data = valued(data)
    folder = tmp_path / "g"
    with GraphWriter(folder, num_nodes=nodes, undirected=undirected, memory_bytes=memory) as writer:
        for start in range(0, edges, block):
            part = slice(start, start + block)
            chosen = {"weight": data.edge_weight[part], "time": data.time[part]} if values else {}
            writer.add_edges(data.edge_index[:, part], **chosen)
    graph = open_graph(folder, verify=True)
    assert [path.name for path in folder.iterdir() if path.name.startswith("sort")] == []
    if not undirected:
        if not edges:  # nothing told that there are values
            data = Data(edge_index=data.edge_index)
        assert_directions(graph, data)
    elif not values:
        edge_index = to_undirected(data.edge_index, num_nodes=nodes)
        assert torch.equal(edges_of(graph.topology()), edge_index)
    else:
        twice = torch.cat([data.edge_index, data.edge_index.flip(0)], 1)
        key = torch.cat([twice, data.time.repeat(2)[None]])
        largest = {}
        for *name, weight in zip(*key.tolist(), data.edge_weight.repeat(2).tolist(), strict=True):
            largest[tuple(name)] = max(weight, largest.get(tuple(name), 0.0))
        csr = graph.topology()
        found = zip(*edges_of(csr).tolist(), csr.time.tolist(), csr.weight.tolist(), strict=True)
        assert list(found) == [(*name, largest[name]) for name in sorted(largest)]


def test_a_hub_does_not_need_its_edges_in_one_bucket(tmp_path):
    ends = torch.stack([torch.zeros(5000, dtype=torch.long), torch.randint(7000, (5000,))])
    with GraphWriter(tmp_path / "g", num_nodes=7000, memory_bytes=20_000) as writer:
        writer.add_edges(ends)
    assert_directions(open_graph(tmp_path / "g"), Data(edge_index=ends))


# --- features


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shard_rows", [1, 7, 40, 1000])
def test_gather_equals_indexing(tmp_path, dtype, shard_rows):
    data = random_graph()
    graph = write_graph(tmp_path / "g", data, dtype=dtype, shard_rows=shard_rows)
    stored = data.x.to(getattr(torch, dtype)).float()
    for rows in (torch.randint(40, (333,)), torch.arange(39, -1, -1), torch.tensor([5, 5, 5]), torch.tensor([]).long()):
        got = graph.gather(rows)
        assert got.dtype == torch.float32
        assert torch.equal(got, stored[rows])
    assert torch.equal(graph.gather(torch.tensor([3], dtype=torch.int32)), stored[3:4])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shard_rows", [1, 7, 1000])
def test_random_reads_give_the_same_rows(tmp_path, monkeypatch, dtype, shard_rows):
    monkeypatch.setattr(disk_features, "_PIECE", 20)  # pieces of four rows
    data = random_graph(nodes=200)
    write_graph(tmp_path / "g", data, dtype=dtype, shard_rows=shard_rows)
    random, ahead = (open_graph(tmp_path / "g", random_reads=choice) for choice in (True, False))
    draw = torch.Generator().manual_seed(0)
    scattered = torch.randint(200, (300,), generator=draw)
    for rows in (scattered, scattered[:1], scattered[:0], torch.arange(200), torch.arange(9, 90)):
        assert torch.equal(random.gather(rows), ahead.gather(rows))
        assert torch.equal(random.gather(rows), data.x[rows].to(getattr(torch, dtype)).float())
    again = pickle.loads(pickle.dumps(random))
    assert torch.equal(again.gather(scattered), random.gather(scattered))
    with pytest.raises(InvalidGraphError, match="nodes of the graph"):
        random.gather(torch.tensor([200]))


def test_scattered_rows_of_a_table_larger_than_half_of_the_memory_are_read_at_random(tmp_path, monkeypatch):
    write_graph(tmp_path / "g", random_graph(nodes=100))  # 2,000 bytes of features
    used = []
    reader = disk_features.ThreadPoolExecutor
    monkeypatch.setattr(disk_features, "ThreadPoolExecutor", lambda count: used.append(count) or reader(count))
    for memory, rows, expected in (
        (3000, [5, 90, 3], 1), (5000, [5, 90, 3], 0), (3000, [5, 6, 8], 0), (3000, [8, 6, 5], 1), (3000, [5], 1),
    ):  # fmt: skip
        monkeypatch.setattr(disk_features, "physical_memory", lambda memory=memory: memory)
        used.clear()
        open_graph(tmp_path / "g").gather(torch.tensor(rows))
        assert len(used) == expected, (memory, rows)
    assert disk_features.physical_memory() > 0


def test_shards_open_with_numpy(tmp_path):
    data = random_graph()
    write_graph(tmp_path / "g", data, shard_rows=16, dtype="float16")
    shards = [np.load(path) for path in sorted((tmp_path / "g").glob("x-*.npy"))]
    assert [len(shard) for shard in shards] == [16, 16, 8]
    assert np.array_equal(np.concatenate(shards), data.x.half().numpy())
    assert np.load(tmp_path / "g" / "neighbour.npy").dtype == np.int32


@pytest.mark.parametrize("rows", [torch.tensor([40]), torch.tensor([-1]), torch.tensor([0.5]), torch.tensor([[1]])])
def test_rows_that_are_no_nodes_are_refused(tmp_path, rows):
    with pytest.raises(InvalidGraphError, match="rows"):
        write_graph(tmp_path / "g", random_graph(), shard_rows=9).gather(rows)


def test_what_is_read_can_be_written_to_without_changing_the_file(tmp_path):
    data = random_graph()
    graph = write_graph(tmp_path / "g", data)
    graph.topology().neighbour.zero_()
    open_graph(tmp_path / "g", verify=True)


# --- PyG's contract


def test_it_is_a_feature_store(tmp_path):
    data = random_graph()
    graph = write_graph(tmp_path / "g", data, shard_rows=7)
    assert [(attr.group_name, attr.attr_name) for attr in graph.get_all_tensor_attrs()] == [(None, "x"), (None, "y")]
    rows = torch.tensor([30, 2, 2])
    mask = torch.arange(40) % 3 == 0
    for index in (slice(None), slice(5, 30, 4), slice(-3, None), rows, mask, 7, None):
        for name in ("x", "y"):
            expected = data[name] if index is None else data[name][index]
            got = graph.get_tensor(TensorAttr(None, name, index=index))
            assert torch.equal(got, expected), (name, index)
    assert graph.get_tensor_size(None, "x") == (40, 5)
    assert graph.get_tensor_size(None, "y") == (40,)
    assert graph.get_tensor_size("paper", "x") is None
    assert graph.get_tensor(None, "z", None) is None
    assert torch.equal(graph[None, "x", rows], data.x[rows])
    with pytest.raises(ConfigurationError, match="read only"):
        graph.put_tensor(data.x, None, "x", None)
    with pytest.raises(ConfigurationError, match="read only"):
        graph.remove_tensor(None, "x", None)


def test_it_is_a_graph_store(tmp_path):
    data = random_graph()
    graph = write_graph(tmp_path / "g", data)
    expected = CSR.from_edges(data.edge_index, 40)
    edges = edges_of(expected)
    assert [(attr.layout.value, attr.size) for attr in graph.get_all_edge_attrs()] == [
        ("csc", (40, 40)), ("csr", (40, 40)),
    ]  # fmt: skip
    ptr, col = graph.get_edge_index(None, "csr")
    assert torch.equal(ptr, expected.ptr)
    assert torch.equal(col, edges[1])
    assert torch.equal(torch.stack(graph.get_edge_index(None, "coo")), edges)
    by_target = torch.stack(graph.get_edge_index(None, "coo", True))
    assert torch.equal(by_target.flip(0), sorted_edges(edges.flip(0)))
    row, ptr, number = graph.csc()
    assert torch.equal(torch.stack(graph.get_edge_index(None, "csc")[:1]), row[None])
    assert torch.equal(edges[0, number], row)
    assert torch.equal(edges[1, number], torch.repeat_interleave(torch.arange(40), ptr.diff()))
    assert torch.equal(torch.stack(graph.coo()[:2]), edges)
    assert torch.equal(graph.csr()[1], edges[1])
    assert all(part.dtype == torch.int64 for part in (*graph.csr()[:2], *graph.csc(), *graph.coo()[:2]))
    with pytest.raises(KeyError):
        graph.get_edge_index(("a", "to", "b"), "coo")
    with pytest.raises(ConfigurationError, match="read only"):
        graph.put_edge_index((row, ptr), None, "csc")


def sorted_edges(edges):
    """Sorted, duplicates kept."""
    return edges[:, torch.sort(edges[0] * 40 + edges[1], stable=True).indices]


def test_pyg_takes_a_subgraph_from_it(tmp_path):
    data = random_graph()
    graph = write_graph(tmp_path / "g", data, shard_rows=9)
    nodes = torch.tensor([4, 39, 0])
    part = filter_custom_store(graph, graph, nodes, torch.tensor([0]), torch.tensor([1]), None)
    assert torch.equal(part.x, data.x[nodes])
    assert torch.equal(part.y, data.y[nodes])
    assert part.edge_index.tolist() == [[0], [1]]


def test_it_can_be_pickled(tmp_path):
    graph = write_graph(tmp_path / "g", random_graph())
    copy = pickle.loads(pickle.dumps(graph))
    assert torch.equal(copy.gather(torch.arange(40)), graph.gather(torch.arange(40)))


# --- what is refused


def test_damage_is_named(tmp_path):
    for name in ("x-00001.npy", "ptr.npy", "neighbour.npy", "in_edge.npy", "y.npy"):
        folder = tmp_path / name
        write_graph(folder, random_graph(), shard_rows=30)
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(CorruptFileError, match=name):
            open_graph(folder)
        path.write_bytes(whole.replace(b"shape", b"SHAPE"))
        with pytest.raises(CorruptFileError, match=name):
            open_graph(folder)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(CorruptFileError, match=f"{name}.*sha256"):
            open_graph(folder, verify=True)
        path.unlink()
        with pytest.raises(MissingFileError, match=name):
            open_graph(folder)


def test_a_damaged_manifest_is_refused(tmp_path):
    write_graph(tmp_path / "g", random_graph())
    path = tmp_path / "g" / "manifest.json"
    facts = json.loads(path.read_text())
    wrong = [
        "{", "[]", json.dumps({**facts, "format": 2}), json.dumps({**facts, "num_nodes": "40"}),
        json.dumps({**facts, "num_nodes": 41}), json.dumps({**facts, "num_edges": 1}),
        json.dumps({**facts, "shards": []} | {"num_features": 3, "files": {}}),
        json.dumps({**facts, "files": {"../x.npy": {"bytes": 1, "sha256": ""}}}),
        json.dumps({**facts, "dtype": "float16"}), json.dumps({**facts, "files": {"y.npy": 3}}),
    ]  # fmt: skip
    for text in wrong:
        path.write_text(text)
        with pytest.raises(CorruptFileError):
            open_graph(tmp_path / "g")
    path.unlink()
    with pytest.raises(MissingFileError, match=r"manifest\.json"):
        open_graph(tmp_path / "g")
    with pytest.raises(MissingFileError, match="not a folder"):
        open_graph(tmp_path / "none")


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def stop():
        with GraphWriter(tmp_path / "g") as writer:
            writer.add_features(torch.ones(3, 2))
            writer.add_edges(torch.tensor([[0], [1]]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []


WRITES = """
import sys, torch
from graphssl.data import GraphWriter
with GraphWriter(sys.argv[1]) as writer:
    writer.add_features(torch.ones(3, 2))
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing(folder):
    """Another process in the middle of a write, killed at the end."""
    command = [sys.executable, "-c", WRITES, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "writing\n"
            yield
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks of folders")
def test_the_next_write_removes_what_killed_ones_left_and_nothing_else(tmp_path):
    data = random_graph()
    with writing(tmp_path / "g"):
        write_graph(tmp_path / "g", data)  # beside one that goes on
        (alive,) = tmp_path.glob(".g.*")
        assert (alive / "x-00000.npy").exists()
        shutil.rmtree(tmp_path / "g")
    assert alive.exists()
    others = [tmp_path / name for name in (".g.1-0123abcd", ".g.2-0123abcd", ".g.x.1-0123abcd", ".g.notes")]
    for other in others:
        shutil.copytree(alive, other)
    (others[0] / "writer").write_text("another machine")
    (others[1] / "writer").unlink()
    write_graph(tmp_path / "g", data)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["g", *(path.name for path in others)])
    assert "writer" not in {path.name for path in (tmp_path / "g").iterdir()}
    open_graph(tmp_path / "g", verify=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.add_edges(torch.tensor([[0, 1], [1, 5]])), r"edge 1 is \(1, 5\)"),
        (lambda w: w.add_edges(torch.tensor([[0, -1], [1, 1]])), r"edge 1 is \(-1, 1\)"),
        (lambda w: w.add_edges(torch.tensor([[0, 1]])), r"shape \(2, B\)"),
        (lambda w: w.add_edges(torch.tensor([[0.0], [1]])), "integers"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), weight=torch.tensor([-1.0])), "edge 0 has the weight"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), weight=torch.tensor([torch.nan])), "edge 0 has the weight"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), time=torch.tensor([0.5])), "one integer as time"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), time=torch.tensor([1, 2])), "for each of 1 edges"),
        (lambda w: w.add_features(torch.full((2, 2), torch.inf)), "row 0: impute"),
        (lambda w: w.add_features(torch.full((2, 2), 1e6)), "row 0: too large for float16"),
        (lambda w: w.add_features(torch.ones(3)), r"shape \(B, F\)"),
        (lambda w: w.add_features(torch.ones(4, 2)), "features of 5 nodes, got 4"),
        (lambda w: w.add_labels(np.array(["a"])), "labels as numbers"),
        (lambda w: w.add_labels(torch.ones(6)), "labels of 5 nodes, got 6"),
        (lambda w: [w.add_features(torch.ones(1, n)) for n in (2, 3)], "row 1 has 3 features"),
        (lambda w: [w.add_labels(torch.ones(1, n)) for n in (2, 3)], "give all alike"),
        (lambda w: [w.add_edges(torch.tensor([[0], [1]]), weight=v) for v in (None, torch.ones(1))], "give all alike"),
        (lambda w: [w.add_edges(torch.tensor([[0], [1]]), attr=torch.ones(1, n)) for n in (1, 2)], "give all alike"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), attr=torch.ones(2, 3)), "B = 1 edges"),
        (lambda w: w.add_edges(torch.tensor([[0], [1]]), attr=torch.tensor([[1e300]]).double()), "at edge 0: impute"),
    ],
)
def test_a_wrong_block_is_named_and_leaves_nothing(tmp_path, call, message):
    with (
        pytest.raises(InvalidGraphError, match=message),
        GraphWriter(tmp_path / "g", num_nodes=5, dtype="float16") as writer,
    ):
        call(writer)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_refuses_what_cannot_be(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigurationError, match="there already"):
        write_graph(tmp_path / "full", random_graph())
    for options in ({"dtype": "float64"}, {"shard_rows": 0}, {"memory_bytes": 0}):
        with pytest.raises(ConfigurationError):
            GraphWriter(tmp_path / "g", **options)
    with pytest.raises(InvalidGraphError):
        GraphWriter(tmp_path / "g", num_nodes=2**31)
    with pytest.raises(InvalidGraphError, match="no nodes"), GraphWriter(tmp_path / "g"):
        pass
    with pytest.raises(StorageError, match="cannot write"):
        write_graph(tmp_path / "full" / "file" / "g", random_graph())
    with pytest.raises(InvalidGraphError, match="no features"):
        write_graph(tmp_path / "g", DIRECTED["no features"]).gather(torch.tensor([0]))
    with pytest.raises(ConfigurationError, match="direction"):
        open_graph(tmp_path / "g").topology("both")


def test_the_number_of_nodes_is_the_largest_of_an_edge_when_nothing_tells(tmp_path):
    with GraphWriter(tmp_path / "g") as writer:
        writer.add_edges(np.array([[7], [2]], dtype=np.uint8))
    assert open_graph(tmp_path / "g").num_nodes == 8
    assert edges_of(open_graph(tmp_path / "g").topology()).tolist() == [[7], [2]]
