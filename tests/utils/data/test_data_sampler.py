from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.random import Generator, default_generator
from minicnn.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@given(st.integers(0, 50), st.integers(1, 12), st.booleans())
def test_batches_hold_every_index_in_order(size: int, batch_size: int, drop_last: bool) -> None:
    sampler = BatchSampler(SequentialSampler(range(size)), batch_size, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    kept = size - size % batch_size if drop_last else size
    assert [index for batch in batches for index in batch] == list(range(kept))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert not drop_last or all(len(batch) == batch_size for batch in batches)


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 5))
def test_random_sampler_repeats_only_after_a_whole_permutation(size: int, count: int, seed: int) -> None:
    sampler = RandomSampler(range(size), num_samples=count, generator=seeded(seed))
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == count
    for start in range(0, count, size):
        chunk = drawn[start : start + size]
        assert len(set(chunk)) == len(chunk) and set(chunk) <= set(range(size))


def test_random_sampler_with_replacement() -> None:
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=1000, generator=seeded()))
    assert set(drawn) == set(range(5)) and len(drawn) == 1000
    assert len(RandomSampler(range(5), replacement=True)) == 5


def test_the_order_is_fixed_by_the_generator_and_changes_with_each_epoch() -> None:
    sampler = RandomSampler(range(50), generator=seeded(7))
    first, second = list(sampler), list(sampler)
    again = RandomSampler(range(50), generator=seeded(7))
    assert (first, second) == (list(again), list(again)) and first != second


def test_without_a_generator_the_default_one_draws() -> None:
    default_generator.manual_seed(11)
    first = list(RandomSampler(range(50)))
    default_generator.manual_seed(11)
    assert list(RandomSampler(range(50))) == first


def test_samplers_draw_when_the_first_index_is_asked_for() -> None:
    """Not earlier; and reading ahead, or another iteration at the same time, must not change an iteration's samples."""
    for make in (
        lambda g: RandomSampler(range(20), generator=g),
        lambda g: RandomSampler(range(20), replacement=True, generator=g),
        lambda g: SubsetRandomSampler(range(20), generator=g),
        lambda g: WeightedRandomSampler(np.arange(20.0), 20, generator=g),
        lambda g: BatchSampler(RandomSampler(range(20), generator=g), 3, False),
    ):
        expected = list(make(seeded(5)))
        generator = seeded(0)
        iterator = iter(make(generator))
        generator.manual_seed(5)
        first = next(iterator)
        generator.numpy.random(3)
        assert [first, *iterator] == expected


def test_subset_random_sampler_gives_its_indices_once() -> None:
    sampler = SubsetRandomSampler([3, 5, 5, 9], generator=seeded())
    assert Counter(sampler) == Counter([3, 5, 5, 9]) and len(sampler) == 4


def test_weighted_sampler_follows_the_weights() -> None:
    drawn = Counter(WeightedRandomSampler([1, 0, 3], 40_000, generator=seeded()))
    assert drawn[1] == 0 and abs(drawn[2] / 40_000 - 0.75) < 0.01  # the deviation is 0.002
    assert sorted(WeightedRandomSampler([1, 0, 3, 2], 3, replacement=False, generator=seeded())) == [0, 2, 3]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [1, float("nan")], [1, float("inf")], [[1, 2]]])
def test_weighted_sampler_refuses_bad_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        WeightedRandomSampler(weights, 1)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="cannot draw 3 samples without replacement from 2"):
        WeightedRandomSampler([1, 0, 1], 3, replacement=False)
    for number in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="num_samples"):
            RandomSampler(range(3), num_samples=number)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="batch_size"):
            BatchSampler(range(3), number, False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_samples=0"):
        RandomSampler([])
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler(range(3), replacement=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="drop_last"):
        BatchSampler(range(3), 2, 1)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="Sampler must define __iter__"):
        iter(Sampler())
