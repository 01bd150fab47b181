"""Variables with heavy tails: Cauchy and Pareto ones, whose mean or variance may be infinite or not exist."""

from __future__ import annotations

import math
from typing import Any

from ..compat.missing import answer as _answer
from ..dtypes import Size
from ..ops.tensor.clamp import where
from ..ops.tensor.zeros_like import full_like
from ..tensor import Tensor
from . import constraints
from .continuous import Exponential, LocationScale
from .distribution import Distribution, checked
from .transformed import Half, Named
from .transforms import AffineTransform, ExpTransform, Transform
from .utils import broadcast_all, uniform_noise

__all__ = ["Cauchy", "GeneralizedPareto", "HalfCauchy", "Pareto"]


class Cauchy(LocationScale):
    """p(x) = 1 / (pi scale (1 + z^2)), z = (x - loc) / scale: where a line at a random angle meets an axis. No mean.

    >>> from minicnn.distributions import Cauchy
    >>> Cauchy(0.0, 1.0).cdf(minicnn.tensor([0.0, 1.0])), Cauchy(0.0, 1.0).mean
    (tensor([0.5000, 0.7500]), tensor(nan))
    """

    @property
    def mean(self) -> Tensor:
        return full_like(self.loc, fill_value=math.nan)

    @property
    def variance(self) -> Tensor:
        return full_like(self.loc, fill_value=math.inf)

    def _noise(self, shape: Size) -> Tensor:
        return (math.pi * (uniform_noise(shape, self.loc) - 0.5)).tan()

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - (z * z).log1p()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.loc) / self.scale).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (math.pi * (value - 0.5)).tan()

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class HalfCauchy(Half):
    """|x|, for a Cauchy variable x around 0.

    >>> from minicnn.distributions import HalfCauchy
    >>> HalfCauchy(1.0).cdf(minicnn.tensor([1.0]))
    tensor([0.5000])
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, False), validate_args)

    @property
    def mean(self) -> Tensor:
        return full_like(self.scale, fill_value=math.inf)

    @property
    def variance(self) -> Tensor:
        return full_like(self.scale, fill_value=math.inf)


class Pareto(Named):
    """p(x) = alpha scale^alpha / x^(alpha + 1), for x >= scale; log(x / scale) is exponential.

    >>> from minicnn.distributions import Pareto
    >>> Pareto(1.0, 3.0).mean, Pareto(1.0, 1.0).mean
    (tensor(1.5000), tensor(inf))
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}  # noqa: RUF012

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        super().__init__(validate_args)

    def _parts(self, validate_args: bool | None) -> tuple[Distribution, list[Transform]]:
        return Exponential(self.alpha, validate_args), [ExpTransform(), AffineTransform(0, self.scale)]

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From the scale."""
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return self.scale**2 * a / ((a - 1) ** 2 * (a - 2))

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + 1 + 1 / self.alpha


class GeneralizedPareto(Distribution):
    """What is above a threshold `loc`: P(X > x) = (1 + c z)^(-1/c), z = (x - loc) / scale, c the concentration.

    For c = 0 it is exp(-z), and for c < 0 there is a largest value, loc - scale / c.

    J. Pickands, "Statistical inference using extreme order statistics", 1975, https://doi.org/10.1214/aos/1176343003.

    >>> from minicnn.distributions import GeneralizedPareto
    >>> GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real,
    }  # fmt: skip
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From the threshold, up to the largest value."""
        c = self.concentration
        largest = where(c < 0, self.loc - self.scale / c, full_like(self.loc, fill_value=math.inf))
        return constraints.interval(self.loc, largest)

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        return (self.loc + self.scale / (1 - c)).masked_fill(c >= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        c = self.concentration
        return (self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))).masked_fill(c >= 0.5, math.nan)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        given = {name: self.__dict__[name].expand(batch_shape) for name in self.arg_constraints}
        return self._expanded(batch_shape, _instance, **given)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(uniform_noise(self._extended_shape(sample_shape), self.loc))

    def _exponent(self, value: Tensor) -> Tensor:
        """log(1 + c z) / c, or z for c = 0: the variable as an exponential one."""
        z = (value - self.loc) / self.scale
        c, flat = self._curve()
        return where(flat, z, (c * z).log1p() / c)

    def _curve(self) -> tuple[Tensor, Tensor]:
        """c with 1 instead of 0, and where it is 0."""
        flat = self.concentration == 0
        return self.concentration.masked_fill(flat, 1), flat

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return -(1 + self.concentration) * self._exponent(value) - self.scale.log()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return -(-self._exponent(value)).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        exponent = -(-value).log1p()
        c, flat = self._curve()
        return self.loc + self.scale * where(flat, exponent, (c * exponent).expm1() / c)

    def entropy(self) -> Tensor:
        return 1 + self.concentration + self.scale.log()


_answer(globals())
