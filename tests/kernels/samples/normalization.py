"""Samples of the normalisation and softmax kernels: layouts, special values, gradients that are not needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .foundation import ALL, IMAGES, NEEDS, Arguments, Sample, Shape, normal, shapes

GROUPS: list[tuple[Shape, int]] = [
    *((shape, shape[1]) for shape in IMAGES),
    *((shape, 1) for shape in IMAGES[:3]),
    ((3, 4, 5, 2), 2),
    ((2, 18, 3, 3), 3),
    ((2, 4, 12, 13), 2),
    ((2, 520, 2, 3), 2),
    ((5, 6), 2),
    ((4, 70), 1),
    ((2, 4, 3), 2),
    ((2, 4, 2, 1, 4), 2),
    ((0, 4, 2, 2), 2),
    ((2, 4, 0), 2),
]


def group_norm(
    shape: Shape, groups: int, gamma: bool = True, beta: bool = True, centred: bool = True, mean: float = 1.0
) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        vectors = (normal(rng, dtype, shape[1:2] if wanted else None) for wanted in (gamma, beta))
        return normal(rng, dtype, shape) + np.dtype(dtype).type(mean), *vectors, groups, 1e-5, centred

    return make


def group_norm_backward(
    shape: Shape, groups: int, gamma: bool = True, centred: bool = True, needs_grad: tuple[bool, ...] = ALL
) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        gy, x, g, mean = shapes(shape, shape, shape[1:2] if gamma else None, (shape[0], groups))(rng, dtype)
        var = (rng.random((shape[0], groups)) + 0.5).astype(dtype)
        return gy, x, g, mean if centred else mean * 0, var, groups, 1e-5, centred, needs_grad

    return make


def constant(rng: np.random.Generator, dtype: Any) -> Arguments:
    """Constant groups, for which the result is exactly beta, and a group with a NaN and an Inf."""
    x = np.repeat(rng.standard_normal((4, 2)).astype(dtype) * 1000, 6, 1).reshape(4, 4, 3)  # (N, G, 6) -> (N, C, 3)
    x[2, 1, 1], x[3, 3, 0] = np.nan, np.inf
    return x, np.ones(4, dtype), np.arange(4).astype(dtype), 2, 1e-5, True


def window(shape: Shape, before: int, after: int, b: float, backward: bool) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        gy, x = shapes(shape, shape)(rng, dtype)
        d = (rng.random(shape) + 0.5).astype(dtype)
        return (gy, x, d, before, after, 0.3, b) if backward else (x, before, after, 0.3, b, 1.5)

    return make


WINDOWS = [
    ((2, 5, 3, 4), 1, 1, 0.75),
    ((2, 6, 3, 2), 2, 1, 0.5),
    ((1, 4, 5), 0, 0, 1.25),
    ((3, 2, 2, 2), 4, 5, 0.75),
    ((2, 3, 2, 1, 2), 1, 2, 2.0),
    ((0, 3, 2, 2), 1, 1, 0.75),
]
AXES: list[tuple[Shape, int]] = [
    ((4, 5), 1), ((4, 5), 0), ((2, 7, 3, 4), 1), ((2, 3, 4, 5), -1), ((2, 3, 4, 5), 2), ((3, 1), 1), ((2, 0), 1),
    ((0, 3), 1), ((40, 70), 1), ((5,), 0), ((2, 3, 2, 2, 2), 1),
]  # fmt: skip


def along(shape: Shape, axis: int, scale: float = 3.0) -> Sample:
    return lambda rng, dtype: (normal(rng, dtype, shape) * np.dtype(dtype).type(scale), axis)


def extremes(rng: np.random.Generator, dtype: Any) -> Arguments:
    inf, nan = np.inf, np.nan
    rows = [[1, inf, 2], [1, -inf, 2], [-inf] * 3, [nan, 1, 2], [1, nan, 2], [1e4, -1e4, 1e30], [-200, 0, 3]]
    return np.array(rows, dtype), 1


def along_backward(shape: Shape, axis: int, log: bool) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        p = rng.random(shape) + 0.1
        p /= p.sum(axis, keepdims=True)
        return normal(rng, dtype, shape), (np.log(p) if log else p).astype(dtype), axis

    return make


SAMPLES: dict[str, list[Sample]] = {
    "group_norm": [
        *(group_norm(shape, groups) for shape, groups in GROUPS),
        *(group_norm(shape, groups, centred=False, mean=0.0) for shape, groups in GROUPS[4:]),
        *(group_norm((3, 4, 5, 2), 2, gamma, not gamma) for gamma in (True, False)),
        group_norm((4, 6, 5, 2), 3, mean=30.0),
        constant,
    ],
    "group_norm backward": [
        *(group_norm_backward(shape, groups) for shape, groups in GROUPS),
        *(group_norm_backward(shape, groups, False, False) for shape, groups in GROUPS[4:]),
        *(group_norm_backward((3, 4, 5, 2), 2, needs_grad=needs_grad) for needs_grad in NEEDS),
    ],
    "local_response_norm": [window(*case, backward=False) for case in WINDOWS],
    "local_response_norm backward": [window(*case, backward=True) for case in WINDOWS],
    "softmax": [*(along(*case) for case in AXES), along((3, 4), 1, 1e4), extremes],
    "softmax backward": [along_backward(*case, log=False) for case in AXES],
    "log_softmax": [*(along(*case) for case in AXES), along((3, 4), 1, 1e4), extremes],
    "log_softmax backward": [along_backward(*case, log=True) for case in AXES],
}
