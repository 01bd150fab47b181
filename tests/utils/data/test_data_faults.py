"""Workers that die, hang or raise, and programs that are interrupted: what is said, how soon, and that nothing is left.

The delays and counts are printed: `pytest -n 0 -m "" -rP tests/utils/data/test_data_faults.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from minicnn.utils.data import DataLoader, Dataset, IterableDataset, Subset, get_worker_info


class Times(Dataset[Any]):
    """Sample i is (i, when it was made); at index 9 of 16 something happens."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> Any:
        if index == 9:
            time.sleep(0.5)  # what is finished is sent meanwhile
            with open(os.environ["FAULT_TIME"], "w") as file:
                file.write(repr(time.time()))
            if self.fault == "exit":
                os._exit(7)
            if self.fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.fault == "memory":
                np.empty(2**62, np.uint8)
            if self.fault == "raise":
                raise ZeroDivisionError("a flat image")
            if self.fault == "hang":
                time.sleep(600)
        return index, time.time()


class Stream(Times, IterableDataset[Any]):
    __add__ = IterableDataset.__add__

    def __iter__(self) -> Any:
        info = get_worker_info()
        assert info is not None
        return (self[i] for i in range(info.id, 16, 2))  # 9 is the fifth of worker 1


FAULTS = {
    "exit": (RuntimeError, r"worker process 0 had not delivered batch 2 \(samples 8, 9, 10, 11\).*: 7[,}]"),
    "kill": (RuntimeError, r"worker process 0 had not delivered batch 2 \(samples 8, 9, 10, 11\).*: -9[,}]"),
    "segfault": (RuntimeError, r"worker process 0 had not delivered batch 2 .*: -11[,}]"),
    "memory": (MemoryError, r"(?s)Caught \w*MemoryError in DataLoader worker process 0.*sample 9 of Times"),
    "raise": (ZeroDivisionError, r"(?s)in DataLoader worker process 0.*a flat image.*sample 9 of Times"),
    "hang": (RuntimeError, r"timed out after 2 seconds; worker process 0 had not delivered batch 2 \(samples 8, 9"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_at_once(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_TIME", str(tmp_path / "time"))
    kind, message = FAULTS[fault]
    loader = DataLoader(Times(fault), 4, num_workers=2, timeout=2 if fault == "hang" else 60)
    iterator = iter(DataLoader(Times(""), 4, num_workers=1, timeout=60))  # imports are in memory now
    next(iterator)
    del iterator
    seen = []
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(kind, match=message):
        for batch in loader:
            seen += np.asarray(batch[0]).tolist()
    delay = time.time() - float((tmp_path / "time").read_text())
    assert seen == list(range(8))  # the batches before it have been returned
    print(f"{fault}: reported {1000 * delay:.0f} ms after it happened")
    assert delay < (2 if fault == "hang" else 0) + 20  # a bound against hanging; times are not for tests
    del loader
    left = [child for child in psutil.Process().children(recursive=True) if child not in before and child.is_running()]
    assert not [child for child in left if "spawn_main" in " ".join(child.cmdline())]


def test_a_fault_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_TIME", str(tmp_path / "time"))
    with pytest.raises(RuntimeError, match=r"worker process 1 had not delivered batch 3; exit codes"):
        list(DataLoader(Stream("exit"), 4, num_workers=2, timeout=60))


def test_in_place_an_error_has_a_note_of_its_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_TIME", str(tmp_path / "time"))
    for dataset in (Times("raise"), Subset(Times("raise"), [3, 9, 1])):
        for size in (4, None):
            with pytest.raises(ZeroDivisionError) as caught:
                list(DataLoader(dataset, size, prefetch_factor=0))
            (note,) = caught.value.__notes__
            assert note.startswith("DataLoader: this was sample ") and str(caught.value) == "a flat image"


PROGRAM = """
import sys, time
import numpy as np
from minicnn.utils.data import DataLoader
class Slow:
    def __len__(self): return 100000
    def __getitem__(self, index):
        time.sleep(0.002 if index != 300 else {hang})
        return np.full(1000, index)
if __name__ == "__main__":
    print("begin", flush=True)
    for epoch in range(1000):
        for batch in DataLoader(Slow(), 10, num_workers=2, prefetch_factor=4): pass
"""


def group(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getsid"), reason="needs process groups")
@pytest.mark.parametrize(("how", "hang"), [("SIGINT", 0.0), ("SIGTERM", 0.0), ("SIGINT", 600.0), ("SIGTERM", 600.0)])
def test_an_interrupted_program_leaves_no_process(how: str, hang: float, tmp_path: Path) -> None:
    """Ctrl-C, to the whole group as a terminal does, or SIGTERM to the program, at random moments."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("{hang}", str(hang)))
    rng, ends, gone, storms = np.random.default_rng(0), [], [], 0
    for moment in rng.uniform(0, 4, int(os.environ.get("FAULT_MOMENTS", 5))):
        program = subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with program:
            assert program.stdout is not None and program.stderr is not None
            assert program.stdout.readline() == "begin\n"
            time.sleep(moment)
            start = time.monotonic()
            if how == "SIGINT":
                os.killpg(program.pid, signal.SIGINT)
            else:
                program.terminate()
            code = program.wait(60)
            ends.append(time.monotonic() - start)
            while group(program.pid) and time.monotonic() - start < 60:
                time.sleep(0.01)
            gone.append(time.monotonic() - start)
            left = group(program.pid)
            for process in left:
                process.kill()
            said = program.stderr.read()
        assert not left, f"{len(left)} processes live on {gone[-1]:.1f} s after {how}"
        assert code == -getattr(signal, how), said
        storms += said.count("Traceback (most") > (how == "SIGINT")
    print(
        f"{how}, {'a worker hangs' if hang else 'all at work'}: {len(ends)} programs ended within {max(ends):.2f} s, "
        f"their last process within {max(gone):.2f} s; 0 processes left, {storms} with more than one traceback"
    )
    assert not storms
