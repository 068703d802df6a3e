"""The tests of the Triton kernels, run on the CPU: see ``triton_devices.py``."""

import os
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

import pytest
from packaging.version import Version

HERE = Path(__file__).parent


def why_not() -> str:
    if util.find_spec("triton") is None:
        return "triton is not installed"
    installed = metadata.version("triton")
    return "" if Version(installed) >= Version("3.7.1") else f"triton {installed} cannot interpret with NumPy 2.4"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize(
    "name",
    [
        "test_triton.py",
        "test_triton_rows.py",
        "test_triton_walks.py",
        "test_triton_neighbours.py",
        "test_triton_subgraphs.py",
    ],
)
def test_kernels(name):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", HERE / name]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, "-m", "not gpu"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
