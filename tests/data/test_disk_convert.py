"""Files of every kind become the same graph on disk, in little memory."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from graphssl.data import convert_edge_list, open_graph, read_graph_file, save_graph, write_graph
from graphssl.data.disk_convert import _Rows
from graphssl.data.disk_sources import table_of_text
from graphssl.errors import ConfigurationError, CorruptFileError, InvalidGraphError, MissingFileError

SMALL = 20_000  # bytes: many buckets even for these graphs


def contents(graph):
    csr = graph.topology()
    return [value if value is None else value.tolist() for value in (csr.ptr, csr.neighbour, csr.weight, csr.time)]


def written(path, text):
    with gzip.open(path, "wb") if path.suffix == ".gz" else open(path, "wb") as file:
        file.write(text.encode())
    return path


def expected(path, folder):
    """The graph read in memory, its nodes numbered by their identifiers."""
    data, ids = read_graph_file(path)
    edge_index = torch.from_numpy(ids)[data.edge_index]
    return write_graph(folder, Data(edge_index=edge_index, edge_weight=data.edge_weight, num_nodes=int(ids.max()) + 1))


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv"])
def test_an_edge_list_is_the_graph_that_is_read_in_memory(tmp_path, suffix, weighted, gz):
    draw = np.random.default_rng(0)
    rows = [(*draw.integers(60, size=2), round(float(draw.random()), 3)) for _ in range(3000)]
    rows = [row if weighted else row[:2] for row in rows]
    delimiter = {".txt": " ", ".csv": ",", ".tsv": "\t"}[suffix]
    lines = [delimiter.join(map(str, row)) for row in rows]
    if suffix == ".txt":
        lines = ["# a comment", "", *lines[:7], "  # another", f"{lines[7]} # behind", *lines[8:]]
    else:
        lines = [delimiter.join(["source", "target", "Weight"][: 2 + weighted]), "", *lines]
    plain = written(tmp_path / f"g{suffix}", "\ufeff" + "\n".join(lines))
    path = written(tmp_path / f"g{suffix}{gz}", "\ufeff" + "\r\n".join(lines) + "\r\n")
    graph = convert_edge_list(path, tmp_path / "disk", memory_bytes=SMALL)
    assert graph.undirected
    assert contents(graph) == contents(expected(plain, tmp_path / "memory"))


def test_direction_and_number_of_nodes_can_be_given(tmp_path):
    path = written(tmp_path / "g.txt", "0 1\n0 1\n3 3\n")
    graph = convert_edge_list(path, tmp_path / "g", undirected=False, num_nodes=6)
    assert contents(graph) == [[0, 2, 2, 2, 3, 3, 3], [1, 1, 3], None, None]
    with pytest.raises(InvalidGraphError, match=r"edge 2 is \(3, 3\)"):
        convert_edge_list(path, tmp_path / "h", num_nodes=3)


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("g.txt", "0 1\n1 2\nann 2\n", InvalidGraphError, "line 3: 'ann' is no number of a node.*read_graph_file"),
        ("g.csv", "a,b\n0,1\n1,x7\n", InvalidGraphError, "line 3: 'x7'"),
        ("g.txt", "0 1\n\n1.5 2\n", InvalidGraphError, r"line 3: '1\.5'"),
        ("g.txt", "0 1\n99999999999999999999 2\n", InvalidGraphError, "line 2"),
        ("g.txt", "0 1\n2147483648 2\n", InvalidGraphError, "edge 1 is"),
        ("g.txt", "0 1\n-1 2\n", InvalidGraphError, "edge 1 is"),
        ("g.txt", "0 1\n1\n", CorruptFileError, "line 2: expected 2 columns"),
        ("g.txt", "0 1 1\n1 2\n", CorruptFileError, "line 2: expected 3 columns"),
        ("g.txt", "0 1\n1 2 1\n", CorruptFileError, "line 2: expected 2 columns"),
        ("g.txt", "0 1 1\n1 2 heavy\n", CorruptFileError, "line 2: expected a number as weight.*'heavy'"),
        ("g.txt", "0 1 1\n1 2 -1\n", InvalidGraphError, "edge 1 has the weight"),
        ("g.csv", "only\n", CorruptFileError, "line 1: expected a header"),
        ("g.csv", "", CorruptFileError, "line 1: expected a header"),
        ("g.csv", "0,1\n1,2\n", CorruptFileError, r"line 1: expected a header.*numbers \['0', '1'\]"),
        ("g.tsv", '"0"\t"1"\n1\t2\n', CorruptFileError, "line 1: expected a header.*numbers"),
        ("g.txt", "# nothing\n", InvalidGraphError, "no nodes"),
        ("g.pdf", "0 1\n", InvalidGraphError, "cannot tell the format"),
    ],
)
def test_a_wrong_edge_list_is_explained_and_leaves_nothing(tmp_path, name, text, error, message):
    path = written(tmp_path / name, text)
    with pytest.raises(error, match=message):
        convert_edge_list(path, tmp_path / "g")
    assert list(tmp_path.iterdir()) == [path]


def test_files_cut_short_and_absent_are_named(tmp_path):
    path = written(tmp_path / "g.txt.gz", "".join(f"{i} {i + 1}\n" for i in range(5000)))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptFileError, match=r"g\.txt\.gz"):
        convert_edge_list(path, tmp_path / "g")
    with pytest.raises(MissingFileError, match="does not exist"):
        convert_edge_list(tmp_path / "none.txt", tmp_path / "g")


# --- OGB


def ogb(folder, *, labels="1\n0\n2\n1\n", sizes="4\n"):
    raw = folder / "raw"
    raw.mkdir(parents=True)
    written(raw / "edge.csv.gz", "0,1\n2,0\n0,1\n")
    written(raw / "num-node-list.csv.gz", sizes)
    written(raw / "node-feat.csv.gz", "0.5,1\n1,-2\n3e-1,4\n0,0\n")
    written(raw / "node-label.csv.gz", labels)
    return folder


@pytest.mark.parametrize("inner", ["", "raw"])
def test_a_folder_of_ogb(tmp_path, inner):
    graph = convert_edge_list(ogb(tmp_path / "ogbn") / inner, tmp_path / "g", shard_rows=3)
    assert not graph.undirected
    assert contents(graph)[:2] == [[0, 2, 2, 3, 3], [1, 1, 0]]
    assert torch.equal(graph.gather(torch.arange(4)), torch.tensor([[0.5, 1], [1, -2], [0.3, 4], [0, 0]]))
    assert graph.y.tolist() == [1, 0, 2, 1]
    assert graph.y.dtype == torch.int64


def test_labels_of_ogb_may_be_missing_or_many(tmp_path):
    graph = convert_edge_list(ogb(tmp_path / "a", labels="1\nnan\n2\n1\n"), tmp_path / "g")
    assert graph.y.dtype == torch.float32
    assert graph.y.isnan().tolist() == [False, True, False, False]
    assert convert_edge_list(ogb(tmp_path / "b", labels="1,0\n" * 4), tmp_path / "h").y.shape == (4, 2)


def test_many_graphs_of_ogb_are_refused(tmp_path):
    with pytest.raises(InvalidGraphError, match="lists 2 graphs"):
        convert_edge_list(ogb(tmp_path / "a", sizes="3\n1\n"), tmp_path / "g")
    with pytest.raises(ConfigurationError, match="tells 4"):
        convert_edge_list(ogb(tmp_path / "b"), tmp_path / "g", num_nodes=5)


def test_features_of_edges_of_ogb(tmp_path):
    folder = ogb(tmp_path / "ogbn")
    written(folder / "raw" / "edge-feat.csv.gz", "1,2\n3,4\n5,6\n")
    graph = convert_edge_list(folder, tmp_path / "g", memory_bytes=1)  # blocks of a few lines
    assert graph.edge_attr.tolist() == [[1, 2], [5, 6], [3, 4]]
    for rows, message in (("1\n" * 2, "has 2 rows"), ("1\n" * 4, "more than 3 rows")):
        written(folder / "raw" / "edge-feat.csv.gz", rows)
        with pytest.raises(CorruptFileError, match=message):
            convert_edge_list(folder, tmp_path / "h")


def test_rows_of_a_table_are_handed_out_across_its_blocks(tmp_path):
    rows = "".join(f"{i},{-i}\n" for i in range(2000))
    path = written(tmp_path / "edge-feat.csv.gz", rows)
    table = _Rows(table_of_text(path, np.float32, 100), path)
    for start, count in ((0, 3), (3, 0), (3, 700), (703, 1297)):
        assert np.array_equal(table.next(count)[:, 0], np.arange(start, start + count))
    table.finish()


# --- arrays


@pytest.mark.parametrize("kind", ["npz", "compressed", "folder"])
def test_arrays_come_as_they_are(tmp_path, kind):
    draw = torch.Generator().manual_seed(0)
    edge_index = torch.randint(50, (2, 4000), generator=draw)
    data = Data(
        x=torch.randn(50, 3, generator=draw), y=torch.arange(50), edge_index=edge_index,
        edge_weight=torch.rand(4000, generator=draw), time=torch.arange(4000),
        edge_attr=torch.randn(4000, 2, generator=draw),
    )  # fmt: skip
    path = tmp_path / "g.npz"
    save_graph(data, path)
    if kind == "compressed":
        np.savez_compressed(path, **{key: value.numpy() for key, value in data.to_dict().items()})
    if kind == "folder":
        path = tmp_path / "arrays"
        path.mkdir()
        for key, value in data.to_dict().items():
            np.save(path / f"{key}.npy", value.numpy())
    graph = convert_edge_list(path, tmp_path / "g", memory_bytes=SMALL, shard_rows=20)
    memory = write_graph(tmp_path / "memory", data)
    assert contents(graph) == contents(memory)
    assert contents(graph)[2] is not None
    assert torch.equal(graph.edge_attr, memory.edge_attr)
    assert torch.equal(graph.gather(torch.arange(50)), data.x)
    assert torch.equal(graph.y, data.y)


def test_a_single_array_is_the_edges(tmp_path):
    np.save(tmp_path / "e.npy", np.array([[0, 4], [1, 2]], dtype=np.int32))
    assert contents(convert_edge_list(tmp_path / "e.npy", tmp_path / "g"))[1] == [1, 2]
    assert open_graph(tmp_path / "g").num_nodes == 5


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"x": np.ones((2, 2))}, CorruptFileError, "no array 'edge_index'"),
        ({"edge_index": np.zeros((5, 2), np.int64)}, InvalidGraphError, "transpose"),
        ({"edge_index": np.asfortranarray(np.zeros((2, 5), np.int64))}, InvalidGraphError, "row by row"),
        ({"edge_index": np.zeros((2, 5))}, InvalidGraphError, "integers"),
        ({"edge_index": np.zeros((2, 5), np.int64), "time": np.arange(4)}, InvalidGraphError, "time for each of 5"),
        ({"edge_index": np.zeros((2, 5), np.int64), "edge_attr": np.ones((4, 2))}, InvalidGraphError, "attr for each"),
        ({"edge_index": np.zeros((2, 5), np.int64), "x": np.array([["a"]])}, InvalidGraphError, "x holds <U1"),
    ],
)
def test_wrong_arrays_are_explained(tmp_path, arrays, error, message):
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(error, match=message):
        convert_edge_list(tmp_path / "g.npz", tmp_path / "g")
    assert [path.name for path in tmp_path.iterdir()] == ["g.npz"]


def test_damaged_archives_are_named(tmp_path):
    save_graph(Data(edge_index=torch.zeros(2, 900, dtype=torch.long), num_nodes=1), tmp_path / "g.npz")
    whole = (tmp_path / "g.npz").read_bytes()
    for damaged in (whole[:400], b"text", whole[:600] + b"!" + whole[601:]):
        (tmp_path / "g.npz").write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=r"g\.npz"):
            convert_edge_list(tmp_path / "g.npz", tmp_path / "g")


# --- memory

CHILD = """
import resource, sys, threading, time
import numpy as np
from graphssl.data import convert_edge_list

def status(key):
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith(key)).split()[1]) << 10

before, peak, done = status("RssAnon"), 0, threading.Event()
def watch():
    global peak
    while not done.is_set():
        peak = max(peak, status("RssAnon"))
        time.sleep(0.002)
thread = threading.Thread(target=watch)
thread.start()
limit = status("VmData") + (64 << 20)  # the arrays of the graph alone take more
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from graphssl.data import disk_convert
disk_convert.open_graph = lambda folder: None  # maps count as data here, though they are no memory
convert_edge_list(sys.argv[1], sys.argv[2], memory_bytes=8 << 20)
done.set()
thread.join()
print(peak - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_graph(tmp_path):
    edges = 3_000_000
    draw = np.random.default_rng(0)
    pairs = draw.integers(300_000, size=(2, edges))
    np.save(tmp_path / "e.npy", pairs)
    line = [sys.executable, "-c", CHILD, str(tmp_path / "e.npy"), str(tmp_path / "g")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # edge_index takes 48 MB, the arrays on disk 53 MB, and sorting edge_index in memory as much again
    assert int(done.stdout) < 16 << 20
    graph = open_graph(tmp_path / "g", verify=True)
    source, target = pairs[:, np.lexsort(pairs[::-1])]
    csr = graph.topology()
    assert np.array_equal(csr.neighbour.numpy(), target)
    assert np.array_equal(csr.ptr.diff().numpy(), np.bincount(source, minlength=300_000))
