"""The DataLoader with worker processes. Spawning takes a moment, so each test asks for much at once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from minicnn.datasets import Digits
from minicnn.transforms import Compose, Lambda, RandomCrop, RandomHorizontalFlip, ToTensor
from minicnn.utils.data import DataLoader, Dataset, get_worker_info, sample_generator


class Faulty(Dataset[tuple[int, float]]):
    """Does at one index what `fault` says."""

    def __init__(self, fault: str = "", at: int = 9) -> None:
        self.fault, self.at = fault, at

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Any:
        if index == self.at:
            if self.fault == "raise":
                raise Peculiar(3, reason="on purpose")
            if self.fault == "key":
                raise KeyError("missing")
            if self.fault == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "hang":
                time.sleep(60)
            if self.fault == "unpicklable":
                return lambda: None
        info = get_worker_info()
        assert info is not None
        return index, sample_generator().random(), info.id, os.getpid()


class Peculiar(ValueError):
    """An exception that pickle cannot bring back."""

    def __init__(self, number: int, *, reason: str) -> None:
        super().__init__(f"{number}: {reason}")


class Quitting(Dataset[int]):
    """Cannot be unpickled in a worker."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return index

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("no way back")

    def __getstate__(self) -> Any:
        return {"a": 1}


def refuse(worker: int) -> None:
    raise OSError(f"worker {worker} has no disk")


def seed_is_set(worker: int) -> None:
    info = get_worker_info()
    assert info is not None and info.id == worker and info.num_workers == 2 and info.seed > 0
    assert info.dataset.fault == ""


def workers() -> list[psutil.Process]:
    """The living or zombie child processes that spawn started (its resource tracker is not one of ours)."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() == psutil.STATUS_ZOMBIE or "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert workers() == []


def pictures(loader: DataLoader[Any], epochs: int = 2) -> list[np.ndarray]:
    return [np.asarray(member) for _ in range(epochs) for batch in loader for member in batch]


def test_the_pictures_do_not_depend_on_the_workers() -> None:
    chain = [RandomCrop(8, padding=2), RandomHorizontalFlip(), ToTensor()]
    at_once = Digits(train=False, transform=Compose(chain))
    one_by_one = Digits(train=False, transform=Compose([*chain, Lambda(np.asarray)]))
    options: dict[str, Any] = {"batch_size": 50, "shuffle": True, "seed": 6}
    expected = pictures(DataLoader(at_once, **options))
    assert not np.array_equal(expected[0], expected[16])  # another epoch, other pictures
    for loader in (
        DataLoader(at_once, prefetch_factor=0, **options),
        DataLoader(one_by_one, **options),
        DataLoader(one_by_one, prefetch_factor=0, **options),
        DataLoader(at_once, num_workers=2, persistent_workers=True, **options),
        DataLoader(one_by_one, num_workers=2, persistent_workers=True, prefetch_factor=1, **options),
        DataLoader(at_once, num_workers=1, persistent_workers=True, prefetch_factor=0, **options),
    ):
        for got, wanted in zip(pictures(loader), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_both_workers_work_and_are_kept_as_asked() -> None:
    loader = DataLoader(
        Faulty(), 2, num_workers=2, persistent_workers=True, worker_init_fn=seed_is_set, timeout=120, seed=1
    )
    epochs = [[[np.asarray(member).tolist() for member in batch] for batch in loader] for _ in range(2)]
    assert [batch[0] for batch in epochs[0]] == [[i, i + 1] for i in range(0, 24, 2)]
    assert {worker for epoch in epochs for batch in epoch for worker in batch[2]} <= {0, 1}
    processes = {process for epoch in epochs for batch in epoch for process in batch[3]}
    assert len(workers()) == 2 and processes <= {worker.pid for worker in workers()}
    iterator = iter(loader)
    next(iterator)
    del loader
    assert len(workers()) == 2  # the iteration under way still needs them
    del iterator


@pytest.mark.parametrize("how", ["break", "collected", "finished"])
def test_the_processes_end(how: str) -> None:
    loader = DataLoader(Faulty(), 8, num_workers=2)
    if how == "break":
        for _ in loader:
            break
    elif how == "collected":
        iterator = iter(loader)
        next(iterator)
        del iterator
    else:
        assert len(list(loader)) == 3
    assert workers() == []


def test_an_exception_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError) as caught:  # Peculiar cannot be built from a message
        list(DataLoader(Faulty("raise"), 4, num_workers=1))
    message = str(caught.value)
    assert "Caught Peculiar in DataLoader worker process 0" in message
    assert 'raise Peculiar(3, reason="on purpose")' in message and "3: on purpose" in message
    with pytest.raises(KeyError) as caught_key:
        list(DataLoader(Faulty("key"), 4, num_workers=1))
    assert "\nOriginal Traceback" in str(caught_key.value) and "KeyError: 'missing'" in str(caught_key.value)


def test_a_killed_worker_raises_instead_of_hanging() -> None:
    dataset = Faulty("die")
    loader = DataLoader(dataset, 4, num_workers=2, persistent_workers=True, timeout=120)
    with pytest.raises(RuntimeError, match=r"worker process died unexpectedly.*-9") as caught:
        list(loader)
    assert "timed out" not in str(caught.value)
    assert workers() == []
    dataset.fault = ""
    assert len(list(loader)) == 6  # the next epoch starts processes anew


def test_a_worker_that_hangs_times_out() -> None:
    with pytest.raises(RuntimeError, match="timed out after 3 seconds"):
        list(DataLoader(Faulty("hang", at=0), 4, num_workers=1, timeout=3))


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Faulty(), {"worker_init_fn": refuse}, r"OSError.*worker 0 has no disk"),
        (Quitting(), {}, "no way back"),
        (Faulty("unpicklable", at=0), {"collate_fn": list}, r"[Pp]ickle"),
    ],
    ids=["worker_init_fn", "unpickling", "pickling"],
)
def test_a_worker_that_cannot_start_or_answer_says_why(dataset: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=rf"(?s)DataLoader worker process 0.*{message}"):
        list(DataLoader(dataset, num_workers=1, **options))


def test_what_cannot_be_sent_to_workers_is_said_at_once() -> None:
    loader = DataLoader(Digits(transform=Lambda(lambda picture: picture)), num_workers=1)
    with pytest.raises(RuntimeError, match=r"cannot be sent to worker processes.*module-level"):
        iter(loader)
    assert get_worker_info() is None


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


SCRIPT = """
import os, signal
from minicnn.utils.data import DataLoader
from test_data_workers import Faulty, workers

if __name__ == "__main__":
    iterator = iter(DataLoader(Faulty(), 4, num_workers=2))
    next(iterator)
    print(*(worker.pid for worker in workers()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_do_not_outlive_a_killed_main_process(tmp_path: Any) -> None:
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    output = tmp_path / "pids"  # a file: workers that live on would hold a pipe open
    with output.open("wb") as stdout:
        done = subprocess.run(
            [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, stdout=stdout, timeout=120
        )
    assert done.returncode == -signal.SIGKILL
    orphans = [int(pid) for pid in output.read_text().split()]
    assert len(orphans) == 2
    deadline = time.monotonic() + 20
    while (alive := [pid for pid in orphans if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert alive == []
