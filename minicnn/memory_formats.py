"""Memory formats under PyTorch's names: the order in which the elements of an array lie in memory.

The shape is (N, C, H, W) in every format. A `channels_last` array is a transposed view of a contiguous (N, H, W, C)
buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import arrays
from minicnn_kernels.arrays import Array, contiguous, host, is_array, writeable, xp
from minicnn_kernels.layout import lies_channels_last

from .device import Meta, meta


class MemoryFormat:
    """The name of an order of elements in memory."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __reduce__(self) -> str:
        return self.name  # pickle and copy give the constant of this module again


contiguous_format = MemoryFormat("contiguous_format")
channels_last = MemoryFormat("channels_last")
preserve_format = MemoryFormat("preserve_format")


class Layout(MemoryFormat):
    """How a tensor is stored; `strided` is the only layout."""


strided = Layout("strided")


def is_in(x: Array, form: MemoryFormat) -> bool:
    """Return whether the memory of `x` is in the order `form`."""
    if type(x) is Meta:
        return True
    if form is channels_last:
        return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous
    return bool(form is preserve_format or x.flags.c_contiguous)


def tidy(x: Array) -> Array:
    """Return the array in the order of new memory: `channels_last` if it already is so, else contiguous."""
    return x if x.flags.c_contiguous or is_in(x, channels_last) else contiguous(x)


def empty(shape: tuple[int, ...], dtype: Any, form: MemoryFormat, module: Any = np) -> Array:
    """Return uninitialised memory in the order `form`, made by the module NumPy or CuPy.

    Raises:
        RuntimeError: `channels_last` is asked for a shape that is not (N, C, H, W).
    """
    if form is not channels_last:
        return module.empty(shape, dtype)
    if len(shape) != 4:
        raise RuntimeError(f"channels_last: the order needs 4 axes (N, C, H, W), got the shape {tuple(shape)}")
    n, c, h, w = shape
    return module.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def copy(x: Array, form: MemoryFormat = preserve_format) -> Array:
    """Copy the elements into new memory.

    `preserve_format` keeps a dense order, and that of a slice of a `channels_last` array; others become contiguous.
    """
    if type(x) is Meta:
        return x
    if form is preserve_format:
        return x.copy("K" if is_dense(x) or lies_channels_last(x) else "C")
    y = empty(x.shape, x.dtype, form, xp(x))
    y[...] = x
    return y


def axes_in_memory(x: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of a dense array as they lie in memory, the outermost first, and the order that undoes this.

    `x.transpose(order)` is then contiguous. For an array that is not dense, the order changes nothing.
    """
    axes = range(x.ndim)
    order = tuple(sorted(axes, key=lambda i: -x.strides[i])) if is_dense(x) else tuple(axes)
    return order, tuple(sorted(axes, key=order.__getitem__))


def page_locked(x: Array) -> Array:
    """Return a copy in page-locked memory, in x's order of elements."""
    order, back = axes_in_memory(x)
    return arrays.page_locked(x.transpose(order)).transpose(back)


def packed(x: Array) -> tuple[Any, ...]:
    """Pack the array for `unpacked`: its own elements in their order, without the rest of the memory that it views.

    An axis that repeats one element is packed as one element. A dense order of the axes, such as channels_last, is
    kept; any other order becomes contiguous.
    """
    if type(x) is Meta:
        return x.shape, x.dtype
    repeated = [bool(x.size) and n > 1 and not s for n, s in zip(x.shape, x.strides, strict=True)]
    once = x[tuple([slice(0, 1) if r else slice(None) for r in repeated])]
    order, _ = axes_in_memory(once)
    return x.shape, np.ascontiguousarray(host(once.transpose(order))), order


def unpacked(shape: tuple[int, ...], content: Any, order: tuple[int, ...] = ()) -> Array:
    """Return the array that `packed` was given; it is writeable unless several elements share one place in memory.

    The content may have been moved to a GPU since.
    """
    if not is_array(content):
        return meta(shape, content)
    x = content if writeable(content) else content.copy()
    x = x.transpose([order.index(axis) for axis in range(x.ndim)]) if order else x.reshape(())
    return x if x.shape == shape else np.broadcast_to(x, shape)


def is_dense(x: Array) -> bool:
    """Return whether the elements fill their memory, in any order of axes, without gaps, overlaps or reversed axes."""
    expected = x.itemsize
    for stride, size in sorted(zip(x.strides, x.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
