"""Norms of vectors and matrices, and distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array, on_gpu
from minicnn_kernels.geometry import real
from minicnn_kernels.sums import total

from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .arithmetic import sub
from .decompositions import Svd
from .max_min import amax, amin
from .reduction import Axes, axes_of, nonempty, reduce, row, sum
from .unary import abs, signs

__all__ = ["dist", "linalg_norm", "matrix_norm", "norm", "vector_norm"]


def _vector_norm(a: Array, axes: tuple[int, ...], p: float) -> Array:
    """(sum |a|^p)^(1/p), and its limits at 0, Inf and -Inf."""
    size = np.abs(a if a.dtype != np.float16 else a.astype(np.float32))  # float32, so that powers do not overflow
    if p == 0:
        return total((a != 0).astype(size.dtype), axes)
    if math.isinf(p):
        return size.max(axes, keepdims=True) if p > 0 else size.min(axes, keepdims=True)
    if p == 1:
        return total(size, axes)
    if p == 2 and on_gpu(a):  # whether float32 could hold the squares is not known without waiting
        return np.sqrt(np.add.reduce(np.multiply(size, size, dtype=np.float64), axes, keepdims=True))
    if p == 2:
        y = np.sqrt(total(size * size, axes))
        if y.itemsize >= 8 or not y.size:
            return as_array(y)
        least, most = (y.item(), y.item()) if y.size == 1 else (y.min(), y.max())
        if least > 1e-15 and most < np.inf:
            return as_array(y)
    wide = size.astype(np.float64)  # for powers that float32 may not hold
    return as_array(total(wide**p, axes) ** (1 / p))


def _vector_norm_gradient(gy: Array, a: Array, y: Array, axes: tuple[int, ...], p: float) -> Array:
    """sign(a) (|a| / y)^(p-1): where the norm is 0, the subgradient 0; for Inf, shared by ties."""
    if p == 0:
        return np.zeros_like(a)
    if p == 1:
        return gy * signs(a)
    if p == 2:
        return gy * (a / np.where(y == 0, 1, y))
    size = np.abs(a)
    if math.isinf(p):
        ties = (size == y) | (np.isnan(a) & np.isnan(y))
        return signs(a) * ties * (gy / ties.sum(axes, keepdims=True))
    share = size / np.where(y == 0, 1, y).astype(np.float64)
    return gy * signs(a) * np.where(share == 0, 0, np.where(share == 0, 1, share) ** (p - 1))


_row = row("vector_norm", _vector_norm, _vector_norm_gradient, "float")


def vector_norm(x: Tensor, ord: float = 2, dim: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """(sum |a|^ord)^(1/ord) along `dim`; for ord=0 the number of elements that are not 0, for Inf the largest |a|.

    Its gradient is 0 where the norm is 0.

    Raises:
        RuntimeError: the tensor has integers, or the norm is negative or infinite and there are no elements.

    >>> minicnn.linalg.vector_norm(minicnn.tensor([3., -4.])), minicnn.linalg.vector_norm(minicnn.tensor([3., -4.]), 1)
    (tensor(5.), tensor(7.))
    """
    if type(ord) is not int and type(ord) is not float:
        if isinstance(ord, str):
            raise TypeError(
                f"vector_norm: ord must be a number, got {ord!r}; matrix_norm and norm know 'fro' and 'nuc'"
            )
        ord = real(ord, "vector_norm", "ord")
    if ord < 0 or math.isinf(ord):
        nonempty("vector_norm", x, axes_of("vector_norm", x, dim))
    return reduce(_row, x, dim, keepdim, dtype, p=float(ord))


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of the matrices in the two axes `dim`.

    Args:
        ord: "fro", the root of the sum of squares; "nuc", the sum of the singular values; 2 and -2, the largest and the
            smallest singular value; 1 and -1, the largest and the smallest sum of |a| in a column; Inf and -Inf, the
            same in a row.

    Raises:
        RuntimeError: there is no such norm, or the tensor has integers.

    >>> A = minicnn.tensor([[3., 0.], [0., 4.]])
    >>> [round(minicnn.linalg.matrix_norm(A, ord).item(), 4) for ord in ("fro", "nuc")]
    [5.0, 7.0]
    """
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"matrix_norm: dim must be two axes, got {dim!r}")
    if (A.dtype if dtype is None else np.dtype(dtype)).kind != "f":
        raise RuntimeError(f"matrix_norm: the tensor must be floating point, got {A.dtype}; convert it with .float()")
    A = A if dtype is None else A.to(dtype)
    rows, columns = axes_of("matrix_norm", A, tuple(dim))
    ord = ord if isinstance(ord, str) else real(ord, "matrix_norm", "ord")
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    positive = ord not in (-1, -2, -math.inf)
    extreme = amin if not positive else amax if A.numel() else sum  # here the largest of no elements is 0
    if ord in ("nuc", 2, -2):
        values = Svd.apply(A.movedim((rows, columns), (-2, -1)), False)[1]
        found = sum(values, -1) if ord == "nuc" else extreme(values, -1)
        return found.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else found
    if ord not in (1, -1, math.inf, -math.inf):
        raise RuntimeError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, Inf or -Inf, got {ord!r}")
    if not math.isinf(ord):
        rows, columns = columns, rows
    sums = sum(abs(A), columns, keepdim=True)
    found = extreme(sums, rows, keepdim=True)
    return found if keepdim else found.squeeze((rows, columns))


@tensor_method("norm")
@numpy_names
def norm(input: Tensor, p: Any = "fro", dim: Axes = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The vector norm along `dim`: "fro" and 2 are the root of the sum of squares; "nuc" is for matrices only.

    >>> minicnn.tensor([[3., 4.], [5., 12.]]).norm(dim=1)
    tensor([ 5., 13.])
    """
    if p is not None and not isinstance(p, (str, int, float)):
        p = real(p, "norm", "p")
    if p == "nuc":
        both = tuple(dim) if isinstance(dim, (tuple, list)) else (-2, -1)
        return matrix_norm(input, "nuc", both, keepdim, dtype=dtype)  # type: ignore[arg-type]
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}")
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def linalg_norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`minicnn.linalg.norm`: the matrix norm if `ord` is given and there are two axes, else the vector norm.

    >>> round(minicnn.linalg.norm(minicnn.tensor([[3., 0.], [0., 4.]]), 2).item(), 4)
    4.0
    """
    axes = (tuple(range(A.ndim)) if ord is not None else None) if dim is None else dim
    if ord is not None and isinstance(axes, (tuple, list)) and len(axes) == 2:
        return matrix_norm(A, ord, (axes[0], axes[1]), keepdim, dtype=dtype)
    if isinstance(ord, str) or (ord is not None and dim is None and A.ndim > 2):
        raise RuntimeError(
            f"linalg.norm: ord={ord!r} needs a vector or a matrix, or dim; got shape {A.shape}, dim={dim}"
        )
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@tensor_method("dist")
@numpy_names
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The vector norm of a - b.

    >>> minicnn.dist(minicnn.tensor([1., 2.]), minicnn.tensor([4., 6.]))
    tensor(5.)
    """
    return vector_norm(sub(input, other), p)
