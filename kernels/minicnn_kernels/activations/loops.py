"""The scalar activations over whole arrays: Python's loop, and Numba's over shares of the memory.

One compiled driver does every activation, since Numba's parallel compiler takes a second for each. The straight pieces
that nets are full of have a loop of their own, which LLVM vectorises; in the other loop the choice of the activation
stands inside, where next to an exponential it costs nothing. All arithmetic is in float64 and rounded once at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout import Array, alike, dense, flat
from ..runtime import njit, parallel, prange, threads
from .scalars import EXACT, HARDSIGMOID, HARDSWISH, HARDTANH, LEAKY_RELU, NAMES, PLAIN, gradient, value

NUMBER = {name: number for number, name in enumerate(NAMES)}


def _padded(parameters: tuple[float, ...]) -> tuple[float, float, float]:
    a, b, c = (*map(float, parameters), 0.0, 0.0, 0.0)[:3]
    return a, b, c


def forward_python(op: str, x: Array, *parameters: float) -> Array:
    """The definition, one value at a time."""
    y, padded = np.empty(x.shape, x.dtype), _padded(parameters)
    for place in np.ndindex(x.shape):
        y[place] = PLAIN[op](float(x[place]), *padded)
    return y


def backward_python(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """The definition, one value at a time."""
    gx, padded, slope = np.empty(x.shape, x.dtype), _padded(parameters), PLAIN[f"{op}_gradient"]
    for place in np.ndindex(x.shape):
        gx[place] = slope(float(gy[place]), float(x[place]), *padded)
    return gx


@njit(**EXACT)
def _forward_share(t: Any, chunks: int, op: int, x: Array, y: Array, a: float, b: float, c: float) -> None:
    x, y = x[t * x.size // chunks : (t + 1) * x.size // chunks], y[t * x.size // chunks : (t + 1) * x.size // chunks]
    if op == LEAKY_RELU:
        for i in range(x.size):
            y[i] = value(LEAKY_RELU, np.float64(x[i]), a, b, c)
    elif op == HARDTANH:
        for i in range(x.size):
            y[i] = value(HARDTANH, np.float64(x[i]), a, b, c)
    elif op == HARDSWISH:
        for i in range(x.size):
            y[i] = value(HARDSWISH, np.float64(x[i]), a, b, c)
    elif op == HARDSIGMOID:
        for i in range(x.size):
            y[i] = value(HARDSIGMOID, np.float64(x[i]), a, b, c)
    else:
        for i in range(x.size):
            y[i] = value(op, np.float64(x[i]), a, b, c)


@njit(parallel=True)
def _forward(chunks: int, op: int, x: Array, y: Array, a: float, b: float, c: float) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, op, x, y, a, b, c)


def forward_numba(op: str, x: Array, *parameters: float) -> Array:
    """Parallel over runs of memory."""
    x = dense(x)
    y = np.empty_like(x)
    with parallel():
        _forward(threads(), NUMBER[op], flat(x), flat(y), *_padded(parameters))
    return y


@njit(**EXACT)
def _backward_share(t: Any, chunks: int, op: int, gy: Array, x: Array, gx: Array, a: float, b: float, c: float) -> None:
    i0, i1 = t * x.size // chunks, (t + 1) * x.size // chunks
    gy, x, gx = gy[i0:i1], x[i0:i1], gx[i0:i1]
    if op == LEAKY_RELU:
        for i in range(x.size):
            gx[i] = gradient(LEAKY_RELU, np.float64(gy[i]), np.float64(x[i]), a, b, c)
    elif op == HARDTANH:
        for i in range(x.size):
            gx[i] = gradient(HARDTANH, np.float64(gy[i]), np.float64(x[i]), a, b, c)
    elif op == HARDSWISH:
        for i in range(x.size):
            gx[i] = gradient(HARDSWISH, np.float64(gy[i]), np.float64(x[i]), a, b, c)
    elif op == HARDSIGMOID:
        for i in range(x.size):
            gx[i] = gradient(HARDSIGMOID, np.float64(gy[i]), np.float64(x[i]), a, b, c)
    else:
        for i in range(x.size):
            gx[i] = gradient(op, np.float64(gy[i]), np.float64(x[i]), a, b, c)


@njit(parallel=True)
def _backward(chunks: int, op: int, gy: Array, x: Array, gx: Array, a: float, b: float, c: float) -> None:
    for t in prange(chunks):
        _backward_share(np.intp(t), chunks, op, gy, x, gx, a, b, c)


def backward_numba(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """Parallel over runs of memory."""
    x, gy = alike(x, gy)
    gx = np.empty_like(x)
    with parallel():
        _backward(threads(), NUMBER[op], flat(gy), flat(x), flat(gx), *_padded(parameters))
    return gx
