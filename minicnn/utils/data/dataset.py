"""Datasets, map-style (`dataset[i]` is a sample, `len(dataset)` their number) or streams (`for sample in dataset`)."""

from __future__ import annotations

import math
import operator
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from minicnn_kernels.arrays import Array, beside, on_device_of

from ...random import Generator, default_generator
from ...tensor import Tensor
from .randomness import each_sample

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "as_index",
    "current_method",
    "one_by_one",
    "random_split",
]

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from an index to a sample. Subclasses write `__getitem__`, and `__len__` for the samplers.

    Two optional methods make batches faster; the `DataLoader` uses them if they exist:

    `__getitems__(indices) -> list of samples`
        PyTorch's protocol: the samples of a batch in one call, before collation.
    `fetch_batch(indices) -> batch | None`
        Not in PyTorch: the batch itself, equal to `default_collate([dataset[i] for i in indices])`; None if it cannot
        be made at once. It is called only if the loader collates with `default_collate`.

    If a subclass overrides `__getitem__` only, the loader does not use inherited versions of the two methods, as they
    would bypass it.

    >>> class Squares(minicnn.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> list(minicnn.utils.data.DataLoader(Squares(), batch_size=2))
    [[tensor([0, 1]), tensor([0, 1])], [tensor([2, 3]), tensor([4, 9])]]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A stream of samples, for what cannot be asked for sample number i: a log, a socket, a generator of images.

    Subclasses write `__iter__`, which starts anew at each epoch, and `__len__` if the number of samples is known. The
    `DataLoader` puts the samples into batches in the order in which they come: to shuffle is the dataset's task, and a
    checkpoint in the middle of an epoch cannot be continued.

    Each worker process iterates over a copy of its own, so that two workers give every sample twice, unless `__iter__`
    asks `get_worker_info()` for its share:

    >>> class Count(minicnn.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         worker = minicnn.utils.data.get_worker_info()
    ...         first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
    ...         return iter(range(first, 5, step))
    >>> list(minicnn.utils.data.DataLoader(Count(), batch_size=2))
    [tensor([0, 1]), tensor([2, 3]), tensor([4])]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(
            f"{type(self).__name__} is an IterableDataset, whose samples have no indices; iterate over it, put its "
            "samples into a list, or write a map-style Dataset with __getitem__ and __len__"
        )

    def __add__(self, other: Dataset[T_co]) -> ChainDataset[T_co]:  # type: ignore[override]
        return ChainDataset([self, other])


def current_method(owner: Any, single: str, batched: str) -> Callable[..., Any] | None:
    """The method `batched` of `owner`; None if a subclass overrides only `single`, which `batched` would bypass.

    The search goes through the classes from the most derived one: the method that comes first is the current one.
    """
    for cls in type(owner).__mro__:
        if batched in vars(cls):
            method: Callable[..., Any] | None = getattr(owner, batched)
            return method
        if single in vars(cls):
            return None
    return None


def one_by_one(dataset: Any, indices: Sequence[Any]) -> list[Any]:
    """The samples of a batch one by one, each with its own random stream. An error says at which sample it came."""
    found = []
    for index in each_sample(indices):
        try:
            found.append(dataset[index])
        except Exception as error:
            error.add_note(f"DataLoader: this was sample {index!r} of {type(dataset).__name__}")
            raise
    return found


def as_index(indices: Sequence[int]) -> np.ndarray | None:
    """The indices of a batch as an integer array (N,); None for an empty batch and for other indices, which the dataset
    then takes one by one.
    """
    index = np.asarray(indices)
    return index.astype(np.intp, copy=False) if index.dtype.kind in "iu" and index.ndim == 1 else None


def _batch_index(indices: Sequence[int], size: int) -> np.ndarray | None:
    """`as_index`, checked against the size (negative ones count from the end)."""
    index = as_index(indices)
    if index is not None and index.size and (int(index.max()) >= size or int(index.min()) < -size):
        raise IndexError(f"dataset index out of range: indices {index.min()}..{index.max()}, the size is {size}")
    return index


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is `(tensors[0][i], tensors[1][i], ...)`.

    Raises:
        ValueError: there is no tensor, or the tensors have different first sizes.

    >>> data = minicnn.utils.data.TensorDataset(minicnn.zeros(5, 3, 32, 32), minicnn.arange(5))
    >>> image, label = data[4]
    >>> len(data), image.shape, label
    (5, minicnn.Size([3, 32, 32]), tensor(4))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset: argument {position} is a {type(tensor).__name__}, not a Tensor")
            if not tensor.shape:
                raise ValueError(f"TensorDataset: argument {position} has no dimension to index")
        if len({tensor.shape[0] for tensor in tensors}) > 1:
            shapes = [tuple(tensor.shape) for tensor in tensors]
            raise AssertionError(f"TensorDataset: Size mismatch between tensors, the first sizes of {shapes} differ")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def fetch_batch(self, indices: Sequence[int]) -> list[Tensor] | None:
        """The samples of a batch by one fancy index per tensor."""
        if any(tensor.requires_grad for tensor in self.tensors):
            return None  # raw arrays would lose the graph without an error
        index = _batch_index(indices, len(self))
        return None if index is None else [Tensor(_rows(tensor.array, index)) for tensor in self.tensors]


def _rows(array: Array, index: np.ndarray) -> Array:
    """The rows of an array at an index from the CPU, on the array's device."""
    with on_device_of(array):
        rows: Array = array[beside(index, array)]
    return rows


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`, in that order.

    >>> data = minicnn.utils.data.TensorDataset(minicnn.arange(10))
    >>> minicnn.utils.data.Subset(data, [7, 3])[0]
    (tensor(7),)
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        """The samples of a batch as a list, through the dataset's own `__getitems__` if it has one."""
        inner = [self.indices[i] for i in indices]
        many = current_method(self.dataset, "__getitem__", "__getitems__")
        return list(many(inner)) if many is not None else one_by_one(self.dataset, inner)

    def fetch_batch(self, indices: Sequence[int]) -> Any | None:
        """The batch from the dataset's own `fetch_batch`; None if it has none."""
        fetch = current_method(self.dataset, "__getitem__", "fetch_batch")
        return None if fetch is None else fetch([self.indices[i] for i in indices])


class ConcatDataset(Dataset[T_co]):
    """Several datasets one after the other; `cumulative_sizes` holds the index at which each one ends.

    >>> data = minicnn.utils.data.TensorDataset(minicnn.arange(10))
    >>> both = minicnn.utils.data.ConcatDataset([data, data])
    >>> len(both), both[12]
    (20, (tensor(2),))
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        for position, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ConcatDataset does not support IterableDataset, which dataset {position} is; use ChainDataset"
                )
            if not hasattr(dataset, "__len__"):
                raise TypeError(f"ConcatDataset: dataset {position}, a {type(dataset).__name__}, has no len()")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> T_co:
        index, size = operator.index(index), len(self)
        if not -size <= index < size:
            raise IndexError(f"dataset index out of range: {index}, the size is {size}")
        index %= size
        which = bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[which - 1] if which else 0
        sample: T_co = self.datasets[which][index - start]
        return sample


class ChainDataset(IterableDataset[T_co]):
    """Several iterable-style datasets one after the other; also `first + second`.

    >>> class Letters(minicnn.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter("ab")
    >>> list(minicnn.utils.data.ChainDataset([Letters(), Letters()]))
    ['a', 'b', 'a', 'b']
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = datasets

    def _checked(self) -> Iterator[Any]:
        """The datasets, which may be made only now, one after the other."""
        for position, dataset in enumerate(self.datasets):
            if not isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ChainDataset only supports IterableDataset, but dataset {position} is a "
                    f"{type(dataset).__name__}; use ConcatDataset"
                )
            yield dataset

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())


class StackDataset(Dataset[Any]):
    """Datasets of one size side by side: sample i is a tuple of the samples i, or a dict for datasets given by name.

    Raises:
        ValueError: there is no dataset, some are given by position and some by name, or their sizes differ.

    >>> images = minicnn.utils.data.TensorDataset(minicnn.arange(3))
    >>> minicnn.utils.data.StackDataset(image=images, mask=images)[1]
    {'image': (tensor(1),), 'mask': (tensor(1),)}
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset: pass datasets, either all by position, for tuples, or all by name, for dicts"
            )
        self.datasets: Any = args or kwargs
        sizes = {key: len(dataset) for key, dataset in self._items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"StackDataset: size mismatch between datasets, {sizes}")

    def _items(self) -> list[tuple[Any, Any]]:
        return list(self.datasets.items() if isinstance(self.datasets, dict) else enumerate(self.datasets))

    def _sample(self, members: Iterable[Any]) -> Any:
        return dict(zip(self.datasets, members, strict=True)) if isinstance(self.datasets, dict) else tuple(members)

    def __len__(self) -> int:
        return len(self._items()[0][1])

    def __getitem__(self, index: Any) -> Any:
        return self._sample(dataset[index] for _, dataset in self._items())

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of a batch as a list, through the datasets' own `__getitems__` where they have one."""
        many = [current_method(dataset, "__getitem__", "__getitems__") for _, dataset in self._items()]
        if not any(many):
            return one_by_one(self, indices)
        columns = []
        for (key, dataset), fetch in zip(self._items(), many, strict=True):
            column = one_by_one(dataset, indices) if fetch is None else list(fetch(indices))
            if len(column) != len(indices):
                raise ValueError(f"StackDataset: dataset {key!r} gave {len(column)} samples for {len(indices)} indices")
            columns.append(column)
        return [self._sample(members) for members in zip(*columns, strict=True)]


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[int | float], generator: Generator | None = default_generator
) -> list[Subset[T_co]]:
    """Split a dataset at random into non-overlapping parts.

    Args:
        lengths: whole sizes that sum to `len(dataset)`, or fractions that sum to 1. A fraction gives
            floor(fraction * len), and the remaining samples go to the parts in turn.
        generator: draws the permutation; None means the default generator.

    Raises:
        ValueError: the lengths do not add up, one is negative, or a fraction is above 1.

    >>> train, valid = minicnn.utils.data.random_split(minicnn.datasets.Digits(), [0.9, 0.1])
    >>> len(train), len(valid)
    (1294, 143)
    """
    total = len(dataset)  # type: ignore[arg-type]
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must not be negative, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for extra in range(total - sum(sizes)):
            sizes[extra % len(sizes)] += 1
        for part, size in enumerate(sizes):
            if size == 0:
                warnings.warn(f"random_split: part {part} of {total} samples is empty", stacklevel=2)
    else:
        sizes = [operator.index(length) if not isinstance(length, float) else int(length) for length in lengths]
        if any(size != length for size, length in zip(sizes, lengths, strict=True)) or sum(sizes) != total:
            raise ValueError(
                f"random_split: the lengths {list(lengths)} sum to {sum(lengths)}; "
                f"they must sum to the dataset's {total} samples, or to 1 as fractions"
            )
    order = (default_generator if generator is None else generator).numpy.permutation(total).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
