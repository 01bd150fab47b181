"""Sums of squares of normal variables and their ratios, of which statistical tests are made: chi2, Student's t, F."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compat.missing import answer as _answer
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, checked
from .gamma import Gamma
from .utils import broadcast_all, gaussian_noise

__all__ = ["Chi2", "FisherSnedecor", "StudentT"]


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal variables: a gamma variable with a = df / 2 and rate 1/2.

    >>> from minicnn.distributions import Chi2
    >>> Chi2(3.0).mean, Chi2(3.0).variance
    (tensor(3.), tensor(6.))
    """

    arg_constraints = {"df": constraints.positive}  # noqa: RUF012

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args)

    @property
    def df(self) -> Tensor:
        """The number of variables (degrees of freedom)."""
        return 2 * self.concentration


class StudentT(Distribution):
    """loc + scale n / sqrt(c / df), for a standard normal n and c from Chi2(df): heavier tails than a normal variable.

    p(x) = Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df) scale) (1 + z^2 / df)^(-(df + 1) / 2), with
    z = (x - loc) / scale.

    >>> from minicnn.distributions import StudentT
    >>> StudentT(3.0).variance, StudentT(2.0).variance
    (tensor(3.), tensor(inf))
    """

    arg_constraints = {  # noqa: RUF012
        "df": constraints.positive, "loc": constraints.real, "scale": constraints.positive,
    }  # fmt: skip
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df, validate_args)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc.masked_fill(self.df <= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = self.scale**2 * (self.df / (self.df - 2))
        return found.masked_fill(self.df <= 2, math.inf).masked_fill(self.df <= 1, math.nan)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        given = {name: self.__dict__[name].expand(batch_shape) for name in self.arg_constraints}
        return self._expanded(batch_shape, _instance, **given, _chi2=self._chi2.expand(batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        n = gaussian_noise(self._extended_shape(sample_shape), self.loc)
        return self.loc + self.scale * n * (self._chi2.rsample(sample_shape) / self.df).rsqrt()

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        df, z = self.df, (value - self.loc) / self.scale
        constant = (df / 2).lgamma() - ((df + 1) / 2).lgamma() + 0.5 * (math.pi * df).log() + self.scale.log()
        return -0.5 * (df + 1) * (z * z / df).log1p() - constant

    def entropy(self) -> Tensor:
        df, half, more = self.df, self.df / 2, (self.df + 1) / 2
        beta = half.lgamma() + math.lgamma(0.5) - more.lgamma()  # log B(df / 2, 1 / 2)
        return more * (more.digamma() - half.digamma()) + 0.5 * df.log() + beta + self.scale.log()


class FisherSnedecor(Distribution):
    """(a / df1) / (b / df2), for a from Chi2(df1) and b from Chi2(df2): the ratio of two estimates of a variance.

    p(x) = sqrt((df1 x)^df1 df2^df2 / (df1 x + df2)^(df1 + df2)) / (x B(df1 / 2, df2 / 2)), for x > 0.

    >>> from minicnn.distributions import FisherSnedecor
    >>> FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1, self._gamma2 = (Gamma(df / 2, df / 2, False) for df in (self.df1, self.df2))
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return (self.df2 / (self.df2 - 2)).masked_fill(self.df2 <= 2, math.nan)

    @property
    def mode(self) -> Tensor:
        return ((self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)).masked_fill(self.df1 <= 2, math.nan)

    @property
    def variance(self) -> Tensor:
        df1, df2 = self.df1, self.df2
        found = 2 * df2**2 * (df1 + df2 - 2) / (df1 * (df2 - 2) ** 2 * (df2 - 4))
        return found.masked_fill(df2 <= 4, math.nan)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        names = ("df1", "df2", "_gamma1", "_gamma2")
        given = {name: self.__dict__[name].expand(batch_shape) for name in names}
        return self._expanded(batch_shape, _instance, **given)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        tiny = float(np.finfo(self.df2.dtype).tiny)
        return (self._gamma1.rsample(sample_shape) / self._gamma2.rsample(sample_shape).clamp(min=tiny)).clamp(min=tiny)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
        return a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p() - beta


_answer(globals())
