"""The DataLoader in the caller, and with its background thread. Worker processes are in test_data_workers.py."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loading import Noise, run

from minicnn.random import Generator, default_generator
from minicnn.utils.data import (
    DataLoader,
    SequentialSampler,
    WeightedRandomSampler,
    each_sample,
    sample_generator,
    sample_generators,
)

THREAD = "minicnn-loader"
PREFETCH = [0, 1, 2, 5]


class NoiseBatches(Noise):
    """The same samples, but a batch at once."""

    def __getitem__(self, index: int) -> tuple[int, float]:
        raise AssertionError("the batch path must be taken")

    def fetch_batch(self, indices: Sequence[int]) -> list[np.ndarray]:
        return [np.array(indices), np.array([generator.random() for generator in sample_generators(len(indices))])]


class NoiseLists(Noise):
    """The same samples by PyTorch's batched protocol."""

    def __getitem__(self, index: int) -> tuple[int, float]:
        raise AssertionError("the batched protocol must be taken")

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[int, float]]:
        return [Noise.__getitem__(self, index) for index in each_sample(indices)]


class Broken(Noise):
    def __init__(self, error: BaseException, at: int = 7) -> None:
        super().__init__()
        self.error, self.at = error, at

    def __getitem__(self, index: int) -> tuple[int, float]:
        if index == self.at:
            raise self.error
        return super().__getitem__(index)


def order(loader: DataLoader[Any]) -> list[int]:
    return [index for batch in loader for index in np.asarray(batch[0]).tolist()]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    deadline = time.monotonic() + 10  # after an exception it ends by itself
    while any(thread.name.startswith(THREAD) for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD)] == []


# ------------------------------------------------------------------------------------------------ what a batch is


@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.booleans(), st.sampled_from(PREFETCH))
def test_every_sample_comes_once(size: int, batch: int, drop_last: bool, shuffle: bool, prefetch: int) -> None:
    loader = DataLoader(Noise(size), batch, shuffle=shuffle, drop_last=drop_last, prefetch_factor=prefetch, seed=0)
    drawn = order(loader)
    kept = size - size % batch if drop_last else size
    assert len(loader) == len(list(loader)) == (size // batch if drop_last else -(-size // batch))
    assert len(drawn) == len(set(drawn)) == kept
    assert shuffle or drawn == list(range(kept))


def test_all_roads_to_a_batch_give_the_same() -> None:
    expected = run(DataLoader(Noise(), 4, shuffle=True, seed=3), epochs=2)
    for dataset in (NoiseBatches(), NoiseLists()):
        assert run(DataLoader(dataset, 4, shuffle=True, seed=3), epochs=2) == expected


def test_a_collate_fn_gets_the_samples() -> None:
    loader = DataLoader(Noise(4), 2, collate_fn=lambda samples: [index for index, _ in samples])
    assert list(loader) == [[0, 1], [2, 3]]


def test_a_collate_fn_has_a_stream_of_its_own() -> None:
    def mix(samples: list[Any]) -> float:
        return float(sample_generator().random())

    once, again = ([*DataLoader(Noise(6), 2, collate_fn=mix, seed=1, prefetch_factor=p)] for p in (0, 2))
    assert once == again and len(set(once)) == 3


def test_lists_are_datasets_and_samplers_and_batch_samplers() -> None:
    data = [10, 11, 12, 13]
    assert [batch.tolist() for batch in DataLoader(data, 2, sampler=[3, 0, 1])] == [[13, 10], [11]]
    assert [batch.tolist() for batch in DataLoader(data, batch_sampler=[[3], [0, 1]])] == [[13], [10, 11]]
    assert list(DataLoader(data, batch_size=None, sampler=[2, 2])) == [12, 12]
    assert list(DataLoader({"a": 1}, batch_size=None, sampler=["a"])) == [1]
    assert len(DataLoader([], 3)) == 0 and list(DataLoader([], 3)) == []


# --------------------------------------------------------------------------------------------- seeds and epochs


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_batches_do_not_depend_on_how_far_ahead_they_are_made(prefetch: int) -> None:
    loaders = [DataLoader(Noise(), 4, shuffle=True, seed=5, prefetch_factor=p) for p in (2, prefetch)]
    first, second = (run(loader, epochs=3) for loader in loaders)
    assert first == second and first[0] != first[1] != first[2]


def test_the_stream_of_a_sample_does_not_depend_on_its_neighbours() -> None:
    def values(**options: Any) -> dict[int, float]:
        loader = DataLoader(Noise(), seed=5, **options)
        return {int(i): float(v) for batch in loader for i, v in zip(*map(np.asarray, batch), strict=True)}

    expected = values(batch_size=4)
    assert values(batch_size=7, shuffle=True) == values(batch_size=1) == expected
    assert len(set(expected.values())) == len(expected)


def test_an_index_that_comes_again_has_another_stream() -> None:
    batches = [
        np.asarray(values) for _, values in DataLoader(Noise(), sampler=[4, 4, 1, 4, 4, 4], batch_size=2, seed=5)
    ]
    assert len({float(value) for batch in batches for value in batch}) == 6
    assert batches[0][0] == dict(zip(*next(run_pairs(DataLoader(Noise(), 23, seed=5))), strict=True))[4]


def run_pairs(loader: DataLoader[Any]) -> Iterator[tuple[list[int], list[float]]]:
    return ((np.asarray(a).tolist(), np.asarray(b).tolist()) for a, b in loader)


def test_each_epoch_has_an_order_of_its_own() -> None:
    loader = DataLoader(Noise(), 4, shuffle=True, seed=5)
    orders = {tuple(order(loader)) for _ in range(4)}
    assert len(orders) == 4 and tuple(range(23)) not in orders


def test_set_epoch_chooses_what_counting_would_reach() -> None:
    counted = run(DataLoader(Noise(), 4, shuffle=True, seed=5), epochs=3)
    loader = DataLoader(Noise(), 4, shuffle=True, seed=5)
    loader.set_epoch(2)
    assert run(loader) == counted[2:]
    loader.set_epoch(1)
    assert run(loader, epochs=2) == counted[1:]


def test_seed_and_generator() -> None:
    def shuffled(**options: Any) -> list[int]:
        return order(DataLoader(Noise(), 4, shuffle=True, **options))

    assert shuffled(seed=1) == shuffled(seed=1) != shuffled(seed=2)
    one, two = Generator().manual_seed(1), Generator().manual_seed(2)
    assert shuffled(generator=one) == shuffled(generator=Generator().manual_seed(1)) != shuffled(generator=two)


def test_seeding_again_starts_again() -> None:
    loaders = [DataLoader(Noise(), 4, shuffle=True) for _ in range(2)]
    default_generator.manual_seed(9)
    first = [run(loader, epochs=2) for loader in loaders]
    assert first[0] != first[1] and first[0][0] != first[0][1]  # each iteration draws a seed
    default_generator.manual_seed(9)
    assert [run(loader, epochs=2) for loader in loaders] == first


def test_the_state_of_the_generator_says_what_follows() -> None:
    for generator in (default_generator, Generator()):
        options: dict[str, Any] = {"shuffle": True, "generator": None if generator is default_generator else generator}
        loader = DataLoader(Noise(), 4, **options)
        run(loader)
        state = generator.get_state()
        expected = run(loader, epochs=2)
        generator.set_state(state)
        assert run(loader, epochs=2) == expected
        generator.set_state(state)
        assert run(DataLoader(Noise(), 4, **options), epochs=2) == expected  # in a new process, say


def test_what_the_consumer_draws_during_an_epoch_does_not_matter() -> None:
    loader = DataLoader(Noise(), 4, shuffle=True)
    default_generator.manual_seed(9)
    (expected,) = run(loader)
    default_generator.manual_seed(9)
    drawn = []
    for batch in loader:
        default_generator.numpy.random(5)
        drawn.append([np.asarray(member).tolist() for member in batch])
    assert drawn == expected


def test_a_sampler_passed_in_draws_from_its_own_generator() -> None:
    weights = np.arange(23.0)
    expected = list(WeightedRandomSampler(weights, 23, generator=Generator().manual_seed(4)))
    sampler = WeightedRandomSampler(weights, 23, generator=Generator().manual_seed(4))
    assert order(DataLoader(Noise(), 4, sampler=sampler)) == expected


def test_samplers_are_told_the_epoch_that_was_set() -> None:
    """A default generator that the program sets itself stays."""

    class Told(SequentialSampler):
        epochs: list[int]

        def set_epoch(self, epoch: int) -> None:
            self.epochs = [*getattr(self, "epochs", []), epoch]

    sampler = Told(range(4))
    loader = DataLoader(Noise(4), sampler=sampler)
    run(loader, epochs=2)
    loader.set_epoch(7)
    run(loader)
    assert sampler.epochs == [7]
    loader.load_state_dict({"seed": 1, "epoch": 3, "step": 0})
    run(loader, epochs=2)
    assert sampler.epochs == [7, 3]


def test_two_iterations_at_once_do_not_disturb_each_other() -> None:
    loader = DataLoader(Noise(), 4, shuffle=True, seed=5)
    expected = run(loader, epochs=2)
    loader.set_epoch(0)
    first, second = iter(loader), iter(loader)
    pairs = [(a[0].tolist(), b[0].tolist()) for a, b in zip(first, second, strict=True)]
    assert [a for a, _ in pairs] == [batch[0] for batch in expected[0]]
    assert [b for _, b in pairs] == [batch[0] for batch in expected[1]]


# ------------------------------------------------------------------------------------- the thread and its end


def test_the_thread_stays_a_bounded_number_of_batches_ahead() -> None:
    dataset = Noise(100)
    iterator = iter(DataLoader(dataset, 2, prefetch_factor=3))
    next(iterator)
    deadline = time.monotonic() + 30
    while len(dataset.fetched) < 8 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(dataset.fetched) == 8  # the one handed out and three ahead
    iterator.close()  # type: ignore[attr-defined]


def test_without_prefetch_there_is_no_thread() -> None:
    dataset = Noise()
    iterator = iter(DataLoader(dataset, 4, prefetch_factor=0))
    next(iterator)
    assert len(dataset.fetched) == 4
    assert not any(thread.name.startswith(THREAD) for thread in threading.enumerate())


@pytest.mark.parametrize("how", ["break", "exception", "close", "collected", "finished", "unused"])
def test_the_thread_ends(how: str) -> None:
    loader = DataLoader(Noise(), 4, prefetch_factor=2)
    if how == "break":
        for _ in loader:
            break
    elif how == "exception":
        with pytest.raises(KeyboardInterrupt):
            for _ in loader:
                raise KeyboardInterrupt
    elif how == "close":
        iterator = iter(loader)
        next(iterator)
        iterator.close()  # type: ignore[attr-defined]
        iterator.close()  # type: ignore[attr-defined]
        assert next(iterator, None) is None
    elif how == "collected":
        iterator = iter(loader)
        next(iterator)
        del iterator
    elif how == "finished":
        iterator = iter(loader)
        assert len(list(iterator)) == len(loader)
        assert next(iterator, None) is None
    else:
        iter(loader)
    gc.collect()
    assert not any(thread.name.startswith(THREAD) for thread in threading.enumerate())


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_exception_of_the_dataset_reaches_the_consumer(prefetch: int) -> None:
    iterator = iter(DataLoader(Broken(KeyError("lost")), 4, prefetch_factor=prefetch))
    next(iterator)
    with pytest.raises(KeyError, match="lost") as caught:
        next(iterator)
    assert "raise self.error" in str(caught.traceback[-1])
    assert [np.asarray(batch[0]).tolist() for batch in iterator] == [
        [8, 9, 10, 11],
        [12, 13, 14, 15],
        [16, 17, 18, 19],
        [20, 21, 22],
    ]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_stop_iteration_in_the_dataset_does_not_end_the_epoch_in_silence(prefetch: int) -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        list(DataLoader(Broken(StopIteration()), 4, prefetch_factor=prefetch))


def test_what_fails_with_the_first_batch_is_said() -> None:
    class Unknown(Noise):
        def __len__(self) -> int:
            if self.fetched == []:
                return 4
            raise ValueError("how many?")

    dataset = Unknown()
    loader = DataLoader(dataset, 2, shuffle=True)
    dataset.fetched = [0]
    with pytest.raises(ValueError, match="how many"):
        next(iter(loader))


def test_an_exception_of_the_sampler_reaches_the_consumer() -> None:
    def indices() -> Iterator[int]:
        yield 0
        raise ValueError("no more")

    got: list[int] = []
    with pytest.raises(ValueError, match="no more"):
        for batch in DataLoader(Noise(), sampler=indices(), batch_size=1):
            got += batch[0].tolist()
    assert got == [0]  # what came before it is not lost
