"""A compressed matrix (CSR) from entries in any order, and its transpose."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from graphssl.ops import backend, native
from graphssl.ops._rows_torch import pointers

NORMS = ("sym", "row", "none")  # numbered so in cpp/compress.cpp
Compressed: TypeAlias = tuple[Tensor, Tensor, Tensor]  # pointers to rows, columns, values
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}

backend.declare("compress", cpp=set(_SUFFIX))


def compress(row: Tensor, col: Tensor, value: Tensor, shape: tuple[int, int]) -> Compressed:
    """Rows and columns in order, so that equal matrices are equal arrays; equal places stay in the order given."""
    rows, cols = shape
    if in_cpp(value, rows, cols):
        return compressed_in_cpp(row, col, value, rows)
    key = row.long() * cols + col
    if bool((key[1:] < key[:-1]).any()):
        key, order = torch.sort(key, stable=True)
        col, value = col[order], value[order]
    # 32-bit indices halve the traffic; the matrix never shares memory with the caller's edges.
    small = torch.int32 if _is_small(value, rows, cols) else torch.int64
    return pointers(row, rows).to(small), col.to(small, copy=True), value.clone()


def _is_small(value: Tensor, rows: int, cols: int) -> bool:
    return max(rows, cols, value.size(0) + rows) < 2**31


def in_cpp(value: Tensor, rows: int, cols: int) -> bool:
    """Does the compiled tier take a matrix of these values?"""
    return _is_small(value, rows, cols) and backend.choose("compress", value) == "cpp"


def compressed_in_cpp(
    row: Tensor,
    col: Tensor,
    value: Tensor,
    rows: int,
    self_loops: bool = False,
    norm: str = "none",
    degree: Tensor | None = None,
    *,
    sum_degree: bool = False,
) -> Compressed:
    """The same in C++; on request with a loop on each node, and normalised by ``degree`` (rows,), given or summed here.

    A loop that was given keeps its weight, the last one if there are several.
    """
    entries = row.size(0)
    ptr, columns, values = _empty(rows, entries + rows if self_loops else entries, value)
    edges = row.long().contiguous(), col.long().contiguous(), value.contiguous()
    native.call(
        f"compress_{_SUFFIX[value.dtype]}", *edges, entries, rows, self_loops, NORMS.index(norm), sum_degree, degree,
        ptr, columns, values, native.threads(),
    )  # fmt: skip
    kept = int(ptr[-1])  # less than there is room for when loops were given
    return ptr, columns[:kept], values[:kept]


@torch.compiler.disable
def transpose(csr: Compressed, shape: tuple[int, int]) -> Compressed:
    """Of a matrix of that shape; the same arrays when it is symmetric."""
    _, col, value = csr
    if col.dtype == torch.int32 and backend.choose("compress", value) == "cpp":
        flipped = _empty(shape[1], col.size(0), value)
        native.call(f"transpose_{_SUFFIX[value.dtype]}", *csr, *shape, *flipped)
    else:
        row, col, value = entries_of(csr)
        flipped = compress(col, row, value, shape[::-1])
    symmetric = shape[0] == shape[1] and all(map(torch.equal, flipped, csr))
    return csr if symmetric else flipped


def _empty(rows: int, entries: int, value: Tensor) -> Compressed:
    ptr = torch.empty(rows + 1, dtype=torch.int32)
    return ptr, torch.empty(entries, dtype=torch.int32), value.new_empty(entries)


def entries_of(csr: Compressed) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value of each entry."""
    ptr, col, value = csr
    rows = torch.arange(ptr.size(0) - 1, device=ptr.device)
    return torch.repeat_interleave(rows, (ptr[1:] - ptr[:-1]).long()), col.long(), value
