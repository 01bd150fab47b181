"""The activations relu, tanh and sigmoid: one value in, one value out.

    relu(x)    = max(x, 0)                            gx = gy where y > 0, else 0
    tanh(x)    = (e^x - e^-x) / (e^x + e^-x)          gx = gy (1 - y^2)
    sigmoid(x) = 1 / (1 + e^-x)                       gx = gy y (1 - y)

    x, y, gx, gy   all of one shape, of any rank

Every forward is called as `forward(x)` and every backward as `backward(gy, y)`: each derivative is a function of the
result, so the input does not have to be kept. `RELU(x, out)` writes into `out`, which may be x. A NaN gives a NaN. The
result has the memory order of a dense input.

Numba calls exp and tanh of the C library, one value at a time. For float32 the polynomials of `exponential.py` replace
them, so that LLVM computes 8 or 16 values at once. The largest errors found are 2.4 ulp in sigmoid and 1.5 ulp in tanh
(tested on every 37th float32).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..cuda import launch_each, scalar
from ..dispatch import Table
from ..layout import alike, dense, empty, empty_as, flat, is_channels_last, packed
from ..runtime import njit, parallel, prange, threads
from .exponential import EXACT32, ONE, exp32, tanh32

# ------------------------------------------------------------------------------------------------------------ forward


def _each_python(f: Callable[..., float], *arrays: Array) -> Array:
    """f of the elements with the same index in arrays of one shape."""
    y = np.empty(arrays[0].shape, arrays[0].dtype)
    for place in np.ndindex(y.shape):
        y[place] = f(*(float(a[place]) for a in arrays))
    return y


def relu_python(x: Array, out: Array | None = None) -> Array:
    """The definition; `v <= 0` is false for NaN, so NaN stays."""
    y = _each_python(lambda v: 0.0 if v <= 0 else v, x)
    if out is None:
        return y
    out[...] = y
    return out


def tanh_python(x: Array) -> Array:
    """The definition, one value at a time."""
    return _each_python(math.tanh, x)


def sigmoid_python(x: Array) -> Array:
    """1/(1 + e^-x) for x >= 0 and e^x/(1 + e^x) for x < 0: the exponent is never positive, so e^ never overflows."""
    return _each_python(lambda v: (math.exp(v) if v < 0 else 1.0) / (1.0 + math.exp(-abs(v))), x)


def relu_numpy(x: Array, out: Array | None = None) -> Array:
    """Whole arrays; `out` keeps the memory order, and keeps a 0-d result an array."""
    return np.maximum(x, 0, out=np.empty_like(x) if out is None else out)


def tanh_numpy(x: Array) -> Array:
    """NumPy's own tanh."""
    return np.tanh(x, out=np.empty_like(x))


def sigmoid_numpy(x: Array) -> Array:
    """The two cases of the python row in one: the numerator is 1 or e^x, e^min(x, 0)."""
    return np.divide(np.exp(np.minimum(x, 0)), 1 + np.exp(-np.abs(x)), out=np.empty_like(x))


# Numba: the arrays are 1-d, in the order of memory; a share is a run of elements. One driver does all activations,
# since Numba's parallel compiler takes a second for each driver; `op` says which loop runs.

_FILE = "activations/relu_tanh_sigmoid.cu"
_FEW = 1 << 14  # for an array of fewer values, waking threads costs more than it saves
_RELU, _TANH, _SIGMOID, _TANH32, _SIGMOID32, _RELU_INTO = range(6)


@njit(**EXACT32)
def _forward_share(t: Any, shares: int, op: int, x: Array, y: Array) -> None:
    x, y = x[t * x.size // shares : (t + 1) * x.size // shares], y[t * x.size // shares : (t + 1) * x.size // shares]
    if op == _RELU:
        for i in range(x.size):
            y[i] = x.dtype.type(0) if x[i] <= 0 else x[i]
    elif op == _RELU_INTO:  # y is x: a loop with two names for one memory would not be vectorised
        for i in range(y.size):
            y[i] = y.dtype.type(0) if y[i] <= 0 else y[i]
    elif op == _TANH:
        for i in range(x.size):
            y[i] = math.tanh(x[i])
    elif op == _SIGMOID:
        for i in range(x.size):
            e = math.exp(-abs(x[i]))
            y[i] = (e if x[i] < 0 else 1) / (1 + e)
    elif op == _TANH32:
        for i in range(x.size):
            y[i] = tanh32(x[i])
    elif op == _SIGMOID32:
        for i in range(x.size):
            e = exp32(-abs(x[i]))
            y[i] = (e if x[i] < 0 else ONE) / (ONE + e)


@njit(parallel=True)
def _forward(shares: int, op: int, x: Array, y: Array) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, op, x, y)


def _forward_numba(op: int, x: Array, out: Array | None = None) -> Array:
    x = dense(x)
    y = empty(x.shape, x.dtype, is_channels_last(x)) if out is None else out
    if x.size < _FEW:
        _forward(1, op, flat(x), flat(y))
        return y
    with parallel():
        _forward(threads(), op, flat(x), flat(y))
    return y


def relu_numba(x: Array, out: Array | None = None) -> Array:
    """Parallel over runs of memory; `out` has the memory order of a dense x, and may be x."""
    return _forward_numba(_RELU_INTO if out is x else _RELU, x, out)


def tanh_numba(x: Array) -> Array:
    """As relu; in float32 with the polynomials of `exponential.py`."""
    return _forward_numba(_TANH32 if x.dtype == np.float32 else _TANH, x)


def sigmoid_numba(x: Array) -> Array:
    """As relu; in float32 with the e^x of `exponential.py`."""
    return _forward_numba(_SIGMOID32 if x.dtype == np.float32 else _SIGMOID, x)


def _forward_cuda(op: str, x: Array, out: Array | None = None) -> Array:
    (x,) = packed(x)
    y = empty_as(x) if out is None else out
    launch_each(_FILE, f"{op}_forward<{scalar(x)}>", x.size, x, y, x.size)
    return y


def relu_cuda(x: Array, out: Array | None = None) -> Array:
    """A thread for each few values: `relu_tanh_sigmoid.cu`; `out` as in the numba row."""
    return _forward_cuda("relu", x, out)


def tanh_cuda(x: Array) -> Array:
    """As relu."""
    return _forward_cuda("tanh", x)


def sigmoid_cuda(x: Array) -> Array:
    """As relu."""
    return _forward_cuda("sigmoid", x)


# ----------------------------------------------------------------------------------------------------------- backward


def relu_backward_python(gy: Array, y: Array) -> Array:
    """gy where y > 0, and also where y is NaN, as in PyTorch; else 0."""
    return _each_python(lambda g, v: 0.0 if v <= 0 else g, gy, y)


def tanh_backward_python(gy: Array, y: Array) -> Array:
    """gy (1 - y^2)."""
    return _each_python(lambda g, v: g * (1 - v * v), gy, y)


def sigmoid_backward_python(gy: Array, y: Array) -> Array:
    """gy y (1 - y)."""
    return _each_python(lambda g, v: g * (1 - v) * v, gy, y)


def relu_backward_numpy(gy: Array, y: Array) -> Array:
    """A choice instead of a product: an infinite gradient times 0 would be NaN."""
    return np.where(y <= 0, gy.dtype.type(0), gy)


def tanh_backward_numpy(gy: Array, y: Array) -> Array:
    """gy (1 - y^2)."""
    return np.multiply(gy, 1 - y * y, out=np.empty_like(y))


def sigmoid_backward_numpy(gy: Array, y: Array) -> Array:
    """gy (1 - y) y."""
    return np.multiply(gy * (1 - y), y, out=np.empty_like(y))


@njit(**EXACT32)
def _backward_share(t: Any, shares: int, op: int, gy: Array, y: Array, gx: Array) -> None:
    i0, i1 = t * y.size // shares, (t + 1) * y.size // shares
    gy, y, gx = gy[i0:i1], y[i0:i1], gx[i0:i1]
    if op == _RELU:
        for i in range(y.size):
            gx[i] = y.dtype.type(0) if y[i] <= 0 else gy[i]
    elif op == _TANH:
        for i in range(y.size):
            gx[i] = gy[i] * (ONE - y[i] * y[i])
    elif op == _SIGMOID:
        for i in range(y.size):
            gx[i] = gy[i] * (ONE - y[i]) * y[i]


@njit(parallel=True)
def _backward(shares: int, op: int, gy: Array, y: Array, gx: Array) -> None:
    for t in prange(shares):
        _backward_share(np.intp(t), shares, op, gy, y, gx)


def _backward_numba(op: int, gy: Array, y: Array) -> Array:
    y, gy = alike(y, gy)
    gx = empty(y.shape, y.dtype, is_channels_last(y))
    if y.size < _FEW:
        _backward(1, op, flat(gy), flat(y), flat(gx))
        return gx
    with parallel():
        _backward(threads(), op, flat(gy), flat(y), flat(gx))
    return gx


def relu_backward_numba(gy: Array, y: Array) -> Array:
    """Parallel over runs of memory."""
    return _backward_numba(_RELU, gy, y)


def tanh_backward_numba(gy: Array, y: Array) -> Array:
    """As relu."""
    return _backward_numba(_TANH, gy, y)


def sigmoid_backward_numba(gy: Array, y: Array) -> Array:
    """As relu."""
    return _backward_numba(_SIGMOID, gy, y)


def _backward_cuda(op: str, gy: Array, y: Array) -> Array:
    y, gy = packed(y, gy)
    gx = empty_as(y)
    launch_each(_FILE, f"{op}_backward<{scalar(y)}>", y.size, gy, y, gx, y.size)
    return gx


def relu_backward_cuda(gy: Array, y: Array) -> Array:
    """A thread for each few values: `relu_tanh_sigmoid.cu`."""
    return _backward_cuda("relu", gy, y)


def tanh_backward_cuda(gy: Array, y: Array) -> Array:
    """As relu."""
    return _backward_cuda("tanh", gy, y)


def sigmoid_backward_cuda(gy: Array, y: Array) -> Array:
    """As relu."""
    return _backward_cuda("sigmoid", gy, y)


# ------------------------------------------------------------------------------------------------------------- tables


RELU = Table(
    "relu",
    {
        ("elementwise", "python"): relu_python,
        ("elementwise", "numpy"): relu_numpy,
        ("elementwise", "numba"): relu_numba,
        ("elementwise", "cuda"): relu_cuda,
    },
)
RELU_BACKWARD = Table(
    "relu backward",
    {
        ("elementwise", "python"): relu_backward_python,
        ("elementwise", "numpy"): relu_backward_numpy,
        ("elementwise", "numba"): relu_backward_numba,
        ("elementwise", "cuda"): relu_backward_cuda,
    },
)
TANH = Table(
    "tanh",
    {
        ("elementwise", "python"): tanh_python,
        ("elementwise", "numpy"): tanh_numpy,
        ("elementwise", "numba"): tanh_numba,
        ("elementwise", "cuda"): tanh_cuda,
    },
)
TANH_BACKWARD = Table(
    "tanh backward",
    {
        ("elementwise", "python"): tanh_backward_python,
        ("elementwise", "numpy"): tanh_backward_numpy,
        ("elementwise", "numba"): tanh_backward_numba,
        ("elementwise", "cuda"): tanh_backward_cuda,
    },
)
SIGMOID = Table(
    "sigmoid",
    {
        ("elementwise", "python"): sigmoid_python,
        ("elementwise", "numpy"): sigmoid_numpy,
        ("elementwise", "numba"): sigmoid_numba,
        ("elementwise", "cuda"): sigmoid_cuda,
    },
)
SIGMOID_BACKWARD = Table(
    "sigmoid backward",
    {
        ("elementwise", "python"): sigmoid_backward_python,
        ("elementwise", "numpy"): sigmoid_backward_numpy,
        ("elementwise", "numba"): sigmoid_backward_numba,
        ("elementwise", "cuda"): sigmoid_backward_cuda,
    },
)
