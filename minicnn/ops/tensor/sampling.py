"""Random numbers: new tensors of random numbers, and overwriting tensors with them (`x.normal_()`).

They are drawn from `generator`, or from the default one that `manual_seed` seeds. On the meta device nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array, beside, host, on_device_of
from minicnn_kernels.geometry import fits, whole

from ...autograd.modes import is_grad_enabled
from ...dtypes import get_default_dtype
from ...random import Generator, stream
from ...tensor import Tensor, tensor_method
from .arguments import check_tensor, ints, number
from .creation import DTYPE, factory, new, sizes
from .zeros_like import like, zeros_like

__all__ = [
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm",
]  # fmt: skip

Draw = Callable[[np.random.Generator, tuple[int, ...], np.dtype[Any]], Array]


def _floats(op: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f":
        raise NotImplementedError(f"{op}: not defined for {dtype}; draw floats, or use randint")


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: float = 0, high: float = 1
) -> Array:
    """Draw from U[low, high); float16 is rounded down, so that high is never drawn."""
    _floats("rand", dtype)
    wide = np.float64 if dtype == np.float64 else np.float32
    u = rng.random(shape, wide)
    if dtype == np.float16:
        u = np.floor(u * 2048) / 2048
    y: Array = np.asarray(u * wide(high - low) + wide(low)) if (low, high) != (0, 1) else np.asarray(u)
    return np.where(y >= high, dtype.type(low), y).astype(dtype) if high > low else y.astype(dtype)


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], mean: Any = 0, std: Any = 1
) -> Array:
    """N(mean, std^2)."""
    _floats("normal", dtype)
    wide = np.float32 if dtype == np.float32 else np.float64
    y = rng.standard_normal(shape, wide)
    return (y * std + mean).astype(dtype)


def _whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: int, high: int) -> Array:
    """Draw integers from low to high - 1."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    most = _largest(dtype)
    if high - 1 > most or low < (-most - 1 if dtype.kind == "i" else -most if dtype.kind == "f" else 0):
        raise RuntimeError(f"random_: from {low} to {high} is out of bounds for {dtype}")
    return rng.integers(low, high, shape).astype(dtype)


def _largest(dtype: np.dtype[Any]) -> int:
    """Return the largest integer of a type; for floats, the largest up to which all integers are representable."""
    if dtype.kind == "f":
        return int(2 ** (np.finfo(dtype).nmant + 1))
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)


# ---------------------------------------------------------------------------------------------------------- new tensors


def _rng(generator: Generator | None) -> np.random.Generator:
    return stream() if generator is None else generator.numpy


def _sized(name: str, draw: Draw, text: str) -> Callable[..., Tensor]:
    """Make `rand(*size)` or `randn(*size)`."""

    def create(
        *size: Any,
        generator: Generator | None = None,
        dtype: DTYPE = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        kind = get_default_dtype() if dtype is None else np.dtype(dtype)
        _floats(name, kind)
        return new(sizes(size, name), lambda xp, s, d: draw(_rng(generator), s, d), kind, device, requires_grad, name)

    create.__name__, create.__doc__ = name, text
    return factory(create)


rand = _sized("rand", _uniform, "Uniform random numbers from [0, 1).")
randn = _sized("randn", _normal, "Normally distributed random numbers of mean 0 and variance 1.")


def rand_like(input: Tensor, *, generator: Generator | None = None, **options: Any) -> Tensor:
    """Uniform random numbers from [0, 1) with the shape and type of another tensor."""
    return factory(like)(input, lambda xp, s, d: _uniform(_rng(generator), s, d), **options)


def randn_like(input: Tensor, *, generator: Generator | None = None, **options: Any) -> Tensor:
    """Normally distributed random numbers with the shape and type of another tensor."""
    return factory(like)(input, lambda xp, s, d: _normal(_rng(generator), s, d), **options)


@factory
def randint(
    *bounds: Any,
    generator: Generator | None = None,
    dtype: DTYPE = np.int64,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Integers from low to high - 1 with equal probability: `randint(high, size)` or `randint(low, high, size)`."""
    low, high, size = _bound(bounds, named)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: size must be a tuple of ints, got {type(size).__name__}")
    shape = sizes((size,), "randint")
    return new(
        shape, lambda xp, s, d: _whole(_rng(generator), s, d, low, high), dtype, device, requires_grad, "randint"
    )


def _bound(bounds: tuple[Any, ...], named: dict[str, Any]) -> tuple[int, int, Any]:
    """Return low, high and size of `randint`, where low may be left out."""
    bounds = (*bounds, named.pop("size")) if "size" in named else bounds
    size, bounds = (bounds[-1], bounds[:-1]) if bounds else (None, ())
    low, high = _low_high("randint", bounds, named)
    return low, high, size


def _low_high(op: str, bounds: tuple[Any, ...], named: dict[str, Any]) -> tuple[int, int]:
    """Return (0, high) or (low, high), given by position or by name."""
    if "high" in named:
        bounds = (*bounds, named.pop("high"))
    if "low" in named:
        bounds = (named.pop("low"), *bounds)
    if named or not 1 <= len(bounds) <= 2:
        raise TypeError(f"{op}: expected high, or low and high, got {(*bounds, *named)}")
    low, high = ints(op, "low and high", bounds if len(bounds) == 2 else (0, *bounds))
    return low, high


@factory
def randint_like(input: Tensor, *bounds: Any, generator: Generator | None = None, **options: Any) -> Tensor:
    """Integers from low (0 by default) to high - 1 with the shape and type of another tensor."""
    named: dict[str, Any] = {name: options.pop(name) for name in ("low", "high") if name in options}
    low, high = _low_high("randint_like", bounds, named)
    return like(input, lambda xp, s, d: _whole(_rng(generator), s, d, low, high), **options)


@factory
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DTYPE = np.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0 to n - 1 in random order."""
    shape = sizes((whole(n, "randperm", "n"),), "randperm")
    make = lambda xp, s, d: _rng(generator).permutation(s[0]).astype(d)  # noqa: E731
    return new(shape, make, dtype, device, requires_grad, "randperm")


@factory
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTYPE = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw from N(mean, std^2): two numbers and a size, or tensors of means and deviations, broadcast."""
    if not (isinstance(std, Tensor) and std.is_meta) and np.any(np.less(_on_cpu(std), 0)):
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but found std {std}")
    if size is not None:
        shape = sizes((size,), "normal")
        mean, std = number("normal", "mean", mean), number("normal", "std", std)
        make = lambda xp, s, d: _normal(_rng(generator), s, d, mean, std)  # noqa: E731
        return new(shape, make, dtype, device, requires_grad, "normal")
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not given:
        raise TypeError("normal: two numbers need a size: normal(mean, std, (2, 3))")
    _floats("normal", given[0].dtype)
    shape = geometry.broadcast("normal", *(tuple(x.shape) for x in given))
    make = lambda xp, s, d: _normal(_rng(generator), s, d, _on_cpu(mean), _on_cpu(std))  # noqa: E731
    return new(shape, make, given[0].dtype, given[0].device)


def _on_cpu(value: Any) -> Any:
    """Return a number as it is, and the values of a tensor as a NumPy array."""
    return host(value.array) if isinstance(value, Tensor) else value


# ----------------------------------------------------------------------------------------------------- of probabilities


def _probabilities(op: str, p: Tensor) -> Array:
    """Return the values on the CPU, where the numbers are drawn, after checking them."""
    values = host(p._values(op))
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise RuntimeError(
            f"{op}: expected probabilities between 0 and 1, got values from {values.min()} to {values.max()}"
        )
    return values


@tensor_method("bernoulli")
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability given by the element (or with probability `p`), else 0."""
    check_tensor("bernoulli", input=input)
    if p is not None:
        return like(input, lambda xp, s, d: xp.zeros(s, d)).bernoulli_(p, generator=generator)
    _floats("bernoulli", input.dtype)
    if input.is_meta:
        return zeros_like(input)
    values = _probabilities("bernoulli", input)
    return _back(_rng(generator).random(values.shape) < values, input)


@tensor_method("multinomial")
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Draw indices with probabilities proportional to the elements of each row, with or without replacement.

    Without replacement, keys -log(u) / weight (the exponential race) are drawn, and the smallest `num_samples` win.
    """
    check_tensor("multinomial", input=input)
    if input.dtype.kind != "f" or input.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: expected floats of 1 or 2 axes, got {input.dtype} {tuple(input.shape)}")
    count, num_samples = input.shape[-1], whole(num_samples, "multinomial", "num_samples")
    if num_samples <= 0 or (num_samples > count and not replacement):
        raise RuntimeError(
            f"multinomial: cannot draw {num_samples} samples of {count} {'' if replacement else 'without '}replacement"
        )
    if input.is_meta:
        return new(
            (*input.shape[:-1], num_samples), lambda xp, s, d: xp.zeros(s, d), np.int64, input.device, op="multinomial"
        )
    weights = host(input.array).astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise RuntimeError("multinomial: the weights contain inf, nan or a negative number")
    total = weights.sum(-1, keepdims=True)
    if (total <= 0).any():
        raise RuntimeError("multinomial: invalid distribution (sum of weights <= 0)")
    rng = _rng(generator)
    fits("multinomial", (*input.shape[:-1], num_samples), 8)
    if replacement:
        steps = np.cumsum(weights / total, -1).reshape(-1, count)
        u = rng.random((len(steps), num_samples))
        last = count - 1 - np.argmax((weights > 0).reshape(-1, count)[:, ::-1], 1)  # the last weight > 0
        found = np.stack(
            [np.minimum(np.searchsorted(s, v, "right"), m) for s, v, m in zip(steps, u, last, strict=True)]
        )
        return _back(found.reshape(*weights.shape[:-1], num_samples), input, np.int64)
    with np.errstate(divide="ignore"):
        keys = rng.exponential(size=weights.shape) / weights
    return _back(np.argsort(keys, -1, kind="stable")[..., :num_samples], input, np.int64)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson-distributed counts, with the elements as rates."""
    check_tensor("poisson", input=input)
    _floats("poisson", input.dtype)
    if input.is_meta:
        return zeros_like(input)
    rates = host(input.array)
    if rates.size and not rates.min() >= 0:
        raise RuntimeError("poisson: invalid rate, expected rates to be non-negative")
    return _back(_rng(generator).poisson(rates), input)


def _back(drawn: Any, input: Tensor, dtype: DTYPE = None) -> Tensor:
    """Return the numbers as a tensor on the device, and by default in the type, of another one."""
    return Tensor(beside(np.asarray(drawn).astype(input.dtype if dtype is None else dtype), input.array))


# ------------------------------------------------------------------------------------------------------------- in place


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
            x._array[...] = beside(draw(_rng(generator), x._array.shape, x._array.dtype), x._array)
    x._version[0] += 1
    return x


@tensor_method("uniform_")
def uniform_(
    self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None, **named: Any
) -> Tensor:
    """Overwrite the elements with uniform random numbers from [from, to)."""
    low = named.pop("from", from_)  # `from` cannot be a parameter's name in Python, but PyTorch has it
    if named:
        raise TypeError(f"uniform_: unexpected {', '.join(named)}; the arguments are from, to and generator")
    low, to = number("uniform_", "from", low), number("uniform_", "to", to)
    _floats("uniform_", self.dtype)
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    return _overwrite(self, "uniform_", lambda rng, s, d: _uniform(rng, s, d, low, to), generator)


@tensor_method("normal_")
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Overwrite the elements with normally distributed random numbers."""
    mean, std = number("normal_", "mean", mean), number("normal_", "std", std)
    _floats("normal_", self.dtype)
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    return _overwrite(self, "normal_", lambda rng, s, d: _normal(rng, s, d, mean, std), generator)


@tensor_method("random_")
def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Overwrite with integers: `random_()` up to the type's largest; `random_(to)` below `to`; `random_(from, to)`."""
    named = {{"from": "low", "to": "high"}.get(name, name): value for name, value in named.items()}
    low, high = (0, _largest(self.dtype) + 1) if not bounds and not named else _low_high("random_", bounds, named)
    high = min(high, 2**63 - 1) if self.dtype == np.int64 and not bounds else high
    return _overwrite(self, "random_", lambda rng, s, d: _whole(rng, s, d, low, high), generator)


@tensor_method("bernoulli_")
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Overwrite the elements with 1 with probability `p` (a number, or a tensor of numbers), else 0."""
    given = _probabilities("bernoulli_", p) if isinstance(p, Tensor) else p
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
            _floats(name, self.dtype)
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
