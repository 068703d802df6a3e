"""Which tier computes, and how to say otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from tiers import needs_cpp
from torch_geometric import EdgeIndex

from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.ops import backend, native


@needs_cpp
def test_the_fast_tier_is_taken_unless_told_otherwise(monkeypatch):
    x = torch.zeros(1)
    monkeypatch.delenv("GRAPHSSL_BACKEND", raising=False)
    assert backend.choose("spmm", x) == "cpp"
    assert backend.choose("spmm", x.to(torch.int64)) == "torch"  # no kernel for integers
    monkeypatch.setenv("GRAPHSSL_BACKEND", "torch")
    assert backend.choose("spmm", x) == "torch"
    monkeypatch.setenv("GRAPHSSL_BACKEND", "spmm=torch")
    assert backend.choose("spmm", x) == "torch"
    with backend.use("spmm=cpp"):
        assert backend.choose("spmm", x) == "cpp"
    assert backend.choose("spmm", x) == "torch"


@pytest.mark.parametrize(("setting", "message"), [("trch", "torch"), ("spm=torch", "spmm"), ("spmm=gpu", "tier")])
def test_unknown_names_are_told(setting, message):
    with pytest.raises(UnknownNameError, match=message), backend.use(setting):
        pass


def test_a_tier_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(native, "why_missing", lambda: "not built")
    assert backend.choose("spmm", torch.zeros(1)) == "torch"
    with backend.use("cpp"), pytest.raises(ConfigurationError, match="not built"):
        backend.choose("spmm", torch.zeros(1))


def test_the_report_names_every_op_for_both_devices():
    rows = backend.report()
    assert {(row["op"], row["device"]) for row in rows} == {(op, d) for op in backend.ops() for d in ("cpu", "cuda")}
    assert all(row["tier"] in backend.TIERS and row["reason"] for row in rows)


@pytest.mark.parametrize(
    ("compiler", "capability", "tier", "reason"),
    [
        ("/usr/bin/cc", (9, 0), "triton", "Triton kernel"),
        ("/usr/bin/cc", (8, 0), "torch", "compute capability 9.x and 10.x, this one has 8.0"),
        ("", (9, 0), "torch", "C compiler"),
    ],
)
def test_a_gpu_gets_the_kernels_that_it_can_run(monkeypatch, compiler, capability, tier, reason):
    """As told for a machine with a GPU: kernels of contrast need a large one, and Triton a compiler."""
    for name in ("GRAPHSSL_BACKEND", "TRITON_INTERPRET", "CC"):
        monkeypatch.delenv(name, raising=False)
    if compiler:
        monkeypatch.setenv("CC", compiler)
    monkeypatch.setattr(backend.util, "find_spec", lambda name: object())
    monkeypatch.setattr(backend.shutil, "which", lambda name: None)
    monkeypatch.setattr(backend.Path, "is_file", lambda path: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    backend._triton_missing.cache_clear()
    backend._capability.cache_clear()
    try:
        rows = {row["op"]: row for row in backend.report() if row["device"] == "cuda"}
    finally:
        backend._triton_missing.cache_clear()
        backend._capability.cache_clear()
    assert rows["self_logsumexp"]["tier"] == tier
    assert reason in rows["self_logsumexp"]["reason"]
    assert rows["segment_reduce"]["tier"] == ("triton" if compiler else "torch")  # it needs no shared memory


@needs_cpp
def test_the_report_tells_what_computes(monkeypatch):
    monkeypatch.delenv("GRAPHSSL_BACKEND", raising=False)
    on_cpu = {row["op"]: row["tier"] for row in backend.report() if row["device"] == "cpu"}
    assert on_cpu["random_walks"] == backend.choose("random_walks", torch.zeros(1, dtype=torch.int32)) == "cpp"
    assert on_cpu["diffusion_push"] == backend.choose("diffusion_push", torch.zeros(1, dtype=torch.float64)) == "cpp"


@needs_cpp
def test_instruction_sets():
    sets = native.instruction_sets()
    assert sets[0] == "base"
    with native.use_instruction_set("base"):
        assert native.instruction_set() == "base"
        assert native.has_kernel("spmm_f32")
        assert not native.has_kernel("nothing")
    before = native.instruction_set()
    with pytest.raises(UnknownNameError, match="base"), native.use_instruction_set("sse9"):
        pytest.fail("it was entered")
    assert native.instruction_set() == before


@needs_cpp
def test_a_kernel_refuses_what_it_cannot_read():
    with pytest.raises(ConfigurationError, match="nothing"):
        native.call("nothing")
    with pytest.raises(ConfigurationError, match="contiguous"):
        native.call("spmm_f32", torch.zeros(4, 4).t()[:2])
    with pytest.raises(ConfigurationError, match="EdgeIndex"):
        native.call("spmm_f32", EdgeIndex([[0, 1], [1, 0]]))  # a wrapper: its data_ptr() is null


def test_the_package_works_where_the_library_is_broken(tmp_path):
    """A file that is no library: the torch tier computes, and the doctor says why."""
    code = """
import pathlib, sys
from graphssl.ops import native
native._FILE = pathlib.Path(sys.argv[1])
import torch
from graphssl.ops import backend, normalized_adjacency, spmm
assert backend.choose("spmm", torch.zeros(1)) == "torch"
assert "cannot be loaded" in native.why_missing()
assert spmm(normalized_adjacency(torch.tensor([[0], [1]]), 2), torch.ones(2, 3)).shape == (2, 3)
from graphssl.cli.doctor import diagnose
assert "cannot be loaded" in str(diagnose())
"""
    broken = tmp_path / "kernels.so"
    broken.write_bytes(b"no library")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GRAPHSSL_")}
    subprocess.run([sys.executable, "-c", code, str(broken)], check=True, env=environment, timeout=120)


@needs_cpp
def test_a_library_from_other_sources_is_not_called(monkeypatch):
    monkeypatch.setattr(native, "_INTERFACE", -1)
    library, reason = native._load.__wrapped__()
    assert library is None
    assert "install the package again" in reason
