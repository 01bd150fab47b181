"""Functions of one tensor, elementwise: roots, exponentials, angles, rounding, signs; a row with a derivative each.

All are also methods of Tensor. Integer tensors are converted to the default floating-point type, except by functions
that map integers to integers. In the formulas, `a` is the input and `y` the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import special
from minicnn_kernels.geometry import whole

from ...tensor import Array, Tensor, tensor_method
from .arguments import number
from .elementwise import flat, row, run, unary

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "frac",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logit",
    "nan_to_num",
    "neg",
    "negative",
    "positive",
    "rad2deg",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "trunc",
]  # fmt: skip


def _special(name: str) -> Callable[[Any], Array]:
    """Return a function of scipy.special, or of CuPy's module of that name; it is imported at the first call."""

    def function(a: Any) -> Array:
        return getattr(special(a), name)(a)

    return function


def signs(a: Array) -> Array:
    """-1, 0 or 1; 0 for NaN, where NumPy returns NaN."""
    return np.where(np.isnan(a), 0, np.sign(a))


# ------------------------------------------------------------------------------------------------- signs and rounding

neg = unary("neg", np.negative, lambda gy: -gy, kind="same", refuse="b", methods=("__neg__", "negative"), text="-a.")
abs = unary(
    "abs", np.abs, lambda gy, a: gy * signs(a), kind="same", refuse="b", methods=("__abs__", "absolute"),
    text="|a|; the gradient at 0 is 0.",
)  # fmt: skip
sign = unary(
    "sign", lambda a: a if a.dtype.kind == "b" else signs(a), kind="same", methods=("sgn",),
    text="-1, 0 or 1: the sign of a.",
)  # fmt: skip
floor = unary("floor", np.floor, kind="same", refuse="b", text="The largest integer <= a.")
ceil = unary("ceil", np.ceil, kind="same", refuse="b", text="The smallest integer >= a.")
trunc = unary("trunc", np.trunc, kind="same", refuse="b", methods=("fix",), text="a without its fraction.")
frac = unary(
    "frac", lambda a: a - np.trunc(a), lambda gy: gy, kind="same", refuse="biu", text="a - trunc(a): the fraction of a."
)
negative, absolute, sgn, fix = neg, abs, sign, trunc

_round = row("round", np.rint, flat, refuse="b")
_round_to = row("round", lambda a, decimals: _rounded(a, decimals), flat, refuse="biu")


def _rounded(a: Array, decimals: int) -> Array:
    """The multiple of 10^-decimals nearest to a."""
    scale = 10.0 ** np.abs(decimals)
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


@tensor_method("round")
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, or multiple of 10^-decimals; halfway between two, the even one.

    >>> minicnn.round(minicnn.tensor([0.5, 1.5, -1.2]))
    tensor([ 0.,  2., -1.])
    >>> minicnn.round(minicnn.tensor([3.1416]), decimals=2)
    tensor([3.1400])
    """
    decimals = decimals if type(decimals) is int else whole(decimals, "round", "decimals")
    return run(_round_to, input, decimals=decimals) if decimals else run(_round, input)


@tensor_method("positive", "__pos__")
def positive(input: Tensor) -> Tensor:
    """Return the tensor itself.

    >>> minicnn.positive(minicnn.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype.kind == "b":
        raise RuntimeError("positive: not defined for bool tensors; convert them, e.g. with .int()")
    return input


# ------------------------------------------------------------------------------------------ powers, exponentials, roots

_square = row("square", np.square, lambda gy, a: gy * (2 * a))
sqrt = unary("sqrt", np.sqrt, lambda gy, y: gy / (2 * y), text="The square root; NaN below 0.")
rsqrt = unary("rsqrt", lambda a: 1 / np.sqrt(a), lambda gy, y: gy * (-0.5 * (y * y * y)), text="1 / sqrt(a).")
reciprocal = unary("reciprocal", lambda a: 1 / a, lambda gy, y: -gy * (y * y), text="1 / a.")
exp = unary("exp", np.exp, lambda gy, y: gy * y, text="e^a.")
exp2 = unary("exp2", np.exp2, lambda gy, y: gy * (y * math.log(2)), text="2^a.")
expm1 = unary("expm1", np.expm1, lambda gy, y: gy * (y + 1), text="e^a - 1, accurate near 0.")
log = unary("log", np.log, lambda gy, a: gy / a, text="The natural logarithm; -Inf at 0 and NaN below.")
log2 = unary("log2", np.log2, lambda gy, a: gy / (a * math.log(2)), text="The logarithm to the base 2.")
log10 = unary("log10", np.log10, lambda gy, a: gy / (a * math.log(10)), text="The logarithm to the base 10.")
log1p = unary("log1p", np.log1p, lambda gy, a: gy / (a + 1), text="log(1 + a), accurate near 0.")


@tensor_method("square")
def square(input: Tensor) -> Tensor:
    """a^2; the result of bool is int64.

    >>> minicnn.square(minicnn.tensor([1., -3.]))
    tensor([1., 9.])
    """
    return run(_square, input.to(np.int64) if input.array.dtype.kind == "b" else input)


# --------------------------------------------------------------------------------------------------------------- angles

sin = unary("sin", np.sin, lambda gy, a: gy * np.cos(a), text="The sine of a, in radians.")
cos = unary("cos", np.cos, lambda gy, a: gy * -np.sin(a), text="The cosine of a, in radians.")
tan = unary("tan", np.tan, lambda gy, y: gy * (1 + y * y), text="The tangent of a, in radians.")
asin = unary(
    "asin", np.arcsin, lambda gy, a: gy / np.sqrt(1 - a * a), methods=("arcsin",), text="The angle whose sine is a."
)
acos = unary(
    "acos", np.arccos, lambda gy, a: -gy / np.sqrt(1 - a * a), methods=("arccos",), text="The angle whose cosine is a."
)
atan = unary(
    "atan", np.arctan, lambda gy, a: gy / (a * a + 1), methods=("arctan",), text="The angle whose tangent is a."
)
sinh = unary("sinh", np.sinh, lambda gy, a: gy * np.cosh(a), text="(e^a - e^-a) / 2.")
cosh = unary("cosh", np.cosh, lambda gy, a: gy * np.sinh(a), text="(e^a + e^-a) / 2.")
asinh = unary(
    "asinh", np.arcsinh, lambda gy, a: gy / np.sqrt(a * a + 1), methods=("arcsinh",), text="The inverse of sinh."
)
acosh = unary(
    "acosh", np.arccosh, lambda gy, a: gy / np.sqrt(a * a - 1), methods=("arccosh",),
    text="The inverse of cosh.",
)  # fmt: skip
atanh = unary("atanh", np.arctanh, lambda gy, a: gy / (1 - a * a), methods=("arctanh",), text="The inverse of tanh.")
deg2rad = unary("deg2rad", lambda a: a * (math.pi / 180), lambda gy: gy * (math.pi / 180), text="Degrees to radians.")
rad2deg = unary("rad2deg", lambda a: a * (180 / math.pi), lambda gy: gy * (180 / math.pi), text="Radians to degrees.")
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def _sinc_gradient(gy: Array, a: Array) -> Array:
    """(cos(pi a) - sinc(a)) / a, and 0 at 0."""
    return gy * np.where(a == 0, 0, (np.cos(math.pi * a) - np.sinc(a)) / np.where(a == 0, 1, a))


sinc = unary("sinc", np.sinc, _sinc_gradient, text="sin(pi a) / (pi a), and 1 at 0.")

# ---------------------------------------------------------------------------------------------------- special functions

erf = unary(
    "erf", _special("erf"), lambda gy, a: gy * (2 / math.sqrt(math.pi) * np.exp(-(a * a))),
    text="The error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to a.",
)  # fmt: skip
erfc = unary(
    "erfc", _special("erfc"), lambda gy, a: gy * (-2 / math.sqrt(math.pi) * np.exp(-(a * a))),
    text="1 - erf(a), accurate where erf is near 1.",
)  # fmt: skip
erfinv = unary(
    "erfinv",
    _special("erfinv"),
    lambda gy, y: gy * (math.sqrt(math.pi) / 2 * np.exp(y * y)),
    text="The inverse of erf.",
)


def _trigamma(a: Array) -> Array:
    """The derivative of digamma, below 1/2 by reflection: psi'(a) + psi'(1 - a) = (pi / sin(pi a))^2."""
    upper = special(a).zeta(np.float64(2), np.where(a < 0.5, 1 - a, a))  # psi'(a) = sum_k 1/(a + k)^2
    return np.where(a < 0.5, (math.pi / np.sin(math.pi * a)) ** 2 - upper, upper)


lgamma = unary(
    "lgamma", lambda a: np.where(np.isinf(a), np.inf, _special("gammaln")(a)),
    lambda gy, a: gy * _special("digamma")(a), text="log |Gamma(a)|.",
)  # fmt: skip
digamma = unary("digamma", _special("digamma"), lambda gy, a: gy * _trigamma(a), text="The derivative of lgamma.")
_logit = row(
    "logit",
    lambda a: np.log(a / (1 - a)),
    lambda gy, a: np.where((a < 0) | (a > 1), np.nan, gy / (a * (1 - a))),
    kind="float",
)
_logit_eps = row(
    "logit", lambda a, eps: (lambda z: np.log(z / (1 - z)))(np.minimum(np.maximum(a, eps), 1 - eps)),
    lambda gy, a, eps: np.where((a < eps) | (a > 1 - eps), 0, gy / (a * (1 - a))), kind="float",
)  # fmt: skip


@tensor_method("logit")
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(a / (1 - a)), the inverse of the sigmoid; NaN outside [0, 1]; `eps` limits a to [eps, 1 - eps] first.

    >>> minicnn.logit(minicnn.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return run(_logit, input) if eps is None or eps < 0 else run(_logit_eps, input, eps=eps)


def _finite(a: Array, nan: float | None, posinf: float | None, neginf: float | None) -> Array:
    if a.dtype.kind != "f":
        return a.copy()
    limits = np.finfo(a.dtype)
    upper, lower = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    return np.nan_to_num(a, nan=0.0 if nan is None else nan, posinf=upper, neginf=lower)


_nan_to_num = row("nan_to_num", _finite, lambda gy, a: gy * np.isfinite(a))


@tensor_method("nan_to_num")
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Replace NaN, Inf and -Inf; None means 0, the largest and the smallest finite number.

    >>> minicnn.nan_to_num(minicnn.tensor([minicnn.nan, minicnn.inf, 1.]), posinf=100.)
    tensor([  0., 100.,   1.])
    """
    given = {"nan": nan, "posinf": posinf, "neginf": neginf}
    return run(_nan_to_num, input, **{name: number("nan_to_num", name, value) for name, value in given.items()})
