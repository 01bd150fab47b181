from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.random import Generator
from minicnn.tensor import Tensor
from minicnn.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split


class Squares(Dataset[int]):
    def __init__(self, size: int, offset: int = 0) -> None:
        self.size, self.offset = size, offset

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return self.offset + index * index


def test_a_dataset_must_define_getitem() -> None:
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        Dataset()[0]


def test_tensor_dataset_gives_tuples() -> None:
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    dataset = TensorDataset(Tensor(x), Tensor(y))
    assert len(dataset) == 4
    sample = dataset[2]
    assert isinstance(sample, tuple)
    np.testing.assert_array_equal(sample[0].array, x[2])
    assert int(sample[1].array) == 2


def test_tensor_dataset_batches_as_its_samples_collate() -> None:
    dataset = TensorDataset(Tensor(np.arange(12.0).reshape(4, 3)), Tensor(np.arange(4)))
    indices = [3, 0, -1, 3]
    at_once, one_by_one = dataset.fetch_batch(indices), default_collate([dataset[i] for i in indices])
    assert at_once is not None
    for a, b in zip(at_once, one_by_one, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize("index", [4, -5])
def test_tensor_dataset_refuses_an_index_out_of_range(index: int) -> None:
    with pytest.raises(IndexError, match="out of range"):
        TensorDataset(Tensor(np.arange(4))).fetch_batch([0, index])


def test_tensor_dataset_refuses_what_does_not_fit() -> None:
    with pytest.raises(AssertionError, match=r"Size mismatch.*\(4,\).*\(3,\)"):
        TensorDataset(Tensor(np.arange(4)), Tensor(np.arange(3)))
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()
    with pytest.raises(TypeError, match="ndarray"):
        TensorDataset(np.arange(4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no dimension"):
        TensorDataset(Tensor(np.array(1.0)))


def test_a_gradient_is_not_lost_in_silence() -> None:
    loader = DataLoader(TensorDataset(Tensor(np.ones((4, 2)), requires_grad=True)), batch_size=2, prefetch_factor=0)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        next(iter(loader))


def test_subset_reads_through_its_indices() -> None:
    subset = Subset(Squares(10), [9, 1, 1])
    assert [subset[i] for i in range(len(subset))] == [81, 1, 1]
    assert subset.__getitems__([2, 0]) == [1, 81]
    assert subset.fetch_batch([0]) is None  # Squares cannot


def test_a_subset_of_a_subset_batches_at_once() -> None:
    inner = Subset(TensorDataset(Tensor(np.arange(10) * 10)), [5, 6, 7])
    batch = Subset(inner, [2, 0]).fetch_batch([1, 0])
    assert batch is not None
    np.testing.assert_array_equal(batch[0].array, [50, 70])


def test_concat_dataset_runs_through_its_parts() -> None:
    dataset = Squares(3) + Squares(0) + Squares(2, offset=100)
    assert isinstance(dataset, ConcatDataset)
    assert [dataset[i] for i in range(len(dataset))] == [0, 1, 4, 100, 101]
    assert dataset[-1] == 101 and dataset[-5] == 0
    for index in (5, -6):
        with pytest.raises(IndexError, match="out of range"):
            dataset[index]
    with pytest.raises(AssertionError, match="empty"):  # as in PyTorch
        ConcatDataset([])
    with pytest.raises(TypeError, match=r"dataset 0.*has no len"):
        ConcatDataset([iter([])])  # type: ignore[list-item]


@given(st.integers(2, 60), st.data())
def test_random_split_covers_everything_once(total: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, total))
    parts = random_split(Squares(total), [first, total - first], Generator().manual_seed(1))
    assert sorted(index for part in parts for index in part.indices) == list(range(total))
    assert [len(part) for part in parts] == [first, total - first]


def test_random_split_is_fixed_by_its_generator() -> None:
    once, again = (random_split(Squares(20), [15, 5], Generator().manual_seed(3)) for _ in range(2))
    other = random_split(Squares(20), [15, 5], Generator().manual_seed(4))
    assert once[0].indices == again[0].indices != other[0].indices


def test_random_split_by_fractions_gives_the_rest_in_turn() -> None:
    assert [len(part) for part in random_split(Squares(11), [0.5, 0.3, 0.2])] == [6, 3, 2]
    assert [len(part) for part in random_split(Squares(12), [0.3, 0.3, 0.4])] == [4, 4, 4]
    with pytest.warns(UserWarning, match="part 1 of 3 samples is empty"):
        random_split(Squares(3), [0.99, 0.01])


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [11, -1], [5.5, 4.5]])
def test_random_split_refuses_lengths_that_do_not_add_up(lengths: list[float]) -> None:
    with pytest.raises(ValueError, match="lengths"):
        random_split(Squares(10), lengths)


class Doubled(TensorDataset):
    """A subclass that overrides only what PyTorch users override."""

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(Tensor(tensor.array * 2) for tensor in super().__getitem__(index))


class DoubledSubset(Subset[tuple[Tensor, ...]]):
    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(Tensor(tensor.array * 2) for tensor in super().__getitem__(index))


def test_an_overridden_getitem_is_not_bypassed() -> None:
    tensor = Tensor(np.arange(4))
    for dataset in (Doubled(tensor), Subset(Doubled(tensor), range(4)), DoubledSubset(TensorDataset(tensor), range(4))):
        (batch,) = next(iter(DataLoader(dataset, batch_size=4, prefetch_factor=0)))
        np.testing.assert_array_equal(batch.array, [0, 2, 4, 6])
