"""Each activation on one number: its value, and the gradient it passes down.

    value(x, a, b, c)           y
    gradient(g, x, a, b, c)     g dy/dx

a, b, c are the activation's parameters (the table in `activations/__init__.py`); unused ones are 0. In plain Python the
functions are the definition; Numba compiles the same functions, in float64, into the loops of `loops.py`; for a GPU
they are translated to C++ (`translation.py`), for float too. So no intermediate result may overflow in float32 if the
result does not.

At a kink the gradient is PyTorch's. It is a *choice* between g and 0, not a product with 0, so that an infinite g gives
no NaN. No exponent is ever positive, so nothing overflows: where x < 0, 1/(1 + e^-x) is written as e^x/(1 + e^x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from ..runtime import njit

EXACT: dict[str, Any] = {"error_model": "numpy"}  # a / 0 is Inf or NaN, as in NumPy; sums are not reordered
PLAIN: dict[str, Callable[..., float]] = {}  # the functions of this file as they stand here, for the python row

F = TypeVar("F", bound=Callable[..., float])


def scalar(function: F) -> F:
    """Enter the plain function in PLAIN; its name then refers to the compiled one, for other compiled functions."""
    PLAIN[function.__name__] = function
    return njit(**EXACT)(function)


# ------------------------------------------------------------------------------------------------ piecewise linear


@scalar
def leaky_relu(x: float, a: float, b: float, c: float) -> float:
    """x > 0: x, else a x."""
    return x if x > 0 else x * a


@scalar
def leaky_relu_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """x > 0: g, else a g."""
    return g if x > 0 else g * a


@scalar
def hardtanh(x: float, a: float, b: float, c: float) -> float:
    """min(max(x, a), b); relu6 with a = 0, b = 6."""
    return a if x < a else b if x > b else x


@scalar
def hardtanh_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g for a < x < b and at NaN, else 0 (also at a and at b)."""
    return 0.0 if x <= a or x >= b else g


@scalar
def threshold(x: float, a: float, b: float, c: float) -> float:
    """x above a, else b."""
    return b if x <= a else x


@scalar
def threshold_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g above a, else 0."""
    return 0.0 if x <= a else g


@scalar
def hardshrink(x: float, a: float, b: float, c: float) -> float:
    """0 in [-a, a], else x."""
    return 0.0 if -a <= x <= a else x


@scalar
def hardshrink_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g outside [-a, a], else 0, also at NaN; for hardshrink and softshrink."""
    return g if x < -a or x > a else 0.0


@scalar
def softshrink(x: float, a: float, b: float, c: float) -> float:
    """x moved by a towards 0."""
    return x - a if x > a else x + a if x < -a else x * 0.0


@scalar
def hardsigmoid(x: float, a: float, b: float, c: float) -> float:
    """(x + 3)/6 between 0 and 1."""
    return 0.0 if x <= -3 else 1.0 if x >= 3 else (x + 3) / 6


@scalar
def hardsigmoid_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g/6 for -3 < x < 3, else 0, also at NaN."""
    return g / 6 if -3 < x < 3 else 0.0


@scalar
def hardswish(x: float, a: float, b: float, c: float) -> float:
    """x hardsigmoid(x). A. Howard et al., "Searching for MobileNetV3", 2019, https://arxiv.org/abs/1905.02244."""
    return x * 0.0 if x <= -3 else x if x >= 3 else x * (x + 3) / 6


@scalar
def hardswish_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """0 up to -3, g (x/3 + 1/2) between -3 and 3, g from 3 on."""
    return 0.0 if x <= -3 else g if x >= 3 else g * (x / 3 + 0.5)


PLAIN["softshrink_gradient"] = PLAIN["hardshrink_gradient"]

# ------------------------------------------------------------------------------------------- smooth functions


@scalar
def elu(x: float, a: float, b: float, c: float) -> float:
    """b x above 0, a (e^(c x) - 1) below; ELU with b = c = 1: D.-A. Clevert et al. 2015, arXiv 1511.07289."""
    return a * math.expm1(c * x) if x <= 0 else b * x


@scalar
def elu_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """b g above 0, a c e^(c x) g up to 0."""
    return g * b if x > 0 else g * a * c * math.exp(c * x)


@scalar
def softplus(x: float, a: float, b: float, c: float) -> float:
    """log(1 + e^(a x))/a, and x itself where a x > b."""
    v = a * x
    return x if v > b else (max(v, 0.0) + math.log1p(math.exp(-abs(v)))) / a


@scalar
def softplus_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g sigmoid(a x), and g where a x > b."""
    v = a * x
    e = math.exp(-abs(v))
    return g if v > b else g * (e if v < 0 else 1.0) / (1.0 + e)


@scalar
def logsigmoid(x: float, a: float, b: float, c: float) -> float:
    """log(1/(1 + e^-x)) = min(x, 0) - log(1 + e^-|x|)."""
    return (x if x < 0 else 0.0) - math.log1p(math.exp(-abs(x)))


@scalar
def logsigmoid_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g sigmoid(-x)."""
    e = math.exp(-abs(x))
    return g * (1.0 if x < 0 else e) / (1.0 + e)


@scalar
def silu(x: float, a: float, b: float, c: float) -> float:
    """x sigmoid(x). P. Ramachandran et al., "Searching for activation functions", 2017, arXiv 1710.05941."""
    e = math.exp(-abs(x))
    return x * (e if x < 0 else 1.0) / (1.0 + e)


@scalar
def silu_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g s (1 + x (1 - s)), s = sigmoid(x), 1 - s = sigmoid(-x)."""
    e = math.exp(-abs(x))
    s, t = (e if x < 0 else 1.0) / (1.0 + e), (1.0 if x < 0 else e) / (1.0 + e)
    return g * s * (1.0 + x * t)


@scalar
def mish(x: float, a: float, b: float, c: float) -> float:
    """x tanh(softplus(x)). D. Misra, "Mish", 2019, https://arxiv.org/abs/1908.08681."""
    return x * math.tanh(max(x, 0.0) + math.log1p(math.exp(-abs(x)))) if x == x else x


@scalar
def mish_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x)); 1 - t^2 = 4 q/(1 + q)^2 with q = e^(-2 softplus(x))."""
    e = math.exp(-abs(x))
    s = (e if x < 0 else 1.0) / (1.0 + e)
    p = max(x, 0.0) + math.log1p(e)
    q = math.exp(-2.0 * p)
    return g * (math.tanh(p) + x * s * (4.0 * q / ((1.0 + q) * (1.0 + q)))) if x == x else x


@scalar
def gelu(x: float, a: float, b: float, c: float) -> float:
    """x P(X <= x), X normal: x/2 erfc(-x/sqrt 2). D. Hendrycks, K. Gimpel 2016, https://arxiv.org/abs/1606.08415."""
    return x * 0.5 * math.erfc(-x * 0.7071067811865476)


@scalar
def gelu_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g (P(X <= x) + x p(x)), p the normal density."""
    return g * (0.5 * math.erfc(-x * 0.7071067811865476) + x * math.exp(-0.5 * x * x) * 0.3989422804014327)


@scalar
def gelu_tanh(x: float, a: float, b: float, c: float) -> float:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the approximation of the same paper."""
    return 0.5 * x * (1.0 + math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@scalar
def gelu_tanh_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g/2 (1 + t + x (1 - t^2) u'), t = tanh(u(x))."""
    t = math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
    v = min(abs(x), 20.0)  # from 20 on, 1 - t^2 is 0, and the square of a large x would be Inf
    slope = 0.7978845608028654 * (1.0 + 0.134145 * v * v)
    return g * 0.5 * (1.0 + t + x * (1.0 - t * t) * slope)


@scalar
def softsign(x: float, a: float, b: float, c: float) -> float:
    """x/(1 + |x|)."""
    return x / (1.0 + abs(x))


@scalar
def softsign_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g/(1 + |x|)^2; NaN at +-Inf, as the value Inf/Inf is."""
    return (g + 0.0 * x) / (1.0 + abs(x)) / (1.0 + abs(x))


@scalar
def tanhshrink(x: float, a: float, b: float, c: float) -> float:
    """x - tanh(x)."""
    return x - math.tanh(x)


@scalar
def tanhshrink_gradient(g: float, x: float, a: float, b: float, c: float) -> float:
    """g tanh(x)^2."""
    t = math.tanh(x)
    return g * t * t


# ------------------------------------------------------------------------------------------------------ by number

NAMES = (
    "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "threshold", "hardshrink", "softshrink", "elu", "softplus",
    "logsigmoid", "silu", "mish", "gelu", "gelu_tanh", "softsign", "tanhshrink",
)  # fmt: skip
(
    LEAKY_RELU, HARDTANH, HARDSWISH, HARDSIGMOID, THRESHOLD, HARDSHRINK, SOFTSHRINK, ELU, SOFTPLUS, LOGSIGMOID, SILU,
    MISH, GELU, GELU_TANH, SOFTSIGN, TANHSHRINK,
) = range(len(NAMES))  # fmt: skip


@njit(**EXACT)
def value(op: int, x: float, a: float, b: float, c: float) -> float:
    """The value of activation number `op` of NAMES; NaN for a number that has no branch here."""
    if op == LEAKY_RELU:
        return leaky_relu(x, a, b, c)
    if op == HARDTANH:
        return hardtanh(x, a, b, c)
    if op == HARDSWISH:
        return hardswish(x, a, b, c)
    if op == HARDSIGMOID:
        return hardsigmoid(x, a, b, c)
    if op == THRESHOLD:
        return threshold(x, a, b, c)
    if op == HARDSHRINK:
        return hardshrink(x, a, b, c)
    if op == SOFTSHRINK:
        return softshrink(x, a, b, c)
    if op == ELU:
        return elu(x, a, b, c)
    if op == SOFTPLUS:
        return softplus(x, a, b, c)
    if op == LOGSIGMOID:
        return logsigmoid(x, a, b, c)
    if op == SILU:
        return silu(x, a, b, c)
    if op == MISH:
        return mish(x, a, b, c)
    if op == GELU:
        return gelu(x, a, b, c)
    if op == GELU_TANH:
        return gelu_tanh(x, a, b, c)
    if op == SOFTSIGN:
        return softsign(x, a, b, c)
    if op == TANHSHRINK:
        return tanhshrink(x, a, b, c)
    return math.nan


@njit(**EXACT)
def gradient(op: int, g: float, x: float, a: float, b: float, c: float) -> float:
    """The gradient through activation number `op` of NAMES; NaN for a number that has no branch here."""
    if op == LEAKY_RELU:
        return leaky_relu_gradient(g, x, a, b, c)
    if op == HARDTANH:
        return hardtanh_gradient(g, x, a, b, c)
    if op == HARDSWISH:
        return hardswish_gradient(g, x, a, b, c)
    if op == HARDSIGMOID:
        return hardsigmoid_gradient(g, x, a, b, c)
    if op == THRESHOLD:
        return threshold_gradient(g, x, a, b, c)
    if op in (HARDSHRINK, SOFTSHRINK):
        return hardshrink_gradient(g, x, a, b, c)
    if op == ELU:
        return elu_gradient(g, x, a, b, c)
    if op == SOFTPLUS:
        return softplus_gradient(g, x, a, b, c)
    if op == LOGSIGMOID:
        return logsigmoid_gradient(g, x, a, b, c)
    if op == SILU:
        return silu_gradient(g, x, a, b, c)
    if op == MISH:
        return mish_gradient(g, x, a, b, c)
    if op == GELU:
        return gelu_gradient(g, x, a, b, c)
    if op == GELU_TANH:
        return gelu_tanh_gradient(g, x, a, b, c)
    if op == SOFTSIGN:
        return softsign_gradient(g, x, a, b, c)
    if op == TANHSHRINK:
        return tanhshrink_gradient(g, x, a, b, c)
    return math.nan
