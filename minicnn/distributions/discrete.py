"""Classes: categorical variables, also as one-hot vectors, and how often each class comes (multinomial)."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..compat.missing import answer as _answer
from ..dtypes import Size
from ..ops.tensor.expand import broadcast_tensors
from ..ops.tensor.ranges import arange
from ..ops.tensor.sampling import multinomial
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, checked
from .utils import broadcast_all, logits_to_probs, one_of, probs_to_logits

__all__ = ["Categorical", "Multinomial", "OneHotCategorical", "OneHotCategoricalStraightThrough"]


class Categorical(Distribution):
    """The class k in 0 ... K - 1 with probability p_k.

    Args:
        probs: numbers (..., K) that are not negative; p is them, divided by their sum.
        logits: numbers (..., K) instead; p is their softmax.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Categorical
    >>> rewards = Categorical(logits=minicnn.tensor([0.0, 0.0, 100.0]))
    >>> rewards.sample((2,)), rewards.log_prob(minicnn.tensor(2))
    (tensor([2, 2]), tensor(0.))
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        one_of(probs, logits)
        if probs is not None:
            if probs.ndim < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        elif logits is not None:
            if logits.ndim < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events = self.param_shape[-1]
        super().__init__(self.param_shape[:-1], validate_args=validate_args)

    @cached_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits)

    @cached_property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return probs_to_logits(self.probs)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter, (..., K)."""
        return (self.probs if "probs" in self.__dict__ else self.logits).shape

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The classes."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return self.probs.detach()[..., 0] * math.nan

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        return self.mean

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = (*batch_shape, self._num_events)
        given = {name: self.__dict__[name].expand(shape) for name in ("probs", "logits") if name in self.__dict__}
        return self._expanded(batch_shape, _instance, **given, _num_events=self._num_events)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        count = Size(sample_shape).numel()
        rows = self.probs.detach().reshape((-1, self._num_events))
        found = multinomial(rows, count, True) if count and len(rows) else rows[:, :1].long().expand(-1, count)
        return found.T.reshape(self._extended_shape(sample_shape))  # (batch, count) -> (count, batch)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        value, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=float(np.finfo(self.logits.dtype).min))  # 0 log 0 is 0
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = arange(self._num_events, device=self.probs.device)
        values = values.reshape((-1, *[1] * len(self.batch_shape)))
        return values.expand((-1, *self.batch_shape)) if expand else values


class OfCategorical(Distribution):
    """A vector made from draws of a `Categorical`, kept as `_categorical`, with its parameters."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}  # noqa: RUF012

    def __init__(self, categorical: Categorical, validate_args: bool | None) -> None:
        self._categorical = categorical
        super().__init__(categorical.batch_shape, categorical.param_shape[-1:], validate_args)

    @property
    def probs(self) -> Tensor:
        """The probabilities (..., K)."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter, (..., K)."""
        return self._categorical.param_shape

    def _one_hot(self, index: Tensor) -> Tensor:
        classes = arange(self.event_shape[0], device=index.device)
        return (index.unsqueeze(-1) == classes).to(self.probs.dtype)


class OneHotCategorical(OfCategorical):
    """A `Categorical` whose values are vectors (K,) with a 1 at the class.

    >>> from minicnn.distributions import OneHotCategorical
    >>> OneHotCategorical(minicnn.tensor([0.0, 1.0, 0.0])).sample()
    tensor([0., 1., 0.])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(Categorical(probs, logits, validate_args), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._one_hot(self._categorical.mode)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(batch_shape, _instance, _categorical=self._categorical.expand(batch_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._one_hot(self._categorical.sample(sample_shape))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._one_hot(self._categorical.enumerate_support(expand))


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """A `OneHotCategorical` whose samples let gradients through, as if the sample were the probabilities.

    Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients through stochastic neurons for conditional
    computation", 2013, https://arxiv.org/abs/1308.3432.

    >>> from minicnn.distributions import OneHotCategoricalStraightThrough
    >>> p = minicnn.tensor([0.0, 1.0], requires_grad=True)
    >>> OneHotCategoricalStraightThrough(p).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(OfCategorical):
    """How often each of K classes comes in n independent draws: p(x) = n! prod p_k^x_k / x_k!.

    Args:
        total_count: n.
        probs: as in `Categorical`.
        logits: as in `Categorical`.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Multinomial
    >>> Multinomial(10, minicnn.tensor([1.0, 1.0])).log_prob(minicnn.tensor([5.0, 5.0])).exp()  # 252 / 1024
    tensor(0.2461)
    """

    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Tensor | None = None, logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(Categorical(probs, logits, validate_args), validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            batch_shape, _instance, _categorical=self._categorical.expand(batch_shape), total_count=self.total_count
        )

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        return self._one_hot(drawn).sum(0)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + (value * logits).sum(-1)

    def entropy(self) -> Tensor:
        n, p = self.total_count, self.probs.unsqueeze(-1)
        k = arange(n + 1, dtype=self.probs.dtype, device=self.probs.device)  # each count is binomial
        ways = math.lgamma(n + 1) - (k + 1).lgamma() - (n - k + 1).lgamma()
        chance = (ways + k.xlogy(p) + (n - k).xlogy(1 - p)).exp()  # (..., K, n + 1)
        factorials = (chance * (k + 1).lgamma()).sum((-1, -2))
        return n * self._categorical.entropy() - math.lgamma(n + 1) + factorials


_answer(globals())
