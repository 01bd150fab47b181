"""The stages of `benchmarks/gpu.py`: what they make of results and of memory, and where something is missing."""

from __future__ import annotations

import ctypes
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def module(benchmark: Any) -> Callable[[str], Any]:
    """A module of `benchmarks/gpu_stages`."""
    return lambda name: benchmark(f"gpu_stages.{name}")


def test_the_stages_of_the_command() -> None:
    command = [sys.executable, BENCHMARKS / "gpu.py", "--list"]
    names = [line.split()[0] for line in subprocess.check_output(command, text=True).splitlines()]
    text = (BENCHMARKS / "gpu.py").read_text()
    assert names == ["versions", "compile", "rows", "tests", "losses", "ceilings", "calls", "steps", "sanitizers"]
    assert re.findall(r"^    (\w+)  +\S.*\n", text.partition('"""\n')[0], re.MULTILINE) == names
    limits = dict(re.findall(r'Stage\("(\w+)", "[\w.]+", (\d+)', text))
    page = (BENCHMARKS.parent / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) s \|$", page, re.MULTILINE)) == limits and [*limits] == names


def test_without_cupy(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn_kernels import arrays

    monkeypatch.setattr(arrays, "_gpu", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delenv("MINICNN_CUDA", raising=False)
    with pytest.raises(
        module("child").Failure, match=r"no GPU that minicnn can use.*--emulated.*pip install 'minicnn\[cuda13\]'"
    ):
        module("versions").gpu()


def test_without_pytorch(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = module("versions")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(module("child").Failure, match="PyTorch is not installed; minicnn is timed alone"):
        versions.torch(SimpleNamespace(torch=True))
    with pytest.raises(module("child").Skip, match="--against torch"):
        versions.torch(SimpleNamespace(torch=False))
    failed = {"versions": {"cases": {"torch": {"error": "not installed"}}}}
    assert versions.against(SimpleNamespace(torch=True, results=failed)) is None


class Pool:
    """CuPy's memory on the CPU, as far as `poison.py` uses it."""

    def malloc(self, size: int) -> Pointer:
        return Pointer((ctypes.c_char * size)(), 0)


class Pointer:
    def __init__(self, memory: Any, offset: int) -> None:
        self.memory, self.offset = memory, offset

    def __add__(self, offset: int) -> Pointer:
        return Pointer(self.memory, self.offset + offset)

    def address(self, size: int) -> int:
        assert self.offset >= 0 and self.offset + size <= len(self.memory)
        return ctypes.addressof(self.memory) + self.offset

    def memset(self, value: int, size: int) -> None:
        ctypes.memset(self.address(size), value, size)

    def copy_to_host(self, to: Any, size: int) -> None:
        ctypes.memmove(to, self.address(size), size)


def test_memory_between_guards(module: Any) -> None:
    poison = module("poison")
    memory = poison.Watched(Pool())
    for size in (0, 1, 40, 5000):
        block = memory(size)
        assert bytes(block.memory)[poison.GUARD :][:size] == b"\xff" * size
        block.memset(7, size)
        memory.check()
        for offset, where in ((-1, "before"), (size, "behind"), (size + poison.GUARD - 4, "behind")):
            block = memory(size)
            (block + offset).memset(0, 1)
            with pytest.raises(AssertionError, match=f"1 bytes {where} an array of {size} bytes"):
                memory.check()
            memory.check()  # it has let go of the block


def test_a_row_that_is_wrong(module: Any, gpu: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A wrong value, memory that was not written, and other bits at the second call."""
    from minicnn_kernels.arrays import xp
    from minicnn_kernels.dispatch import Table
    from minicnn_kernels.emulated.build import compiler

    compiler()
    rows, tables = module("rows"), import_module("tests.kernels.test_tables")
    table, row = tables.BY_OP["relu"], ("elementwise", "cuda")
    right = table.rows[row]
    assert "error" not in rows.check(table, row, small=True)
    calls = []

    def off(x: Any) -> Any:
        return right(x) * 1.0001

    def forgotten(x: Any) -> Any:
        return xp(x).empty_like(x)

    def varying(x: Any) -> Any:
        calls.append(1)
        return right(x) * (1 + 1e-9 * len(calls) if x.dtype.itemsize == 8 else 1)

    for wrong, said in ((off, "Not equal to tolerance"), (forgotten, ""), (varying, "other bits at the second call")):
        monkeypatch.setitem(table.rows, row, wrong)
        found = rows.check(table, row, small=True)
        assert re.search(r"\d of 4 calls are wrong", found["error"]) and said in found["error"], wrong
        assert "WRONG relu elementwise/cuda, sample 0" in capsys.readouterr().out
    assert isinstance(table, Table)


def test_losses_that_differ(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = module("losses")
    net = SimpleNamespace(build=test_losses_that_differ)
    for there, wrong in (
        ([2.0, 1.5], False),
        ([2.0, 1.5 * (1 + 1e-9)], False),
        ([2.0 * (1 + 1e-9), 1.5], True),  # the first step has had no time for rounding to grow
        ([2.0, 1.5001], True),
        ([2.0, math.nan], True),
    ):
        each = {"cpu": [2.0, 1.5], "cuda": there}
        monkeypatch.setattr(losses, "losses", lambda net, device, *rest, each=each: each[device])
        assert ("error" in losses.compare(net, "float64", "", 2)) == wrong, there


def test_lines_of_pytest(module: Any) -> None:
    parsed = module("suite").parsed
    assert parsed("[gw3] [ 12%] FAILED tests/ops/test_ops.py::test_x[a b] \n") == (
        "FAILED", "tests/ops/test_ops.py::test_x[a b]",
    )  # fmt: skip
    assert parsed("tests/nn/test_conv.py::test_y PASSED     [ 3%]\n") == ("PASSED", "tests/nn/test_conv.py::test_y")
    assert parsed("tests/nn/test_conv.py::test_y SKIPPED (why) [ 3%]\n")[0] == "SKIPPED"  # type: ignore[index]
    for line in ("FAILED tests/nn/test_conv.py::test_y - AssertionError", "tests/nn/test_conv.py::test_y ", "", "E  x"):
        assert parsed(line) is None


def test_tests_that_the_time_ends(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pytest is ended before the stage is; what is known until then stays."""
    suite = module("suite")
    (tmp_path / "test_long.py").write_text("import time\n\ndef test_long():\n    time.sleep(600)\n")
    monkeypatch.setattr(suite, "SMALL", (*suite.SMALL, str(tmp_path / "test_long.py")))
    found = suite.tests(SimpleNamespace(small=True, left=lambda: 5.0))
    assert found["complete"] is False and found["failed"] == [] and "error" not in found


def test_what_the_sanitizer_says(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sanitizers = module("sanitizers")
    clean = "\nrow relu elementwise\n========= ERROR SUMMARY: 0 errors\n"
    assert sanitizers.judged("memcheck", clean, 0, True).get("error") is None
    wrong = "\nrow relu\n========= Invalid __global__ write of size 4 bytes\n========= ERROR SUMMARY: 2 errors\n"
    assert "2 errors: ========= Invalid" in sanitizers.judged("memcheck", wrong, 9, True)["error"]
    races = "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n"
    assert sanitizers.judged("racecheck", races, 9, True)["errors"] == 1
    assert "ended with 1" in sanitizers.judged("memcheck", "Traceback", 1, True)["error"]
    assert sanitizers.judged("memcheck", "\nrow a\n\nrow b\n", 0, False)["rows"] == 2  # the time was up
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sanitizers.shutil, "which", lambda name: None)
    monkeypatch.setattr(sanitizers.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    if not any(Path(place).exists() for place in ("/usr/local/cuda", "/opt/cuda")):
        with pytest.raises(module("child").Skip, match="compute-sanitizer is not in PATH"):
            sanitizers.find()
    tool = tmp_path / "home" / "bin" / "compute-sanitizer"
    tool.parent.mkdir(parents=True)
    tool.touch(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    assert sanitizers.find() == str(tool)


def test_times_and_ratios(module: Any) -> None:
    clock, calls = module("clock"), module("calls")
    lib = SimpleNamespace(cuda=SimpleNamespace(synchronize=lambda: None, empty_cache=lambda: None))
    counted: list[int] = []
    times = clock.measure(
        {
            "minicnn": clock.Contender(lib, lambda: counted.append(1)),
            "torch": clock.Contender(lib, lambda: [][0]),
        },
        0.1,
    )
    assert times["minicnn"] > 0 and len(counted) > 10 and times["torch"].startswith("IndexError")
    assert clock.ratio(times, "torch") is None and clock.ratio({"torch": 3.0, "minicnn": 2.0}, "torch") == 1.5
    assert math.isinf(clock.fastest(times, "torch"))
    ceiling = {"ceilings": {"cases": {"copy TB/s": {"value": 4.0}, "float32 product TFLOP/s": {"value": 50.0}}}}
    call = calls.conv(1, 10, 10, 10, 1)  # 2 * 10,000 operations
    ms = {"minicnn": 2e-6, "minicnn cupy": 1e-7, "torch": 4e-6, "torch channels-last": 1e-6, "torch TF32": 5e-7}
    found = calls.judged(SimpleNamespace(results=ceiling), call, "forward", ms)
    assert found["rate"] == pytest.approx(10) and found["share"] == pytest.approx(0.2) and found["ratio"] == 0.5
    assert found["ratio TF32"] == 0.25
    case = {"family": "convolution", "forward": found}
    assert calls.verdict(case, "forward") == "reaches the target of 0.5x"
    assert calls.verdict({"family": "pooling", "forward": found}, "forward") == "BELOW the target of 1.0x"
    assert calls.summary({"x": case}) == ["convolution: 0.50x PyTorch eager, 1 of 1 reach the target of 0.5x"]
    row = calls.table({"x": case}, {})[2]
    assert row.startswith("| x | forward | 2e-06 |") and "20 %" in row and row.endswith("reaches the target of 0.5x |")


@pytest.mark.slow
def test_times_beside_pytorch(module: Any, gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """minicnn stands for PyTorch, too; it has no graphs, so that these contenders have an error, and the others run."""
    import minicnn

    other = ModuleType("torch")
    vars(other).update({name: value for name, value in vars(minicnn).items() if not name.startswith("__")})
    switches = {"cudnn": SimpleNamespace(), "cuda": SimpleNamespace(matmul=SimpleNamespace())}
    monkeypatch.setattr(other, "backends", SimpleNamespace(**switches))
    run = SimpleNamespace(small=True, torch=True, results={}, share=lambda most: 0.0)
    found = {}
    for name in ("ceilings", "calls", "steps"):
        stage = module(name)
        monkeypatch.setattr(stage, "against", lambda run: other)
        found[name] = {case: call() for case, call in stage.cases(run).items()}
        run.results[name] = {"cases": found[name]}
        assert all(len(row.split("|")) > 4 for row in stage.table(found[name], run.results))
    assert found["ceilings"]["TF32 product TFLOP/s"]["value"] > 0
    conv = found["calls"]["conv 3x3"]["gx"]
    assert set(conv["ms"]) == {
        "minicnn", "minicnn channels-last", "minicnn cupy", "torch", "torch channels-last", "torch TF32",
        "torch channels-last TF32",
    }  # fmt: skip
    assert min(conv["ratio"], conv["ratio TF32"], conv["share"]) > 0
    assert found["calls"]["SGD"]["step"]["ratio"] > 0 and len(module("calls").summary(found["calls"])) == 3
    lenet = found["steps"]["lenet5"]
    assert lenet["ratio"] > 0 and lenet["ratio TF32"] > 0 and lenet["ratio graph"] is None
    assert "CUDAGraph" in lenet["ms"]["torch graph"] and len(lenet["ms"]) == 8 and "error" not in lenet


@pytest.mark.slow
def test_a_machine_without_a_gpu(tmp_path: Path) -> None:
    import minicnn

    if minicnn.cuda.is_available():
        pytest.skip("this machine has a GPU")
    environment = {name: value for name, value in os.environ.items() if name != "MINICNN_CUDA"}
    command = [sys.executable, BENCHMARKS / "gpu.py", "--json", tmp_path / "gpu.json", "--against", "torch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1 and "The other stages need a GPU." in done.stdout, done.stdout + done.stderr
    assert list(json.loads((tmp_path / "gpu.json").read_text())["stages"]) == ["versions"]
