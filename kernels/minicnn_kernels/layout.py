"""Memory layout: shapes are always (N, C, H, W); memory is NCHW ("contiguous") or NHWC ("channels last").

An array is *channels last* when it is the transposed view of a C-contiguous (N, H, W, C) buffer. A kernel works on
dense memory in one of the two orders, and its result has the order of its input. So a net keeps the order of its first
input. Any other array (a slice, a reversed or broadcast array, Fortran order) is copied to NCHW here, once; a slice of
a channels-last array is copied to channels last.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from . import memory, runs, transpose
from .arrays import Array, contiguous, on_gpu, xp
from .dispatch import compiles


def is_channels_last(x: Array) -> bool:
    """Whether a 4-d array is channels last and not also NCHW (with one channel or one pixel it is both)."""
    return x.ndim == 4 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous


def lies_channels_last(x: Array) -> bool:
    """Whether the axes of a 4-d array lie in memory in the order N, H, W, C and not also N, C, H, W; gaps are allowed.

    So it is for a channels-last array, and for a slice of one.
    """
    return x.ndim == 4 and _descends(x, (0, 2, 3, 1)) and not _descends(x, (0, 1, 2, 3))


def lies_in_order(x: Array) -> bool:
    """Whether the axes of an array lie in memory in their own order; gaps are allowed."""
    return _descends(x, tuple(range(x.ndim)))


def _descends(x: Array, axes: tuple[int, ...]) -> bool:
    strides = [x.strides[axis] for axis in axes if x.shape[axis] > 1]
    return all(a > b for a, b in pairwise(strides)) and min(strides, default=1) > 0


def dense(x: Array) -> Array:
    """`x` itself where its memory is NCHW or channels last; else a copy, in the order in which a slice lies."""
    if x.flags.c_contiguous or is_channels_last(x):
        return x
    return as_order(x, lies_channels_last(x))


def empty(shape: tuple[int, ...], dtype: Any, channels_last: bool = False) -> Array:
    """An uninitialised array on the CPU in the given order of memory; only (N, C, H, W) can be channels last."""
    if not channels_last:
        return memory.empty(shape, dtype)
    n, c, h, w = shape
    return memory.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def empty_beside(x: Array, shape: tuple[int, ...], channels_last: bool = False, dtype: Any = None) -> Array:
    """An array for a kernel in CUDA: on the device of x, of its type or the given one, in the given order of memory.

    It is not initialised on a GPU, and full of NaN on the CPU, as on an emulated GPU: what a kernel forgets shows.
    """
    dtype = x.dtype if dtype is None else dtype
    if not on_gpu(x):
        return _poisoned(empty(shape, dtype, channels_last))
    if not channels_last:
        return xp(x).empty(shape, dtype)
    n, c, h, w = shape
    return xp(x).empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def empty_as(x: Array) -> Array:
    """As `empty_beside`, with the shape, type and order of x."""
    y = np.empty_like(x)
    return y if on_gpu(x) else _poisoned(y)


def _poisoned(x: Array) -> Array:
    from .emulated.values import poisoned

    found: Array = poisoned(x)
    return found


def as_order(x: Array, channels_last: bool) -> Array:
    """`x` in the given order of memory, copied only if it has another order."""
    if is_channels_last(x) if channels_last else x.flags.c_contiguous:
        return x
    if x.size >= transpose.LEAST and not on_gpu(x) and x.dtype.char in "fd" and compiles():
        n, c, h, w = x.shape if x.ndim == 4 else (0, 0, 0, 0)
        if channels_last and x.flags.c_contiguous and c > 1 and h * w > 1:
            y = empty(x.shape, x.dtype, True)
            transpose.transpose(x.reshape(n, c, h * w), nhwc(y).reshape(n, h * w, c))
            return y
        if not channels_last and is_channels_last(x):
            y = empty(x.shape, x.dtype)
            transpose.transpose(nhwc(x).reshape(n, h * w, c), y.reshape(n, c, h * w))
            return y
        if lies_channels_last(x) if channels_last else lies_in_order(x):
            y = empty(x.shape, x.dtype, channels_last)
            runs.copy(x, y)
            return y
    if not channels_last:
        return contiguous(x)
    return contiguous(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def padded(x: Array, above: int, below: int, left: int, right: int) -> Array:
    """Images (N, C, H, W) with rows and columns of zeros around them."""
    n, c, h, w = x.shape
    y: Array = xp(x).zeros((n, c, above + h + below, left + w + right), x.dtype)
    y[:, :, above : above + h, left : left + w] = x
    return y


def nhwc(x: Array) -> Array:
    """The C-contiguous (N, H, W, C) array of `x`; if `x` is channels last, without a copy."""
    return contiguous(x.transpose(0, 2, 3, 1))


def writable(x: Array) -> Array:
    """`x`, or a copy if it is read-only: for a kernel that only reads `x`, but has a branch that would write to it."""
    return x if x.flags.writeable else x.copy(order="K")


def flat(x: Array) -> Array:
    """The elements of a dense array of any rank, 1-d in the order of memory, without a copy."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    if x.ndim == 4 and (pixels := x.transpose(0, 2, 3, 1)).flags.c_contiguous:
        return pixels.reshape(-1)
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return x.transpose(order).reshape(-1)


def alike(*arrays: Array) -> tuple[Array, ...]:
    """Arrays of one shape, made dense in the memory order of the first, so that `flat` pairs their elements."""
    for x in arrays:
        if not x.flags.c_contiguous:
            break
    else:
        return arrays
    first = dense(arrays[0])
    channels_last = is_channels_last(first)
    return (first, *(as_order(x, channels_last) for x in arrays[1:]))


def packed(first: Array, *others: Array) -> tuple[Array, ...]:
    """Arrays of one shape, for a kernel in CUDA that goes along memory and does not ask for the axes.

    The first stays as it is where it has no gaps, in any order of its axes; else it is copied in that order, as NumPy's
    functions give their results. The others are then in the same order.
    """
    if not (first.flags.c_contiguous or first.flags.f_contiguous or is_channels_last(first)):
        first = first.copy(order="K")
    found = [first]
    for x in others:
        if x.strides != first.strides and not (x.flags.c_contiguous and first.flags.c_contiguous):
            x, source = np.empty_like(first, x.dtype), x
            x[...] = source
        found.append(x)
    return tuple(found)
