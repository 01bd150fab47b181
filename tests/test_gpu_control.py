"""The control of `benchmarks/gpu.py`, with stages that crash, hang and fail."""

from __future__ import annotations

import _thread
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
HEAD = """
import os, pathlib, signal, sys, time, types
from gpu_stages.child import Failure, Skip

def note(name):
    with open(pathlib.Path(__file__).with_suffix(".ran"), "a") as file:
        file.write(name + " ")
    return {"value": name}

def fail(error):
    raise error

def table(cases, results):
    return [f"table of {name}" for name in cases]

def cases(run):
    return """


@pytest.fixture
def module(benchmark: Any) -> Callable[[str], Any]:
    """A module of `benchmarks/gpu_stages`."""
    return lambda name: benchmark(f"gpu_stages.{name}")


@pytest.fixture
def stage(module: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Write a stage with these cases, Python text."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name: str, cases: str, seconds: float = 60, least: float = 1, patience: float = 60) -> Any:
        (tmp_path / f"stage_{name}.py").write_text(HEAD + cases)
        return module("control").Stage(name, f"stage_{name}", seconds, least, patience)

    return make


def run(module: Any, tmp_path: Path, stages: list[Any], seconds: float = 100, resume: bool = False) -> tuple[bool, Any]:
    """Whether no stage failed, and the results in the file."""
    control = module("control")
    results = control.Results(tmp_path / "out" / "gpu.json")
    if resume:
        results.load()
    well = control.Control(results, control.Options(), seconds, resume=resume).run(stages)
    return well, json.loads((tmp_path / "out" / "gpu.json").read_text())["stages"]


def ran(tmp_path: Path, name: str) -> list[str]:
    return (tmp_path / f"stage_{name}.ran").read_text().split()


def test_a_case_that_fails_is_told_and_the_rest_runs(module: Any, stage: Any, tmp_path: Path, capfd: Any) -> None:
    text = '{"a": lambda: note("a"), "b": lambda: fail(ValueError("no b")), "c": lambda: fail(Skip("no tool")),'
    text += '"f": lambda: fail(Failure("plainly")),'
    text += ' "d": lambda: {"error": "wrong", "value": 3}, "e": lambda: print("said e")}'
    well, found = run(module, tmp_path, [stage("one", text), stage("two", '{"z": lambda: note("z")}')])
    assert not well and found["one"]["status"] == "failed" and found["two"]["status"] == "done"
    assert found["one"]["cases"] == {
        "a": {"value": "a"}, "b": {"error": "ValueError: no b"}, "c": {"skipped": "no tool"},
        "d": {"error": "wrong", "value": 3}, "e": {}, "f": {"error": "plainly"},
    }  # fmt: skip
    page = (tmp_path / "out" / "gpu.md").read_text()
    for part in ("## one", "table of a", "**failed**: b: ValueError: no b", "skipped: c: no tool", "## two"):
        assert part in page
    said = capfd.readouterr().out
    assert "f: FAILED: plainly" in said and said.count("Traceback") == 1  # of b
    assert "said e" in said and "b: FAILED: ValueError" in said and "one: failed" in said


def test_after_a_crash_a_new_process_goes_on(module: Any, stage: Any, tmp_path: Path) -> None:
    crash = 'lambda: (print("last words", flush=True), os.kill(os.getpid(), signal.SIGSEGV))'
    text = f'{{"a": lambda: note("a"), "b": {crash}, "c": lambda: note("c"), "d": lambda: os._exit(3)}}'
    well, found = run(module, tmp_path, [stage("one", text), stage("two", '{"z": lambda: note("z")}')])
    cases = found["one"]["cases"]
    assert not well and ran(tmp_path, "one") == ["a", "c"] and list(cases) == ["a", "b", "c", "d"]
    assert "SIGSEGV" in cases["b"]["error"] and "last words" in cases["b"]["error"]
    assert "ended with 3" in cases["d"]["error"]
    assert found["two"]["status"] == "done"


def test_after_an_error_of_the_gpu_a_new_process_goes_on(module: Any, stage: Any, tmp_path: Path) -> None:
    """In a process whose GPU no longer answers, every further case would fail."""
    device = 'types.SimpleNamespace(synchronize=lambda: fail(RuntimeError("illegal address")))'
    lost = f"types.SimpleNamespace(cuda=types.SimpleNamespace(Device=lambda: {device}))"
    arrays = f"types.SimpleNamespace(in_use=lambda: True, gpu=lambda: {lost})"
    text = f'{{"a": lambda: (sys.modules.update({{"minicnn_kernels.arrays": {arrays}}}), fail(OSError("first"))),'
    text += ' "b": lambda: {"fresh": "minicnn_kernels.arrays" not in sys.modules}}'
    _, found = run(module, tmp_path, [stage("one", text)])
    assert found["one"]["cases"] == {"a": {"error": "OSError: first"}, "b": {"fresh": True}}


def test_a_silent_case_is_ended(module: Any, stage: Any, tmp_path: Path) -> None:
    text = '{"a": lambda: time.sleep(600), "b": lambda: note("b")}'
    _, found = run(module, tmp_path, [stage("one", text, patience=3)])
    assert "after 3 s in which it said nothing" in found["one"]["cases"]["a"]["error"]
    assert found["one"]["cases"]["b"] == {"value": "b"} and found["one"]["status"] == "failed"


def test_the_limit_of_a_stage(module: Any, stage: Any, tmp_path: Path) -> None:
    """It ends a case that goes on for too long, and the processes that this has started."""
    forever = "[(print(i, flush=True), time.sleep(0.2)) for i in range(9999)]"
    text = f'{{"a": lambda: note("a"), "b": lambda: (os.fork(), note(str(os.getpid())), {forever})}}'
    well, found = run(module, tmp_path, [stage("one", text, seconds=6), stage("two", '{"z": lambda: note("z")}')])
    assert not well and "at the limit of the stage" in found["one"]["cases"]["b"]["error"]
    assert found["one"]["cases"]["a"] == {"value": "a"} and found["two"]["status"] == "done"
    assert len(ran(tmp_path, "one")) == 3
    for pid in ran(tmp_path, "one")[1:]:
        assert not _alive(int(pid))


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may be listed until it is waited for."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def test_a_stage_that_needs_longer_is_cut_short(module: Any, stage: Any, tmp_path: Path, capfd: Any) -> None:
    """It ends by itself between two cases, which is no failure; the cases that are left are named."""
    text = '{name: lambda name=name: (time.sleep(1), note(name))[1] for name in "abcdefgh"}'
    well, found = run(module, tmp_path, [stage("one", text, seconds=5, least=5)])
    assert well and found["one"]["status"] == "cut short" and found["one"]["left"]
    assert [*found["one"]["cases"], *found["one"]["left"]] == [*"abcdefgh"]
    assert f"not reached: {', '.join(found['one']['left'])}" in capfd.readouterr().out


def test_the_time_of_the_run(module: Any, stage: Any, tmp_path: Path, capfd: Any) -> None:
    """The last stages get what is left, or are skipped."""
    stages = [stage("one", '{"a": lambda: note("a")}', seconds=99), stage("two", "{}", seconds=900, least=800)]
    well, found = run(module, tmp_path, stages, seconds=50)
    assert well and found["one"]["status"] == "done" and found["two"]["status"] == "skipped"
    assert re.fullmatch(r"\d+ s are left of the run's time", found["two"]["why"])
    assert "at most 50 s of 99, which is all that is left" in capfd.readouterr().out


def test_a_case_that_the_time_of_the_run_ends(module: Any, stage: Any, tmp_path: Path) -> None:
    """It has not failed."""
    text = '{"a": lambda: note("a"), "b": lambda: time.sleep(600), "c": lambda: note("c")}'
    well, found = run(module, tmp_path, [stage("one", text)], seconds=4)
    assert well and found["one"]["status"] == "cut short" and found["one"]["left"] == ["b", "c"]
    assert found["one"]["cases"] == {"a": {"value": "a"}}


def test_going_on_keeps_what_there_is(module: Any, stage: Any, tmp_path: Path) -> None:
    """Cases with an error or without a result run; the others do not."""
    fails = 'lambda: note("b") if pathlib.Path(__file__).with_suffix(".well").exists() else fail(OSError("b"))'
    stages = [stage("one", f'{{"a": lambda: note("a"), "b": {fails}, "c": lambda: fail(Skip("not now"))}}')]
    well, first = run(module, tmp_path, stages)
    assert not well
    (tmp_path / "stage_one.well").touch()
    data = json.loads((tmp_path / "out" / "gpu.json").read_text())
    data["stages"] = {"zero": {"status": "done", "seconds": 1, "cases": {"y": {"value": 1}}, "left": []}, **first}
    (tmp_path / "out" / "gpu.json").write_text(json.dumps(data))
    well, found = run(module, tmp_path, stages, resume=True)
    assert well and ran(tmp_path, "one") == ["a", "b"] and list(found) == ["zero", "one"]
    assert found["one"]["cases"]["c"] == {"skipped": "not now"}


def test_nothing_to_go_on_with(module: Any, tmp_path: Path) -> None:
    control = module("control")
    with pytest.raises(SystemExit, match="name its file by --json FILE"):
        control.Results(tmp_path / "gpu.json").load()
    (tmp_path / "gpu.json").write_text('{"other": 1}')
    with pytest.raises(SystemExit, match=r"gpu\.json has no results of this script"):
        control.Results(tmp_path / "gpu.json").load()


def test_a_stage_that_cannot_be_imported(module: Any, stage: Any, tmp_path: Path) -> None:
    well, found = run(module, tmp_path, [stage("one", "1 +"), stage("two", '{"z": lambda: note("z")}')])
    assert not well and "SyntaxError" in found["one"]["why"] and found["two"]["status"] == "done"


def test_an_interrupt_keeps_the_results(module: Any, stage: Any, tmp_path: Path) -> None:
    file = tmp_path / "stage_one.ran"

    kept: list[Any] = []

    def interrupt() -> None:
        while not file.exists() or len(file.read_text().split()) < 2:
            time.sleep(0.05)
        time.sleep(2)
        kept.append(json.loads((tmp_path / "out" / "gpu.json").read_text()))  # what would stay if it were killed now
        _thread.interrupt_main()

    text = '{"a": lambda: note("a"), "b": lambda: (note(str(os.getpid())), time.sleep(600))}'
    stages = [stage("one", text), stage("two", '{"z": lambda: note("z")}')]
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(module, tmp_path, stages)
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())["stages"]
    assert list(found) == ["one"] and found["one"]["status"] == "interrupted"
    assert kept[0]["stages"]["one"]["cases"]["a"] == {"value": "a"}
    assert found["one"]["cases"]["a"] == {"value": "a"} and "started" in found["one"]["cases"]["b"]
    assert not _alive(int(ran(tmp_path, "one")[1]))
    assert "## one" in (tmp_path / "out" / "gpu.md").read_text()
