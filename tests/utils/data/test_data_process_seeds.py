"""Random numbers of a dataset in worker processes: fixed by the seed, and different in every epoch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loading import SEEDINGS, Of

import minicnn
from minicnn.random import Generator
from minicnn.utils.data import DataLoader, Dataset, get_worker_info


class Draws(Dataset[Any]):
    """Sample i is (i, a number of each stream); a sample takes a random time."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        time.sleep(self.pause * np.random.default_rng().random())
        return index, np.random.randint(2**31), random.getrandbits(31), minicnn.randint(2**31, ()).item()  # noqa: NPY002


class OwnStreams(Dataset[Any]):
    """A dataset that draws from its own generators: each process continues with its own copy."""

    def __init__(self) -> None:
        self.numpy, self.minicnn = np.random.default_rng(0), Generator().manual_seed(0)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.01 * np.random.default_rng().random())
        return index, self.numpy.integers(2**31), minicnn.randint(2**31, (), generator=self.minicnn).item()


class Seeds(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        info = get_worker_info()
        assert info is not None
        return minicnn.initial_seed() % 2**62, info.seed % 2**62, info.id


def mixed(samples: list[Any]) -> Any:
    """A collate_fn that draws random numbers."""
    return samples, np.random.rand(), random.random(), minicnn.rand(1).item()  # noqa: NPY002


def seed_worker(worker: int) -> None:
    """The recipe of PyTorch's notes on reproducibility."""
    seed = minicnn.initial_seed() % 2**32
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def seed_by_hand(worker: int) -> None:
    np.random.seed(40 + worker)  # noqa: NPY002
    random.seed(40 + worker)
    minicnn.manual_seed(40 + worker)


def epochs(dataset: Any, count: int, seed: int = 0, batch: int = 2, **options: Any) -> list[list[Any]]:
    minicnn.manual_seed(seed)
    loader = DataLoader(dataset, batch, **{"collate_fn": list, **options})
    return [list(loader) for _ in range(count)]


def numbers(epoch: list[Any]) -> list[Any]:
    return [number for batch in epoch for sample in batch for number in sample[1:]]


@pytest.mark.parametrize("init", [None, pytest.param(seed_worker, marks=pytest.mark.slow)], ids=["none", "recipe"])
def test_one_seed_gives_one_run_whatever_worker_is_free(init: Callable[[int], None] | None) -> None:
    options: dict[str, Any] = {"num_workers": 2, "worker_init_fn": init}
    first = epochs(Draws(), 3, persistent_workers=True, **options)
    assert len(set(numbers(first[0]) + numbers(first[1]) + numbers(first[2]))) == 3 * 8 * 3  # nothing comes again
    assert epochs(Draws(0.03), 3, persistent_workers=True, **options) == first
    assert epochs(Draws(0.03), 3, **options) == first  # other processes in every epoch
    assert epochs(Draws(), 3, num_workers=1, worker_init_fn=init, persistent_workers=True) == first
    assert epochs(Draws(), 1, num_workers=1, worker_init_fn=init, batch=8)[0][0] == [s for b in first[0] for s in b]
    other = epochs(Draws(), 1, seed=1, **options)
    assert not set(numbers(other[0])) & set(numbers(first[0]))


def test_a_seed_of_the_users_own_is_obeyed() -> None:
    """As in PyTorch, each process continues from there, and always makes the same batches."""
    for persistent in (False, True):
        got = epochs(
            Draws(0.01), 2, num_workers=2, worker_init_fn=seed_by_hand, persistent_workers=persistent, prefetch_factor=1
        )
        streams: dict[int, tuple[Any, ...]] = {}
        for epoch in got:
            if not persistent:
                streams.clear()
            for number, batch in enumerate(epoch):
                worker = number % 2
                if worker not in streams:
                    seed = 40 + worker
                    streams[worker] = np.random.RandomState(seed), random.Random(seed), Generator().manual_seed(seed)
                a, b, c = streams[worker]
                for _, x, y, z in batch:
                    assert x == a.randint(2**31) and y == b.getrandbits(31)
                    assert z == minicnn.randint(2**31, (), generator=c).item()


def test_generators_that_the_dataset_keeps_give_the_same_in_each_run() -> None:
    first = epochs(OwnStreams(), 2, num_workers=2)
    assert epochs(OwnStreams(), 2, num_workers=2) == first
    assert [sample[1:] for sample in first[0][0]] == [sample[1:] for sample in first[0][1]]  # two copies of one stream
    kept = epochs(OwnStreams(), 2, num_workers=2, persistent_workers=True)
    assert kept[0] == first[0] and kept[1] != first[1]


def test_a_collate_fn_that_draws() -> None:
    once, again = (epochs(Draws(), 2, num_workers=k, collate_fn=mixed) for k in (1, 2))
    assert once == again
    assert len({number for epoch in once for batch in epoch for number in batch[1:]}) == 2 * 4 * 3


def test_the_seed_of_a_worker() -> None:
    for persistent in (False, True):
        got = epochs(Seeds(), 2, num_workers=2, batch=1, persistent_workers=persistent)
        seeds = [[batch[0][0] for batch in epoch] for epoch in got]
        assert all(a == b for epoch in got for ((a, b, _),) in epoch)  # initial_seed() is get_worker_info().seed
        assert [[batch[0][2] for batch in epoch] for epoch in got] == [[0, 1, 0, 1]] * 2
        assert all(epoch[1] == epoch[0] + 1 and epoch[2:] == epoch[:2] for epoch in seeds)
        assert seeds[0] != seeds[1]


def test_seeds_set_inside_a_dataset_are_obeyed_in_processes() -> None:
    loader = DataLoader(Of(all_of_them), 3, num_workers=2)
    assert all(bool(ok) for batch in loader for ok in batch)


def all_of_them(index: int) -> bool:
    return all(seeding(index) for seeding in SEEDINGS)
