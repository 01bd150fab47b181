"""Iterable-style datasets, alone and in loaders: in place, with a thread, and with worker processes."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.utils.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
    sample_generators,
)


class Count(IterableDataset[int]):
    """0, 1, ... size - 1; `sharded`: each worker gives every num_workers-th."""

    def __init__(self, size: int, sharded: bool = False, length: int | None = None) -> None:
        self.size, self.sharded, self.length = size, sharded, length

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker is not None and self.sharded else (0, 1)
        yield from range(first, self.size, step)


class Sized(Count):
    def __len__(self) -> int:
        return self.size if self.length is None else self.length


class Noisy(Count):
    """(number, library's random number, Python's process) of each sample."""

    def __iter__(self) -> Iterator[Any]:
        for number in super().__iter__():
            yield number, float(minicnn.rand(1)), os.getpid()


class Faulty(Count):
    """Raises at a number."""

    def __iter__(self) -> Iterator[int]:
        for number in super().__iter__():
            if number == 5:
                raise OSError("the log is torn")
            yield number


def lists(loader: Any) -> list[Any]:
    return [np.asarray(batch).tolist() for batch in loader]


def test_a_dataset_must_define_iter() -> None:
    with pytest.raises(NotImplementedError, match="IterableDataset must define __iter__"):
        iter(IterableDataset())
    with pytest.raises(NotImplementedError, match="samples have no indices"):
        Count(3)[0]
    with pytest.raises(TypeError):
        len(Count(3))  # type: ignore[arg-type]


def test_chains() -> None:
    chain = Sized(2) + Sized(3)
    assert isinstance(chain, ChainDataset) and list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5
    assert list(chain + Count(1)) == [0, 1, 0, 1, 2, 0]
    assert lists(DataLoader(chain, 2)) == [[0, 1], [0, 1], [2]]
    with pytest.raises(TypeError, match=r"dataset 1 is a TensorDataset; use ConcatDataset"):
        list(Count(2) + TensorDataset(minicnn.zeros(2)))
    with pytest.raises(TypeError, match=r"ConcatDataset does not support IterableDataset, which dataset 0 is"):
        ConcatDataset([Count(2), TensorDataset(minicnn.zeros(2))])
    with pytest.raises(TypeError):
        len(Count(2) + Count(2))


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (5, {"batch_size": 2}, [[0, 1], [2, 3], [4]]),
        (4, {"batch_size": 2}, [[0, 1], [2, 3]]),
        (5, {"batch_size": 2, "drop_last": True}, [[0, 1], [2, 3]]),
        (1, {"batch_size": 2, "drop_last": True}, []),
        (0, {"batch_size": 2}, []),
        (3, {}, [[0], [1], [2]]),
        (3, {"batch_size": None}, [0, 1, 2]),
    ],
)
def test_batches(size: int, options: dict[str, Any], expected: list[Any], ahead: int) -> None:
    loader = DataLoader(Count(size), prefetch_factor=ahead, **options)
    assert lists(loader) == expected == lists(loader)  # and the next epoch
    iterator = iter(loader)
    for _ in range(len(expected)):
        next(iterator)
    for _ in range(3):
        assert next(iterator, None) is None


def test_lengths() -> None:
    assert len(DataLoader(Sized(5), 2)) == 3 and len(DataLoader(Sized(5), 2, drop_last=True)) == 2
    assert len(DataLoader(Sized(5), batch_size=None)) == 5
    with pytest.raises(TypeError, match=r"object of type 'Count' has no len"):
        len(DataLoader(Count(5)))
    loader = DataLoader(Sized(5, length=3))
    assert lists(loader) == [[i] for i in range(5)]  # nobody has asked
    assert len(loader) == 3
    with pytest.warns(UserWarning, match=r"Length of IterableDataset.*reported to be 3.*but 4 samples have been"):
        assert len([*loader]) == 5
    with warnings.catch_warnings():
        assert len(DataLoader(Sized(5))) == len([*DataLoader(Sized(5))])


@pytest.mark.parametrize(
    "options",
    [{"shuffle": True}, {"sampler": [0, 1]}, {"batch_sampler": [[0, 1]]}],
)
def test_options_about_indices_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"DataLoader with IterableDataset: expected unspecified {name} option"):
        DataLoader(Count(4), **options)
    assert lists(DataLoader(Count(2), shuffle=False)) == [[0], [1]]


def test_the_numbers_of_a_sample_follow_from_seed_and_epoch() -> None:
    def numbers(**options: Any) -> list[Any]:
        loader = DataLoader(Noisy(7), 3, **options)
        return [[batch[1].tolist() for batch in loader] for _ in range(2)]

    runs = [numbers(seed=seed, prefetch_factor=ahead) for seed, ahead in ((1, 0), (1, 2), (2, 0))]
    assert runs[0] == runs[1]
    flat = [number for run in runs[1:] for epoch in run for batch in epoch for number in batch]
    assert len(set(flat)) == len(flat) == 28
    minicnn.manual_seed(4)
    drawn = numbers()
    minicnn.manual_seed(4)
    assert drawn == numbers() != numbers()


def test_the_last_batch_has_as_many_streams_as_samples() -> None:
    def jitter(samples: list[int]) -> list[tuple[int, float]]:
        return [(n, g.random()) for n, g in zip(samples, sample_generators(len(samples)), strict=True)]

    batches = [*DataLoader(Count(5), 3, collate_fn=jitter, seed=1)]
    assert [number for batch in batches for number, _ in batch] == list(range(5))
    assert len({noise for batch in batches for _, noise in batch}) == 5


def test_an_error_of_the_dataset_ends_the_stream() -> None:
    iterator = iter(DataLoader(Faulty(8), 2))
    assert next(iterator).tolist() == [0, 1] and next(iterator).tolist() == [2, 3]
    with pytest.raises(OSError, match="the log is torn"):
        next(iterator)
    assert next(iterator, "end") == "end"  # a generator that has raised is at its end, as in PyTorch

    def stop(samples: list[int]) -> Any:
        raise StopIteration

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        list(DataLoader(Count(8), collate_fn=stop))


class Own(IterableDataset[int]):
    """Gives itself as its iterator, which starts again where it was."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Own:
        return self

    def __next__(self) -> int:
        self.at += 1
        if self.at % 4 == 0:
            raise StopIteration
        return self.at


def test_an_iterator_is_not_asked_after_its_end() -> None:
    assert lists(DataLoader(Own(), 2, prefetch_factor=4)) == [[1, 2], [3]]


def test_two_iterations_at_a_time_do_not_disturb_each_other() -> None:
    loader = DataLoader(Count(4), 2)
    assert [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)] == [([0, 1],) * 2, ([2, 3],) * 2]


def test_a_checkpoint_is_possible_between_epochs() -> None:
    loader = DataLoader(Noisy(5), 2, seed=3)
    epochs = [[batch[1].tolist() for batch in loader] for _ in range(3)]
    other = DataLoader(Noisy(5), 2, seed=8)
    loader.set_epoch(0)
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(ValueError, match=r"1 batches into an epoch, where an iterable-style dataset cannot start"):
        other.load_state_dict(loader.state_dict())
    list(iterator)
    other.load_state_dict(loader.state_dict())
    assert [[batch[1].tolist() for batch in other] for _ in range(2)] == epochs[1:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_process(ahead: int) -> None:
    iterator = iter(DataLoader(Count(6), 2, prefetch_factor=ahead))
    next(iterator)
    child = os.fork()
    if not child:
        try:
            ok = lists(iterator) == [[2, 3], [4, 5]]
        except RuntimeError as error:
            ok = bool(ahead) and "cannot go on in a forked process" in str(error)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lists(iterator) == [[2, 3], [4, 5]]


# ------------------------------------------------------------------------------------------------------------- workers


def test_each_worker_iterates_over_its_copy() -> None:
    loader = DataLoader(Count(5), 2, num_workers=2, timeout=120)
    assert lists(loader) == [[0, 1], [0, 1], [2, 3], [2, 3], [4], [4]]
    loader = DataLoader(Noisy(5, sharded=True), 2, num_workers=3, timeout=120, seed=1, persistent_workers=True)
    epochs = [list(loader) for _ in range(2)]
    for epoch in epochs:  # 0, 3 and 1, 4 and 2: the workers take turns
        assert [batch[0].tolist() for batch in epoch] == [[0, 3], [1, 4], [2]]
    numbers = [number for epoch in epochs for batch in epoch for number in batch[1].tolist()]
    assert len(set(numbers)) == 10
    assert len({process for epoch in epochs for batch in epoch for process in batch[2].tolist()}) == 3
    next(iter(loader))  # broken off
    loader.set_epoch(0)
    assert [batch[1].tolist() for batch in loader] == [batch[1].tolist() for batch in epochs[0]]
    first, second = iter(loader), iter(loader)
    next(second)
    with pytest.raises(RuntimeError, match="a later iteration over the same loader has started"):
        for _ in range(4):
            next(first)
    del first, second, loader
    gc.collect()


class Uneven(Count):
    """Worker k gives k + 1 times as many samples as worker 0."""

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        assert worker is not None
        yield from range(100 * worker.id, 100 * worker.id + self.size * (worker.id + 1))


@pytest.mark.parametrize("ahead", [0, 3])
def test_workers_that_have_ended_are_left_out(ahead: int) -> None:
    loader = DataLoader(Uneven(2), None, num_workers=3, prefetch_factor=ahead, timeout=120)
    assert [int(sample) for sample in loader] == [0, 100, 200, 1, 101, 201, 102, 202, 103, 203, 204, 205]


class Ranged(IterableDataset[int]):
    """The example of PyTorch's documentation: the worker_init_fn gives each copy its range."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end))


def share(worker: int) -> None:
    info = get_worker_info()
    assert info is not None
    dataset = info.dataset
    size = -(-(dataset.end - dataset.start) // info.num_workers)
    dataset.start += info.id * size
    dataset.end = min(dataset.start + size, dataset.end)


def test_the_worker_init_fn_can_divide_the_dataset() -> None:
    loader = DataLoader(Ranged(3, 10), 2, num_workers=2, worker_init_fn=share, timeout=120)
    assert lists(loader) == [[3, 4], [7, 8], [5, 6], [9]]


def test_errors_in_workers() -> None:
    iterator = iter(DataLoader(Faulty(8), 2, num_workers=1, timeout=120))
    next(iterator), next(iterator)
    with pytest.raises(OSError, match=r"(?s)Caught OSError in DataLoader worker process 0.*the log is torn"):
        next(iterator)
    assert next(iterator, "end") == "end"
    loader = DataLoader(Sized(3), num_workers=2, timeout=120)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="must take the worker's share"):
        assert lists(loader) == [[0], [0], [1], [1], [2], [2]]


def test_a_map_style_dataset_with_iter_stays_map_style() -> None:
    class Both(Dataset[int]):
        def __getitem__(self, index: int) -> int:
            return index

        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Iterator[int]:
            raise AssertionError

    assert lists(DataLoader(Both(), 2)) == [[0, 1], [2]]
