"""Mixtures: a variable whose distribution is chosen at random."""

from __future__ import annotations

from typing import Any

from ..autograd import no_grad
from ..compat.missing import answer as _answer
from ..tensor import Tensor
from . import constraints
from .discrete import Categorical
from .distribution import Distribution, checked

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """First the component k is drawn, then x from it: p(x) = sum_k w_k p_k(x).

    Args:
        mixture_distribution: a `Categorical` with the weights w.
        component_distribution: the components, along the last axis of its batch.
        validate_args: check values.

    >>> from minicnn.distributions import Categorical, MixtureSameFamily, Normal
    >>> weights = Categorical(minicnn.tensor([0.25, 0.75]))
    >>> MixtureSameFamily(weights, Normal(minicnn.tensor([0.0, 4.0]), 1.0)).mean
    tensor(3.)
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(
        self, mixture_distribution: Categorical, component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of minicnn.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution needs to be an instance of minicnn.distributions.Distribution")
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        *batch, components = component_distribution.batch_shape
        for i, j in zip(reversed(mixture_distribution.batch_shape), reversed(batch), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_distribution.batch_shape!r}) is not compatible with "
                    f"`component_distribution.batch_shape`({component_distribution.batch_shape[:-1]!r})"
                )
        if mixture_distribution.param_shape[-1] != components:
            raise ValueError(
                f"`mixture_distribution component` ({mixture_distribution.param_shape[-1]}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({components})"
            )
        self._num_component = components
        super().__init__(batch, component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self) -> Categorical:
        """Which component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    @constraints.dependent_property
    def support(self) -> Any:
        """That of all components."""
        return constraints.MixtureSameFamilyConstraint(self.component_distribution.support)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            batch_shape,
            _instance,
            _mixture_distribution=self.mixture_distribution.expand(batch_shape),
            _component_distribution=self.component_distribution.expand((*batch_shape, self._num_component)),
            _num_component=self._num_component,
        )

    def _weights(self) -> Tensor:
        """w of the shape (..., K, 1 ...), with an axis of 1 for each of an event."""
        w = self.mixture_distribution.probs
        return w.reshape((*w.shape, *[1] * len(self.event_shape)))

    def _mixed(self, x: Tensor) -> Tensor:
        return (self._weights() * x).sum(-1 - len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self._mixed(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances, and the variance of the means."""
        parts = self.component_distribution
        between = (parts.mean - self.mean.unsqueeze(-1 - len(self.event_shape))) ** 2
        return self._mixed(parts.variance) + self._mixed(between)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            axis = len((*sample_shape, *self.batch_shape))
            x = self.component_distribution.sample(sample_shape)  # (sample, batch, K, event)
            k = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape)
            k = k.reshape((*k.shape, 1, *[1] * len(self.event_shape)))
            return x.gather(axis, k.expand((*x.shape[:axis], 1, *self.event_shape))).squeeze(axis)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        parts = self.component_distribution.log_prob(self._for_all(value))
        return (parts + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        return (self.component_distribution.cdf(self._for_all(value)) * self.mixture_distribution.probs).sum(-1)

    def _for_all(self, value: Tensor) -> Tensor:
        return value.unsqueeze(-1 - len(self.event_shape))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n  {self.mixture_distribution},\n  {self.component_distribution})"


_answer(globals())
