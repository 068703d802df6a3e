"""A graph ten times larger than the memory a process may still take is trained on and embedded, and rightly."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from graphssl.data import GraphWriter, open_graph

ROOM = 32 << 20  # bytes
NODES, EDGES, FEATURES = 250_000, 600_000, 340

# RLIMIT_DATA bounds what is private and writable: the heap, stacks, and also the maps of the graph, although these are
# pages of files. So the graph is opened first, and the limit is what counts at that moment and ROOM.
CHILD = """
import json, resource, sys, threading
import torch
import graphssl
from graphssl.data import disk, open_graph
from graphssl.training import embed_data, train

def status(key):
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith(key)).split()[1]) << 10

def work(graph):
    method = graphssl.create_method("grace", graph, hidden_channels=16)
    history = train(method, graph, steps=5, batch_size=64, num_neighbors=[5, 5], device="cpu")
    return method, history, embed_data(method, graph, memory_bytes=2 << 20, device="cpu")

small, large, out, room = sys.argv[1:]
work(open_graph(small))  # libraries take memory of their own when they are first used
graph = open_graph(large)
before, peak, done = status("RssAnon"), 0, threading.Event()
def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, status("RssAnon"))
thread = threading.Thread(target=watch, daemon=True)
thread.start()
limit = status("VmData") + int(room)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
method, history, result = work(graph)
done.set()
thread.join()
try:
    torch.empty(int(room) + (1 << 20), dtype=torch.uint8)
    holds = False
except RuntimeError:
    holds = True
rows = torch.tensor([0, 77_777, graph.num_nodes - 1])
torch.save({"rows": rows, "embedding": result[rows], "weights": method.encoder.state_dict()}, out)
print(json.dumps({"growth": peak - before, "holds": holds, "steps": history.steps}))
"""


def write(folder, nodes, edges, features):
    with GraphWriter(folder, num_nodes=nodes, undirected=True, memory_bytes=2**25) as writer:
        for block in range(0, nodes, 50_000):
            draw = np.random.default_rng(block)
            writer.add_features(draw.random((min(50_000, nodes - block), features), dtype=np.float32))
        writer.add_edges(np.random.default_rng(1).integers(nodes, size=(2, edges)))


def convolved(graph, node, rows, weight, bias):
    """One output row of a graph convolution, from the definition; ``rows`` gives the inputs of nodes."""
    csr = graph.topology("in")

    def degree(nodes):
        return (csr.ptr[nodes + 1] - csr.ptr[nodes] + (~loops(nodes)).long()).double()

    def loops(nodes):  # a node with an edge to itself gets no other
        return torch.tensor([bool((csr.neighbour[csr.ptr[n] : csr.ptr[n + 1]] == n).any()) for n in nodes.tolist()])

    near = csr.neighbour[csr.ptr[node] : csr.ptr[node + 1]].long()
    here = torch.tensor([node])
    near = near if bool(loops(here)) else torch.cat([near, here])
    total = (rows(near) / (degree(near) * degree(here)).sqrt()[:, None]).sum(0)
    return (total @ weight.double() + bias.double()).relu()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_more_than_memory_is_trained_on_and_embedded(tmp_path):
    write(tmp_path / "small", 1_000, 5_000, FEATURES)
    write(tmp_path / "large", NODES, EDGES, FEATURES)
    assert sum(file.stat().st_size for file in (tmp_path / "large").iterdir()) > 10 * ROOM
    line = [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in ("small", "large", "out.pt")), str(ROOM)]
    # threads otherwise get heaps of their own, each of which counts 64 MiB before it is touched
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "MALLOC_ARENA_MAX": "1"}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["holds"]
    assert found["steps"] == 5

    assert found["growth"] < ROOM

    graph, kept = open_graph(tmp_path / "large"), torch.load(tmp_path / "out.pt")
    weights = kept["weights"]

    def first(nodes):
        return torch.stack([
            convolved(graph, int(n), lambda near: graph.gather(near).double(), *layer(0)) for n in nodes
        ])  # fmt: skip

    def layer(number):
        return weights[f"layers.{number}.weight"], weights[f"layers.{number}.bias"]

    for node, row in zip(kept["rows"].tolist(), kept["embedding"], strict=True):
        torch.testing.assert_close(row, convolved(graph, node, first, *layer(1)).float(), rtol=1e-4, atol=1e-5)
