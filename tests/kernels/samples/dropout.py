"""Samples of the dropout kernel: decisions for elements, channels, images, all; pixels in fours, and others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .foundation import EDGES, Arguments, Sample, Shape, normal

PLAIN, ALPHA = (1.25, -0.0, -0.0), (0.9, 0.3, -0.7)  # scale, shift, low


def dropout(shape: Shape | None, axes: int, p: float, numbers: tuple[float, float, float]) -> Sample:
    """Normally distributed values of a shape; for None, NaN, Inf, zeros of both signs and others, five times."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        x = np.tile(np.array(EDGES, dtype), 5) if shape is None else normal(rng, dtype, shape)
        return (x, axes, int(rng.integers(2**64, dtype=np.uint64)), p, *numbers)

    return make


SHAPES: list[Shape] = [
    (), (1,), (37,), (64, 40), (2, 3, 5), (0, 3), (2, 0, 3), (2, 3, 4, 6), (2, 3, 3, 5), (3, 5, 1, 2), (1, 1, 3, 3),
    (0, 2, 3, 3), (2, 17, 8, 9), (2, 2, 3, 2, 3), (4, 3, 20, 20),
]  # fmt: skip

SAMPLES: dict[str, list[Sample]] = {
    "dropout": [
        dropout((2, 3, 4, 4), 4, 0.4, PLAIN),
        dropout(None, 1, 0.5, PLAIN),
        dropout(None, 1, 0.5, ALPHA),
        dropout(None, 1, 1.0, PLAIN),
        dropout((7, 3), 2, 1.0, (0.0, -0.0, -0.0)),
        dropout((7, 3), 2, 0.0, ALPHA),
        *(dropout(shape, len(shape), 0.4, PLAIN) for shape in SHAPES),
        *(dropout(shape, axes, 0.3, ALPHA) for shape in SHAPES for axes in range(len(shape))),
    ]
}
