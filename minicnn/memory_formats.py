"""Memory formats under PyTorch's names: in which order the elements of an array lie.

Shapes are (N, C, H, W) whatever the format. `channels_last` is a transposed view of a contiguous (N, H, W, C) buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .device import Meta, meta


class MemoryFormat:
    """A name for an order of elements in memory."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __reduce__(self) -> str:
        return self.name  # pickled and copied as the constant of this module


contiguous_format = MemoryFormat("contiguous_format")
channels_last = MemoryFormat("channels_last")
preserve_format = MemoryFormat("preserve_format")


class Layout(MemoryFormat):
    """How a tensor is stored; `strided` is all there is."""


strided = Layout("strided")


def is_in(x: Array, form: MemoryFormat) -> bool:
    """Whether the memory of `x` is in the order `form`."""
    if type(x) is Meta:
        return True
    if form is channels_last:
        return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous
    return bool(form is preserve_format or x.flags.c_contiguous)


def tidy(x: Array) -> Array:
    """The array in the order of a new tensor's memory: channels last where it is so already, else contiguous."""
    return x if x.flags.c_contiguous or is_in(x, channels_last) else np.ascontiguousarray(x)


def empty(shape: tuple[int, ...], dtype: Any, form: MemoryFormat) -> Array:
    """Uninitialised memory in the order `form`.

    Raises:
        RuntimeError: channels last for a shape that is not (N, C, H, W).
    """
    if form is not channels_last:
        return np.empty(shape, dtype)
    if len(shape) != 4:
        raise RuntimeError(f"channels_last: the order is for 4 axes (N, C, H, W), the shape is {tuple(shape)}")
    n, c, h, w = shape
    return np.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def copy(x: Array, form: MemoryFormat = preserve_format) -> Array:
    """The elements in memory of their own; `preserve_format` keeps a dense order and makes any other contiguous."""
    if type(x) is Meta:
        return x
    if form is preserve_format:
        return x.copy("K" if is_dense(x) else "C")
    y = empty(x.shape, x.dtype, form)
    y[...] = x
    return y


def packed(x: Array) -> tuple[Any, ...]:
    """What `unpacked` makes the array of again: its own elements, in their order, and no more of the memory it is in.

    An axis that repeats one element is packed as this, and a dense order of axes (channels last) kept; any other
    becomes the usual one.
    """
    if type(x) is Meta:
        return x.shape, x.dtype
    repeated = [bool(x.size) and n > 1 and not s for n, s in zip(x.shape, x.strides, strict=True)]
    once = x[tuple([slice(0, 1) if r else slice(None) for r in repeated])]
    order = sorted(range(x.ndim), key=lambda i: -once.strides[i]) if is_dense(once) else range(x.ndim)
    return x.shape, np.ascontiguousarray(once.transpose(order)), tuple(order)


def unpacked(shape: tuple[int, ...], content: Any, order: tuple[int, ...] = ()) -> Array:
    """The array that `packed` gave; its memory can be written unless elements share a place."""
    if not isinstance(content, np.ndarray):
        return meta(shape, content)
    x = content if content.flags.writeable else content.copy()
    x = x.transpose(np.argsort(order)) if order else x.reshape(())
    return x if x.shape == shape else np.broadcast_to(x, shape)


def is_dense(x: Array) -> bool:
    """Whether the elements fill their memory without gaps, overlaps or reversed axes, in any order of the axes."""
    expected = x.itemsize
    for stride, size in sorted(zip(x.strides, x.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
