"""Special functions: Bessel functions, polygamma, the normal distribution's, entropy; those of `torch.special`.

SciPy computes them, or CuPy on a GPU; their derivatives are written here, so that they have gradients of every order.
In the formulas, `a` is the input and `y` the result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels import arrays
from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import whole

from ...tensor import Tensor, tensor_method
from . import unary
from .arguments import check_tensor
from .arithmetic import xlogy
from .clamp import where
from .elementwise import row, run

__all__ = ["i0", "mvlgamma", "polygamma"]

_ROOT = math.sqrt(2 * math.pi)


def _of(name: str, a: Any) -> Any:
    """A function of scipy.special, or of CuPy's module of that name."""
    return getattr(arrays.special(a), name)(a)


def _safe(a: Array) -> Array:
    return np.where(a == 0, 1, a)


_i0 = row("i0", lambda a: _of("i0", a), lambda gy, a: gy * _of("i1", a), kind="float")
_i1 = row(
    "i1", lambda a: _of("i1", a), lambda gy, a: gy * np.where(a == 0, 0.5, _of("i0", a) - _of("i1", a) / _safe(a)),
    kind="float",
)  # fmt: skip
_i0e = row(
    "i0e", lambda a: _of("i0e", a), lambda gy, a: gy * (_of("i1e", a) - np.sign(a) * _of("i0e", a)), kind="float"
)
_i1e = row(
    "i1e", lambda a: _of("i1e", a),
    lambda gy, a: gy * np.where(a == 0, 0.5, _of("i0e", a) - _of("i1e", a) * (np.sign(a) + 1 / _safe(a))), kind="float",
)  # fmt: skip
_erfcx = row(
    "erfcx", lambda a: _of("erfcx", a), lambda gy, a, y: gy * (2 * a * y - 2 / math.sqrt(math.pi)), kind="float"
)
_ndtri = row("ndtri", lambda a: _of("ndtri", a), lambda gy, y: gy * (_ROOT * np.exp(y * y / 2)), kind="float")
_log_ndtr = row(
    "log_ndtr", lambda a: _of("log_ndtr", a), lambda gy, a, y: gy * (np.exp(-(a * a) / 2 - y) / _ROOT), kind="float"
)
_xlog1py = row(
    "xlog1py", lambda a, b: np.where((a == 0) & ~np.isnan(b), 0, a * np.log1p(b)),
    lambda gy, a, b: gy * np.where((a == 0) & (b <= -1), 0, np.log1p(b)), lambda gy, a, b: gy * (a / (1 + b)),
    kind="float",
)  # fmt: skip


def _sum(order: float, a: Any) -> Any:
    """sum_k 1/(a + k)^order over k >= 0; its derivative by a is -order times the next one."""
    like = order if arrays.on_gpu(order) and type(a) not in arrays.LIKE_ARRAYS else a
    return arrays.special(like).zeta(order, a)


def _no_zeta(gy: Any) -> Any:
    raise NotImplementedError("zeta: the derivative by the first argument, the exponent, is not implemented")


_zeta = row(
    "zeta",
    lambda a, b: _sum(a, b),
    _no_zeta,
    lambda gy, a, b: gy * (-a * _sum(a + 1, b)),
    kind="float",
)


@tensor_method("i0")
def i0(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind, of order 0: the mean of e^(a cos t) over a circle.

    >>> minicnn.i0(minicnn.tensor([0., 1.]))
    tensor([1.0000, 1.2661])
    """
    check_tensor("i0", input=input)
    return run(_i0, input)


def i0e(input: Tensor) -> Tensor:
    """e^-|a| i0(a), which does not overflow.

    >>> minicnn.special.i0e(minicnn.tensor([0., 100.]))
    tensor([1.0000, 0.0399])
    """
    check_tensor("i0e", input=input)
    return run(_i0e, input)


def i1(input: Tensor) -> Tensor:
    """The modified Bessel function of order 1, the derivative of `i0`.

    >>> minicnn.special.i1(minicnn.tensor([0., 1.]))
    tensor([0.0000, 0.5652])
    """
    check_tensor("i1", input=input)
    return run(_i1, input)


def i1e(input: Tensor) -> Tensor:
    """e^-|a| i1(a).

    >>> minicnn.special.i1e(minicnn.tensor([0., 1.]))
    tensor([0.0000, 0.2079])
    """
    check_tensor("i1e", input=input)
    return run(_i1e, input)


def erfcx(input: Tensor) -> Tensor:
    """e^(a^2) erfc(a), which does not underflow for large a.

    >>> minicnn.special.erfcx(minicnn.tensor([0., 10.]))
    tensor([1.0000, 0.0561])
    """
    check_tensor("erfcx", input=input)
    return run(_erfcx, input)


def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the standard normal distribution: P(N < a).

    >>> minicnn.special.ndtr(minicnn.tensor([-1., 0., 1.]))
    tensor([0.1587, 0.5000, 0.8413])
    """
    check_tensor("ndtr", input=input)
    return unary.erfc(input * -math.sqrt(0.5)) * 0.5


def ndtri(input: Tensor) -> Tensor:
    """The inverse of `ndtr`: the quantile of the standard normal distribution.

    >>> minicnn.special.ndtri(minicnn.tensor([0.5, 0.975]))
    tensor([0.0000, 1.9600])
    """
    check_tensor("ndtri", input=input)
    return run(_ndtri, input)


def log_ndtr(input: Tensor) -> Tensor:
    """log(ndtr(a)), also where ndtr(a) is 0 in floating point.

    >>> minicnn.special.log_ndtr(minicnn.tensor([-20., 0.]))
    tensor([-203.9172,   -0.6931])
    """
    check_tensor("log_ndtr", input=input)
    return run(_log_ndtr, input)


def entr(input: Tensor) -> Tensor:
    """-a log(a), the share of a probability in the entropy: 0 at 0, and -Inf below.

    >>> minicnn.special.entr(minicnn.tensor([-1., 0., 0.5]))
    tensor([  -inf, 0.0000, 0.3466])
    """
    check_tensor("entr", input=input)
    return where(input < 0, -math.inf, 0.0 - xlogy(input, input))


def xlog1py(input: Any, other: Any) -> Tensor:
    """a log(1 + b), and 0 where a is 0.

    >>> minicnn.special.xlog1py(minicnn.tensor([0., 2.]), minicnn.tensor([-1., 1.]))
    tensor([0.0000, 1.3863])
    """
    return run(_xlog1py, input, other)


def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz's zeta function: sum_k 1/(a + k)^s over k >= 0.

    Args:
        input: s, numbers above 1, without a derivative by them.
        other: a; one of the two may be a number, the other is a tensor.

    >>> minicnn.special.zeta(2, minicnn.tensor([1.]))  # pi^2 / 6
    tensor([1.6449])
    """
    return run(_zeta, input, other)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma: (-1)^(n + 1) n! zeta(n + 1, a).

    Args:
        n: from 0; 0 is digamma itself.
        input: a; for n above 1 it must be above 0, else the result is NaN.

    Raises:
        RuntimeError: n is negative.

    >>> minicnn.polygamma(1, minicnn.tensor([1., 0.5]))
    tensor([1.6449, 4.9348])
    """
    check_tensor("polygamma", input=input)
    n = whole(n, "polygamma", "n", 0)
    if n == 0:
        return unary.digamma(input)
    if input.dtype.kind != "f":
        input = input.float()
    if n == 1:  # below 1/2 by reflection
        lower = input < 0.5
        upper = zeta(2, where(lower, 1 - input, input))
        return where(lower, (math.pi / unary.sin(where(lower, input, 0.25) * math.pi)) ** 2 - upper, upper)
    return zeta(n + 1, input) * ((-1) ** (n + 1) * math.factorial(n))


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of p dimensions: p(p - 1)/4 log(pi) + sum over j < p of lgamma(a - j/2).

    Args:
        input: a, above (p - 1)/2.
        p: from 1.

    >>> minicnn.mvlgamma(minicnn.tensor([2.]), 2)
    tensor([0.4516])
    """
    check_tensor("mvlgamma", input=input)
    p = whole(p, "mvlgamma", "p", 1)
    total = unary.lgamma(input)
    for j in range(1, p):
        total = total + unary.lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


@tensor_method("polygamma")
def _polygamma(self: Tensor, n: int) -> Tensor:
    """Return the n-th derivative of digamma: `minicnn.polygamma`."""
    return polygamma(n, self)


tensor_method("mvlgamma")(mvlgamma)
