"""Samplers: they give the order of the samples, and how often each one comes.

A sampler draws all its random numbers when it gives the first index: not before, as in PyTorch, and none later. So the
numbers do not depend on how far a loader reads ahead, and two iterations at a time do not disturb each other.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ...random import Generator, default_generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Gives indices to a `DataLoader`. Subclasses write `__iter__`, and `__len__` if the number is known.

    >>> class Backwards(minicnn.utils.data.Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...
    ...     def __iter__(self):
    ...         return iter(range(len(self.data))[::-1])
    >>> list(minicnn.utils.data.DataLoader(["a", "b", "c"], batch_size=2, sampler=Backwards("abc")))
    [['c', 'b'], ['a']]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")


def _positive(name: str, value: Any) -> int:
    """`value` as a positive whole number, or a ValueError that names the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value!r}")
    return operator.index(value)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be a boolean value, but got {name}={value!r}")
    return value


def _stream(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... in order.

    >>> list(minicnn.utils.data.SequentialSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random permutation, or `num_samples` draws with replacement.

    Without replacement, one permutation follows another if `num_samples` is larger than the source.

    Args:
        num_samples: the number of indices; None means `len(data_source)`.
        generator: draws the indices; None means the default generator.

    Raises:
        ValueError: `num_samples` is not a positive integer (so an empty source is an error).

    >>> sorted(minicnn.utils.data.RandomSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = _boolean("replacement", replacement)
        self._num_samples = num_samples
        self.generator = generator
        _positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """The number of indices of one iteration; if it was not given, it follows a source that grows."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, count, stream = len(self.data_source), self.num_samples, _stream(self.generator)
        if self.replacement:
            yield from stream.integers(size, size=count).tolist()
        else:
            permutations = [stream.permutation(size) for _ in range(-(-count // size))]
            yield from np.concatenate(permutations)[:count].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order, without replacement.

    >>> sorted(minicnn.utils.data.SubsetRandomSampler([7, 3, 5]))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = _stream(self.generator).permutation(len(self.indices))
        yield from [self.indices[i] for i in order.tolist()]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` draws of index i with probability weights[i] / sum(weights).

    Raises:
        ValueError: the weights are not a vector of finite numbers >= 0 with a positive sum, or, without replacement,
            there are fewer positive weights than samples to draw.

    >>> list(minicnn.utils.data.WeightedRandomSampler([0, 0, 1], num_samples=4))
    [2, 2, 2, 2]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        self.num_samples = _positive("num_samples", num_samples)
        self.replacement = _boolean("replacement", replacement)
        self.weights = np.asarray(weights, dtype=np.float64)
        self.generator = generator
        if self.weights.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence, but their shape is {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("weights should be finite numbers >= 0, at least one of them positive")
        positive = int(np.count_nonzero(self.weights))
        if not replacement and num_samples > positive:
            raise ValueError(f"cannot draw {num_samples} samples without replacement from {positive} positive weights")

    def __iter__(self) -> Iterator[int]:
        probability = self.weights / self.weights.sum()
        drawn = _stream(self.generator).choice(
            len(probability), size=self.num_samples, replace=self.replacement, p=probability
        )
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of `batch_size`; with `drop_last`, a shorter last list is left out.

    >>> list(minicnn.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler[Any] | Iterable[Any], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = _positive("batch_size", batch_size)
        self.drop_last = _boolean("drop_last", drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole if self.drop_last or not rest else whole + 1
