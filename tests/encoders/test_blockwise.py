"""Embedding layer by layer in blocks of nodes equals embedding the whole graph, in bounded memory."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

from graphssl.data import NodeBlocks, graph_source, planted_communities, write_graph
from graphssl.encoders import as_encoder, build_encoder, encode_and_smooth
from graphssl.errors import ConfigurationError, InvalidGraphError, StorageError
from graphssl.ops import backend, native

EMPTY = torch.empty(2, 0, dtype=torch.int64)
TINY = 1  # bytes: every block is one node with its neighbours


def graph(kind: str) -> Data:
    generator = torch.Generator().manual_seed(0)
    nodes = 30
    ends = torch.randint(nodes - 4, (2, 90), generator=generator)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = torch.cat([ends, ends.flip(0)], dim=1)
    if kind == "directed":
        edge_index = ends
    elif kind == "loops and duplicates":
        edge_index = torch.cat([edge_index, edge_index[:, :20], torch.arange(5).repeat(2, 2)], dim=1)
    elif kind == "no edges":
        edge_index = EMPTY
    data = Data(x=torch.randn(nodes, 5, generator=generator), edge_index=edge_index)
    if kind == "weights":
        data.edge_index = torch.cat([edge_index, torch.arange(5).repeat(2, 1)], dim=1)
        data.edge_weight = torch.rand(data.num_edges, generator=generator)
    return data


GRAPHS = ["undirected", "directed", "loops and duplicates", "no edges", "weights"]


def trained(name: str, **options: object) -> torch.nn.Module:
    """An encoder whose running statistics and parameters are not those it began with."""
    torch.manual_seed(0)
    encoder = build_encoder(name, 5, **{"hidden_channels": 8, "num_layers": 2, **options})
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    encoder(graph("undirected"))
    return encoder.eval()


def check_equal(encoder: torch.nn.Module, data: Data, **settings: int) -> None:
    with torch.no_grad():
        torch.testing.assert_close(encoder(NodeBlocks(data, **settings)), encoder(data), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize("name", ["gcn", "gin", "sage", "gat", "mlp"])
def test_layers(name, kind):
    for memory_bytes in (TINY, 2000, 2**20):
        check_equal(trained(name), graph(kind), memory_bytes=memory_bytes)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("jumping", ["last", "cat", "max", "sum"])
@pytest.mark.parametrize("name", ["gcn", "gin", "sage", "gat", "mlp"])
def test_options_of_the_stack(name, jumping, skip, norm):
    encoder = trained(name, jumping=jumping, skip=skip, norm=norm, num_layers=3)
    check_equal(encoder, graph("loops and duplicates"), memory_bytes=3000)


@pytest.mark.parametrize("num_layers", [1, 4])
def test_depth_and_width(num_layers):
    check_equal(trained("gcn", num_layers=num_layers, out_channels=3), graph("weights"), memory_bytes=TINY)
    check_equal(trained("gin", num_layers=num_layers, jumping="cat", out_channels=3), graph("directed"), memory_bytes=1)


@pytest.mark.parametrize("tier", ["torch", "cpp"])
def test_every_tier(tier):
    if tier == "cpp" and native.why_missing():
        pytest.skip(native.why_missing())
    with backend.use(tier):
        check_equal(trained("gcn"), graph("weights"), memory_bytes=2000)


def test_one_node():
    data = Data(x=torch.rand(1, 5), edge_index=EMPTY)
    for name in ("gcn", "gin", "sage", "gat", "mlp"):
        check_equal(trained(name), data, memory_bytes=TINY)


@pytest.mark.parametrize("undirected", [False, True])
def test_graphs_on_disk(tmp_path, undirected):
    data = planted_communities(80, 4, num_features=5) if undirected else graph("weights")
    disk = write_graph(tmp_path / "g", data, undirected=undirected)
    for given in (disk, (disk, disk), graph_source(disk)):
        for name in ("gcn", "gin", "gat"):
            encoder = trained(name)
            with torch.no_grad():
                found = encoder(NodeBlocks(given, memory_bytes=1000))
                torch.testing.assert_close(found, encoder(data), atol=1e-5, rtol=1e-4)


def test_blocks_visit_each_node_once_and_keep_to_the_memory():
    data = graph("loops and duplicates")
    degree = torch.bincount(data.edge_index[1], minlength=30)
    assert [rows.stop - rows.start for rows, *_ in NodeBlocks(data, memory_bytes=TINY).blocks(None, width=8)] == [
        1
    ] * 30
    row_bytes = 4 * (5 + 8) + 64
    for memory_bytes in (500, 2000, 10_000, 10**6):
        visited = []
        for rows, x, block in NodeBlocks(data, memory_bytes=memory_bytes).blocks(None, width=8):
            count = rows.stop - rows.start
            visited += range(rows.start, rows.stop)
            assert torch.equal(x[:count], data.x[rows])
            assert torch.equal(torch.bincount(block.edge_index[1], minlength=count)[:count], degree[rows])
            assert int(degree[rows].sum()) == block.num_edges
            assert count == 1 or row_bytes * (count + block.num_edges) <= memory_bytes
        assert visited == list(range(30))


def is_mapped(tensor: torch.Tensor) -> bool:
    """Whether a tensor's memory is a file's, by the table of the process."""
    address = tensor.data_ptr()
    with Path("/proc/self/maps").open() as table:
        for line in table:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if begin <= address < end:
                return "deleted" in line
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_large_results_are_files_without_a_name_and_equal(tmp_path):
    data = graph("weights")
    for jumping in ("last", "cat", "max"):
        encoder = trained("gcn", jumping=jumping)
        made: list[tuple[int, bool]] = []
        blocks = NodeBlocks(data, memory_bytes=400, folder=tmp_path)
        output = blocks.output

        def watched(width: int, made=made, output=output) -> torch.Tensor:
            result = output(width)
            made.append((width, is_mapped(result)))
            return result

        blocks.output = watched  # type: ignore[method-assign]
        with torch.no_grad():
            found = encoder(blocks)
            torch.testing.assert_close(found, encoder(data), atol=1e-5, rtol=1e-4)
        assert is_mapped(found)
        assert [width for width, _ in made] == [8, 8] + {"last": [], "cat": [16], "max": [8]}[jumping]
        assert all(mapped for _, mapped in made)
        assert list(tmp_path.iterdir()) == []
        found += 1  # it is the caller's
        del found
        gc.collect()
    assert not is_mapped(trained("gcn")(NodeBlocks(data)))


def test_ggd_smooths_in_blocks_as_on_the_whole_graph():
    for kind in GRAPHS:
        data, encoder = graph(kind), trained("gcn")
        for hops in (0, 1, 5):
            with torch.no_grad():
                whole = encode_and_smooth(encoder, data, hops)
                found = encode_and_smooth(encoder, NodeBlocks(data, memory_bytes=700), hops)
            torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)


def test_refused():
    data = graph("undirected")
    with pytest.raises(ConfigurationError, match="norm='graph'"):
        trained("gcn", norm="graph")(NodeBlocks(data))
    with pytest.raises(ConfigurationError, match="eval"):
        trained("gcn").train()(NodeBlocks(data))
    with pytest.raises(ConfigurationError, match="taken apart into layers"):
        as_encoder(GCN(5, 8, num_layers=2))(NodeBlocks(data))
    with pytest.raises(ConfigurationError, match="memory_bytes"):
        NodeBlocks(data, memory_bytes=0)
    with pytest.raises(InvalidGraphError, match=r"\(N, 5\)"):
        trained("gcn")(NodeBlocks(Data(x=torch.rand(3, 4), edge_index=EMPTY)))
    with pytest.raises(InvalidGraphError, match=r"\(N, 5\), got 0"):
        trained("mlp")(NodeBlocks(Data(edge_index=EMPTY, num_nodes=3)))
    with pytest.raises(StorageError, match="cannot make a file"):
        trained("gcn")(NodeBlocks(data, memory_bytes=400, folder="/nonexistent"))


def test_no_gradient_is_kept():
    encoder = trained("gcn")
    assert not encoder(NodeBlocks(graph("undirected"))).requires_grad
