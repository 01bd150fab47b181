"""Runs stages, each in a process of its own: a crash or a hang in one does not reach the others.

    results = Results(Path("gpu.json"))
    Control(results, Options(...), seconds=600).run(STAGES)

A stage has a limit, which the time left for the whole run may shorten; with less than `least` seconds it is skipped.
Within a stage, a case that crashes its process, leaves the GPU unusable, or is silent for `patience` seconds is an
error; a new process goes on with the cases after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from . import report
from .child import kept, write

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parent
AT_THE_LIMIT = "it was ended at the limit of the stage"
PROCESSES = 8  # that a stage may use up by crashes


class Stage(NamedTuple):
    """A stage: its module, its limit, the least time that is worth a start, and how long a case may be silent."""

    name: str
    module: str
    seconds: float
    least: float = 10
    patience: float = 120


class Options(NamedTuple):
    """What the stages are told."""

    small: bool = False
    torch: bool = False


class Results:
    """The results of all stages, in a file and, as text, in another beside it: gpu.json and gpu.md."""

    def __init__(self, path: Path | None, head: dict[str, Any] | None = None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.data: dict[str, Any] = {**(head or {}), "stages": {}}

    def load(self) -> None:
        """Go on with what the file has."""
        if self.path is None or not self.path.exists():
            raise SystemExit("--from goes on with the results of an earlier run: name its file by --json FILE")
        try:
            earlier = json.loads(self.path.read_text(encoding="utf-8"))
            self.data["stages"] = earlier["stages"]
            self.data["begun"] = earlier.get("begun", earlier.get("date"))
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"--json: {self.path} has no results of this script ({error!r})") from error

    @property
    def stages(self) -> dict[str, Any]:
        """By name: {"status", "seconds", "cases", "left", "why"}."""
        found: dict[str, Any] = self.data["stages"]
        return found

    def save(self, stages: Iterable[Stage] = ()) -> None:
        """Write both files, if there is a name for them."""
        if self.path is not None:
            write(self.path, self.data)
            self.path.with_suffix(".md").write_text(report.page(self.data, stages), encoding="utf-8")


class Control:
    """Runs stages one after another within a time for all of them."""

    def __init__(self, results: Results, options: Options, seconds: float, *, resume: bool = False) -> None:
        self.results, self.options, self.resume = results, options, resume
        self.end = time.monotonic() + seconds

    def run(self, stages: list[Stage], every: list[Stage] | None = None) -> bool:
        """Run them; True if none failed. `every` is the list for the report.

        Ctrl-C ends the run: what was measured until then is in the results.
        """
        for stage in stages:
            earlier = self.results.stages.get(stage.name, {})
            found = self.results.stages[stage.name] = {"status": "started", "seconds": 0.0, "cases": {}, "left": []}
            if self.resume:
                found["cases"] = kept(earlier.get("cases", {}))
            seconds = min(stage.seconds, self.end - time.monotonic())
            try:
                if seconds < stage.least:
                    found.update(status="skipped", why=f"{max(0, seconds):.0f} s are left of the run's time")
                else:
                    self._run(stage, found, seconds, every or stages)
            except KeyboardInterrupt:
                found.update(status="interrupted")
                raise
            finally:
                self.results.save(every or stages)
                print(report.ending(stage.name, found), flush=True)
        return not any(self.results.stages[stage.name]["status"] == "failed" for stage in stages)

    def _run(self, stage: Stage, found: dict[str, Any], seconds: float, every: list[Stage]) -> None:
        shorter = f" of {stage.seconds:.0f}, which is all that is left" if seconds < stage.seconds - 1 else ""
        print(f"\n== {stage.name} (at most {seconds:.0f} s{shorter})", flush=True)
        start = time.monotonic()
        end = start + seconds
        with tempfile.TemporaryDirectory() as folder:
            try:
                for _ in range(PROCESSES):
                    again = self._process(stage, found, end, Path(folder), every, seconds < stage.seconds)
                    found["seconds"] = round(time.monotonic() - start, 1)
                    if not again or end - time.monotonic() < stage.least:
                        break
                    print("a new process goes on with the cases that are left", flush=True)
            finally:
                found["seconds"] = round(time.monotonic() - start, 1)
        bad = found.get("why") or any("error" in case for case in found["cases"].values())
        found["status"] = "failed" if bad else "cut short" if found["left"] else "done"

    def _process(
        self, stage: Stage, found: dict[str, Any], end: float, folder: Path, every: list[Stage], shortened: bool
    ) -> bool:
        """One process for the cases of a stage without a result; whether another one should go on."""
        file, spec = folder / "results.json", folder / "stage.json"
        before = dict(found["cases"])
        write(file, {"cases": before, "left": []})
        others = {name: {"cases": s["cases"]} for name, s in self.results.stages.items() if name != stage.name}
        told = {"small": self.options.small, "torch": self.options.torch, "results": others, "cases": before}
        write(spec, {"module": stage.module, "file": str(file), "seconds": end - time.monotonic() - 2, **told})
        child = _Child([sys.executable, "-u", str(BENCHMARKS / "gpu.py"), "--child", str(spec)])
        why, seen, at = "", b"", time.monotonic()
        try:
            while child.waits():
                now = time.monotonic()
                written = file.read_bytes()
                if written != seen:
                    seen, at = written, now
                    found.update(json.loads(written))
                    self.results.save(every)
                if now > end:
                    why = AT_THE_LIMIT
                elif now - max(at, child.spoke) > stage.patience:
                    why = f"it was ended after {stage.patience:.0f} s in which it said nothing"
                if why:
                    break
        finally:
            status = child.stop()
            found.update(json.loads(file.read_bytes()))
        if status == 0 and not why:
            return False
        why = why or (f"its process ended by {_signal(status)}" if status < 0 else f"its process ended with {status}")
        started = [name for name, case in found["cases"].items() if "started" in case]
        if why == AT_THE_LIMIT and shortened:  # by the run's time: no fault of the case
            found["cases"] = {name: case for name, case in found["cases"].items() if name not in started}
            found["left"] = [*started, *found["left"]]
            return False
        for name in started:
            found["cases"][name] = {"error": f"{why}; it had said: {child.tail()}"}
            print(f"{name}: {why}", flush=True)
        lost = any("error" in case and before.get(name) != case for name, case in found["cases"].items())
        if not lost:  # no case had begun
            found["why"] = f"{why}; it had said: {child.tail()}"
        return lost and bool(found["left"])


class _Child:
    """A process whose output is shown as it comes; it and all processes that it starts can be ended together."""

    def __init__(self, command: list[str]) -> None:
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT), str(ROOT / "kernels")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
        self.spoke, self._last = time.monotonic(), [""] * 12
        self._reader = threading.Thread(target=self._show, daemon=True)
        self._reader.start()

    def _show(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                self.spoke, self._last = time.monotonic(), [*self._last[1:], text]
                print(text, flush=True)

    def waits(self) -> bool:
        """Wait a moment; whether the process still runs."""
        try:
            self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return True
        return False

    def stop(self) -> int:
        """End what still runs; the exit status."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        self._reader.join(5)
        return status

    def tail(self) -> str:
        """The last lines of its output."""
        return " | ".join(filter(None, self._last))[-1500:]


def _signal(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
