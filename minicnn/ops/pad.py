"""Padding with a constant, or with the image's own pixels: reflected, repeated or wrapped around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry, resample
from minicnn_kernels.arrays import constant
from minicnn_kernels.sparse_rows import Taps, padding

from ..autograd.nodes import shown_as
from ..dtypes import DtypeError
from ..tensor import Array, Tensor
from .tensor.linear_map import LinearMapRow, Map

__all__ = ["pad"]

Sides = tuple[tuple[int, int], ...]


def _padded_shape(shape: tuple[int, ...], sides: Sides, value: float = 0) -> tuple[int, ...]:
    return tuple(size + before + after for size, (before, after) in zip(shape, sides, strict=True))


def _parts(shape: tuple[int, ...], sides: Sides) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the kept part of x lies, in x and in the result."""
    pairs = list(zip(shape, sides, strict=True))
    inside = tuple(slice(max(0, -before), size - max(0, -after)) for size, (before, after) in pairs)
    return inside, tuple(slice(max(0, before), size + before) for size, (before, after) in pairs)


def _surround(x: Array, sides: Sides, value: float) -> Array:
    y = np.full_like(x, value, shape=_padded_shape(x.shape, sides))  # in the memory order of x
    inside, to = _parts(x.shape, sides)
    y[to] = x[inside]
    return y


def _middle(gy: Array, shape: tuple[int, ...], sides: Sides, value: float) -> Array:
    gx = np.zeros_like(gy, shape=shape)
    inside, to = _parts(shape, sides)
    gx[inside] = gy[to]
    return gx


def _columns(taps: Taps) -> Array:
    return taps.column


def along(x: Array, axis: int, taps: Taps) -> Array:
    """Resample x along one axis with the kernel; other types than floats with NumPy, for taps of one pixel."""
    if x.dtype.kind != "f":
        return x.take(constant(_columns, x, taps), axis)
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    return resample.RESAMPLE(wide, axis, taps).astype(x.dtype, copy=False)


def resampled_shape(shape: tuple[int, ...], axis: int, taps: Taps, back: Taps) -> tuple[int, ...]:
    """Return the shape with OUT instead of IN on one axis."""
    return (*shape[:axis], taps.out, *shape[axis + 1 :])


CONSTANT = LinearMapRow(
    "ConstantPad", _surround, _middle, _padded_shape, lambda x, sides, value: _surround(x, sides, 0)
)
RESAMPLE = LinearMapRow(
    "Resample",
    lambda x, axis, taps, back: along(x, axis, taps),
    lambda gy, shape, axis, taps, back: along(gy, axis, back),
    resampled_shape,
)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add elements at the ends of the last axes; negative numbers crop them.

    Args:
        input: a tensor of any shape for "constant"; (N, C, ...) or (C, ...) with 1 to 3 more axes for the other modes.
        pad: (left, right, top, bottom, ...): two numbers for each axis, the last axis first.
        mode: what is added. "constant": `value`. "reflect": the image mirrored at its outermost pixels, which are not
            repeated: c b | a b c. "replicate": the outermost pixels: a a | a b c. "circular": the pixels from the
            opposite side: b c | a b c.
        value: for "constant"; 0 if None.

    Raises:
        ShapeError: the padding does not fit the axes, or needs more pixels than the image has.
        NotImplementedError: the mode is unknown, or cannot pad these axes.

    >>> x = minicnn.tensor([[1.0, 2.0, 3.0]])
    >>> F.pad(x, (1, 2))
    tensor([[0., 1., 2., 3., 0., 0.]])
    >>> F.pad(x, (1, 2), mode="reflect"), F.pad(x, (-1, 0))
    (tensor([[2., 1., 2., 3., 2., 1.]]), tensor([[2., 3.]]))
    """
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: no mode {mode!r}; there are: 'constant', 'reflect', 'replicate', 'circular'")
    sides = geometry.pad(input.shape, list(pad) if isinstance(pad, np.ndarray) and pad.ndim else pad, mode)
    if mode == "constant":
        return Map.apply(input, CONSTANT, sides, 0 if value is None else geometry.real(value, "pad", "value"))
    if value:
        raise geometry.ShapeError(f"pad: mode {mode!r} takes no value, got {value}; use mode='constant'")
    if input.dtype == np.bool_ and mode != "circular":
        raise DtypeError(f"pad: mode {mode!r} does not take bool; convert the input with .to(minicnn.uint8)")
    result: Any = input
    for axis, (before, after) in enumerate(sides):
        if before or after:
            result = Map.apply(result, RESAMPLE, axis, *padding(mode, input.shape[axis], before, after))
    if result is input:
        return Map.apply(input, CONSTANT, sides, 0)  # always new memory
    names = {"reflect": "ReflectionPad", "replicate": "ReplicationPad"}
    return shown_as(result, f"{names[mode]}{len(pad) // 2}DBackward0") if mode in names else result
