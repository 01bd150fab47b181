"""Numbers of events: Bernoulli, binomial, geometric, negative binomial and Poisson variables."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

from ..autograd import no_grad
from ..compat.missing import answer as _answer
from ..dtypes import Size
from ..ops.activation import logsigmoid
from ..ops.loss.pointwise import binary_cross_entropy_with_logits
from ..ops.tensor.ranges import arange
from ..ops.tensor.sampling import bernoulli, poisson
from ..ops.tensor.zeros_like import zeros_like
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, checked
from .gamma import standard_gamma
from .utils import broadcast_all, drawn, logits_to_probs, one_of, probs_to_logits, uniform_noise

__all__ = ["Bernoulli", "Binomial", "Geometric", "NegativeBinomial", "Poisson"]


class OfChance(Distribution):
    """A distribution with a probability p, given as `probs` or as `logits` = log(p / (1 - p)), and other parameters."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}  # noqa: RUF012

    def __init__(self, probs: Any, logits: Any, validate_args: bool | None, **others: Any) -> None:
        one_of(probs, logits)
        given, *rest = broadcast_all(logits if probs is None else probs, *others.values())
        self.__dict__["logits" if probs is None else "probs"] = given
        self.__dict__.update({name: each.to(given.dtype) for name, each in zip(others, rest, strict=True)})
        super().__init__(given.shape, validate_args=validate_args)

    @cached_property
    def probs(self) -> Tensor:
        """The probability."""
        return logits_to_probs(self.logits, is_binary=True)

    @cached_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self.batch_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        names = self.__dict__.keys() & self.arg_constraints.keys()
        given = {name: self.__dict__[name].expand(batch_shape) for name in names}
        return self._expanded(batch_shape, _instance, **given)

    def _counted(self, end: int, expand: bool) -> Tensor:
        """The numbers below `end` as the list of all values."""
        parameter: Any = self.__dict__.get("probs", self.__dict__.get("logits"))
        values = arange(end, dtype=parameter.dtype, device=parameter.device)
        values = values.reshape((-1, *[1] * len(self.batch_shape)))
        return values.expand((-1, *self.batch_shape)) if expand else values


class Bernoulli(OfChance, ExponentialFamily):
    """1 with probability p, else 0.

    Args:
        probs: p.
        logits: log(p / (1 - p)) instead.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Bernoulli
    >>> Bernoulli(0.25).log_prob(minicnn.tensor([0.0, 1.0]))
    tensor([-0.2877, -1.3863])
    """

    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(probs, logits, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return (self.probs >= 0.5).to(self.probs.dtype).masked_fill(self.probs == 0.5, math.nan)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._counted(2, expand)


class Binomial(OfChance):
    """How many of n draws have a success of probability p: p(k) = n! / (k! (n - k)!) p^k (1 - p)^(n - k).

    Args:
        total_count: n.
        probs: p.
        logits: log(p / (1 - p)) instead.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Binomial
    >>> Binomial(4, 0.5).log_prob(minicnn.tensor([0.0, 2.0])).exp()
    tensor([0.0625, 0.3750])
    """

    arg_constraints = {"total_count": constraints.nonnegative_integer, **OfChance.arg_constraints}  # noqa: RUF012
    has_enumerate_support = True
    total_count: Tensor

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(probs, logits, validate_args, total_count=total_count)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """From 0 to n."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return drawn("binomial", self.total_count.long().expand(shape), self.probs.expand(shape))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * self.logits + n * logsigmoid(-self.logits)

    def entropy(self) -> Tensor:
        self._same_count("entropy")
        log_probs = self.log_prob(self.enumerate_support(expand=False))
        return -(log_probs.exp() * log_probs).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._counted(1 + self._same_count("enumerate_support"), expand)

    def _same_count(self, what: str) -> int:
        n = int(self.total_count.max().item())
        if not bool((self.total_count == n).all()):
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{what}`.")
        return n


class Geometric(OfChance):
    """The failures before the first success of probability p: p(k) = (1 - p)^k p.

    >>> from minicnn.distributions import Geometric
    >>> Geometric(0.5).log_prob(minicnn.tensor([0.0, 1.0, 2.0])).exp()
    tensor([0.5000, 0.2500, 0.1250])
    """

    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(probs, logits, validate_args)
        if self._validate_args and probs is not None and not bool((self.probs > 0).all()):
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape {tuple(self.probs.shape)}) of "
                f"distribution {self!r} to be positive but found invalid values:\n{self.probs[~(self.probs > 0)]}"
            )

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            u = uniform_noise(self._extended_shape(sample_shape), self.probs)
            return (u.log() / (-self.probs).log1p()).floor()

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        value, probs = broadcast_all(value, self.probs)
        certain = (probs == 1) & (value == 0)  # 0 log 0 is 0
        return value * (-probs.masked_fill(certain, 0)).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class NegativeBinomial(OfChance):
    """The successes of probability p before the n-th failure: p(k) = Gamma(n + k) / (k! Gamma(n)) p^k (1 - p)^n.

    Args:
        total_count: n, not only whole numbers.
        probs: p.
        logits: log(p / (1 - p)) instead.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import NegativeBinomial
    >>> NegativeBinomial(2.0, 0.5).log_prob(minicnn.tensor([0.0, 1.0])).exp()
    tensor([0.2500, 0.2500])
    """

    arg_constraints = {  # noqa: RUF012
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    total_count: Tensor

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(probs, logits, validate_args, total_count=total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():  # a Poisson variable whose rate is a gamma variable
            rate = standard_gamma(self.total_count.expand(self._extended_shape(sample_shape))) * self.logits.exp()
            return poisson(rate)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        n = self.total_count
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        ways = ways.masked_fill(n + value == 0, 0)
        return ways + n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)


class Poisson(ExponentialFamily):
    """Events at a constant rate: p(k) = rate^k exp(-rate) / k!.

    >>> from minicnn.distributions import Poisson
    >>> Poisson(2.0).log_prob(minicnn.tensor([0.0, 1.0])).exp()
    tensor([0.1353, 0.2707])
    """

    arg_constraints = {"rate": constraints.nonnegative}  # noqa: RUF012
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(batch_shape, _instance, rate=self.rate.expand(batch_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()


_answer(globals())
