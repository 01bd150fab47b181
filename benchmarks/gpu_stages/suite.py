"""The tests of operations, layers, optimisers and the tape on the GPU: `pytest --device cuda`."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from typing import Any

from .child import Cases, Run
from .control import ROOT

FOLDERS = ("tests/ops", "tests/nn", "tests/optim", "tests/autograd")
SMALL = ("tests/autograd/test_modes.py",)
OUTCOME = "(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)"
WITH_WORKERS, ALONE = re.compile(rf"^\[gw\d+\].*?\] {OUTCOME} (.*::.*)"), re.compile(rf"^(\S+::.*) {OUTCOME}\b")
EVERY = 10.0  # seconds between two lines about how far it is


def cases(run: Run) -> Cases:
    return {"pytest --device cuda": lambda: tests(run)}


def tests(run: Run) -> dict[str, Any]:
    """How many passed, failed, were skipped; those that failed, by name. It ends when the time of the stage does."""
    where = SMALL if run.small else FOLDERS
    command = [
        sys.executable, "-m", "pytest", "-vv", "-n", "0" if run.small else "8", "--device", "cuda", "--tb=short",
        "-p", "no:cacheprovider", *where,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    counts, failed, lines = dict.fromkeys(("PASSED", "FAILED", "ERROR", "SKIPPED"), 0), [], []

    def read() -> None:
        told = time.monotonic()
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                lines.append(line.rstrip())
                outcome, name = parsed(line) or ("", "")
                if outcome:
                    counts[outcome] = counts.get(outcome, 0) + 1
                if outcome in ("FAILED", "ERROR"):
                    failed.append(name)
                    print(f"  {outcome} {name}", flush=True)
                if time.monotonic() - told > EVERY:
                    told = time.monotonic()
                    print(f"  {counts}", flush=True)

    reader = threading.Thread(target=read, daemon=True)  # a worker that hangs may hold the output open
    reader.start()
    try:
        status = process.wait(max(1.0, run.left() - 3))
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    reader.join(2)
    report = "\n".join(lines[-400:]) if status > 0 else ""
    print(*(lines[-60:] if status > 0 else lines[-1:]), counts, sep="\n", flush=True)
    found = {"counts": counts, "failed": failed, "complete": status >= 0, "report": report[-20_000:]}
    if failed:
        found["error"] = f"{len(failed)} tests fail: {', '.join(failed[:40])}"
    elif status > 0:
        found["error"] = f"pytest ended with {status}: {' | '.join(lines[-8:])}"
    return found


def parsed(line: str) -> tuple[str, str] | None:
    """The outcome and the name of a test in a line of `pytest -v`, with or without workers."""
    found = WITH_WORKERS.match(line)
    if found:
        return found[1], found[2].strip()
    found = ALONE.match(line)
    return (found[2], found[1].strip()) if found else None


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = []
    for case in cases.values():
        if "counts" in case:
            said = ", ".join(f"{number} {name.lower()}" for name, number in case["counts"].items())
            lines.append(f"{said}{'' if case['complete'] else ' until the time was up'}")
    return lines
