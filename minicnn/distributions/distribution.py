"""What all distributions share: shapes, samples, checks of parameters and values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from ..autograd import enable_grad, grad, no_grad
from ..compat.missing import answer as _answer
from ..dtypes import Size
from ..tensor import Tensor
from .constraints import Constraint, is_dependent

__all__ = ["Distribution", "ExponentialFamily"]


class Distribution:
    """A random variable, or a batch of independent ones.

    `batch_shape` is the shape of the parameters, one variable for each; `event_shape` is the shape of one value. A
    sample has the shape sample_shape + batch_shape + event_shape, and `log_prob` of it sample_shape + batch_shape.
    A subclass gives `arg_constraints`, `support`, `rsample` or `sample`, and `log_prob`.

    Args:
        batch_shape, event_shape: as above.
        validate_args: check parameters and the values of `log_prob`, `cdf` and `icdf`; None takes the default, on.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Constraint]]
    support: Any
    _validate_args = __debug__

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        if not hasattr(type(self), "arg_constraints"):
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        for name, constraint in self.arg_constraints.items():
            if is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name, None), cached_property):
                continue  # what is computed from a parameter is not checked
            value = getattr(self, name)
            if not bool(constraint.check(value).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Check parameters and values by default, or not."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected True or False, got {value!r}")
        Distribution._validate_args = value

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """Return the distribution with parameters broadcast to another batch shape."""
        raise NotImplementedError(f"{type(self).__name__} has no expand")

    def _expanded(self, batch_shape: Any, _instance: Any, **parameters: Any) -> Any:
        """Return a copy with other parameters, which are checked already."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        new.__dict__.update(parameters)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _missing(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {what}")

    @property
    def mean(self) -> Tensor:
        """The mean of a value."""
        raise self._missing("mean")

    @property
    def mode(self) -> Tensor:
        """The value of the highest density."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The mean square distance from the mean."""
        raise self._missing("variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw values, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape).detach()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw values with a gradient for the parameters: a function of them and of noise without parameters."""
        raise self._missing("rsample; score = log_prob(sample()) has the gradient of a REINFORCE loss")

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the density, or of the probability, of values."""
        raise self._missing("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of being at most `value`."""
        raise self._missing("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """Return the inverse of `cdf`."""
        raise self._missing("icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values of a discrete variable along a new first axis; with `expand` for the whole batch."""
        raise self._missing("enumerate_support")

    def entropy(self) -> Tensor:
        """Return the mean of -log p, in nats."""
        raise self._missing("entropy")

    def perplexity(self) -> Tensor:
        """Return exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        """The shape of a sample."""
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """Refuse a value of another shape, or outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        events = len(self._event_shape)
        if value.shape[value.ndim - events :] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape!r} vs {self._event_shape!r}."
            )
        for i, j in zip(reversed(value.shape), reversed(self._batch_shape + self._event_shape), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{value.shape!r} vs {Size(self._batch_shape + self._event_shape)!r}."
                )
        support = self.support
        if not bool(support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        values = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        inside = ", ".join(f"{n}: {v if v.numel() == 1 else repr(v.shape)}" for n, v in values.items())
        return f"{type(self).__name__}({inside})"


class ExponentialFamily(Distribution):
    """Densities exp(<t(x), theta> - A(theta) + k(x)), with natural parameters theta.

    A subclass that gives `_natural_params` (theta), `_log_normalizer` (A) and `_mean_carrier_measure` (the mean of k)
    has an entropy: A(theta) - <theta, dA/dtheta> - E[k(x)], because dA/dtheta is the mean of t(x).

    F. Nielsen, R. Nock, "Entropies and cross-entropies of exponential families", 2010,
    https://doi.org/10.1109/ICIP.2010.5652054.

    >>> from minicnn.distributions import ExponentialFamily, Normal, Poisson
    >>> isinstance(Normal(0.0, 1.0), ExponentialFamily), isinstance(Poisson(1.0), ExponentialFamily)
    (True, True)
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no _natural_params")

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _log_normalizer")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no _mean_carrier_measure")

    def entropy(self) -> Tensor:
        carrier = self._mean_carrier_measure
        normalizer, theta, slopes = self._normalizer_and_slopes()
        found = normalizer - carrier
        for p, slope in zip(theta, slopes, strict=True):
            inner = p * slope
            found = found - inner.reshape((*self._batch_shape, -1)).sum(-1)
        return found

    def _normalizer_and_slopes(self) -> tuple[Tensor, list[Tensor], Any]:
        """A(theta), theta, and dA/dtheta."""
        with enable_grad():
            theta = [p if p.requires_grad else p.detach().requires_grad_() for p in self._natural_params]
            normalizer = self._log_normalizer(*theta)
            return normalizer, theta, grad(normalizer.sum(), theta, create_graph=True)


def checked(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the values before a method."""

    def run(self: Distribution, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return method(self, value)

    run.__doc__, run.__name__ = method.__doc__, method.__name__
    return run


_answer(globals())
