"""The DataLoader with worker processes. Spawning is slow, so each test checks many things."""

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
    """A dataset that does what `fault` says at one index."""

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
            if self.fault == "exit":
                sys.exit(5)
            if self.fault == "hang":
                time.sleep(60)
            if self.fault == "unpicklable":
                return lambda: None
        info = get_worker_info()
        assert info is not None
        return index, sample_generator().random(), info.id, os.getpid()


class Peculiar(ValueError):
    """An exception that pickle cannot restore."""

    def __init__(self, number: int, *, reason: str) -> None:
        super().__init__(f"{number}: {reason}")


class Quitting(Dataset[int]):
    """A dataset that cannot be unpickled in a worker."""

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


def images(loader: DataLoader[Any], epochs: int = 2) -> list[np.ndarray]:
    return [np.asarray(member) for _ in range(epochs) for batch in loader for member in batch]


def test_the_images_do_not_depend_on_the_workers() -> None:
    chain = [RandomCrop(8, padding=2), RandomHorizontalFlip(), ToTensor()]
    at_once = Digits(train=False, transform=Compose(chain))
    one_by_one = Digits(train=False, transform=Compose([*chain, Lambda(np.asarray)]))
    options: dict[str, Any] = {"batch_size": 50, "shuffle": True, "seed": 6}
    expected = images(DataLoader(at_once, **options))
    assert not np.array_equal(expected[0], expected[16])  # another epoch, other images
    for loader in (
        DataLoader(at_once, prefetch_factor=0, **options),
        DataLoader(one_by_one, **options),
        DataLoader(one_by_one, prefetch_factor=0, **options),
        DataLoader(at_once, num_workers=2, persistent_workers=True, **options),
        DataLoader(one_by_one, num_workers=2, persistent_workers=True, prefetch_factor=1, **options),
        DataLoader(at_once, num_workers=1, persistent_workers=True, prefetch_factor=0, **options),
    ):
        for got, wanted in zip(images(loader), expected, strict=True):
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
    iterator = iter(DataLoader(Faulty("key"), 4, num_workers=1))
    assert len([next(iterator), next(iterator)]) == 2
    with pytest.raises(KeyError) as caught_key:
        next(iterator)
    assert len(list(iterator)) == 3  # the batches after it
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
    loader = DataLoader(Digits(transform=Lambda(lambda image: image)), num_workers=1)
    with pytest.raises(RuntimeError, match=r"cannot be sent to worker processes.*module-level"):
        iter(loader)
    assert get_worker_info() is None


def test_large_batches_of_many_large_tasks() -> None:
    """More data than a socket holds, in both directions: neither side may wait for the other."""
    tasks = [[i] * 60_000 for i in range(8)]
    loader = DataLoader(np.arange(8), batch_sampler=tasks, num_workers=1, prefetch_factor=8, timeout=120)
    assert [int(batch.sum()) for batch in loader] == [60_000 * i for i in range(8)]


def test_an_iteration_broken_off_leaves_nothing_for_the_next() -> None:
    loader = DataLoader(Faulty(), 2, num_workers=2, persistent_workers=True, seed=1)
    for _ in range(3):
        loader.set_epoch(0)
        assert np.asarray(next(iter(loader))[0]).tolist() == [0, 1]
    first, second = iter(loader), iter(loader)  # two at once share the processes
    for a, b in zip(first, second, strict=True):
        assert np.asarray(a[0]).tolist() == np.asarray(b[0]).tolist()


def test_sys_exit_in_a_worker_is_said() -> None:
    got = []
    with pytest.raises(RuntimeError, match=r"worker process died unexpectedly.*\b5\b.*sys\.exit"):
        for batch in DataLoader(Faulty("exit"), 4, num_workers=1):
            got += np.asarray(batch[0]).tolist()
    assert got == list(range(8))  # what came before it is not lost


def run_script(text: str, folder: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    script = folder / "main.py"
    script.write_text(text)
    command = [sys.executable, *options.pop("arguments", [str(script)])]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120, **options
    )


UNGUARDED = """
import numpy as np
from minicnn.utils.data import DataLoader
for batch in DataLoader(np.zeros(({rows}, 1000)), 2, num_workers=1): pass
"""


@pytest.mark.parametrize("rows", [4, 2000], ids=["small", "larger than a pipe"])
def test_a_script_without_a_main_guard_is_told_so(rows: int, tmp_path: Any) -> None:
    done = run_script(UNGUARDED.replace("{rows}", str(rows)), tmp_path)
    assert done.returncode == 1 and "without `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]


OWN_CLASS = """
from minicnn.utils.data import DataLoader
class Own:
    def __len__(self): return 4
    def __getitem__(self, index): return index
if __name__ == "__main__":
    print(len(list(DataLoader({dataset}, 2, num_workers=1))))
"""


def test_a_program_that_is_no_file_is_told_so(tmp_path: Any) -> None:
    own, lists = (OWN_CLASS.replace("{dataset}", dataset) for dataset in ("Own()", "list(range(4))"))
    for text in (own, lists):  # processes would look for a file called <stdin>
        done = run_script(text, tmp_path, arguments=["-"], input=text)
        assert done.returncode == 1 and "this one is no file" in done.stderr and "num_workers=0" in done.stderr
    done = run_script(own, tmp_path, arguments=["-c", own])
    assert done.returncode == 1 and "an interactive session or a `python -c` line" in done.stderr
    assert run_script(lists, tmp_path, arguments=["-c", lists]).stdout == "2\n"
    assert run_script(own, tmp_path).stdout == "2\n"


HANGS = """
import sys
from minicnn.utils.data import DataLoader
from test_data_workers import Faulty
if __name__ == "__main__":
    iterator = iter(DataLoader(Faulty("hang"), 8, num_workers=2, persistent_workers={persistent}))
    next(iterator)
    print("bye", flush=True)
    {end}
"""


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("raise ValueError", 1), ("del iterator", 0)], ids=str
)
def test_a_program_ends_though_a_worker_hangs(end: str, code: int, tmp_path: Any) -> None:
    start = time.monotonic()
    done = run_script(HANGS.replace("{end}", end).replace("{persistent}", str(code == 3)), tmp_path)
    assert done.stdout == "bye\n" and done.returncode == code, done.stderr
    assert time.monotonic() - start < 50  # the dataset sleeps for 60


INTERRUPTED = """
import os, signal, threading, time
from minicnn.datasets import Digits
from minicnn.transforms import ToTensor
from minicnn.utils.data import DataLoader
from test_data_workers import workers

if __name__ == "__main__":
    loader = DataLoader(Digits(transform=ToTensor()), 40, num_workers={workers})
    kept = []
    for moment in range(6):
        try:
            for number, batch in enumerate(loader):
                if number == moment:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0.01)
        except KeyboardInterrupt as error:
            kept.append(error)  # as an interactive session keeps the last one, with the frame of the loop
    kept.clear()
    error = batch = None
    deadline = time.monotonic() + 30
    while (workers() or threading.active_count() > 1) and time.monotonic() < deadline: time.sleep(0.05)
    print(len(workers()), threading.active_count(), sum(len(targets) for _, targets in loader))
"""


@pytest.mark.parametrize("count", [0, 2])
def test_ctrl_c_leaves_no_worker_behind_and_the_loader_goes_on(count: int, tmp_path: Any) -> None:
    done = run_script(INTERRUPTED.replace("{workers}", str(count)), tmp_path)
    assert done.stdout == "0 1 1437\n", done.stderr


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
    open('{output}', "w").write(" ".join(str(worker.pid) for worker in workers()))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_do_not_outlive_a_killed_main_process(tmp_path: Any) -> None:
    output = tmp_path / "pids"  # a file: workers that live on would hold a pipe open
    done = run_script(SCRIPT.replace("{output}", str(output)), tmp_path)
    assert done.returncode == -signal.SIGKILL
    orphans = [int(pid) for pid in output.read_text().split()]
    assert len(orphans) == 2
    deadline = time.monotonic() + 20
    while (alive := [pid for pid in orphans if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert alive == []
