"""The largest and smallest of many numbers: Gumbel and Weibull variables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compat.missing import answer as _answer
from ..ops.tensor.zeros_like import full_like, ones_like
from ..tensor import Tensor
from . import constraints
from .continuous import Exponential, Uniform
from .distribution import Distribution, checked
from .transformed import Named
from .transforms import AffineTransform, ExpTransform, PowerTransform, Transform
from .utils import broadcast_all, euler_constant

__all__ = ["Gumbel", "Weibull"]


class Gumbel(Named):
    """The largest of many: P(X <= x) = exp(-exp(-z)), z = (x - loc) / scale.

    The class with the largest logit + Gumbel(0, 1) has a categorical distribution.

    >>> from minicnn.distributions import Gumbel
    >>> Gumbel(0.0, 1.0).mean, Gumbel(0.0, 1.0).cdf(minicnn.tensor([0.0]))
    (tensor(0.5772), tensor([0.3679]))
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(validate_args)

    def _parts(self, validate_args: bool | None) -> tuple[Distribution, list[Transform]]:
        info = np.finfo(self.loc.dtype)
        low, high = float(info.tiny), 1 - float(info.eps)
        base = Uniform(full_like(self.loc, fill_value=low), full_like(self.loc, fill_value=high), validate_args)
        log, turn = ExpTransform().inv, AffineTransform(0, -ones_like(self.scale))
        return base, [log, turn, log, AffineTransform(self.loc, -self.scale)]  # loc - scale log(-log u)

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * euler_constant

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev**2

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -z - (-z).exp() - self.scale.log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)


class Weibull(Named):
    """How long a part lasts: P(X > x) = exp(-(x / scale)^k), with k the concentration; it wears out if k > 1.

    >>> from minicnn.distributions import Weibull
    >>> Weibull(1.0, 1.0).mean, Weibull(1.0, 2.0).mode
    (tensor(1.), tensor(0.7071))
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}  # noqa: RUF012
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        super().__init__(validate_args)

    def _parts(self, validate_args: bool | None) -> tuple[Distribution, list[Transform]]:
        power = PowerTransform(1 / self.concentration)
        return Exponential(ones_like(self.scale), validate_args), [power, AffineTransform(0, self.scale)]

    def _log_moment(self, order: int) -> Tensor:
        """The logarithm of the mean of (x / scale)^order."""
        return (1 + order / self.concentration).lgamma()

    @property
    def mean(self) -> Tensor:
        return self.scale * self._log_moment(1).exp()

    @property
    def mode(self) -> Tensor:
        return self.scale * (1 - 1 / self.concentration).clamp(min=0) ** (1 / self.concentration)

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (self._log_moment(2).exp() - (2 * self._log_moment(1)).exp())

    def entropy(self) -> Tensor:
        return euler_constant * (1 - 1 / self.concentration) + (self.scale / self.concentration).log() + 1


_answer(globals())
