"""Variables between 0 and 1 with a distribution function that can be inverted: continuous Bernoulli and Kumaraswamy."""

from __future__ import annotations

import math
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.activation import softplus
from ..ops.tensor.clamp import where
from ..ops.tensor.sampling import rand
from ..ops.tensor.zeros_like import ones_like, zeros_like
from ..tensor import Tensor
from . import constraints
from .continuous import Uniform
from .counts import OfChance
from .distribution import Distribution, ExponentialFamily, checked
from .transformed import Named
from .transforms import AffineTransform, PowerTransform, Transform
from .utils import broadcast_all, clamp_probs, euler_constant

__all__ = ["ContinuousBernoulli", "Kumaraswamy"]


class ContinuousBernoulli(OfChance, ExponentialFamily):
    """Grey values: p(x) is proportional to p^x (1 - p)^(1 - x), for 0 <= x <= 1.

    With the logit l = log(p / (1 - p)) it is p(x) = exp(l x - A), A = log((exp(l) - 1) / l), so that the mean is dA/dl
    and the variance d2A/dl2. Near p = 1/2 the quotients lose digits, and the first terms of their series are taken.

    G. Loaiza-Ganem, J. P. Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational autoencoders",
    2019, https://arxiv.org/abs/1907.06845.

    Args:
        probs: p.
        logits: l instead.
        lims: between which p the series are taken.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import ContinuousBernoulli
    >>> ContinuousBernoulli(0.5).log_prob(minicnn.tensor([0.1, 0.9]))  # uniform
    tensor([0., 0.])
    """

    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if probs is not None:
            (probs,) = broadcast_all(probs)
            if validate_args and not bool(self.arg_constraints["probs"].check(probs).all()):
                raise ValueError("The parameter probs has invalid values")
            probs = clamp_probs(probs)
        super().__init__(probs, logits, validate_args)
        self._lims = lims

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._lims = self._lims
        return new

    def _far(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where p is not near 1/2, and p and l with other values, far from there, for the rest."""
        far = (self.probs < self._lims[0]) | (self.probs > self._lims[1])
        p = where(far, self.probs, self.probs.detach() * 0 + 0.75)
        return far, p, where(far, self.logits, self.logits.detach() * 0 + math.log(3))

    def _log_normalizer_of_logits(self) -> Tensor:
        """A: log((exp(l) - 1) / l) = softplus(l) + log(tanh(l / 2) / l)."""
        far, _, logit = self._far()
        square = self.logits**2
        near = -math.log(2) - square / 12 + 7 * square**2 / 1440
        return softplus(self.logits) + where(far, (((logit / 2).tanh() / logit).log()), near)

    @property
    def mean(self) -> Tensor:
        far, p, logit = self._far()
        near = 0.5 + self.logits / 12 - self.logits**3 / 720
        return where(far, p / (2 * p - 1) - 1 / logit, near)

    @property
    def variance(self) -> Tensor:
        far, p, logit = self._far()
        near = 1 / 12 - self.logits**2 / 240 + self.logits**4 / 6048
        return where(far, 1 / logit**2 - p * (1 - p) / (2 * p - 1) ** 2, near)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return self.logits * value - self._log_normalizer_of_logits()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        far, p, _ = self._far()
        x = value.clamp(0, 1)
        return where(far, (p**x * (1 - p) ** (1 - x) + p - 1) / (2 * p - 1), x)

    def icdf(self, value: Tensor) -> Tensor:
        far, p, logit = self._far()
        return where(far, ((value * (2 * p - 1) - p).log1p() - (-p).log1p()) / logit, value)

    def entropy(self) -> Tensor:
        return self._log_normalizer_of_logits() - self.logits * self.mean


class Kumaraswamy(Named):
    """P(X <= x) = 1 - (1 - x^a)^b, for 0 <= x <= 1: like a beta variable, with a distribution function to invert.

    Args:
        concentration1: a.
        concentration0: b.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Kumaraswamy
    >>> Kumaraswamy(1.0, 1.0).mean, Kumaraswamy(2.0, 2.0).mode  # 1/2, 3^(-1/2)
    (tensor(0.5000), tensor(0.5774))
    """

    arg_constraints = {  # noqa: RUF012
        "concentration1": constraints.positive, "concentration0": constraints.positive,
    }  # fmt: skip
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(validate_args)

    def _parts(self, validate_args: bool | None) -> tuple[Distribution, list[Transform]]:
        a, b = self.concentration1, self.concentration0
        base = Uniform(zeros_like(a), ones_like(a), validate_args)  # x = (1 - u^(1/b))^(1/a)
        return base, [PowerTransform(1 / b), AffineTransform(1, -1), PowerTransform(1 / a)]

    def _moment(self, order: int) -> Tensor:
        """E[x^n] = b B(1 + n / a, b)."""
        b, more = self.concentration0, 1 + order / self.concentration1
        return (b.log() + more.lgamma() + b.lgamma() - (more + b).lgamma()).exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return (((a - 1) / (a * b - 1)) ** (1 / a)).masked_fill((a < 1) | (b < 1), math.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1) ** 2

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_constant
        return 1 - 1 / b + (1 - 1 / a) * harmonic - a.log() - b.log()


_answer(globals())
