"""The activations relu, tanh and sigmoid: one value in, one value out.

    relu(x)    = max(x, 0)                            gx = gy where y > 0, else 0
    tanh(x)    = (e^x - e^-x) / (e^x + e^-x)          gx = gy (1 - y^2)
    sigmoid(x) = 1 / (1 + e^-x)                       gx = gy y (1 - y)

    x, y, gx, gy   all of one shape, of any rank

Every forward is called as `forward(x)` and every backward as `backward(gy, y)`: each derivative is a function of the
result, so the input need not be kept. A NaN comes out as a NaN. The result has the memory order of a dense input.

Numba calls exp and tanh of the C library, one value at a time. For float32 the polynomials below take their place, so
that LLVM computes 8 or 16 values at once:

    e^x    = 2^n (1 + r + r^2 R(r))          n = x/ln 2 rounded, r = x - n ln 2, |r| <= 0.347; for x <= 0
    tanh x = x + x u S(u), u = x^2           |x| <= 0.55
             (1 - e^(-2x)) / (1 + e^(-2x))   x > 0.55, and -tanh(-x) for x < -0.55

The coefficients of R and S are our own fits: least squares on 4,000 points or more, reweighted until the largest
relative error is as small as it gets (C. L. Lawson, 1961). The fits are off by 3.1e-9 in e^x and 1.0e-9 in tanh; with
the roundings of float32 the largest errors found are 2.4 ulp in sigmoid and 1.5 ulp in tanh (of every 37th float32).

W. J. Cody and W. Waite, "Software manual for the elementary functions", 1980: r with ln 2 in two parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .dispatch import Table
from .layout import Array, alike, dense, empty, flat, is_channels_last
from .runtime import njit, parallel, prange, threads

# ------------------------------------------------------------------------------------------------------------ forward


def _each_python(f: Callable[..., float], *arrays: Array) -> Array:
    """f of the elements at each place of arrays of one shape."""
    y = np.empty(arrays[0].shape, arrays[0].dtype)
    for place in np.ndindex(y.shape):
        y[place] = f(*(float(a[place]) for a in arrays))
    return y


def relu_python(x: Array) -> Array:
    """The definition; `v <= 0` is false for NaN, which so stays."""
    return _each_python(lambda v: 0.0 if v <= 0 else v, x)


def tanh_python(x: Array) -> Array:
    """The definition, one value at a time."""
    return _each_python(math.tanh, x)


def sigmoid_python(x: Array) -> Array:
    """1/(1 + e^-x) for x >= 0 and e^x/(1 + e^x) for x < 0: the exponent is never positive, so e^ never overflows."""
    return _each_python(lambda v: (math.exp(v) if v < 0 else 1.0) / (1.0 + math.exp(-abs(v))), x)


def relu_numpy(x: Array) -> Array:
    """Whole arrays; `out` keeps the memory order, and a 0-d array an array."""
    return np.maximum(x, 0, out=np.empty_like(x))


def tanh_numpy(x: Array) -> Array:
    """NumPy's own tanh."""
    return np.tanh(x, out=np.empty_like(x))


def sigmoid_numpy(x: Array) -> Array:
    """The two cases of the python row in one: the numerator is 1 or e^x, e^min(x, 0)."""
    return np.divide(np.exp(np.minimum(x, 0)), 1 + np.exp(-np.abs(x)), out=np.empty_like(x))


# Numba: the arrays as they lie in memory, 1-d; a share is a run of them. One driver does all activations, since
# Numba's parallel compiler takes a second for each driver; `op` says which loop runs.

_RELU, _TANH, _SIGMOID, _TANH32, _SIGMOID32 = range(5)

# A constant of type float32 keeps the arithmetic in float32, where a Python number would make it float64.
_ONE, _TWO, _HALF, _SMALL = map(np.float32, (1, 2, 0.5, 0.55))
_LOG2_E, _LN2_HIGH, _LN2_LOW = map(np.float32, (1 / math.log(2), 0.693359375, math.log(2) - 0.693359375))
_R0, _R1, _R2, _R3, _R4 = map(
    np.float32, (0.499999934125, 0.166665201078, 0.041668394213, 0.008368780410, 0.001381446694)
)
_S0, _S1, _S2, _S3, _S4 = map(
    np.float32, (-0.333333175597, 0.133325861385, -0.053852309928, 0.021071679161, -0.006274239706)
)
_LEAST = np.float32(-110)  # e^-110 is 0 in float32

# Floating-point options of these kernels: fused multiply-add, but no reordering, on which `_exp32` depends.
_EXACT: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}


@njit(**_EXACT)
def _exp32(x: Any) -> Any:
    # e^x for x <= 0; 2^n is made of its bits, in two factors, since the result may be smaller than 2^-126
    v = x if x > _LEAST else _LEAST  # also in place of NaN, which has no integer part
    n = np.int32(v * _LOG2_E - _HALF)
    r = (v - np.float32(n) * _LN2_HIGH) - np.float32(n) * _LN2_LOW
    e = _ONE + (r + r * r * (_R0 + r * (_R1 + r * (_R2 + r * (_R3 + r * _R4)))))
    half = n >> np.int32(1)
    first = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    second = np.int32((n - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return e * first * second if x == x else x


@njit(**_EXACT)
def _tanh32(x: Any) -> Any:
    # both cases are computed: a choice is faster than a branch
    size = abs(x)
    v = size if size < _SMALL else _SMALL
    u = v * v
    small = v + v * u * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * _S4))))
    e = _exp32(-_TWO * size)
    large = (_ONE - e) / (_ONE + e)
    return math.copysign(small if size < _SMALL else large, x)


@njit(**_EXACT)
def _forward_share(t: Any, chunks: int, op: int, x: Array, y: Array) -> None:
    x, y = x[t * x.size // chunks : (t + 1) * x.size // chunks], y[t * x.size // chunks : (t + 1) * x.size // chunks]
    if op == _RELU:
        for i in range(x.size):
            y[i] = 0 if x[i] <= 0 else x[i]
    elif op == _TANH:
        for i in range(x.size):
            y[i] = math.tanh(x[i])
    elif op == _SIGMOID:
        for i in range(x.size):
            e = math.exp(-abs(x[i]))
            y[i] = (e if x[i] < 0 else 1) / (1 + e)
    elif op == _TANH32:
        for i in range(x.size):
            y[i] = _tanh32(x[i])
    elif op == _SIGMOID32:
        for i in range(x.size):
            e = _exp32(-abs(x[i]))
            y[i] = (e if x[i] < 0 else _ONE) / (_ONE + e)


@njit(parallel=True)
def _forward(chunks: int, op: int, x: Array, y: Array) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, op, x, y)


def _forward_numba(op: int, x: Array) -> Array:
    x = dense(x)
    y = empty(x.shape, x.dtype, is_channels_last(x))
    with parallel():
        _forward(threads(), op, flat(x), flat(y))
    return y


def relu_numba(x: Array) -> Array:
    """Parallel over runs of memory."""
    return _forward_numba(_RELU, x)


def tanh_numba(x: Array) -> Array:
    """As relu; in float32 by the polynomials of this file's docstring."""
    return _forward_numba(_TANH32 if x.dtype == np.float32 else _TANH, x)


def sigmoid_numba(x: Array) -> Array:
    """As relu; in float32 by the polynomial e^x of this file's docstring."""
    return _forward_numba(_SIGMOID32 if x.dtype == np.float32 else _SIGMOID, x)


# ----------------------------------------------------------------------------------------------------------- backward


def relu_backward_python(gy: Array, y: Array) -> Array:
    """gy where y > 0; where y is NaN, gy too, as in PyTorch."""
    return _each_python(lambda g, v: 0.0 if v <= 0 else g, gy, y)


def tanh_backward_python(gy: Array, y: Array) -> Array:
    """gy (1 - y^2)."""
    return _each_python(lambda g, v: g * (1 - v * v), gy, y)


def sigmoid_backward_python(gy: Array, y: Array) -> Array:
    """gy y (1 - y)."""
    return _each_python(lambda g, v: g * (1 - v) * v, gy, y)


def relu_backward_numpy(gy: Array, y: Array) -> Array:
    """A choice, not a product: an infinite gradient times 0 would be NaN."""
    return np.where(y <= 0, gy.dtype.type(0), gy)


def tanh_backward_numpy(gy: Array, y: Array) -> Array:
    """gy (1 - y^2)."""
    return np.multiply(gy, 1 - y * y, out=np.empty_like(y))


def sigmoid_backward_numpy(gy: Array, y: Array) -> Array:
    """gy (1 - y) y."""
    return np.multiply(gy * (1 - y), y, out=np.empty_like(y))


@njit(**_EXACT)
def _backward_share(t: Any, chunks: int, op: int, gy: Array, y: Array, gx: Array) -> None:
    i0, i1 = t * y.size // chunks, (t + 1) * y.size // chunks
    gy, y, gx = gy[i0:i1], y[i0:i1], gx[i0:i1]
    if op == _RELU:
        for i in range(y.size):
            gx[i] = 0 if y[i] <= 0 else gy[i]
    elif op == _TANH:
        for i in range(y.size):
            gx[i] = gy[i] * (_ONE - y[i] * y[i])
    elif op == _SIGMOID:
        for i in range(y.size):
            gx[i] = gy[i] * (_ONE - y[i]) * y[i]


@njit(parallel=True)
def _backward(chunks: int, op: int, gy: Array, y: Array, gx: Array) -> None:
    for t in prange(chunks):
        _backward_share(np.intp(t), chunks, op, gy, y, gx)


def _backward_numba(op: int, gy: Array, y: Array) -> Array:
    y, gy = alike(y, gy)
    gx = empty(y.shape, y.dtype, is_channels_last(y))
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


# ------------------------------------------------------------------------------------------------------------- tables


def _table(op: str, python: Callable[..., Array], numpy: Callable[..., Array], numba: Callable[..., Array]) -> Table:
    rows = {"python": python, "numpy": numpy, "numba": numba}
    return Table(op, {("elementwise", backend): row for backend, row in rows.items()})


RELU = _table("relu", relu_python, relu_numpy, relu_numba)
RELU_BACKWARD = _table("relu backward", relu_backward_python, relu_backward_numpy, relu_backward_numba)
TANH = _table("tanh", tanh_python, tanh_numpy, tanh_numba)
TANH_BACKWARD = _table("tanh backward", tanh_backward_python, tanh_backward_numpy, tanh_backward_numba)
SIGMOID = _table("sigmoid", sigmoid_python, sigmoid_numpy, sigmoid_numba)
SIGMOID_BACKWARD = _table("sigmoid backward", sigmoid_backward_python, sigmoid_backward_numpy, sigmoid_backward_numba)
