"""Samples of the activation kernels and of the loss kernels with weights, ignored classes and label smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .foundation import EDGES, POINTS, Arguments, Sample, Shape, normal, shapes

KINKS = [-3.0, 3.0, 6.0, -1.0, 1.0, 0.5, -0.5, 20.0, -20.0, 30.0, -30.0, 1e30, -1e30, 3e38, -3e38, -np.inf]
PARAMETERS: dict[str, list[tuple[float, ...]]] = {
    "leaky_relu": [(0.01,), (-0.5,)],
    "hardtanh": [(-1.0, 1.0), (0.0, 6.0)],
    "hardswish": [()],
    "hardsigmoid": [()],
    "threshold": [(0.5, 20.0)],
    "hardshrink": [(0.5,)],
    "softshrink": [(0.5,), (0.0,)],
    "elu": [(1.0, 1.0, 1.0), (1.758, 1.05, 1.0), (0.4, 1.0, 2.5)],
    "softplus": [(1.0, 20.0), (3.0, 1.0)],
    "logsigmoid": [()],
    "silu": [()],
    "mish": [()],
    "gelu": [()],
    "gelu_tanh": [()],
    "softsign": [()],
    "tanhshrink": [()],
}
ROWS = [(op, parameters) for op, several in PARAMETERS.items() for parameters in several]


def activation(op: str, parameters: tuple[float, ...], shape: Shape | None, backward: bool = False) -> Sample:
    """Normally distributed values of a shape; for None, the points where the functions have kinks or limits, of which
    the largest are so large that they only say what is finite.
    """

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        x = np.array([*EDGES, *KINKS], dtype) if shape is None else np.asarray(4 * normal(rng, dtype, shape), dtype)
        return (op, *((normal(rng, dtype, x.shape),) if backward else ()), x, *parameters)

    return make


def prelu(shape: Shape, slopes: int, needs_grad: tuple[bool, bool] | None = None) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        arrays = shapes(*([] if needs_grad is None else [shape]), shape, (slopes,))(rng, dtype)
        return arrays if needs_grad is None else (*arrays, needs_grad)

    return make


PRELUS: list[tuple[Shape, int]] = [
    ((2, 3, 4, 5), 3), ((2, 3, 4, 5), 1), ((4, 3), 3), ((7,), 1), ((), 1), ((0, 3, 2), 3), ((2, 3, 0), 3),
    ((1, 1, 5, 2), 1), ((3, 17, 2, 3), 17), ((2, 3, 30, 31), 3), ((70, 5), 5), ((1500,), 1),
]  # fmt: skip


def softmax(n: int, k: int, weights: bool, ignore: int, smoothing: float, backward: bool = False) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        x = normal(rng, dtype, (n, k)) * np.dtype(dtype).type(3)
        if backward:
            powers = np.exp(x)
            x = powers / powers.sum(1, keepdims=True)
        t = rng.integers(0, k, n)
        t[::3] = ignore
        w = (rng.random(k) + 0.1).astype(dtype) if weights else None
        return (*((normal(rng, dtype, (n,)),) if backward else ()), x, t, w, ignore, smoothing)

    return make


XENTS = [
    (7, 4, True, -100, 0.0),
    (7, 4, False, 2, 0.3),
    (8, 5, True, 1, 0.1),
    (3, 40, True, -1, 1.0),
    (0, 3, True, 0, 0.1),
]

SAMPLES: dict[str, list[Sample]] = {
    "activation": [
        *(activation(*row, shape) for row in ROWS for shape in (None, (60,))),
        *(activation(op, parameters, shape) for shape in POINTS for op, parameters in (ROWS[0], ROWS[-1], ROWS[7])),
    ],
    "activation backward": [
        *(activation(*row, shape, backward=True) for row in ROWS for shape in (None, (60,))),
        *(
            activation(op, parameters, shape, True)
            for shape in POINTS
            for op, parameters in (ROWS[0], ROWS[-1], ROWS[7])
        ),
    ],
    "prelu": [prelu(*row) for row in PRELUS],
    "prelu backward": [
        prelu(*row, needs_grad) for row in PRELUS for needs_grad in ((True, True), (True, False), (False, True))
    ],
    "softmax_xent": [softmax(*row) for row in XENTS],
    "softmax_xent backward": [softmax(*row, backward=True) for row in XENTS],
}
