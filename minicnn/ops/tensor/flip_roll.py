"""Repeating, reversing and rolling the elements of a tensor, and windows that slide over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, as_array, host, xp
from minicnn_kernels.geometry import ShapeError, fits, whole
from minicnn_kernels.sums import total

from ...autograd.nodes import shown_as
from ...tensor import Tensor, tensor_method
from .arguments import axes, axis, ints, numpy_names, spread
from .gather import index_select
from .indexing import Index
from .linear_map import LinearMapRow, Map, View
from .shape import reshape, transpose

__all__ = ["diff", "flip", "fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile"]


def _sum_copies(gy: Array, shape: tuple[int, ...], repeats: tuple[int, ...]) -> Array:
    """Add up the copies: the adjoint of `np.tile`."""
    padded = (1,) * (len(repeats) - len(shape)) + shape
    pairs = [n for pair in zip(repeats, padded, strict=True) for n in pair]
    copies = tuple(range(0, len(pairs), 2))
    return total(gy.reshape(pairs), copies).reshape(shape)  # (copies, size) of each axis -> size


def _window_sum(gy: Array, shape: tuple[int, ...], dim: int, size: int, step: int) -> Array:
    """Give every element the sum of the gradients of all windows that it is in: the adjoint of windows."""
    if not shape:
        return as_array(gy.sum())
    # the sum over many windows per element is computed in float64
    gx = xp(gy).zeros(shape, np.result_type(gy.dtype, np.float64) if size > 64 * step else gy.dtype)
    lines, windows = np.moveaxis(gx, dim, -1), np.moveaxis(gy, dim, -2)
    count = windows.shape[-2]
    for k in range(size):
        lines[..., k : k + (count - 1) * step + 1 : step] += windows[..., k]
    return gx.astype(gy.dtype, copy=False)


def _windows(x: Array, dim: int, size: int, step: int) -> Array:
    if not x.ndim:
        return x.reshape(1)[:size]
    shape, strides = list(x.shape), list(x.strides)
    shape[dim], strides[dim] = (shape[dim] - size) // step + 1, strides[dim] * min(step, shape[dim])
    return xp(x).lib.stride_tricks.as_strided(x, (*shape, size), (*strides, x.strides[dim]))


TILE = LinearMapRow(
    "Repeat",
    lambda x, repeats: np.tile(x, repeats),
    _sum_copies,
    lambda shape, repeats: tuple(
        n * m for n, m in zip(repeats, (1,) * (len(repeats) - len(shape)) + shape, strict=True)
    ),
)
FLIP = LinearMapRow("Flip", lambda x, dims: np.flip(x, dims).copy(), lambda gy, _, dims: np.flip(gy, dims))
ROLL = LinearMapRow(
    "Roll",
    lambda x, shifts, dims: np.roll(x, shifts, dims),
    lambda gy, _, shifts, dims: np.roll(gy, tuple(-n for n in shifts), dims),
)
WINDOWS = LinearMapRow("Unfold", _windows, _window_sum)


@tensor_method("repeat")
@spread("repeats", empty=True)
def repeat(input: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """Repeat the whole tensor along each axis, `x.repeat(2, 1, 3)`; numbers beyond the axes add new axes in front.

    >>> minicnn.tensor([[1, 2]]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    if len(repeats) < input.ndim or min(repeats, default=0) < 0:
        raise ShapeError(
            f"repeat: expected a number of repeats, 0 or more, for each of {input.ndim} axes, got {repeats}"
        )
    if not input.is_meta:
        fits("repeat", [*repeats, *input.shape], input.array.itemsize)
    return Map.apply(input, TILE, repeats)


@tensor_method("tile")
@spread("dims", empty=True)
def tile(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """`repeat`, where fewer numbers than axes apply to the last axes.

    >>> minicnn.tile(minicnn.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


@tensor_method("repeat_interleave")
@numpy_names
def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Repeat each element, or slice along `dim`: [a, b] becomes [a, a, b, b]; without `dim`, the flattened tensor's.

    `repeats` is a number, or a tensor with one number for each. If it is the only argument, the result is the indices.

    Raises:
        RuntimeError, ShapeError: a repeat is negative, or there are not as many repeats as elements.
        IndexError: the elements of a tensor of rank 0 are repeated along an axis.

    >>> minicnn.repeat_interleave(minicnn.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        return _places(input, input.numel(), output_size).to(input.device)
    x, at = (
        (reshape(input, (input.numel(),)), 0) if dim is None else (input, axis("repeat_interleave", dim, input.ndim))
    )
    places = _places(repeats, x.shape[at] if x.ndim else 1, output_size)
    if not x.ndim and places.numel() != 1:
        raise IndexError(f"repeat_interleave: a tensor of rank 0 has no axis {dim} to repeat along; leave out dim")
    if x.is_cuda:
        places = places.to(x.device)
        if x.ndim:  # without the check of `index_select`, which would wait
            return Index.apply(x, places, where=(at,))
    return index_select(x, at, places)


def _places(repeats: Any, length: int, output_size: int | None) -> Tensor:
    """Return the indices that repeat `length` elements."""
    counts = (
        host(repeats._values("repeat_interleave"))
        if isinstance(repeats, Tensor)
        else np.asarray(ints("repeat_interleave", "repeats", (repeats,)), np.int64)
    )
    if counts.ndim > 1 or counts.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"repeat_interleave: repeats must be 0-d or 1-d of int64 or int32, got {counts.dtype} {counts.shape}"
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    if counts.size != 1 and counts.size != length:
        raise ShapeError(
            f"repeat_interleave: {counts.size} repeats for {length} elements; give one number, or one for each"
        )
    fits("repeat_interleave", (sum(counts.reshape(-1).tolist()) * (length if counts.size == 1 else 1),), 8)
    index = np.repeat(np.arange(length), counts.reshape(-1))
    if output_size is not None and whole(output_size, "repeat_interleave", "output_size") != index.size:
        raise RuntimeError(f"repeat_interleave: output_size is {output_size}, but the repeats add up to {index.size}")
    return Tensor(index)


@tensor_method("flip")
@spread("dims", empty=True)
def flip(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Reverse the order of the elements along each of the axes, in new memory.

    >>> minicnn.flip(minicnn.tensor([[1, 2], [3, 4]]), (0, 1))
    tensor([[4, 3],
            [2, 1]])
    """
    return Map.apply(input, FLIP, axes("flip", dims, input.ndim) if input.ndim else ())


@tensor_method("fliplr")
def fliplr(input: Tensor) -> Tensor:
    """Reverse the tensor along the second axis.

    >>> minicnn.fliplr(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise ShapeError(f"fliplr: expected a tensor of at least 2 axes, got shape {tuple(input.shape)}")
    return flip(input, (1,))


@tensor_method("flipud")
def flipud(input: Tensor) -> Tensor:
    """Reverse the tensor along the first axis.

    >>> minicnn.flipud(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if input.ndim < 1:
        raise ShapeError("flipud: expected a tensor of at least 1 axis, got a 0-d one")
    return flip(input, (0,))


@tensor_method("__reversed__")
def _reversed(self: Tensor) -> Tensor:
    return flip(self, (0,)) if self.ndim else self


@tensor_method("roll")
@numpy_names
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Move the elements by `shifts` along `dims`, cyclically; without `dims`, in the flattened tensor.

    >>> minicnn.roll(minicnn.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
    steps = ints("roll", "shifts", (shifts,))
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        if len(steps) != 1:
            raise RuntimeError(f"roll: {len(steps)} shifts need as many dims, got none")
        line = reshape(input, (input.numel(),))
        return shown_as(reshape(roll(line, steps, 0), tuple(input.shape)), "RollBackward0", line)
    given = ints("roll", "dims", (dims,))
    if len(given) != len(steps):
        raise RuntimeError(f"roll: shifts and dims must be equal in number, got {steps} and {given}")
    if not input.ndim:
        raise IndexError(f"roll: dimension specified as {given[0]} but the tensor has no dimensions")
    at = tuple(axis("roll", dim, input.ndim) for dim in given)
    steps = tuple(step % max(input.shape[dim], 1) for step, dim in zip(steps, at, strict=True))  # at most once around
    return Map.apply(input, ROLL, steps, at)


@tensor_method("rot90")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotate by k quarter turns in the plane of two axes, from the first towards the second.

    >>> minicnn.rot90(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if not isinstance(dims, (tuple, list)) or len(dims) != 2 or input.ndim < 2:
        raise RuntimeError(
            f"rot90: expected two dims and a tensor of at least 2 axes, got {dims} and {tuple(input.shape)}"
        )
    i, j = axes("rot90", dims, input.ndim)
    turns = whole(k, "rot90", "k") % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return flip(input, (i, j))
    return transpose(flip(input, (j if turns == 1 else i,)), i, j).clone()


@tensor_method("unfold")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Return all windows of `size` elements along an axis, `step` apart, as a new last axis: a view.

    >>> minicnn.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    at = axis("unfold", dimension, self.ndim)
    length = self.shape[at] if self.ndim else 1
    size, step = whole(size, "unfold", "size"), whole(step, "unfold", "step")
    if not 0 <= size <= length or step <= 0:
        raise RuntimeError(
            f"unfold: windows of {size} every {step} elements do not fit {length} elements; step must be > 0"
        )
    if not size and self.ndim:
        return self.new_empty((*self.shape[:at], length // step + 1, *self.shape[at + 1 :], 0))
    return View.apply(self, WINDOWS, at, size, step)


@tensor_method("diff")
@numpy_names
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Take the differences of neighbours along `dim`, n times: y[i] = x[i + 1] - x[i]; for bool, where they differ.

    Args:
        input: at least 1-d.
        n: the number of times.
        dim: the axis.
        prepend, append: joined to the input before that; None for neither.

    >>> minicnn.diff(minicnn.tensor([1, 4, 9, 16]))
    tensor([3, 5, 7])
    """
    from .concatenate import cat

    if not input.ndim:
        raise ShapeError("diff: the input must be at least 1-d")
    n = whole(n, "diff", "n", 0)
    at = axis("diff", dim, input.ndim)
    if not n:
        return input.clone()
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, at) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[at])):
        length = x.shape[at]
        later, earlier = x.narrow(at, 1, length - 1), x.narrow(at, 0, length - 1)
        x = later != earlier if x.dtype == np.bool_ else later - earlier
    return x
