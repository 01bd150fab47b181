"""Tensors with a part replaced, and other changes of parts: diagonals, slices, elements one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, host, on_gpu, xp
from minicnn_kernels.geometry import ShapeError, real, whole

from ...autograd import own_order
from ...tensor import Tensor, tensor_method
from .arguments import axis, check_tensor, ints
from .clamp import where
from .concatenate import cat
from .creation import empty
from .diagonal import diagonal
from .expand import broadcast_shapes
from .indexing import select
from .inplace import in_place
from .linear_map import LinearMapRow, View
from .norm import vector_norm

__all__ = ["as_strided", "diagonal_scatter", "empty_strided", "renorm", "select_scatter", "slice_scatter", "vander"]


def _with_part(op: str, input: Tensor, src: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a copy of `input` with `src` in the place of a part of it."""
    check_tensor(op, input=input, src=src)
    y = input.clone()
    place = part(y)
    if place.shape != src.shape:
        raise ShapeError(
            f"{op}: expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(place.shape)}"
        )
    place.copy_(src)
    return y


@tensor_method("select_scatter")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` in the place of `input.select(dim, index)`.

    >>> minicnn.select_scatter(minicnn.zeros(2, 2), minicnn.ones(2), 0, 0)
    tensor([[1., 1.],
            [0., 0.]])
    """
    return _with_part("select_scatter", input, src, lambda y: select(y, dim, index))


@tensor_method("slice_scatter")
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` in the place of the slice `start:end:step` of an axis.

    >>> minicnn.slice_scatter(minicnn.zeros(4), minicnn.ones(2), start=1, end=3)
    tensor([0., 1., 1., 0.])
    """
    at = axis("slice_scatter", dim, input.ndim)
    if step <= 0:
        raise RuntimeError(f"slice_scatter: slice step must be positive, got {step}")
    return _with_part("slice_scatter", input, src, lambda y: y[(*[slice(None)] * at, slice(start, end, step))])


@tensor_method("diagonal_scatter")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` in the place of a diagonal.

    >>> minicnn.diagonal_scatter(minicnn.zeros(2, 2), minicnn.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _with_part("diagonal_scatter", input, src, lambda y: diagonal(y, offset, dim1, dim2))


@tensor_method("fill_diagonal_")
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Overwrite the elements [i, i, ..., i] with a number, in place.

    Args:
        wrap: whether, in a matrix with more rows than columns, the diagonal starts again below its end, after one row.

    Raises:
        RuntimeError: there is one axis, or there are more than two of different sizes.

    >>> minicnn.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise RuntimeError(
            f"fill_diagonal_: dimensions must larger than 1, and all of one size if there are more than 2; got "
            f"{tuple(self.shape)}"
        )
    n = min(self.shape)
    places = [np.arange(n)] * self.ndim
    if wrap and self.ndim == 2 and self.shape[0] > self.shape[1] + 1:
        count = np.arange(0, self.shape[0] * self.shape[1], self.shape[1] + 1)
        places = [count // self.shape[1], count % self.shape[1]]
    if n:
        self[tuple(places)] = fill_value
    return self


@tensor_method("sum_to_size")
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Sum over the axes that a broadcast from `size` to this shape would repeat.

    Raises:
        RuntimeError: `size` is not broadcast to this shape.

    >>> minicnn.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = ints("sum_to_size", "size", size)
    if not shape:
        return self.sum()
    extra = self.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, self.shape[extra:], strict=True)):
        raise ShapeError(f"sum_to_size: size {list(shape)} is not expandable to size {list(self.shape)}")
    repeated = [i for i in range(self.ndim) if i < extra or (shape[i - extra] == 1 and self.shape[i] != 1)]
    return self.sum(repeated, True).reshape(shape) if repeated else self


@tensor_method("renorm")
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Scale the slices along an axis whose p-norm is larger than `maxnorm` down to it.

    >>> minicnn.renorm(minicnn.tensor([[3., 4.], [0., 1.]]), p=2, dim=0, maxnorm=1)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    check_tensor("renorm", input=input)
    at = axis("renorm", dim, input.ndim)
    p, maxnorm = real(p, "renorm", "p"), real(maxnorm, "renorm", "maxnorm")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0 or maxnorm < 0:
        raise RuntimeError(f"renorm: p must be positive and maxnorm not negative, got p={p}, maxnorm={maxnorm}")
    norms = vector_norm(input, p, [i for i in range(input.ndim) if i != at], True)
    return input * where(norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)


tensor_method("renorm_")(in_place(renorm))


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of powers x_i^(N-1-j), or with `increasing` x_i^j, for j = 0, ..., N-1: Vandermonde's.

    >>> minicnn.vander(minicnn.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    check_tensor("vander", x=x)
    if x.ndim != 1:
        raise RuntimeError(f"vander: x must be a one-dimensional tensor, got shape {tuple(x.shape)}")
    n = len(x) if N is None else whole(N, "vander", "N")
    if n < 0:
        raise RuntimeError(f"vander: N must be non-negative, got {n}")
    x = x if x.dtype.kind == "f" else x.long()
    columns = [x.new_ones(len(x), min(n, 1))]
    if n > 1:
        columns.append(x.unsqueeze(1).expand(len(x), n - 1).cumprod(1))
    powers = cat(columns, 1)
    return powers if increasing else powers.flip(1)


# ------------------------------------------------------------------------------------------------------------- memory


def _strided(x: Array, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Array:
    """Return a view of the memory of x, which must be contiguous."""
    flat = x.reshape(-1)[offset:]
    return xp(x).lib.stride_tricks.as_strided(flat, size, [s * x.itemsize for s in stride])


def _summed(gy: Array, shape: tuple[int, ...], *where: Any) -> Array:
    """Add each element of gy to the place in memory that it was read from."""
    gx = xp(gy).zeros(shape, gy.dtype)
    places = xp(gy).arange(gx.size).reshape(shape)
    np.add.at(gx.reshape(-1), _strided(places, *where), gy)
    return gx


STRIDED = LinearMapRow("AsStrided", _strided, _summed)


@tensor_method("as_strided")
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the elements of a contiguous tensor with any shape and any steps between neighbours.

    Args:
        size, stride: the shape, and for each axis the step in elements.
        storage_offset: the first element; counted from the first of `input`, where PyTorch counts from that of the
            memory, which other tensors may share.

    Raises:
        RuntimeError: the tensor is not contiguous, or the view would leave its elements.

    >>> minicnn.as_strided(minicnn.arange(4), (3, 2), (1, 1))
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    check_tensor("as_strided", input=input)
    size, stride = ints("as_strided", "size", (size,)), ints("as_strided", "stride", (stride,))
    offset = 0 if storage_offset is None else whole(storage_offset, "as_strided", "storage_offset")
    if not input.is_contiguous():
        raise RuntimeError("as_strided: the tensor must be contiguous here; call it on x.contiguous()")
    if len(size) != len(stride):
        raise RuntimeError(f"as_strided: mismatch in length of strides and shape: {list(stride)} and {list(size)}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min(*size, *stride, offset, 0) < 0 or (0 not in size and last >= input.numel()):
        raise RuntimeError(
            f"as_strided: size {list(size)}, stride {list(stride)} and offset {offset} leave the {input.numel()} "
            "elements of the tensor"
        )
    return View.apply(own_order.settle(input), STRIDED, size, stride, offset)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **others: Any
) -> Tensor:
    """An uninitialised tensor with any steps between neighbours, in elements.

    Args:
        others: `layout` and `pin_memory` of PyTorch, without effect.

    >>> minicnn.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    size, stride = ints("empty_strided", "size", (size,)), ints("empty_strided", "stride", (stride,))
    if len(size) != len(stride) or min((*size, *stride), default=0) < 0:
        raise RuntimeError(
            f"empty_strided: dimensionality of sizes {list(size)} must match dimensionality of strides {list(stride)}, "
            "and none may be negative"
        )
    count = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    found = as_strided(empty(count, dtype=dtype, device=device), size, stride).detach()
    return found.requires_grad_() if requires_grad else found


# --------------------------------------------------------------------------------------------------------- one by one


def _elementwise(op: str, self: Tensor, function: Callable[..., Any], *others: Tensor) -> Tensor:
    """Overwrite each element with a Python function of it and of the elements of other tensors at its place."""
    if self.requires_grad or any(t.requires_grad for t in others):
        raise TypeError(f"{op}: it has no gradient; call it on x.detach(), or use minicnn's operations")
    if self.is_meta or on_gpu(self._array):
        raise TypeError(f"{op}: it is only for tensors on the CPU, and this is on '{self.device}'")
    if any(t.dtype != self.dtype for t in others):
        raise TypeError(f"{op}: expected tensors of {self.dtype}; convert the others with .to(...)")
    for t in others:
        if broadcast_shapes(tuple(t.shape), tuple(self.shape)) != tuple(self.shape):
            raise ShapeError(f"{op}: shape {tuple(t.shape)} is not broadcast to {tuple(self.shape)}")
    arrays = [np.broadcast_to(host(t.array), self.shape).reshape(-1) for t in others]
    values = [function(*row) for row in zip(*(a.tolist() for a in (self.array.reshape(-1), *arrays)), strict=True)]
    return self.copy_(Tensor(np.asarray(values).astype(self.array.dtype).reshape(self.shape)))


@tensor_method("apply_")
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by `callable(element)`, in place; slow, and only on the CPU.

    >>> minicnn.tensor([1., 2.]).apply_(lambda a: a * a + 1)
    tensor([2., 5.])
    """
    return _elementwise("apply_", self, callable)


@tensor_method("map_")
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by `callable(element, element of tensor)`, in place; slow, and only on the CPU.

    >>> minicnn.tensor([1., 2.]).map_(minicnn.tensor([3., 4.]), lambda a, b: a * b)
    tensor([3., 8.])
    """
    return _elementwise("map_", self, callable, tensor)


@tensor_method("map2_")
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by `callable(element, element of x, element of y)`, in place.

    >>> minicnn.ones(1).map2_(minicnn.ones(1), minicnn.ones(1), lambda a, b, c: a + b + c)
    tensor([3.])
    """
    return _elementwise("map2_", self, callable, x, y)
