"""e^x in float32, and the activations that use it: without branches, so that LLVM computes 8 or 16 values at once.

The C library's exp, tanh, erfc and log1p compute one value at a time, and take ten times as long as reading and writing
the values. This file has in their place

    e^x        = 2^n (1 + q),  q = r + r^2 R(r)        n = x/ln 2 rounded, r = x - n ln 2, |r| <= 0.347
    e^x - 1    = (2^n - 1) + 2^n q                     which keeps all digits near x = 0
    log(1 + e) = 2 (u + u^3/3 + u^5/5 + ...)           u = e/(2 + e) <= 1/3, for 0 <= e <= 1
    tanh x     = x + x u S(u), u = x^2                 |x| <= 0.55
                 (1 - e^(-2x))/(1 + e^(-2x))           x > 0.55, and -tanh(-x) for x < -0.55
    P(X <= -z) = e^(-z^2/2) t Q(t)                     t = 1/(1 + z/4), z >= 0, X standard normal

The coefficients of R, S and Q are our own fits: least squares on 4,000 points or more, reweighted until the largest
relative error is as small as it gets (C. L. Lawson, 1961): 3.1e-9 in e^x, 1.0e-9 in tanh, 3.4e-8 in Q.

`scalars.py` writes its formulas with sigmoid and tanh; here they use e = e^-|x|, which cannot overflow. The errors are
below 4 ulp (units in the last place) of the terms of a sum, so the relative error grows where a gradient crosses 0. If
the exponent is itself computed, its rounding error is added: about as many ulp of the result as the exponent is large.

W. J. Cody and W. Waite, "Software manual for the elementary functions", 1980: r with ln 2 in two parts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Array
from ..runtime import njit, prange
from .scalars import ELU, GELU, GELU_TANH, LOGSIGMOID, MISH, SILU, SOFTPLUS

OPS = (ELU, GELU, GELU_TANH, LOGSIGMOID, MISH, SILU, SOFTPLUS)

EXACT32: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}  # multiply-add, but no reordering

# LLVM has to be told to inline these functions: it calls the longest ones, and a loop with a call is not vectorised.
_INLINE: dict[str, Any] = {"forceinline": True, **EXACT32}

# Constants of type float32 keep the arithmetic in float32; a Python number would make it float64.
_ZERO, _HALF, ONE, _TWO, _FOUR, _QUARTER, _SMALL = map(np.float32, (0, 0.5, 1, 2, 4, 0.25, 0.55))
_LEAST, _MOST = np.float32(-110), np.float32(100)  # below the first e^x is 0 in float32, above the second Inf
_ROUND = np.float32(12582912)  # 1.5 * 2^23: a number of size below 2^22 loses its fraction when this is added
_LOG2_E, _LN2_HIGH, _LN2_LOW = map(np.float32, (1 / math.log(2), 0.693359375, math.log(2) - 0.693359375))
_R0, _R1, _R2, _R3, _R4 = map(
    np.float32, (0.499999934125, 0.166665201078, 0.041668394213, 0.008368780410, 0.001381446694)
)
_S0, _S1, _S2, _S3, _S4 = map(
    np.float32, (-0.333333175597, 0.133325861385, -0.053852309928, 0.021071679161, -0.006274239706)
)
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (np.float32(1 / (2 * k + 1)) for k in range(1, 8))
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8, _Q9 = map(
    np.float32,
    (0.0997355667223, 0.099736431665, 0.0934663542131, 0.0816031198572, 0.0589750898837, 0.0636992974704,
     -0.031717861727, 0.095597438423, -0.0808775067594, 0.0197820532803),
)  # fmt: skip
_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
_U1, _U3, _TAIL = np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715), np.float32(20)


@njit(**_INLINE)
def _power_of_2(n: Any) -> Any:
    # made from its bits, as two factors, because it may be smaller than 2^-126
    half = n >> np.int32(1)
    first = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    second = np.int32((n - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return first, second


@njit(**_INLINE)
def _reduced(x: Any) -> Any:
    # n and q of e^x = 2^n (1 + q)
    v = x if x > _LEAST else _LEAST  # this also replaces NaN, which has no integer part
    n = (v * _LOG2_E + _ROUND) - _ROUND
    r = (v - n * _LN2_HIGH) - n * _LN2_LOW
    return np.int32(n), r + r * r * (_R0 + r * (_R1 + r * (_R2 + r * (_R3 + r * _R4))))


@njit(**_INLINE)
def exp32(x: Any) -> Any:
    """e^x for x <= 100; use `cut_off` where x may be larger."""
    n, q = _reduced(x)
    first, second = _power_of_2(n)
    return (ONE + q) * first * second if x == x else x


@njit(**_INLINE)
def cut_off(x: Any) -> Any:
    """min(x, 100): above 100, e^x is Inf in any case. `exp32` does not do this, since most exponents are negative."""
    return _MOST if x > _MOST else x


@njit(**_INLINE)
def expm1_32(x: Any) -> Any:
    """e^x - 1 for x <= 100."""
    n, q = _reduced(x)
    first, second = _power_of_2(n)
    large = (ONE + q) * first * second - ONE
    small = (first * second - ONE) + first * second * q
    return (small if x < ONE else large) if x == x else x


@njit(**_INLINE)
def log1p_32(e: Any) -> Any:
    """log(1 + e) for 0 <= e <= 1."""
    u = e / (_TWO + e)
    w = u * u
    return _TWO * u * (ONE + w * (_L1 + w * (_L2 + w * (_L3 + w * (_L4 + w * (_L5 + w * (_L6 + w * _L7)))))))


@njit(**_INLINE)
def tanh32(x: Any) -> Any:
    """tanh x; both cases are computed, because choosing between two values is faster than a branch."""
    size = abs(x)
    v = size if size < _SMALL else _SMALL
    u = v * v
    small = v + v * u * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * _S4))))
    e = exp32(-_TWO * size)
    large = (ONE - e) / (ONE + e)
    return math.copysign(small if size < _SMALL else large, x)


@njit(**_INLINE)
def normal32(x: Any) -> Any:
    """P(X <= x), and e^(-x^2/2), which is 0 from |x| = 20 on."""
    v = abs(x)
    v = v if v < _TAIL else _TAIL
    e = exp32(-_HALF * v * v)
    t = ONE / (ONE + _QUARTER * v)
    q = _Q4 + t * (_Q5 + t * (_Q6 + t * (_Q7 + t * (_Q8 + t * _Q9))))
    left = e * t * (_Q0 + t * (_Q1 + t * (_Q2 + t * (_Q3 + t * q))))
    return (left if x < _ZERO else ONE - left), e


@njit(**_INLINE)
def _sides(x: Any) -> Any:
    # sigmoid(x), sigmoid(-x)
    e = exp32(-abs(x))
    near, far = ONE / (ONE + e), e / (ONE + e)
    return (far if x < _ZERO else near), (near if x < _ZERO else far)


@njit(**_INLINE)
def _tanh_gelu(x: Any) -> Any:
    # sigmoid(2 u(x)), sigmoid(-2 u(x)) and u'(x), u = sqrt(2/pi) (x + 0.044715 x^3); from |x| = 20 on e^-2u is 0
    v = abs(x)
    v = v if v < _TAIL else _TAIL
    e = exp32(-_TWO * _U1 * (v + _U3 * v * v * v))
    near, far = ONE / (ONE + e), e / (ONE + e)
    slope = _U1 * (ONE + (_TWO + ONE) * _U3 * v * v)
    return (far if x < _ZERO else near), (near if x < _ZERO else far), slope


@njit(**_INLINE)
def _mish(x: Any) -> Any:
    # t = tanh(log(1 + e^x)), and (1 - t^2) sigmoid(x), as fractions of polynomials in e = e^-|x|
    e = exp32(-abs(x))
    w = e * (e + _TWO)
    p, q = ONE + _TWO * e, ONE + _TWO * e * (ONE + e)
    top, below = (w if x < _ZERO else p), (w + _TWO if x < _ZERO else q)
    return top / below, _FOUR * e * (ONE + e) * (ONE if x < _ZERO else e) / (below * below)


@njit(**_INLINE)
def value32(op: int, x: Any, a: Any, b: Any, c: Any) -> Any:
    """The value of activation number `op`; in the loops `op` is a constant, so the compiler keeps only its case."""
    if op == ELU:
        return a * expm1_32(cut_off(c * x)) if x <= _ZERO else b * x
    if op == GELU:
        return x * normal32(x)[0]
    if op == GELU_TANH:
        return x * _tanh_gelu(x)[0]
    if op == LOGSIGMOID:
        return (x if x < _ZERO else _ZERO) - log1p_32(exp32(-abs(x)))
    if op == MISH:
        return x * _mish(x)[0]
    if op == SILU:
        return x * _sides(x)[0]
    v = a * x
    return x if v > b else ((v if v > _ZERO else _ZERO) + log1p_32(exp32(-abs(v)))) / a


@njit(**_INLINE)
def gradient32(op: int, g: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    """The gradient through activation number `op`."""
    if op == ELU:
        return g * b if x > _ZERO else g * a * c * exp32(cut_off(c * x))
    if op == GELU:
        below, e = normal32(x)
        return g * (below + x * e * _DENSITY)
    if op == GELU_TANH:
        s, t, slope = _tanh_gelu(x)
        return g * (s + x * (s * t) * (_TWO * slope))  # 2x may be Inf
    if op == LOGSIGMOID:
        return g * _sides(x)[1]
    if op == MISH:
        t, slope = _mish(x)
        return g * (t + x * slope)
    if op == SILU:
        s, t = _sides(x)
        return g * s * (ONE + x * t)
    v = a * x
    return g if v > b else g * _sides(v)[0]


@njit(**EXACT32)
def forward_share(t: Any, shares: int, op: int, x: Array, y: Array, a: Any, b: Any, c: Any) -> None:
    """Share t of y, float32: a loop for each activation."""
    x, y = x[t * x.size // shares : (t + 1) * x.size // shares], y[t * x.size // shares : (t + 1) * x.size // shares]
    if op == ELU:
        for i in range(x.size):
            y[i] = value32(ELU, x[i], a, b, c)
    elif op == GELU:
        for i in range(x.size):
            y[i] = value32(GELU, x[i], a, b, c)
    elif op == GELU_TANH:
        for i in range(x.size):
            y[i] = value32(GELU_TANH, x[i], a, b, c)
    elif op == LOGSIGMOID:
        for i in range(x.size):
            y[i] = value32(LOGSIGMOID, x[i], a, b, c)
    elif op == MISH:
        for i in range(x.size):
            y[i] = value32(MISH, x[i], a, b, c)
    elif op == SILU:
        for i in range(x.size):
            y[i] = value32(SILU, x[i], a, b, c)
    else:
        for i in range(x.size):
            y[i] = value32(SOFTPLUS, x[i], a, b, c)


@njit(parallel=True)
def forward(shares: int, op: int, x: Array, y: Array, a: Any, b: Any, c: Any) -> None:
    """All shares."""
    for t in prange(shares):
        forward_share(np.intp(t), shares, op, x, y, a, b, c)


@njit(**EXACT32)
def backward_share(t: Any, shares: int, op: int, gy: Array, x: Array, gx: Array, a: Any, b: Any, c: Any) -> None:
    """Share t of gx, float32: a loop for each activation."""
    i0, i1 = t * x.size // shares, (t + 1) * x.size // shares
    gy, x, gx = gy[i0:i1], x[i0:i1], gx[i0:i1]
    if op == ELU:
        for i in range(x.size):
            gx[i] = gradient32(ELU, gy[i], x[i], a, b, c)
    elif op == GELU:
        for i in range(x.size):
            gx[i] = gradient32(GELU, gy[i], x[i], a, b, c)
    elif op == GELU_TANH:
        for i in range(x.size):
            gx[i] = gradient32(GELU_TANH, gy[i], x[i], a, b, c)
    elif op == LOGSIGMOID:
        for i in range(x.size):
            gx[i] = gradient32(LOGSIGMOID, gy[i], x[i], a, b, c)
    elif op == MISH:
        for i in range(x.size):
            gx[i] = gradient32(MISH, gy[i], x[i], a, b, c)
    elif op == SILU:
        for i in range(x.size):
            gx[i] = gradient32(SILU, gy[i], x[i], a, b, c)
    else:
        for i in range(x.size):
            gx[i] = gradient32(SOFTPLUS, gy[i], x[i], a, b, c)


@njit(parallel=True)
def backward(shares: int, op: int, gy: Array, x: Array, gx: Array, a: Any, b: Any, c: Any) -> None:
    """All shares."""
    for t in prange(shares):
        backward_share(np.intp(t), shares, op, gy, x, gx, a, b, c)
