"""The scalar activations over whole arrays: a loop in Python, and Numba's loop over shares of the memory.

One compiled driver does all activations, since Numba's parallel compiler takes a second for each driver. The common
piecewise linear activations have loops of their own, which LLVM vectorises. The other loop chooses the activation
inside, which costs little beside an exponential. All arithmetic is in float64 and rounded once at the end, except that
float32 arrays use the loops of `exponential.py` for the activations in that file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..cuda import launch_each, scalar
from ..layout import alike, dense, empty, empty_as, flat, is_channels_last, packed
from ..runtime import njit, parallel, prange, threads
from . import exponential
from .scalars import EXACT, HARDSIGMOID, HARDSWISH, HARDTANH, LEAKY_RELU, NAMES, PLAIN, gradient, value

_FILE = "activations/loops.cu"
_FEW = 1 << 12  # for an array of fewer values, waking threads costs more than it saves
NUMBER = {name: number for number, name in enumerate(NAMES)}


def _padded(parameters: tuple[float, ...], x: Array) -> tuple[Any, ...]:
    """Three parameters, rounded to the type of x, so that x can equal a parameter; a large one may overflow to Inf."""
    with np.errstate(over="ignore"):
        return tuple(np.array((*parameters, 0, 0, 0)[:3], np.float64).astype(x.dtype).tolist())


def forward_python(op: str, x: Array, *parameters: float) -> Array:
    """The definition, one value at a time."""
    y, padded = np.empty(x.shape, x.dtype), _padded(parameters, x)
    for place in np.ndindex(x.shape):
        y[place] = PLAIN[op](float(x[place]), *padded)
    return y


def backward_python(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """The definition, one value at a time."""
    gx, padded, slope = np.empty(x.shape, x.dtype), _padded(parameters, x), PLAIN[f"{op}_gradient"]
    for place in np.ndindex(x.shape):
        gx[place] = slope(float(gy[place]), float(x[place]), *padded)
    return gx


@njit(**EXACT)
def _forward_share(t: Any, shares: int, op: int, x: Array, y: Array, a: float, b: float, c: float) -> None:
    x, y = x[t * x.size // shares : (t + 1) * x.size // shares], y[t * x.size // shares : (t + 1) * x.size // shares]
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
def _forward(shares: int, op: int, x: Array, y: Array, a: float, b: float, c: float) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, op, x, y, a, b, c)


def forward_numba(op: str, x: Array, *parameters: float) -> Array:
    """Parallel over runs of memory."""
    x = dense(x)
    y, number, padded = empty(x.shape, x.dtype, is_channels_last(x)), NUMBER[op], _padded(parameters, x)
    driver = _forward
    if x.dtype == np.float32 and number in exponential.OPS:
        driver = exponential.forward
        padded = tuple(map(np.float32, padded))
    _run(x, driver, number, flat(x), flat(y), *padded)
    return y


def _run(x: Array, driver: Callable[..., None], *args: Any) -> None:
    """All shares of the work on x, on all threads if it is large."""
    if x.size < _FEW:
        driver(1, *args)
        return
    with parallel():
        driver(threads(), *args)


def forward_cuda(op: str, x: Array, *parameters: float) -> Array:
    """A thread for each few values: `loops.cu`."""
    (x,) = packed(x)
    y = empty_as(x)
    launch_each(_FILE, f"forward<{scalar(x)}>", x.size, np.int32(NUMBER[op]), x, y, x.size, *_padded(parameters, x))
    return y


@njit(**EXACT)
def _backward_share(t: Any, shares: int, op: int, gy: Array, x: Array, gx: Array, a: float, b: float, c: float) -> None:
    i0, i1 = t * x.size // shares, (t + 1) * x.size // shares
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
def _backward(shares: int, op: int, gy: Array, x: Array, gx: Array, a: float, b: float, c: float) -> None:
    for t in prange(shares):
        _backward_share(np.intp(t), shares, op, gy, x, gx, a, b, c)


def backward_numba(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """Parallel over runs of memory."""
    x, gy = alike(x, gy)
    gx, number, padded = empty(x.shape, x.dtype, is_channels_last(x)), NUMBER[op], _padded(parameters, x)
    driver = _backward
    if x.dtype == np.float32 and number in exponential.OPS:
        driver = exponential.backward
        padded = tuple(map(np.float32, padded))
    _run(x, driver, number, flat(gy), flat(x), flat(gx), *padded)
    return gx


def backward_cuda(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """A thread for each few values: `loops.cu`."""
    x, gy = packed(x, gy)
    gx = empty_as(x)
    padded = _padded(parameters, x)
    launch_each(_FILE, f"backward<{scalar(x)}>", x.size, np.int32(NUMBER[op]), gy, x, gx, x.size, *padded)
    return gx
