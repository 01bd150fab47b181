"""Samples of the optimisers' updates: weights with their buffers, gradients, hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.optimizers import AdamNumbers, SGDNumbers, Weights

from .foundation import Arguments, Sample, Shape, normal

SHAPES: list[Shape] = [(), (7,), (0, 3), (2, 3, 4, 5), (1,), (40, 9)]
LARGE: list[Shape] = [(5,), (33_000,)]  # large enough for several threads
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0]


def update(numbers: Any, buffers: int, shapes: list[Shape] | None = None) -> Sample:
    """Normally distributed values of the shapes. For None: zeros, NaN and Inf, each combined with each of them in the
    gradient, and with another of them in the last array.
    """

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        if shapes is None:
            arrays = [[np.repeat(SPECIAL, 6).astype(dtype)] for _ in range(1 + buffers)]
            arrays[-1] = [a[::-1].copy() for a in arrays[-1]]
            return Weights(*arrays), [np.tile(SPECIAL, 6).astype(dtype)], numbers
        xs, gradients, *more = ([np.asarray(normal(rng, dtype, s)) for s in shapes] for _ in range(2 + buffers))
        for squares in more[1:]:
            for a in squares:
                np.abs(a, out=a)
        return Weights(xs, *more), gradients, numbers

    return make


SGDS = [
    (SGDNumbers(0.1), 0),
    (SGDNumbers(0.1, -1.0, 0.3), 0),
    (SGDNumbers(0.1, momentum=0.9, gain=0.7), 1),
    (SGDNumbers(0.1, -1.0, 0.3, 0.9, 1.0, nesterov=True), 1),
]
ADAMS = [
    (AdamNumbers(0.1, 0.1, 0.999, 0.001, 0.03, 1e-8), 2),
    (AdamNumbers(0.1, 0.1, 0.99, 0.01, 0.1, 1e-2, -1.0, 0.3), 2),
    (AdamNumbers(0.1, 0.1, 0.99, 0.01, 0.1, 1e-2, shrink=0.9), 2),
    (AdamNumbers(0.1, 0.1, 0.99, 0.01, 0.1, 1e-2, 1.0, 0.3), 3),
]

SAMPLES: dict[str, list[Sample]] = {
    op: [
        *(update(*row, SHAPES) for row in rows),
        *(update(*row) for row in rows),
        update(*rows[-1], LARGE),
        update(*rows[0], []),
    ]
    for op, rows in (("sgd", SGDS), ("adam", ADAMS))
}
