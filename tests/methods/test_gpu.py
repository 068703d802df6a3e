"""On a CUDA device every method trains, and embeds as on the CPU."""

import pytest
import torch
from torch_geometric.data import Batch

import graphssl
from graphssl.testing.methods import example_graph, example_graphs
from graphssl.training import embed_data, train

METHODS = graphssl.list_methods(level="node") + graphssl.list_methods(level="graph")


@pytest.mark.gpu
@pytest.mark.parametrize("encoder", ["gcn", "gin", "sage", "gat"])
@pytest.mark.parametrize("name", METHODS)
def test_training_and_embedding_on_cuda(name: str, encoder: str) -> None:
    level = graphssl.registry.METHODS.get(name).info["level"]
    data = example_graphs() if level == "graph" else example_graph()
    wanted = {"hidden_channels": 16, "out_channels": 16, "encoder": encoder}
    options = {option: wanted[option] for option in wanted if option in graphssl.method.method_options(name)}
    method = graphssl.create_method(name, data, seed=0, **options)
    history = train(method, data, steps=5, device="cuda", seed=0)
    assert all(torch.isfinite(torch.tensor(history.loss)))
    on_gpu = embed_data(method, data, device="cuda")
    on_cpu = embed_data(method, data, device="cpu")
    scale = max(1.0, float(on_cpu.abs().max()))
    assert float((on_gpu - on_cpu).abs().max()) / scale < 1e-3
    batch = Batch.from_data_list(data) if level == "graph" else data
    assert next(method.parameters()).device.type == "cpu"
    assert torch.isfinite(method.to("cuda").loss(batch.clone().to("cuda")))


@pytest.mark.gpu
def test_a_run_resumes_on_cuda(tmp_path) -> None:
    data = example_graph()

    def run(steps: int, path=None) -> list[float]:
        method = graphssl.create_method("grace", data, hidden_channels=16, seed=0)
        return train(method, data, steps=6, max_steps=steps, device="cuda", checkpoint=path, checkpoint_every=2).loss

    class StopError(Exception):
        pass

    def stop(step: int, loss: float) -> None:
        if step == 5:
            raise StopError

    whole = run(6)
    method = graphssl.create_method("grace", data, hidden_channels=16, seed=0)
    with pytest.raises(StopError):
        train(method, data, steps=6, device="cuda", checkpoint=tmp_path / "c", checkpoint_every=2, on_step=stop)
    resumed = run(6, tmp_path / "c")
    assert resumed == pytest.approx(whole, rel=1e-4)
