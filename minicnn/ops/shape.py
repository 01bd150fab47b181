"""Operations that move elements without changing them; each has its inverse, or a scatter, as gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError

from ..autograd.engine import Function
from ..tensor import Array, Tensor, tensor_method


class Reshape(Function):
    """The same elements, in row-major order of (N, C, H, W), under another shape."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, shape: tuple[int, ...]) -> Array:
        """Reshape; copied where the memory order does not allow a view (channels last)."""
        ctx.shape = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Reshape back."""
        return gy.reshape(ctx.shape), None


class Permute(Function):
    """The axes in another order."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, axes: tuple[int, ...]) -> Array:
        """Transpose."""
        ctx.axes = axes
        return x.transpose(axes)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Transpose back."""
        return gy.transpose(np.argsort(ctx.axes)), None


class Index(Function):
    """y = x[index]; gx is zero but for += gy at index."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, index: Any) -> Array:
        """Take the elements at `index`."""
        ctx.shape, ctx.index = x.shape, index
        return np.asarray(x[index])

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Add gy where the elements were taken from; an element taken twice gets both."""
        gx = np.zeros(ctx.shape, gy.dtype)
        parts = ctx.index if isinstance(ctx.index, tuple) else (ctx.index,)
        if any(isinstance(part, (np.ndarray, list)) for part in parts):
            np.add.at(gx, ctx.index, gy)
        else:
            gx[ctx.index] += gy
        return gx, None


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as numbers or as one sequence."""
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


@tensor_method("reshape", "view")
def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The same elements under another shape; one size may be -1. Shares memory where it can, else copies.

    Raises:
        ShapeError: the number of elements does not match.
    """
    wanted = _sizes(shape)
    known = math.prod(size for size in wanted if size != -1)
    free = sum(size == -1 for size in wanted)
    fits = known == x.numel() if not free else free == 1 and known > 0 and x.numel() % known == 0
    if not fits or any(size < -1 for size in wanted):
        raise ShapeError(f"reshape: {x.shape} has {x.numel()} elements, which do not fill the shape {tuple(wanted)}")
    return Reshape.apply(x, wanted)


@tensor_method("flatten")
def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes start_dim to end_dim joined into one: (N, C, H, W).flatten(1) is (N, C*H*W)."""
    rank = max(x.ndim, 1)
    if not -rank <= start_dim < rank or not -rank <= end_dim < rank or start_dim % rank > end_dim % rank:
        raise IndexError(f"flatten: start_dim={start_dim}, end_dim={end_dim} do not fit a tensor of shape {x.shape}")
    first, last = start_dim % rank, end_dim % rank + 1
    return reshape(x, *x.shape[:first], math.prod(x.shape[first:last]), *x.shape[last:])


@tensor_method("permute")
def permute(x: Tensor, *axes: Any) -> Tensor:
    """The axes in the order given: `x.permute(0, 2, 3, 1)` is (N, H, W, C). Shares memory."""
    order = tuple(axis % x.ndim for axis in _sizes(axes))
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute: {_sizes(axes)} is not an order of the {x.ndim} axes of {x.shape}")
    return Permute.apply(x, order)


@tensor_method("transpose")
def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged. Shares memory."""
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(x, *order)


@tensor_method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with NumPy's rules: ints, slices, ..., None, integer and boolean arrays, tensors."""
    parts = tuple(p.array if isinstance(p, Tensor) else p for p in (index if isinstance(index, tuple) else (index,)))
    try:
        return Index.apply(x, parts if isinstance(index, tuple) else parts[0])
    except IndexError as error:
        raise IndexError(f"index: {error}; the tensor has shape {x.shape}") from None


Tensor.T = property(lambda self: permute(self, *reversed(range(self.ndim))))  # type: ignore[attr-defined]
