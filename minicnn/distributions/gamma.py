"""Gamma variables, and Dirichlet and beta variables, which are shares of sums of gamma variables.

A sample z of the density z^(a - 1) e^-z / Gamma(a) moves with a as a quantile does: P(a, z) stays the same, so

    dz/da = -(dP/da) / p(z),    P(a, z) = e^-z sum_n z^(a + n) / Gamma(a + n + 1)

M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", 2018, https://arxiv.org/abs/1805.08498.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, beside, host, special

from ..autograd.engine import Function
from ..compat.missing import answer as _answer
from ..ops.tensor.clamp import where
from ..ops.tensor.concatenate import stack
from ..ops.tensor.ranges import arange
from ..ops.tensor.sampling import rng_of
from ..tensor import Tensor
from . import constraints
from .distribution import ExponentialFamily, checked
from .utils import broadcast_all

__all__ = ["Beta", "Dirichlet", "Gamma"]


def _slope(a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """dP/da, term by term: each term of the sum times log z - digamma(a + n + 1)."""
    log_z = np.log(z)
    total = np.zeros(np.broadcast_shapes(a.shape, z.shape))
    # terms grow up to n = z - a, and fall from there as a normal density with standard deviation sqrt(z) does
    largest = float(np.max(z - a, initial=0))
    for n in range(int(max(largest, 0) + 12 * np.sqrt(np.max(z, initial=0)) + 40)):
        term = np.exp((a + n) * log_z - z - special(z).gammaln(a + n + 1))
        total += term * (log_z - special(z).digamma(a + n + 1))
    return total


def _density(a: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.exp((a - 1) * np.log(z) - z - special(z).gammaln(a))


class _StandardGamma(Function):
    """Draws of a gamma variable with rate 1, on the CPU."""

    @staticmethod
    def forward(ctx: Any, a: Array, tiny: float) -> Array:
        """Draw; a value that is 0 in the type becomes the smallest number."""
        ctx.a = host(a).astype(np.float64)
        ctx.z = np.maximum(rng_of(None).standard_gamma(ctx.a), tiny)
        return beside(ctx.z.astype(a.dtype), a)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Multiply by dz/da."""
        with np.errstate(all="ignore"):
            moved = -_slope(ctx.a, ctx.z) / _density(ctx.a, ctx.z)
            small = ctx.z / ctx.a * (special(ctx.z).digamma(ctx.a + 1) - np.log(ctx.z))  # the first term alone
            moved = np.where(np.isfinite(moved), moved, small)
        return gy * beside(moved.astype(gy.dtype), gy), None


class _LowerGamma(Function):
    """P(a, x), the distribution function of a gamma variable with rate 1."""

    @staticmethod
    def forward(ctx: Any, a: Array, x: Array) -> Array:
        """Compute it with SciPy, on the CPU."""
        ctx.a, ctx.x = host(a).astype(np.float64), host(x).astype(np.float64)
        return beside(special(ctx.x).gammainc(ctx.a, ctx.x).astype(x.dtype), x)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, ...]:
        """The derivatives by both."""
        with np.errstate(all="ignore"):
            by_a, by_x = np.nan_to_num(_slope(ctx.a, ctx.x)), _density(ctx.a, ctx.x)
        return gy * beside(by_a.astype(gy.dtype), gy), gy * beside(by_x.astype(gy.dtype), gy)


def standard_gamma(concentration: Tensor) -> Tensor:
    """Draw a gamma variable with rate 1 for each element."""
    found: Tensor = _StandardGamma.apply(concentration, float(np.finfo(concentration.dtype).tiny))
    return found


class Gamma(ExponentialFamily):
    """p(x) = rate^a x^(a - 1) exp(-rate x) / Gamma(a), for x > 0, with a the concentration.

    >>> from minicnn.distributions import Gamma
    >>> Gamma(2.0, 4.0).mean, Gamma(2.0, 4.0).log_prob(minicnn.tensor(0.5))
    (tensor(0.5000), tensor(0.0794))
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate**2

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        a, rate = self.concentration.expand(batch_shape), self.rate.expand(batch_shape)
        return self._expanded(batch_shape, _instance, concentration=a, rate=rate)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return standard_gamma(self.concentration.expand(shape)) / self.rate

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        a, rate = self.concentration, self.rate
        return a.xlogy(rate) + (a - 1).xlogy(value) - rate * value - a.lgamma()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        a, z = broadcast_all(self.concentration, self.rate * value)
        found: Tensor = _LowerGamma.apply(a, z)
        return found

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()


class Dirichlet(ExponentialFamily):
    """Shares x of a whole: p(x) = Gamma(sum a) prod x_i^(a_i - 1) / Gamma(a_i), with a the concentration (..., K).

    A sample is gamma variables divided by their sum.

    >>> from minicnn.distributions import Dirichlet
    >>> Dirichlet(minicnn.tensor([1.0, 2.0, 1.0])).mean
    tensor([0.2500, 0.5000, 0.2500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        rest = (self.concentration - 1).clamp(min=0)
        mode = rest / rest.sum(-1, keepdim=True)
        spread = (self.concentration < 1).all(-1, keepdim=True)  # the density is infinite in every corner: the first
        corner = (arange(self.event_shape[0], device=mode.device) == 0).to(mode.dtype)
        return where(spread, corner, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        a = self.concentration.expand((*batch_shape, *self.event_shape))
        return self._expanded(batch_shape, _instance, concentration=a)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        z = standard_gamma(self.concentration.expand(self._extended_shape(sample_shape)))
        return z / z.sum(-1, keepdim=True)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        a = self.concentration
        return (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        a, k = self.concentration, self.concentration.shape[-1]
        total = a.sum(-1)
        return a.lgamma().sum(-1) - total.lgamma() - (k - total) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)


class Beta(ExponentialFamily):
    """p(x) = x^(a - 1) (1 - x)^(b - 1) Gamma(a + b) / (Gamma(a) Gamma(b)), for 0 <= x <= 1.

    Args:
        concentration1: a, of x.
        concentration0: b, of 1 - x.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Beta
    >>> Beta(2.0, 6.0).mean, Beta(2.0, 6.0).mode
    (tensor(0.2500), tensor(0.1667))
    """

    arg_constraints = {  # noqa: RUF012
        "concentration1": constraints.positive, "concentration0": constraints.positive,
    }  # fmt: skip
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self._dirichlet = Dirichlet(stack(broadcast_all(concentration1, concentration0), -1), validate_args)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    @property
    def concentration1(self) -> Tensor:
        """The concentration of x."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self) -> Tensor:
        """The concentration of 1 - x."""
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self) -> Tensor:
        return self._dirichlet.mean[..., 0]

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        return self._dirichlet.variance[..., 0]

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(batch_shape, _instance, _dirichlet=self._dirichlet.expand(batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return self._dirichlet.log_prob(stack([value, 1 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()


_answer(globals())
