"""The Planetoid reader rebuilds arrays and containers, and nothing else."""

import collections
import os
import pickle
import subprocess

import numpy as np
import pytest
import scipy.sparse as sp

from graphssl.data.planetoid import RestrictedUnpickler


class Attack:
    """Pickles to a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_and_dictionaries_of_numbers(protocol):
    graph = collections.defaultdict(list, {0: [1, 2], 1: [0]})
    loaded = RestrictedUnpickler(pickle.dumps(graph, protocol=protocol)).load()
    assert loaded == graph
    assert loaded[7] == []


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_as_old_numpy_wrote_them(protocol):
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    content = pickle.dumps(array, protocol=protocol)
    if b"_codecs" in content:  # Python 3 writes bytes at protocol 2 through a call; Python 2 did not
        with pytest.raises(pickle.UnpicklingError, match="_codecs"):
            RestrictedUnpickler(content).load()
    else:
        assert np.array_equal(RestrictedUnpickler(content).load(), array)


def test_csr_matrix():
    matrix = sp.random(5, 4, density=0.4, format="csr", random_state=0)
    loaded = RestrictedUnpickler(pickle.dumps(matrix)).load()
    assert (loaded != matrix).nnz == 0


@pytest.mark.parametrize(
    "attack",
    [
        Attack(os.system, "touch pwned"),
        Attack(subprocess.check_output, ["touch", "pwned"]),
        Attack(eval, "open('pwned', 'w')"),
        Attack(getattr, np.ndarray, "tofile"),
        Attack(np.load, "pwned"),
        Attack(open, "pwned", "w"),
        collections.OrderedDict(a=1),
        sp.csc_matrix((2, 2)),
        {"nested": [1, Attack(os.system, "touch pwned")]},
    ],
    ids=["system", "check_output", "eval", "getattr", "np.load", "open", "OrderedDict", "csc_matrix", "nested"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_everything_else_is_refused(attack, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="refusing to"):
        RestrictedUnpickler(pickle.dumps(attack, protocol=protocol)).load()
    assert list(tmp_path.iterdir()) == []


def test_reconstructor_builds_no_other_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # copy_reg._reconstructor(list, object, None), spelt in protocol 0
    content = b"ccopy_reg\n_reconstructor\n(c__builtin__\nlist\nc__builtin__\nobject\nNtR."
    with pytest.raises(pickle.UnpicklingError, match="refusing to build"):
        RestrictedUnpickler(content).load()


def test_attribute_paths_are_no_way_out():
    for name in ("ndarray.tofile", "load"):
        content = pickle.PROTO + bytes([4]) + b"\x8c\x05numpy\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
        with pytest.raises(pickle.UnpicklingError, match="refusing to load numpy"):
            RestrictedUnpickler(content).load()
