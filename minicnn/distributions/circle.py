"""Random directions: the von Mises distribution."""

from __future__ import annotations

import math
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.tensor.special import i0e, i1e
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, checked
from .utils import broadcast_all, drawn

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles: p(x) = exp(k cos(x - loc)) / (2 pi I_0(k)), with k the concentration and I_0 a Bessel function.

    `variance` is that of directions, 1 - I_1(k) / I_0(k): 0 if all are the same, 1 if all are equally likely.

    >>> from minicnn.distributions import VonMises
    >>> VonMises(0.0, 4.0).log_prob(minicnn.tensor([0.0, 3.14159]))
    tensor([-0.2628, -8.2628])
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}  # noqa: RUF012
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        loc, k = self.loc.expand(batch_shape), self.concentration.expand(batch_shape)
        return self._expanded(batch_shape, _instance, loc=loc, concentration=k)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return drawn("vonmises", self.loc.expand(shape), self.concentration.expand(shape))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - math.log(2 * math.pi) - i0e(k).log()  # I_0(k) = exp(k) i0e(k)


_answer(globals())
