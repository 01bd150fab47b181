"""A variable after a transform, with its density; normal and gamma variables after simple ones.

With y = t(x) and dy/dx > 0 the probability of a small piece stays the same, p(y) dy = p(x) dx, so that

    log p(y) = log p(x) - log |det dy/dx|
"""

from __future__ import annotations

import math
from typing import Any

from ..autograd import no_grad
from ..compat.missing import answer as _answer
from ..ops.tensor.clamp import where
from ..ops.tensor.creation import tensor
from ..ops.tensor.zeros_like import full_like, zeros_like
from ..tensor import Tensor
from . import constraints
from .continuous import Normal
from .distribution import Distribution, checked
from .gamma import Gamma
from .independent import Independent
from .transforms import (
    AbsTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    StickBreakingTransform,
    Transform,
)
from .utils import sum_rightmost

__all__ = ["HalfNormal", "InverseGamma", "LogNormal", "LogisticNormal", "TransformedDistribution"]


class TransformedDistribution(Distribution):
    """y = transforms[-1](... transforms[0](x)), for x of a base distribution: a normalizing flow, if they are learned.

    Args:
        base_distribution: the distribution of x.
        transforms: a transform, or a list of them. Each needs an inverse and `log_abs_det_jacobian` for `log_prob`.
        validate_args: check values.

    >>> from minicnn.distributions import Normal, TransformedDistribution, transforms
    >>> log_normal = TransformedDistribution(Normal(0.0, 1.0), transforms.ExpTransform())
    >>> log_normal.log_prob(minicnn.tensor([1.0])), log_normal.cdf(minicnn.tensor([1.0]))
    (tensor([-0.9189]), tensor([0.5000]))
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None) -> None:
        if isinstance(transforms, list):
            if not all(isinstance(each, Transform) for each in transforms):
                raise ValueError("transforms must be a Transform or a list of Transforms")
        elif not isinstance(transforms, Transform):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        self.transforms = list(transforms) if isinstance(transforms, list) else [transforms]
        whole = ComposeTransform(self.transforms)
        axes, events = whole.domain.event_dim, len(base_distribution.event_shape)
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        if len(base_shape) < axes:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {axes}, but got {base_shape!r}."
            )
        shape = whole.forward_shape(base_shape)
        needed = whole.inverse_shape(shape)  # larger, if parameters of a transform have more axes
        if tuple(needed) != tuple(base_shape):
            base_distribution = base_distribution.expand(needed[: len(needed) - events])
        self.base_dist = Independent(base_distribution, axes - events) if axes > events else base_distribution
        cut = len(shape) - max(whole.codomain.event_dim, events + whole.codomain.event_dim - axes)
        super().__init__(shape[:cut], shape[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base distribution has it."""
        return self.base_dist.has_rsample

    @constraints.dependent_property
    def support(self) -> Any:
        """What the last transform gives."""
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self.event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = (*batch_shape, *self.event_shape)
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        base = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return self._expanded(batch_shape, _instance, base_dist=base, transforms=self.transforms)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape))

    def _forward(self, x: Tensor) -> Tensor:
        for t in self.transforms:
            x = t(x)
        return x

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        stretch: Any = 0
        axes, y = len(self.event_shape), value
        for t in reversed(self.transforms):
            x = t.inv(y)
            axes += t.domain.event_dim - t.codomain.event_dim
            stretch = stretch + sum_rightmost(t.log_abs_det_jacobian(x, y), axes - t.domain.event_dim)
            y = x
        return sum_rightmost(self.base_dist.log_prob(y), axes - len(self.base_dist.event_shape)) - stretch

    def _monotone(self, value: Tensor) -> Tensor:
        """P(Y <= y) is P(X <= x) if the transforms grow, else 1 - P(X <= x)."""
        sign: Any = math.prod(t.sign for t in self.transforms)
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        for t in reversed(self.transforms):
            value = t.inv(value)
        return self._monotone(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._monotone(value)))


class Named(TransformedDistribution):
    """A transformed distribution with a name: `_parts` makes the base and the transforms of the `arg_constraints`."""

    def __init__(self, validate_args: bool | None = None) -> None:
        super().__init__(*self._parts(validate_args), validate_args=validate_args)

    def _parts(self, validate_args: bool | None) -> tuple[Distribution, list[Transform]]:
        raise NotImplementedError

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        given = {name: self.__dict__[name].expand(batch_shape) for name in self.arg_constraints}
        new = self._expanded(batch_shape, _instance, **given)
        new.base_dist, new.transforms = new._parts(False)
        return new


class LogNormal(TransformedDistribution):
    """exp(x), for a normal x.

    Args:
        loc: the mean of the logarithm.
        scale: its standard deviation.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import LogNormal
    >>> LogNormal(0.0, 1.0).mean, LogNormal(0.0, 1.0).mode  # exp(1/2), exp(-1)
    (tensor(1.6487), tensor(0.3679))
    """

    arg_constraints = Normal.arg_constraints
    support = constraints.positive
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale**2).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale**2
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class LogisticNormal(TransformedDistribution):
    """K normal numbers as K + 1 shares of a whole, by breaking a stick.

    >>> from minicnn.distributions import LogisticNormal
    >>> LogisticNormal(minicnn.zeros(3), minicnn.ones(3)).sample().sum()
    tensor(1.)
    """

    arg_constraints = Normal.arg_constraints
    support = constraints.simplex
    base_dist: Independent

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        base = base if base.batch_shape else base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The means of the numbers."""
        return self.base_dist.base_dist.loc  # type: ignore[attr-defined]

    @property
    def scale(self) -> Tensor:
        """Their standard deviations."""
        return self.base_dist.base_dist.scale  # type: ignore[attr-defined]


class Half(TransformedDistribution):
    """|x|, for an x with a density that is the same on both sides of 0."""

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    base_dist: Any

    def __init__(self, base: Distribution, validate_args: bool | None) -> None:
        super().__init__(base, AbsTransform(), validate_args)

    @property
    def scale(self) -> Tensor:
        """The scale of x."""
        found: Tensor = self.base_dist.scale
        return found

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.scale)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        found = self.base_dist.log_prob(value) + math.log(2)
        return where(value >= 0, found, full_like(found, fill_value=-math.inf))

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """|x|, for a normal x with mean 0 and standard deviation `scale`.

    >>> from minicnn.distributions import HalfNormal
    >>> HalfNormal(1.0).mean  # sqrt(2 / pi)
    tensor(0.7979)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, False), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (1 - 2 / math.pi)


class InverseGamma(TransformedDistribution):
    """1 / x, for a gamma variable x: p(y) = rate^a y^(-a - 1) exp(-rate / y) / Gamma(a), with a the concentration.

    >>> from minicnn.distributions import InverseGamma
    >>> InverseGamma(3.0, 4.0).mean, InverseGamma(3.0, 4.0).mode
    (tensor(2.), tensor(1.))
    """

    arg_constraints = Gamma.arg_constraints
    support = constraints.positive
    base_dist: Gamma

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args)
        minus = tensor(-1.0, dtype=base.rate.dtype, device=base.rate.device)
        super().__init__(base, PowerTransform(minus), validate_args)

    @property
    def concentration(self) -> Tensor:
        """The concentration of 1 / y."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The rate of 1 / y."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        a, rate = self.concentration, self.rate
        return (rate / (a - 1)).masked_fill(a <= 1, math.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a, rate = self.concentration, self.rate
        return (rate**2 / ((a - 1) ** 2 * (a - 2))).masked_fill(a <= 2, math.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


_answer(globals())
