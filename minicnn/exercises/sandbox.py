"""A file with answers is run in a process of its own: it may loop for ever, exit, or crash.

The process (`child.py`) writes what happens to a file, record by record. So what happened before its end is known, and
a time limit can say in which case, and in which line, the time was spent.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .attempt import Outcome

SECONDS = 10.0  # for one case
_START = 60.0  # seconds for Python and the imports, on a slow machine
_TIMEOUT = re.compile(r'File "(.*)", line (\d+) in (\S+)')


def run(path: Path, name: str, seconds: float = SECONDS) -> tuple[list[Outcome], str]:
    """Try the answer of a file to an exercise, each case within `seconds`.

    Returns:
        the outcomes of the cases, fewer if the program ended before; and why it could not be tried at all, or "".
    """
    with tempfile.TemporaryDirectory() as folder:
        records, trace = Path(folder, "records"), Path(folder, "trace")
        records.touch()
        command = [sys.executable, "-m", "minicnn.exercises.child", str(path.absolute()), folder, str(seconds), name]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
            cwd=path.absolute().parent, start_new_session=True,
        )  # fmt: skip
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):  # if not even the child's own limit works
                process.wait(_START + seconds * 100)
        finally:
            if hasattr(os, "killpg"):  # also the processes that the answer has started
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()  # nothing if it has ended
            process.wait()
        text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
        return _collected(list(_records(records)), _ended(text, process.returncode, path, seconds))


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """The records that were written whole."""
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return


def _collected(records: list[tuple[str, Any]], ended: Outcome) -> tuple[list[Outcome], str]:
    """The outcomes; the last one is `ended` if the process ended in the middle of a case."""
    outcomes = [content for kind, content in records if kind == "outcome"]
    problem: str = next((content for kind, content in records if kind == "problem"), "")
    last = records[-1] if records else ("load", 0)
    if last[0] == "load":
        where = f", in {ended.line}" if ended.line else ""
        problem = f"while the file is read, {ended.problem}{where}"
    elif last[0] == "begin":
        outcomes.append(ended)
    return outcomes, problem


def _ended(trace: str, code: int, path: Path, seconds: float) -> Outcome:
    """Why the process ended too early."""
    frames = [found for found in _TIMEOUT.findall(trace) if Path(found[0]) == path.absolute()]
    if trace:
        line = ""
        if frames:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            number = int(frames[0][1])
            line = f"line {number}: {lines[number - 1].strip()}" if number <= len(lines) else f"line {number}"
        return Outcome(None, f"it did not end within {seconds:g} s: a loop that never stops, or a very slow one", line)
    if code >= 0:
        return Outcome(None, f"the program ended (exit code {code}): os._exit, or no memory left")
    why = {signal.SIGINT: "KeyboardInterrupt", getattr(signal, "SIGKILL", 9): "it was killed; no memory left?"}
    return Outcome(None, f"the program ended (signal {-code}): {why.get(-code, 'it crashed')}")
