"""Cora, CiteSeer and PubMed from the Planetoid files, whose pickles are read by a restricted unpickler."""

from __future__ import annotations

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

from graphssl.data._text import corrupt, numbers, read_bytes
from graphssl.data.checksums import SHA256
from graphssl.errors import CorruptFileError
from graphssl.sources import fetch

__all__ = ["RestrictedUnpickler", "read_planetoid"]

URL = "https://github.com/kimiyoung/planetoid/raw/master/data"
_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
_NUM_VALIDATION = 500


def _rebuild(cls: type, base: type, state: Any) -> Any:
    """What old pickles call to make an empty object; here only for one class."""
    if cls is not sp.csr_matrix:
        raise pickle.UnpicklingError(f"refusing to build a {cls!r}")
    return cls.__new__(cls)


class RestrictedUnpickler(pickle.Unpickler):
    """Reads numpy arrays, scipy CSR matrices, dict, list and defaultdict; refuses everything else by name."""

    _allowed: dict[tuple[str, str], Any] = {  # noqa: RUF012
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
        ("scipy.sparse._csr", "csr_matrix"): sp.csr_matrix,
        ("collections", "defaultdict"): collections.defaultdict,
        ("__builtin__", "list"): list,
        ("__builtin__", "object"): object,
        ("builtins", "list"): list,
        ("builtins", "object"): object,
        ("copy_reg", "_reconstructor"): _rebuild,
        ("copyreg", "_reconstructor"): _rebuild,
    }

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """The allowed object of that name."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refusing to load {module}.{name}") from None


def _unpickle(path: Path) -> Any:
    try:
        return RestrictedUnpickler(read_bytes(path)).load()
    except CorruptFileError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise corrupt(path, error) from error


def read_planetoid(folder: str, *, root: str | Path | None = None) -> Data:
    """One of the three citation graphs with its public split.

    Parameters
    ----------
    folder : str
        ``"Cora"``, ``"CiteSeer"`` or ``"PubMed"``.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F) float32, ``edge_index`` (2, E) sorted by target then source, ``y`` (N,), and the masks of the
        public split: 20 nodes a class, 500 and 1,000.

    References
    ----------
    .. [1] Yang, Cohen, Salakhutdinov. Revisiting Semi-Supervised Learning with Graph Embeddings. ICML 2016.
    """
    paths = {}
    for part in _PARTS:
        name = f"ind.{folder.lower()}.{part}"
        relative = f"planetoid/{folder}/raw/{name}"
        paths[part] = fetch(relative, [f"{URL}/{name}"], SHA256[relative], root=root)
    test = numbers(read_bytes(paths["test.index"]), np.int64, paths["test.index"])
    parts = {part: _unpickle(paths[part]) for part in _PARTS[:-1]}

    # CiteSeer lacks the rows of isolated test nodes: its test block is spread over the whole range of test ids.
    first, last = int(test.min()), int(test.max())
    spread = sp.csr_matrix(
        (np.ones(test.size), (np.sort(test) - first, np.arange(test.size))), (last + 1 - first, test.size)
    )
    features = sp.vstack([parts["allx"], spread @ parts["tx"]], format="csr")
    one_hot = np.vstack([parts["ally"], spread @ parts["ty"]])

    count = features.shape[0]
    order = np.arange(count)
    order[test] = np.sort(test)  # test rows are stored in the order of the shuffled index file
    x = features[order].astype(np.float32).toarray()  # (N, F)
    y = one_hot[order].argmax(axis=1)  # (N,)

    def mask(index: np.ndarray) -> torch.Tensor:
        chosen = torch.zeros(count, dtype=torch.bool)
        chosen[torch.from_numpy(index)] = True
        return chosen

    num_train = parts["y"].shape[0]
    return Data(
        x=torch.from_numpy(x),
        edge_index=torch.from_numpy(_edges(parts["graph"], count)),
        y=torch.from_numpy(y),
        train_mask=mask(np.arange(num_train)),
        val_mask=mask(np.arange(num_train, num_train + _NUM_VALIDATION)),
        test_mask=mask(test),
    )


def _edges(neighbours: dict[int, list[int]], count: int) -> np.ndarray:
    """Adjacency lists to ``(2, E)``: no self-loops, no duplicates, sorted by target then source."""
    lengths = np.fromiter(map(len, neighbours.values()), np.int64, len(neighbours))
    source = np.repeat(np.fromiter(neighbours, np.int64, len(neighbours)), lengths)
    target = np.concatenate([np.asarray(nodes, dtype=np.int64) for nodes in neighbours.values()])
    keys = np.unique((target * count + source)[source != target])
    return np.stack([keys % count, keys // count])
