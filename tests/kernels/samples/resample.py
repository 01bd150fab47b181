"""Samples of resampling and folding, and of the gradients of convolutions when one operand is None."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.sparse_rows import Taps, interpolation, padding

from .foundation import Arguments, Sample, normal, shapes

Shape = tuple[int, ...]


def resampling(shape: Shape, axis: int, taps: Taps) -> Sample:
    return lambda rng, dtype: (normal(rng, dtype, shape), axis, taps)


def special(rng: np.random.Generator, dtype: Any) -> Arguments:
    """Inf and NaN reach only the outputs that use them."""
    x = normal(rng, dtype, (2, 9))
    x[0, 2], x[0, 6], x[1, 4] = np.inf, np.nan, -np.inf
    return x, 1, interpolation("area", 9, 4)[0]


LINEAR, BACK = interpolation("linear", 5, 8)
CUBIC = interpolation("cubic", 4, 7, None, True)[0]
SHRUNK, SPREAD = interpolation("linear", 9, 3, None, False, True)  # antialiased: outputs differ in their number of taps
PADDED, ADDED = padding("reflect", 4, 3, 2)
CROPPED = padding("replicate", 4, -2, 3)[1]  # inputs that reach no output
UNFOLDED = {
    "plain": geometry.unfold((2, 3, 5, 6), (3, 2), 1, 0, 1),
    "padded, dilated, strided": geometry.unfold((2, 2, 7, 6), 3, (2, 1), (1, 2), (2, 3)),
    "1x1": geometry.unfold((1, 3, 2, 4), 1, 1, 0, 1),
    "a row and a column in no window": geometry.unfold((1, 2, 6, 5), 2, 1, 0, 3),
    "batch 0": geometry.unfold((0, 2, 4, 4), 2, 1, 1, 2),
}
CONV = geometry.conv2d((2, 4, 5, 6), (6, 2, 3, 2), None, (2, 1), (1, 0), groups=2)


def one_left_out(rng: np.random.Generator, dtype: Any, x: bool, needs_grad: tuple[bool, bool, bool]) -> Arguments:
    gy, other = shapes(CONV.y_shape, CONV.x_shape if x else CONV.w_shape)(rng, dtype)
    return gy, other if x else None, None if x else other, CONV, needs_grad


SAMPLES: dict[str, list[Sample]] = {
    "resample": [
        resampling((2, 3, 5, 4), 2, LINEAR),
        resampling((2, 3, 4, 5), 3, LINEAR),
        resampling((2, 8, 3, 2), 1, BACK),
        resampling((3, 2, 4), 2, CUBIC),
        resampling((9,), 0, SHRUNK),
        resampling((3, 2), 0, SPREAD),
        resampling((1, 2, 3, 4), 3, PADDED),
        resampling((1, 2, 9, 3), 2, ADDED),
        resampling((2, 1, 5), 2, CROPPED),
        resampling((0, 3, 5), 2, LINEAR),
        resampling((2, 0, 5, 2), 2, LINEAR),
        special,
    ],
    "unfold": [lambda rng, dtype, g=g: (normal(rng, dtype, g.x_shape), g) for g in UNFOLDED.values()],
    "fold": [lambda rng, dtype, g=g: (normal(rng, dtype, g.col_shape), g) for g in UNFOLDED.values()],
    "conv2d backward": [
        lambda rng, dtype: one_left_out(rng, dtype, False, (True, False, False)),
        lambda rng, dtype: one_left_out(rng, dtype, False, (True, False, True)),
        lambda rng, dtype: one_left_out(rng, dtype, True, (False, True, False)),
        lambda rng, dtype: one_left_out(rng, dtype, True, (False, True, True)),
    ],
}
