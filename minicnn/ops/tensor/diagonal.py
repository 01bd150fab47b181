"""Diagonals and triangles of matrices, which are in the last two axes by default."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, xp
from minicnn_kernels.geometry import ShapeError, fits, whole

from ...tensor import Tensor, tensor_method
from .arguments import axes, check_tensor
from .concatenate import cat
from .creation import zeros
from .linear_map import LinearMapRow, Map, View
from .operands import promote
from .shape import atleast_2d

__all__ = ["block_diag", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_copy", "trace", "tril", "triu"]


def _along(x: Array, offset: int, dim1: int, dim2: int) -> Array:
    """Return the diagonal as a view, with the diagonal as a new last axis."""
    x = np.moveaxis(x, (dim1, dim2), (-2, -1))
    x = x[..., max(-offset, 0) :, max(offset, 0) :]
    n = min(x.shape[-2:])
    strides = (*x.strides[:-2], x.strides[-2] + x.strides[-1])
    return xp(x).lib.stride_tricks.as_strided(x, (*x.shape[:-2], n), strides)


def _embed(x: Array, shape: tuple[int, ...], *where: int) -> Array:
    """Return zeros of a shape, with x on the diagonal."""
    y = xp(x).zeros(shape, x.dtype)
    _along(y, *where)[...] = x
    return y


def _embedded_shape(shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> tuple[int, ...]:
    side = shape[-1] + abs(offset)
    rest = list(shape[:-1])
    for dim in sorted((dim1, dim2)):
        rest.insert(dim, side)
    return tuple(rest)


DIAGONAL = LinearMapRow("Diagonal", _along, _embed)
EMBED = LinearMapRow(
    "DiagEmbed",
    lambda x, *where: _embed(x, _embedded_shape(x.shape, *where), *where),
    lambda gy, _, *where: _along(gy, *where),
    _embedded_shape,
)
TRIL = LinearMapRow("Tril", lambda x, k: np.tril(x, k), lambda gy, _, k: np.tril(gy, k))
TRIU = LinearMapRow("Triu", lambda x, k: np.triu(x, k), lambda gy, _, k: np.triu(gy, k))


def _offset(op: str, offset: Any, shape: tuple[int, ...]) -> int:
    """Return the number of a diagonal, limited to the first ones outside the matrix; all of those are empty."""
    most = max(shape, default=0)
    return max(-most, min(whole(offset, op, "offset"), most))


@tensor_method("diagonal")
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements [..., i, i + offset] of two axes, as a new last axis; a view.

    >>> minicnn.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    pair = axes("diagonal", (dim1, dim2), input.ndim)
    if input.ndim < 2:
        raise IndexError(f"diagonal: expected a tensor of at least 2 axes, got shape {tuple(input.shape)}")
    return View.apply(input, DIAGONAL, _offset("diagonal", offset, input.shape), *pair)


def diagonal_copy(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`diagonal` copied to new memory.

    >>> minicnn.diagonal_copy(minicnn.tensor([[1, 2], [3, 4]]), 1)
    tensor([2])
    """
    return diagonal(input, offset, dim1, dim2).clone()


@tensor_method("diag_embed")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in the axes dim1 and dim2 of the result: the last axis on their diagonal, and zeros elsewhere.

    >>> minicnn.diag_embed(minicnn.zeros(8, 3)).shape
    minicnn.Size([8, 3, 3])
    """
    pair = axes("diag_embed", (dim1, dim2), input.ndim + 1)
    if not input.ndim:
        raise IndexError("diag_embed: expected a tensor of at least 1 axis, got a 0-d one")
    offset = whole(offset, "diag_embed", "offset")
    if not input.is_meta:
        fits("diag_embed", _embedded_shape(tuple(input.shape), offset, *pair), input.array.itemsize)
    return Map.apply(input, EMBED, offset, *pair)


@tensor_method("diag")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a 1-d tensor on its diagonal, or the diagonal of a matrix, in new memory.

    >>> minicnn.diag(minicnn.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag: expected a tensor of 1 or 2 axes, got shape {tuple(input.shape)}")
    return diagonal_copy(input, diagonal)


@tensor_method("diagflat")
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements of the tensor on its diagonal.

    >>> minicnn.diagflat(minicnn.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(input.reshape(math.prod(input.shape)), offset)


@tensor_method("trace")
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    Raises:
        ShapeError: the tensor is no matrix.

    >>> minicnn.trace(minicnn.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, got shape {tuple(input.shape)}")
    return diagonal(input).sum()


def _triangle(op: str, rule: LinearMapRow, input: Any, diagonal: int) -> Tensor:
    if input.ndim < 2:
        raise ShapeError(f"{op}: expected a tensor of at least 2 axes, got shape {tuple(input.shape)}")
    return Map.apply(input, rule, _offset(op, diagonal, input.shape))


@tensor_method("tril")
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements of matrices on and below a diagonal, with 0 above it.

    >>> minicnn.tril(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([[1, 0],
            [3, 4]])
    """
    return _triangle("tril", TRIL, input, diagonal)


@tensor_method("triu")
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements of matrices on and above a diagonal, with 0 below it.

    >>> minicnn.triu(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([[1, 2],
            [0, 4]])
    """
    return _triangle("triu", TRIU, input, diagonal)


def block_diag(*tensors: Tensor) -> Tensor:
    """Make a matrix with the given matrices along its diagonal and zeros elsewhere.

    >>> minicnn.block_diag(minicnn.tensor([[1, 2]]), minicnn.tensor([[3]]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    check_tensor("block_diag", **{f"tensor {i}": x for i, x in enumerate(tensors)})
    blocks = promote("block_diag", *atleast_2d(tensors)) if tensors else (zeros(1, 0),)
    if any(x.ndim > 2 for x in blocks):
        raise ShapeError(f"block_diag: expected tensors of at most 2 axes, got {[tuple(x.shape) for x in blocks]}")
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        height, own = x.shape
        gap = [zeros(height, n, dtype=x.dtype, device=x.device) for n in (before, width - before - own)]
        rows.append(cat([gap[0], x, gap[1]], 1))
        before += own
    return cat(rows, 0)
