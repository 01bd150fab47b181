"""Without workers the caller calls the dataset when it takes the batch, unless there is a thread."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loading import SEEDINGS, Of

import minicnn
from minicnn import transforms
from minicnn.datasets import Digits
from minicnn.random import Generator
from minicnn.utils.data import DataLoader, randomness, sample_generators

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
    """In a thread too, the settings are those of the code that takes the batch."""

    def settings(index: int) -> tuple[bool, str, str]:
        y = minicnn.ones(2, requires_grad=True) * 2
        from minicnn_kernels.dispatch import _selection

        return y.requires_grad, np.geterr()["over"], str(_selection.get().backend)

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


# --------------------------------------------------------------------------------------------- images in memory


def augmented() -> Digits:
    chain = [transforms.ToTensor(), transforms.RandomCrop(8, padding=2), transforms.Normalize((0.5,), (0.5,))]
    return Digits(train=False, transform=transforms.Compose(chain))


@pytest.mark.parametrize("options", [{}, {"prefetch_factor": 0}])
def test_a_change_in_the_loop_is_seen_by_the_next_batch(options: dict[str, Any]) -> None:
    data = augmented()
    sums = []
    for number, (_, targets) in enumerate(DataLoader(data, 40, **options)):
        sums.append(int(targets.sum()))
        if number == 1:
            data.targets = data.targets * 0
    assert all(sums[:2]) and not any(sums[2:])


def test_a_thread_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
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


def test_the_thread_ends_when_nobody_asks() -> None:
    iterator = iter(DataLoader(augmented(), 40, prefetch_factor=2))
    batches = [next(iterator)]
    deadline = time.monotonic() + 30
    while any(thread.name == "minicnn-loader" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(thread.name == "minicnn-loader" for thread in threading.enumerate())
    batches += iterator
    assert sum(len(images) for images, _ in batches) == 360


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
    sums = [round(float(images.sum()), 3) for images, _ in iterator]
    os.write(1, f"{sums}\\n".encode())  # in one go, whatever the other writes
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
