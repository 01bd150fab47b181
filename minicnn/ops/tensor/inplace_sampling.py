"""Overwriting tensors with random numbers: `x.normal_()` and others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, beside, on_device_of

from ...autograd.modes import is_grad_enabled
from ...random import Generator
from ...tensor import Tensor, tensor_method
from .arguments import number
from .sampling import Draw, check_floats, gaussian, integers, largest, low_high, probabilities, rng_of, uniform


def _overwrite(x: Tensor, op: str, draw: Draw, generator: Generator | None) -> Tensor:
    """Overwrite the elements; the old values and their graph are dropped.

    Raises:
        RuntimeError: the tensor requires a gradient, while operations are recorded.
    """
    if x.requires_grad and is_grad_enabled():
        raise RuntimeError(
            f"{op}: a tensor that requires a gradient would be overwritten while recording; use no_grad() around it"
        )
    if not x.is_meta:
        with on_device_of(x._array):
            x._array[...] = beside(draw(rng_of(generator), x._array.shape, x._array.dtype), x._array)
    x._counter[0] += 1
    return x


@tensor_method("uniform_")
def uniform_(
    self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None, **named: Any
) -> Tensor:
    """Overwrite the elements with uniform random numbers from [from, to).

    Raises:
        RuntimeError: from > to, or the tensor requires a gradient while operations are recorded.

    >>> w = minicnn.empty(100).uniform_(-0.1, 0.1)
    >>> bool((w.abs() <= 0.1).all())
    True
    """
    low = named.pop("from", from_)  # `from` cannot be a parameter's name in Python, but PyTorch has it
    if named:
        raise TypeError(f"uniform_: unexpected {', '.join(named)}; the arguments are from, to and generator")
    low, to = number("uniform_", "from", low), number("uniform_", "to", to)
    check_floats("uniform_", self.array.dtype)
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    return _overwrite(self, "uniform_", lambda rng, s, d: uniform(rng, s, d, low, to), generator)


@tensor_method("normal_")
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Overwrite the elements with normally distributed random numbers.

    Raises:
        RuntimeError: `std` is negative, or the tensor requires a gradient while operations are recorded.

    >>> minicnn.empty(16, 3, 5, 5).normal_(0, 0.01).shape
    minicnn.Size([16, 3, 5, 5])
    """
    mean, std = number("normal_", "mean", mean), number("normal_", "std", std)
    check_floats("normal_", self.array.dtype)
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    return _overwrite(self, "normal_", lambda rng, s, d: gaussian(rng, s, d, mean, std), generator)


@tensor_method("random_")
def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Overwrite with integers: `random_()` up to the type's largest; `random_(to)` below `to`; `random_(from, to)`.

    Raises:
        RuntimeError: from >= to, or the tensor requires a gradient while operations are recorded.

    >>> minicnn.zeros(4).random_(1)
    tensor([0., 0., 0., 0.])
    """
    named = {{"from": "low", "to": "high"}.get(name, name): value for name, value in named.items()}
    low, high = (0, largest(self.array.dtype) + 1) if not bounds and not named else low_high("random_", bounds, named)
    high = min(high, 2**63 - 1) if self.dtype == np.int64 and not bounds else high
    return _overwrite(self, "random_", lambda rng, s, d: integers(rng, s, d, low, high), generator)


@tensor_method("bernoulli_")
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Overwrite the elements with 1 with probability `p` (a number, or a tensor of numbers), else 0.

    Raises:
        RuntimeError: a probability is outside [0, 1], or the tensor requires a gradient while operations are recorded.

    >>> minicnn.zeros(3).bernoulli_(1)
    tensor([1., 1., 1.])
    """
    given = probabilities("bernoulli_", p) if isinstance(p, Tensor) else p
    if not isinstance(p, Tensor) and not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _overwrite(self, "bernoulli_", lambda rng, s, d: np.asarray(rng.random(s) < given).astype(d), generator)


def _continuous(
    name: str, defaults: tuple[float, ...], valid: Callable[..., bool], draw: Callable[..., Array], text: str
) -> None:
    """Make a method that overwrites the elements with numbers from a distribution with a few parameters."""

    def method(self: Tensor, *given: float, generator: Generator | None = None, **named: float) -> Tensor:
        values = tuple([number(name, f"parameter {i}", value) for i, value in enumerate((*given, *named.values()), 1)])
        values += defaults[len(values) :]
        if len(values) < len(defaults) or not valid(*values):
            raise RuntimeError(f"{name}: the parameters {values} are out of range; {text}")
        if name != "geometric_":
            check_floats(name, self.array.dtype)
        return _overwrite(self, name, lambda rng, s, d: np.asarray(draw(rng, s, *values)).astype(d), generator)

    method.__name__, method.__doc__ = name, f"Overwrite the elements with random numbers: {text}"
    tensor_method(name)(method)


_continuous(
    "exponential_", (1.0,), lambda lambd: lambd > 0, lambda rng, s, lambd: rng.exponential(1 / lambd, s),
    "exponentially distributed with rate lambd > 0 (1 by default).",
)  # fmt: skip
_continuous(
    "geometric_", (math.nan,), lambda p: 0 < p < 1, lambda rng, s, p: rng.geometric(p, s),
    "the number of trials up to the first success, which has probability p in (0, 1).",
)  # fmt: skip
_continuous(
    "cauchy_", (0.0, 1.0), lambda median, sigma: sigma > 0,
    lambda rng, s, median, sigma: median + sigma * rng.standard_cauchy(s),
    "Cauchy distributed, around median (0) with width sigma > 0 (1).",
)  # fmt: skip
_continuous(
    "log_normal_", (1.0, 2.0), lambda mean, std: std > 0, lambda rng, s, mean, std: rng.lognormal(mean, std, s),
    "e to the power of normally distributed numbers of mean (1) and std > 0 (2).",
)  # fmt: skip
