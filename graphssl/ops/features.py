"""Node features that do not change: views of them cost nothing until read, and products with them are shared."""

from __future__ import annotations

import functools
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from graphssl.errors import InvalidGraphError
from graphssl.ops import backend
from graphssl.ops.adjacency import Adjacency, sparse_operator
from graphssl.ops.memory import remember
from graphssl.ops.spmm import spmm

__all__ = ["DerivedFeatures", "derive_features", "is_constant", "project"]

MIN_ENTRIES = 2**20  # smaller matrices are not worth a second thought
SAMPLED_ROWS = 256
# Up to which density a sparse product is faster than a dense one: at 0.10, 0.7 of the time with the C++ kernels.
MAX_DENSITY = {"cpp": 0.12, "torch": 0.02}


class DerivedFeatures(Tensor):
    """Features ``base`` (N, F) with rows permuted and columns zeroed, written out when somebody reads them.

    A tensor like any other to its reader; :func:`project` multiplies with it without writing it out, since
    :math:`(X_{rows}) W = (X W)_{rows}` and :math:`(X \\circ m) W = X (m \\circ W)`.
    """

    base: Tensor
    rows: Tensor | None
    columns: Tensor | None

    @staticmethod
    def __new__(cls, base: Tensor, rows: Tensor | None, columns: Tensor | None) -> DerivedFeatures:  # noqa: D102
        make = Tensor._make_wrapper_subclass
        self = make(cls, base.shape, dtype=base.dtype, device=base.device)
        self.base, self.rows, self.columns = base, rows, columns
        self.version, self.written, self.exposed = base._version, None, False
        return self

    def __init__(self, base: Tensor, rows: Tensor | None, columns: Tensor | None) -> None:
        """``rows`` is a permutation (N,), ``columns`` holds 1 and 0 (F,); None leaves them as they are."""

    version: int
    written: Tensor | None
    exposed: (
        bool  # somebody wrote to it, or has a view through which to write: it may no longer be what it was made from
    )

    def dense(self) -> Tensor:
        """The matrix (N, F), written out once.

        Raises
        ------
        InvalidGraphError
            If the features it was made from were changed in place before anybody read it.
        """
        if self.written is None:
            self.check_base()
            x = self.base if self.rows is None else self.base[self.rows]
            self.written = x.clone() if self.columns is None and self.rows is None else x
            if self.columns is not None:
                self.written = x * self.columns
        return self.written

    def check_base(self) -> None:
        """Raise an :class:`InvalidGraphError` if the features it was made from have changed since."""
        if self.base._version != self.version:
            raise InvalidGraphError("the features were written in place after a view was made of them: clone them")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        exposes = func._schema.is_mutable or any(value.alias_info is not None for value in func._schema.returns)

        def read(x: DerivedFeatures) -> Tensor:
            x.exposed |= exposes
            return x.dense()

        args, kwargs = tree_map_only(cls, read, (args, kwargs or {}))
        return func(*args, **kwargs)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def numpy(self, *, force: bool = False) -> Any:
        """As an array."""
        self.exposed = True
        return self.dense().numpy(force=force)

    def data_ptr(self) -> int:
        """Where it is in memory, once written out."""
        self.exposed = True
        return self.dense().data_ptr()

    def tolist(self) -> Any:
        """As nested lists."""
        return self.dense().tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.dense().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.dense().clone()


def derive_features(x: Tensor, *, rows: Tensor | None = None, columns: Tensor | None = None) -> Tensor:
    """``x[rows] * columns``, left unwritten when ``x`` is large and constant.

    Parameters
    ----------
    x : Tensor, shape (N, F)
    rows : Tensor of int64, shape (N,), optional
        A permutation.
    columns : Tensor, shape (F,), optional
        Ones and zeros, of the dtype of ``x``.
    """
    if not is_constant(x) or torch.compiler.is_compiling():
        x = x if rows is None else x[rows]
        return x if columns is None else x * columns
    base, first_rows, first_columns = _origin(x)
    if first_rows is not None:
        rows = first_rows if rows is None else first_rows[rows]
    if first_columns is not None:
        columns = first_columns if columns is None else first_columns * columns
    return DerivedFeatures(base, rows, columns)


def _origin(x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What constant features were made from: base, rows, columns."""
    if not isinstance(x, DerivedFeatures):
        return x, None, None
    x.check_base()
    return x.base, x.rows, x.columns


def is_constant(x: Tensor) -> bool:
    """Are these features that many steps will multiply, large enough to be clever about?"""
    if isinstance(x, DerivedFeatures):
        return not x.exposed
    return x.layout != torch.strided or not (x.requires_grad or x.is_inference() or x.numel() < MIN_ENTRIES)


def project(x: Tensor, weight: Tensor, *, transposed: bool = False) -> tuple[Tensor, Tensor | None]:
    """``x @ weight`` as ``(product, rows)``: the result is ``product[rows]``, or ``product`` where rows is None.

    Constant features are multiplied in sparse form where that is faster, and the product is the same tensor for every
    permutation of the same features (while somebody holds it), so that a graph and its corruption share it.

    Parameters
    ----------
    x : Tensor, shape (N, F)
        Dense, sparse (then constant) or derived.
    weight : Tensor, shape (F, D)
        Or (D, F), when ``transposed``.

    Returns
    -------
    (N, D), and (N,) or None
    """
    matrix = weight.t() if transposed else weight  # (F, D)
    if not is_constant(x) or torch.compiler.is_compiling():
        return x @ matrix, None
    x, rows, columns = _origin(x)
    if columns is not None:
        return _multiply(x, columns[:, None] * matrix), rows
    if torch.is_autocast_enabled(x.device.type) or not torch.is_grad_enabled():
        return _multiply(x, matrix), rows
    key = (id(x), x._version, id(weight), weight._version, transposed)
    product = _PRODUCTS.get(key)
    if product is None or product.features() is not x or product.weight() is not weight:  # type: ignore[attr-defined]
        product = _multiply(x, matrix)
        product.features, product.weight = weakref.ref(x), weakref.ref(weight)  # type: ignore[attr-defined]
        _PRODUCTS[key] = product
    return product, rows


# By the identities and versions of features and weight; forgotten when nobody else holds the product.
_PRODUCTS: weakref.WeakValueDictionary[tuple[int, ...], Tensor] = weakref.WeakValueDictionary()


def _multiply(x: Tensor, weight: Tensor) -> Tensor:
    operator = sparse_operator(x) if x.layout != torch.strided else _sparse_if_worthwhile(x)
    if operator is not None:
        return spmm(operator, weight)
    if torch.is_autocast_enabled(x.device.type):
        return x @ weight
    product: Tensor = _Product.apply(weight, x)
    return product


class _Product(torch.autograd.Function):
    """Constant features times a weight; nothing is saved through autograd, so two losses may go back through it."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor) -> Tensor:
        ctx.x = x
        return x @ weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.x.t() @ grad, None


def _sparse_if_worthwhile(x: Tensor) -> Adjacency | None:
    """The features as a sparse operator if products with it are faster, by their values and the tier alone."""
    if x.device.type != "cpu":
        return None
    most = MAX_DENSITY[backend.choose("spmm", x)]
    return remember(functools.partial(_compress, most=most), x, key=("features", most))


def _compress(x: Tensor, most: float) -> Adjacency | None:
    sample = x[:: max(1, x.size(0) // SAMPLED_ROWS)]
    for rows in (sample, x):  # most dense matrices are told by a few rows
        if int(rows.count_nonzero()) > most * rows.numel():
            return None
    row, column = x.nonzero(as_tuple=True)
    return Adjacency(row, column, x[row, column], shape=(x.size(0), x.size(1)))
