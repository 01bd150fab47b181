"""The process of a stage: its cases run one after another, and the results file has each as soon as it has ended.

A case that raises, or whose result has an "error", has failed, and the next one runs. If the GPU is no longer usable,
the process ends with `LOST`, and `control.py` starts another for the cases that are left. It does so, too, if the
process crashes or hangs: the results say which case had been started.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

LOST = 75  # the exit status for "a new process may go on"
Cases = dict[str, Callable[[], Any]]


class Skip(Exception):
    """A case cannot run here; the message says why. It is no failure."""


class Failure(Exception):
    """A case has failed for a reason that the message says in full."""


def write(path: Path, value: Any) -> None:
    """Write JSON, so that another process never reads a half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(path)


def kept(cases: dict[str, Any]) -> dict[str, Any]:
    """Of earlier results, those of the cases that need not run again."""
    return {name: case for name, case in cases.items() if not case.keys() & {"started", "error", "skipped"}}


class Run:
    """What a stage may ask, and where its results go.

    Attributes:
        small: whether the GPU is emulated, so that only a few small cases are wanted.
        torch: whether PyTorch is to be timed too.
        results: those of the other stages, {stage: {"cases": ...}}.
        cases: the results of this stage.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.small, self.torch, self.results = bool(spec["small"]), bool(spec["torch"]), spec["results"]
        self.cases: dict[str, Any] = spec["cases"]
        self._file, self._end = Path(spec["file"]), time.time() + spec["seconds"]

    def left(self) -> float:
        """Seconds until the stage must end."""
        return self._end - time.time()

    def share(self, most: float) -> float:
        """Seconds for the next case, if all that are left get the same: at most `most`."""
        return max(0.0, min(most, self.left() / max(1, self._waiting)))

    def go(self, cases: Cases) -> int:
        """Run the cases that have no result yet, as long as there is time."""
        for name in [name for name in self.cases if name not in cases]:
            del self.cases[name]
        waiting = [name for name in cases if name not in self.cases]
        while waiting:
            self._waiting = len(waiting)
            if self.left() <= 0:
                print(f"no time is left for {', '.join(waiting)}")
                break
            name = waiting.pop(0)
            self._case(name, cases[name], waiting)
            if "error" in self.cases[name] and not self.cases[name].pop("plain", False) and not _usable():
                print("the GPU is no longer usable by this process", flush=True)
                return LOST
        self._keep(waiting)
        return 0

    def _case(self, name: str, call: Callable[[], Any], waiting: list[str]) -> None:
        self.cases[name] = {"started": time.time()}
        self._keep(waiting)
        try:
            self.cases[name] = call() or {}
        except Skip as why:
            self.cases[name] = {"skipped": str(why)}
            print(f"{name}: skipped: {why}")
        except Failure as why:
            self.cases[name] = {"error": str(why), "plain": True}
        except Exception as error:
            traceback.print_exc(limit=-8, file=sys.stdout)
            self.cases[name] = {"error": f"{type(error).__name__}: {error}"[:2000]}
        if "error" in self.cases[name]:
            print(f"{name}: FAILED: {self.cases[name]['error'][:1000]}")
        sys.stdout.flush()
        self._keep(waiting)

    def _keep(self, waiting: list[str]) -> None:
        write(self._file, {"cases": self.cases, "left": waiting})


def find_tests() -> None:
    """Let `tests` be the folder of this project, not a package of that name that is installed."""
    tests = sys.modules.setdefault("tests", ModuleType("tests"))
    tests.__path__ = [str(Path(__file__).parents[2] / "tests")]


def _usable() -> bool:
    """Whether the GPU still answers: after some errors it does not, to this process."""
    arrays = sys.modules.get("minicnn_kernels.arrays")
    if arrays is None or not arrays.in_use():
        return True
    try:
        arrays.gpu().cuda.Device().synchronize()
    except Exception:
        return False
    return True


def main(file: str) -> int:
    """Run the stage that a file of `control.py` describes."""
    spec = json.loads(Path(file).read_text(encoding="utf-8"))
    find_tests()
    run = Run(spec)
    return run.go(import_module(spec["module"]).cases(run))
