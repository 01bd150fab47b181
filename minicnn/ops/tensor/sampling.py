"""New tensors of random numbers; `inplace_sampling` overwrites tensors with them.

They are drawn from `generator`, or from the default one that `manual_seed` seeds. On the meta device nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array, beside, host
from minicnn_kernels.geometry import fits, whole

from ...dtypes import default_type
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


def check_floats(op: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f":
        raise NotImplementedError(f"{op}: not defined for {dtype}; draw floats, or use randint")


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: float = 0, high: float = 1
) -> Array:
    """Draw from U[low, high); float16 is rounded down, so that high is never drawn."""
    check_floats("rand", dtype)
    wide = np.float64 if dtype == np.float64 else np.float32
    u = rng.random(shape, wide)
    if dtype == np.float16:
        u = np.floor(u * 2048) / 2048
    y: Array = np.asarray(u * wide(high - low) + wide(low)) if (low, high) != (0, 1) else np.asarray(u)
    return np.where(y >= high, dtype.type(low), y).astype(dtype) if high > low else y.astype(dtype)


def gaussian(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], mean: Any = 0, std: Any = 1
) -> Array:
    """N(mean, std^2)."""
    check_floats("normal", dtype)
    wide = np.float32 if dtype == np.float32 else np.float64
    y = rng.standard_normal(shape, wide)
    return (y * std + mean).astype(dtype)


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: int, high: int) -> Array:
    """Draw integers from low to high - 1."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    most = largest(dtype)
    if high - 1 > most or low < (-most - 1 if dtype.kind == "i" else -most if dtype.kind == "f" else 0):
        raise RuntimeError(f"random_: from {low} to {high} is out of bounds for {dtype}")
    return rng.integers(low, high, shape).astype(dtype)


def largest(dtype: np.dtype[Any]) -> int:
    """Return the largest integer of a type; for floats, the largest up to which all integers are representable."""
    if dtype.kind == "f":
        return int(2 ** (np.finfo(dtype).nmant + 1))
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)


# ---------------------------------------------------------------------------------------------------------- new tensors


def rng_of(generator: Generator | None) -> np.random.Generator:
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
        kind = default_type() if dtype is None else np.dtype(dtype)
        check_floats(name, kind)
        return new(sizes(size, name), lambda xp, s, d: draw(rng_of(generator), s, d), kind, device, requires_grad, name)

    create.__name__, create.__doc__ = (
        name,
        f"{text}\n\n>>> minicnn.{name}(8, 3, 32, 32).shape\nminicnn.Size([8, 3, 32, 32])",
    )
    return factory(create)


rand = _sized("rand", uniform, "Uniform random numbers from [0, 1).")
randn = _sized("randn", gaussian, "Normally distributed random numbers of mean 0 and variance 1.")


def rand_like(input: Tensor, *, generator: Generator | None = None, **options: Any) -> Tensor:
    """Uniform random numbers from [0, 1) with the shape and type of another tensor.

    >>> minicnn.rand_like(minicnn.zeros(2, 3)).shape
    minicnn.Size([2, 3])
    """
    return factory(like)(input, lambda xp, s, d: uniform(rng_of(generator), s, d), **options)


def randn_like(input: Tensor, *, generator: Generator | None = None, **options: Any) -> Tensor:
    """Normally distributed random numbers with the shape and type of another tensor.

    >>> minicnn.randn_like(minicnn.zeros(2, 3)).shape
    minicnn.Size([2, 3])
    """
    return factory(like)(input, lambda xp, s, d: gaussian(rng_of(generator), s, d), **options)


@factory
def randint(
    *bounds: Any,
    generator: Generator | None = None,
    dtype: DTYPE = np.int64,
    device: Any = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Integers from low to high - 1 with equal probability: `randint(high, size)` or `randint(low, high, size)`.

    Raises:
        RuntimeError: low is not below high, or the type cannot hold the numbers.

    >>> x = minicnn.randint(0, 10, (100,))
    >>> x.dtype, bool((x >= 0).all() and (x < 10).all())
    (minicnn.int64, True)
    """
    low, high, size = _bound(bounds, named)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: size must be a tuple of ints, got {type(size).__name__}")
    shape = sizes((size,), "randint")
    return new(
        shape, lambda xp, s, d: integers(rng_of(generator), s, d, low, high), dtype, device, requires_grad, "randint"
    )


def _bound(bounds: tuple[Any, ...], named: dict[str, Any]) -> tuple[int, int, Any]:
    """Return low, high and size of `randint`, where low may be left out."""
    bounds = (*bounds, named.pop("size")) if "size" in named else bounds
    size, bounds = (bounds[-1], bounds[:-1]) if bounds else (None, ())
    low, high = low_high("randint", bounds, named)
    return low, high, size


def low_high(op: str, bounds: tuple[Any, ...], named: dict[str, Any]) -> tuple[int, int]:
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
    """Integers from low (0 by default) to high - 1 with the shape and type of another tensor.

    >>> minicnn.randint_like(minicnn.zeros(2, 3), 10).shape
    minicnn.Size([2, 3])
    """
    named: dict[str, Any] = {name: options.pop(name) for name in ("low", "high") if name in options}
    low, high = low_high("randint_like", bounds, named)
    return like(input, lambda xp, s, d: integers(rng_of(generator), s, d, low, high), **options)


@factory
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DTYPE = np.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0 to n - 1 in random order.

    >>> minicnn.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    shape = sizes((whole(n, "randperm", "n"),), "randperm")
    make = lambda xp, s, d: rng_of(generator).permutation(s[0]).astype(d)  # noqa: E731
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
    """Draw from N(mean, std^2): two numbers and a size, or tensors of means and deviations, broadcast.

    Raises:
        RuntimeError: a deviation is negative.

    >>> minicnn.normal(0., 0.01, (3, 3)).shape
    minicnn.Size([3, 3])
    """
    if not (isinstance(std, Tensor) and std.is_meta) and np.any(np.less(_on_cpu(std), 0)):
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but found std {std}")
    if size is not None:
        shape = sizes((size,), "normal")
        mean, std = number("normal", "mean", mean), number("normal", "std", std)
        make = lambda xp, s, d: gaussian(rng_of(generator), s, d, mean, std)  # noqa: E731
        return new(shape, make, dtype, device, requires_grad, "normal")
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not given:
        raise TypeError("normal: two numbers need a size: normal(mean, std, (2, 3))")
    check_floats("normal", given[0].array.dtype)
    shape = geometry.broadcast("normal", *(tuple(x.shape) for x in given))
    make = lambda xp, s, d: gaussian(rng_of(generator), s, d, _on_cpu(mean), _on_cpu(std))  # noqa: E731
    return new(shape, make, given[0].dtype, given[0].device)


def _on_cpu(value: Any) -> Any:
    """Return a number as it is, and the values of a tensor as a NumPy array."""
    return host(value.array) if isinstance(value, Tensor) else value


# ----------------------------------------------------------------------------------------------------- of probabilities


def probabilities(op: str, p: Tensor) -> Array:
    """Return the values on the CPU, where the numbers are drawn, after checking them."""
    values = host(p._values(op))
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise RuntimeError(
            f"{op}: expected probabilities between 0 and 1, got values from {values.min()} to {values.max()}"
        )
    return values


@tensor_method("bernoulli")
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability given by the element (or with probability `p`), else 0.

    Raises:
        RuntimeError: a probability is outside [0, 1].

    >>> minicnn.bernoulli(minicnn.tensor([0., 1., 1.]))
    tensor([0., 1., 1.])
    """
    check_tensor("bernoulli", input=input)
    if p is not None:
        return like(input, lambda xp, s, d: xp.zeros(s, d)).bernoulli_(p, generator=generator)
    check_floats("bernoulli", input.array.dtype)
    if input.is_meta:
        return zeros_like(input)
    values = probabilities("bernoulli", input)
    return _back(rng_of(generator).random(values.shape) < values, input)


@tensor_method("multinomial")
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Draw indices with probabilities proportional to the elements of each row, with or without replacement.

    Without replacement, keys -log(u) / weight (the exponential race) are drawn, and the smallest `num_samples` win.

    Raises:
        RuntimeError: more samples than elements without replacement, or weights that are negative, NaN or all 0.

    >>> minicnn.multinomial(minicnn.tensor([0., 1., 0.]), 4, replacement=True)
    tensor([1, 1, 1, 1])
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
    rng = rng_of(generator)
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
    """Poisson-distributed counts, with the elements as rates.

    Raises:
        RuntimeError: a rate is negative.

    >>> minicnn.poisson(minicnn.tensor([0., 0.]))
    tensor([0., 0.])
    """
    check_tensor("poisson", input=input)
    check_floats("poisson", input.array.dtype)
    if input.is_meta:
        return zeros_like(input)
    rates = host(input.array)
    if rates.size and not rates.min() >= 0:
        raise RuntimeError("poisson: invalid rate, expected rates to be non-negative")
    return _back(rng_of(generator).poisson(rates), input)


def _back(drawn: Any, input: Tensor, dtype: DTYPE = None) -> Tensor:
    """Return the numbers as a tensor on the device, and by default in the type, of another one."""
    return Tensor(beside(np.asarray(drawn).astype(input.dtype if dtype is None else dtype), input.array))
