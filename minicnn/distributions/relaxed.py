"""Classes made smooth, so that samples have gradients: softmax((logits + Gumbel noise) / temperature).

As the temperature falls to 0 a sample becomes a one-hot vector, with the probabilities of the classes.

C. J. Maddison, A. Mnih, Y. W. Teh, "The Concrete distribution", 2016, https://arxiv.org/abs/1611.00712.
E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax", 2016, https://arxiv.org/abs/1611.01144.
"""

from __future__ import annotations

import math
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.activation import softplus
from ..tensor import Tensor
from . import constraints
from .counts import OfChance
from .discrete import Categorical, OfCategorical
from .distribution import checked
from .transformed import TransformedDistribution
from .transforms import ExpTransform, SigmoidTransform
from .utils import broadcast_all, uniform_noise

__all__ = ["ExpRelaxedCategorical", "LogitRelaxedBernoulli", "RelaxedBernoulli", "RelaxedOneHotCategorical"]


def _log(temperature: Any) -> Any:
    return temperature.log() if isinstance(temperature, Tensor) else math.log(temperature)


class LogitRelaxedBernoulli(OfChance):
    """The logit of a `RelaxedBernoulli`: (l + log u - log(1 - u)) / temperature, for a uniform u.

    >>> from minicnn.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
    >>> LogitRelaxedBernoulli(1.0, 0.5).log_prob(minicnn.tensor([0.0]))
    tensor([-1.3863])
    """

    support = constraints.real
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new.temperature = self.temperature
        return new

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = uniform_noise(self._extended_shape(sample_shape), self.logits)
        return (self.logits + u.log() - (-u).log1p()) / self.temperature

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        z = logits - value * self.temperature
        return _log(self.temperature) + z - 2 * softplus(z)


class _Relaxed(TransformedDistribution):
    """A smooth variable made from one with a temperature, whose parameters are its own."""

    base_dist: Any

    @property
    def temperature(self) -> Any:
        """How smooth the values are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The parameter of the classes; see the class."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """A `Bernoulli` variable made smooth: sigmoid((l + log u - log(1 - u)) / temperature), for a uniform u.

    Args:
        temperature: how smooth.
        probs: p.
        logits: l = log(p / (1 - p)) instead.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import RelaxedBernoulli
    >>> RelaxedBernoulli(0.01, logits=minicnn.tensor([-9.0, 9.0])).rsample().round()
    tensor([0., 1.])
    """

    arg_constraints = OfChance.arg_constraints
    support = constraints.unit_interval
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)


class ExpRelaxedCategorical(OfCategorical):
    """The logarithms of a `RelaxedOneHotCategorical`.

    >>> from minicnn.distributions.relaxed_categorical import ExpRelaxedCategorical
    >>> ExpRelaxedCategorical(1.0, minicnn.tensor([0.5, 0.5])).rsample().logsumexp(-1).abs() < 1e-6
    tensor(True)
    """

    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Tensor | None = None, logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self.temperature = temperature
        super().__init__(Categorical(probs, logits), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        base = self._categorical.expand(batch_shape)
        return self._expanded(batch_shape, _instance, _categorical=base, temperature=self.temperature)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = uniform_noise(self._extended_shape(sample_shape), self.logits)
        return ((self.logits - (-u.log()).log()) / self.temperature).log_softmax(-1)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        classes = self.event_shape[0]
        scores = (logits - value * self.temperature).log_softmax(-1)
        return scores.sum(-1) + math.lgamma(classes) + (classes - 1) * _log(self.temperature)


class RelaxedOneHotCategorical(_Relaxed):
    """A `OneHotCategorical` made smooth: softmax((logits + Gumbel noise) / temperature).

    Args:
        temperature: how smooth.
        probs: as in `Categorical`.
        logits: as in `Categorical`.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import RelaxedOneHotCategorical
    >>> RelaxedOneHotCategorical(0.01, logits=minicnn.tensor([0.0, 90.0, 0.0])).rsample()
    tensor([0., 1., 0.])
    """

    arg_constraints = OfCategorical.arg_constraints
    support = constraints.simplex
    base_dist: ExpRelaxedCategorical

    def __init__(
        self, temperature: Any, probs: Tensor | None = None, logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(ExpRelaxedCategorical(temperature, probs, logits), ExpTransform(), validate_args)


_answer(globals())
