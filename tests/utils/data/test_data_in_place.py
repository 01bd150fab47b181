"""Without workers a dataset is called by the caller, when the batch is asked for; what is made ahead cannot be told."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
from loading import SEEDINGS, Of

import minicnn
from minicnn import transforms
from minicnn.datasets import Digits
from minicnn.random import Generator
from minicnn.utils.data import DataLoader, Subset, randomness, sample_generators
from minicnn.utils.data.fetch import InPlace, Verified

# --------------------------------------------------------------------------------------------- in the caller's thread


def test_streams_of_the_program_are_shared_in_the_order_of_the_calls() -> None:
    def once() -> list[float]:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        drawn = []
        for batch in DataLoader(Of(lambda i: np.random.rand() + random.random()), 4):  # noqa: NPY002
            drawn += [*batch.tolist(), np.random.rand(), random.random()]  # noqa: NPY002
        return drawn

    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    expected = []
    for _ in range(3):
        expected += [np.random.rand() + random.random() for _ in range(4)]  # noqa: NPY002
        expected += [np.random.rand(), random.random()]  # noqa: NPY002
    assert all(once() == expected for _ in range(3))


def test_the_dataset_runs_in_the_thread_of_the_loop() -> None:
    db = sqlite3.connect(":memory:")  # refuses every other thread
    try:
        batches = list(DataLoader(Of(lambda i: db.execute("select ?", (i,)).fetchone()[0]), 5))
    finally:
        db.close()
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    threads = {int(name) for batch in DataLoader(Of(lambda i: threading.get_ident()), 4) for name in batch}
    assert threads == {threading.get_ident()}


def test_a_dataset_that_changes_is_seen_as_it_is() -> None:
    stage = [0]
    seen = []
    for number, batch in enumerate(DataLoader(Of(lambda i: stage[0]), 2)):
        seen.append(int(batch[0]))
        stage[0] = number + 1
    assert seen == list(range(6))


@pytest.mark.parametrize("prefetch", [None, 0, 2])
def test_settings_reach_the_dataset(prefetch: int | None) -> None:
    """In a thread too they are those in force where the batch was asked for."""

    def settings(index: int) -> tuple[bool, str, str]:
        y = minicnn.ones(2, requires_grad=True) * 2
        from minicnn_kernels.dispatch import _choice

        return y.requires_grad, np.geterr()["over"], str(_choice.get().backend)

    loader = DataLoader(Of(settings), 12, prefetch_factor=prefetch, collate_fn=list)
    with np.errstate(over="raise"), minicnn.use(backend="numpy"):
        with minicnn.no_grad():
            assert set(next(iter(loader))) == {(False, "raise", "numpy")}
        with minicnn.inference_mode():
            assert set(next(iter(loader))) == {(False, "raise", "numpy")}
        assert set(next(iter(loader))) == {(True, "raise", "numpy")}


# ---------------------------------------------------------------------------------------- seeds set inside a dataset


@pytest.mark.parametrize("prefetch", [None, 0, 2])
@pytest.mark.parametrize("seeding", SEEDINGS, ids=lambda f: f.__name__)
def test_seeds_set_inside_a_dataset_are_obeyed(seeding: Callable[[int], bool], prefetch: int | None) -> None:
    assert [seeding(i) for i in range(3)] == [True] * 3  # outside of a loader
    minicnn.manual_seed(5)
    loader = DataLoader(Of(seeding), 4, prefetch_factor=prefetch)
    iterator = iter(loader)
    assert all(bool(ok) for ok in next(iterator))
    state, seed = minicnn.get_rng_state(), minicnn.initial_seed()
    assert all(bool(ok) for batch in iterator for ok in batch)
    assert minicnn.get_rng_state() == state and minicnn.initial_seed() == seed == 5  # the program's own stream goes on


def test_a_seed_ends_with_its_sample() -> None:
    def seeds_once(index: int) -> float:
        if index == 0:
            minicnn.manual_seed(1)
        return minicnn.rand(1).item()

    once, again = ([float(x) for b in DataLoader(Of(seeds_once), k, seed=2) for x in b] for k in (1, 12))
    assert once == again and once[0] == minicnn.rand(1, generator=Generator().manual_seed(1)).item()


def test_a_whole_batch_that_was_seeded_draws_from_its_seed() -> None:
    class Seeded(Of):
        def fetch_batch(self, indices: Any) -> Any:
            minicnn.manual_seed(3)
            return [generator.random() for generator in sample_generators(len(indices))]

        def __getitem__(self, index: int) -> Any:
            raise AssertionError

    dataset = Seeded(int)
    expected = Generator().manual_seed(3).numpy.random(4).tolist()
    assert next(iter(DataLoader(dataset, 4))) == expected


def test_a_loader_inside_a_dataset() -> None:
    def inner(index: int) -> list[int]:
        return [int(x) for batch in DataLoader(range(5), 2, shuffle=True) for x in batch]

    options: dict[str, Any] = {"seed": 4, "collate_fn": list}
    once, again = (list(DataLoader(Of(inner), k, **options)) for k in (2, 12))
    assert [x for batch in once for x in batch] == again[0] and len({tuple(x) for x in again[0]}) > 1


# ------------------------------------------------------------------------------------------- made ahead, in secret


def augmented() -> Digits:
    chain = [transforms.ToTensor(), transforms.RandomCrop(8, padding=2), transforms.Normalize((0.5,), (0.5,))]
    return Digits(train=False, transform=transforms.Compose(chain))


class Negative(transforms.Transform):
    def __call__(self, picture: Any) -> Any:
        return -picture

    batch = __call__


class Renamed(Digits):
    """Somebody's class: it may look at anything."""


class Digit(Digits):
    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index)


def test_only_pure_data_is_made_ahead() -> None:
    def maker(dataset: Any, **options: Any) -> type:
        iterator: Any = iter(DataLoader(dataset, 4, **options))
        with suppress(TypeError):  # pictures cannot be collated
            next(iterator)
        return type(iterator._workers)

    pure = augmented()
    assert maker(pure) is Verified and maker(Subset(pure, [1, 5, 6])) is Verified
    assert maker(pure, collate_fn=list) is maker(pure, prefetch_factor=0) is InPlace
    for dataset in (
        Renamed(transform=transforms.ToTensor()),
        Digit(transform=transforms.ToTensor()),
        Digits(transform=transforms.Compose([transforms.ToTensor(), Negative()])),
        Digits(transform=transforms.ToTensor(), target_transform=int),
        Digits(),
        minicnn.utils.data.TensorDataset(minicnn.rand(9)),
        list(range(9)),
    ):
        assert maker(dataset) is InPlace, dataset


def change_pixels(data: Digits) -> None:
    data.data.numpy()[:] //= 2


def change_targets(data: Digits) -> None:
    data.targets += 1


def change_data(data: Digits) -> None:
    data.data = minicnn.zeros(360, 8, 8, dtype=minicnn.uint8)


def change_transform(data: Digits) -> None:
    data.transform = transforms.ToTensor()


def change_chain(data: Digits) -> None:
    data.transform.transforms.append(transforms.RandomHorizontalFlip(1.0))  # type: ignore[union-attr]


def change_member(data: Digits) -> None:
    data.transform.transforms[2].mean[0] = 0.1  # type: ignore[union-attr, index]


def change_to_a_function(data: Digits) -> None:
    chain = data.transform
    data.transform = lambda picture: -chain(picture)  # type: ignore[misc]


CHANGES = [change_pixels, change_targets, change_data, change_transform, change_chain, change_member]


@pytest.mark.parametrize("change", [*CHANGES, change_to_a_function], ids=lambda f: f.__name__)
@pytest.mark.parametrize("subset", [False, True])
def test_a_change_in_the_loop_is_seen_by_the_next_batch(change: Callable[[Digits], None], subset: bool) -> None:
    def run(**options: Any) -> list[np.ndarray]:
        data = augmented()
        data.transform.transforms[2].mean = [0.5]  # type: ignore[union-attr, index]
        dataset: Any = Subset(data, list(range(100, 340))) if subset else data
        got = []
        for number, (pictures, targets) in enumerate(DataLoader(dataset, 40, shuffle=True, seed=1, **options)):
            got += [pictures.numpy(), targets.numpy()]
            if number == 1:
                time.sleep(0.01)  # the thread has the next ones ready
                change(data)
        return got

    for ahead, in_place in zip(run(), run(prefetch_factor=0), strict=True):
        np.testing.assert_array_equal(ahead, in_place)


def test_what_a_program_keeps_in_its_context_does_not_matter() -> None:
    kept: ContextVar[Any] = ContextVar("kept")
    loader = DataLoader(augmented(), 100, seed=1)
    expected = [pictures.numpy() for pictures, _ in loader]
    loader.set_epoch(0)
    for number, (pictures, _) in enumerate(loader):
        kept.set(np.arange(3) + number)  # arrays have no truth value
        np.testing.assert_array_equal(pictures.numpy(), expected[number])


def test_without_a_thread_to_be_had_batches_are_made_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert len(list(DataLoader(augmented(), 100))) == 4
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(iter(DataLoader(augmented(), 100, prefetch_factor=2)))  # asked for


def test_indices_that_are_no_integers_go_to_the_dataset() -> None:
    for dataset in (augmented(), minicnn.utils.data.TensorDataset(minicnn.arange(6))):
        for indices in ([0.5, 1.7], ["1", "2"]):
            with pytest.raises((IndexError, TypeError)):
                next(iter(DataLoader(dataset, 2, sampler=indices)))
        with pytest.raises(ValueError, match="empty"):
            next(iter(DataLoader(dataset, batch_sampler=[[]])))


def test_generators_are_kept_for_small_batches_only() -> None:
    next(iter(DataLoader(Of(lambda i: minicnn.rand(1), 5000), 5000)))
    assert len(randomness._idle) <= 2 * randomness._IDLE


def test_an_error_of_a_batch_made_ahead_comes_with_its_batch() -> None:
    data = augmented()
    data.targets = data.targets[:200]
    iterator = iter(DataLoader(data, 100))
    assert len(next(iterator)[0]) == len(next(iterator)[0]) == 100
    with pytest.raises(IndexError):
        next(iterator)


def test_the_thread_ends_when_nobody_asks() -> None:
    iterator = iter(DataLoader(augmented(), 40))
    batches = [next(iterator)]
    deadline = time.monotonic() + 30
    while any(thread.name == "minicnn-loader" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(thread.name == "minicnn-loader" for thread in threading.enumerate())
    batches += iterator
    assert sum(len(pictures) for pictures, _ in batches) == 360


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from minicnn.datasets import Digits
from minicnn.transforms import ToTensor
from minicnn.utils.data import DataLoader
if __name__ == "__main__":
    iterator = iter(DataLoader(Digits(train=False, transform=ToTensor()), 40, seed=1, **{options}))
    next(iterator)
    child = os.fork()
    sums = [round(float(pictures.sum()), 3) for pictures, _ in iterator]
    print(sums, flush=True)
    if child:
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("options", ["{}", "{'num_workers': 1}", "{'num_workers': 1, 'persistent_workers': True}"])
def test_a_child_forked_in_mid_iteration_goes_on(options: str, tmp_path: Any) -> None:
    script = tmp_path / "fork.py"
    script.write_text(FORK.replace("{options}", options))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    parent, child = done.stdout.splitlines()
    assert parent == child and parent.count(",") == 7 and done.returncode == 0, done.stderr
