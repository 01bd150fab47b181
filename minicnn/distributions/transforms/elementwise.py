"""Transforms of each number by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...compat.missing import answer as _answer
from ...ops.activation import softplus
from ...ops.tensor.expand import broadcast_shapes
from ...ops.tensor.zeros_like import full_like
from ...tensor import Tensor
from .. import constraints
from ..utils import broadcast_all, sum_rightmost
from .transform import Transform

if TYPE_CHECKING:
    from ..distribution import Distribution

__all__ = [
    "AbsTransform", "AffineTransform", "CumulativeDistributionTransform", "ExpTransform", "PowerTransform",
    "SigmoidTransform", "SoftplusTransform", "TanhTransform",
]  # fmt: skip


class _Growing(Transform):
    """A growing function of all real numbers, without parameters."""

    domain = constraints.real
    bijective = True
    _sign = 1
    _compared = ()


class ExpTransform(_Growing):
    """y = exp(x), so that log dy/dx = x.

    >>> from minicnn.distributions.transforms import ExpTransform
    >>> ExpTransform().inv(minicnn.tensor([1.0]))
    tensor([0.])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


def inside(y: Tensor) -> Tensor:
    """Keep what should be between 0 and 1 between the smallest number and the largest below 1."""
    info = np.finfo(y.dtype)
    return y.clamp(float(info.tiny), 1 - float(info.eps))


class SigmoidTransform(_Growing):
    """y = 1 / (1 + exp(-x)), so that dy/dx = y (1 - y).

    >>> from minicnn.distributions.transforms import SigmoidTransform
    >>> SigmoidTransform()(minicnn.tensor([0.0]))
    tensor([0.5000])
    """

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return inside(x.sigmoid())

    def _inverse(self, y: Tensor) -> Tensor:
        y = inside(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(_Growing):
    """y = log(1 + exp(x)), so that dy/dx = 1 / (1 + exp(-x)).

    >>> from minicnn.distributions.transforms import SoftplusTransform
    >>> SoftplusTransform()(minicnn.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-(-y).expm1()).log() + y  # log(exp(y) - 1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class TanhTransform(_Growing):
    """y = tanh(x), so that dy/dx = 1 - y^2 = 4 / (exp(x) + exp(-x))^2.

    >>> from minicnn.distributions.transforms import TanhTransform
    >>> TanhTransform().inv(minicnn.tensor([0.0]))
    tensor([0.])
    """

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2) - x - softplus(-2 * x))  # finite where 1 - y^2 is rounded to 0


class AbsTransform(Transform):
    """y = |x|; the inverse takes x >= 0.

    >>> from minicnn.distributions.transforms import AbsTransform
    >>> AbsTransform()(minicnn.tensor([-2.0]))
    tensor([2.])
    """

    domain = constraints.real
    codomain = constraints.positive
    _compared = ()

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class PowerTransform(Transform):
    """y = x^exponent, for x > 0.

    >>> from minicnn.distributions.transforms import PowerTransform
    >>> PowerTransform(2.0).inv(minicnn.tensor([9.0]))
    tensor([3.])
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True
    _compared = ("exponent",)

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        return x**self.exponent

    def _inverse(self, y: Tensor) -> Tensor:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Any:
        return broadcast_shapes(tuple(shape), tuple(self.exponent.shape))

    inverse_shape = forward_shape


class AffineTransform(Transform):
    """y = loc + scale x.

    Args:
        loc, scale: numbers or tensors.
        event_dim: the number of the last axes that are one value.
        cache_size: as in `Transform`.

    >>> from minicnn.distributions.transforms import AffineTransform
    >>> AffineTransform(1.0, -2.0)(minicnn.tensor([3.0])), AffineTransform(1.0, -2.0).sign
    (tensor([-5.]), -1)
    """

    bijective = True
    _compared = ("loc", "scale", "_event_dim")

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        """Numbers."""
        return constraints.independent(constraints.real, self._event_dim) if self._event_dim else constraints.real

    codomain = domain

    @property
    def sign(self) -> Any:
        scale = self.scale
        return scale.sign() if isinstance(scale, Tensor) else (scale > 0) - (scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not isinstance(self.scale, Tensor):
            stretch = full_like(x, fill_value=math.log(abs(self.scale)))
        else:
            stretch = self.scale.abs().log().expand(broadcast_shapes(tuple(x.shape), tuple(self.scale.shape)))
        return sum_rightmost(stretch, self._event_dim)

    def forward_shape(self, shape: Any) -> Any:
        return broadcast_shapes(tuple(shape), *[tuple(getattr(each, "shape", ())) for each in (self.loc, self.scale)])

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """y = P(X <= x), the `cdf` of a distribution; y has a uniform distribution if x has that one.

    >>> from minicnn.distributions import Normal
    >>> from minicnn.distributions.transforms import CumulativeDistributionTransform
    >>> CumulativeDistributionTransform(Normal(0.0, 1.0))(minicnn.tensor([0.0]))
    tensor([0.5000])
    """

    bijective = True
    codomain = constraints.unit_interval
    _sign = 1

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        """The support of the distribution."""
        return self.distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


_answer(globals())
