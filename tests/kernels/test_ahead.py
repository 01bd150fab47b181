"""Drivers without Numba's parallel compiler, and kernels that are compiled ahead in other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import activations, ahead, drivers, runtime
from minicnn_kernels.runtime import njit, prange

pytest.importorskip("numba")


@njit()
def _double_share(t: Any, shares: int, x: Any, pair: Any, y: Any) -> None:
    for i in range(t * x.size // shares, (t + 1) * x.size // shares):
        if x[i] == pair[0]:
            raise ValueError("the forbidden number")
        y[i] = pair[1] * x[i]


@njit(parallel=True)
def _double(shares: int, x: Any, pair: Any, y: Any) -> bool:
    many = shares > 1
    for t in prange(shares):
        _double_share(np.intp(t), shares, x, pair, y)
    return many


def _other(shares: int, x: Any) -> None:
    for t in prange(shares):
        x[t] = t


def test_a_driver_calls_its_share_for_each_number() -> None:
    for shares in (0, 1, 2, 7, 100):
        x = np.arange(1000.0)
        y = np.zeros_like(x)
        assert _double(shares, x, (-1.0, 2), y) is (shares > 1)
        assert np.array_equal(y, 2 * x if shares else 0 * x), shares


@pytest.mark.parametrize("shares", [1, 2, 5])
def test_an_error_in_a_share_comes_out_of_the_driver(shares: int) -> None:
    x = np.arange(10.0)
    with pytest.raises(ValueError, match="the forbidden number"):
        _double(shares, x, (7.0, 2), np.zeros_like(x))


def test_what_is_rewritten() -> None:
    function = getattr(_double, "function", None) or _double.py_func  # type: ignore[attr-defined]
    assert drivers.rewritten(function).__code__.co_names == ("prange", "_double_share")  # type: ignore[union-attr]
    assert drivers.rewritten(_other) is None, "its loop does something else than to call a share"
    assert drivers.rewritten(eval("lambda shares: shares")) is None, "without a source"


def test_other_thread_layers() -> None:
    code = """
import numpy as np
from minicnn_kernels import activations
x = np.linspace(-3, 3, 1 << 16, dtype=np.float32)
assert np.array_equal(activations.RELU(x, backend="numba"), np.maximum(x, 0))
from numba import threading_layer
print(threading_layer())
"""
    import os

    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "workqueue\n", done.stderr


def test_recorded_kernels_do_nothing() -> None:
    x = np.linspace(-1, 1, 1 << 15)
    expected = activations.RELU(x, backend="numba")
    with runtime.recording() as calls:
        activations.RELU(x, backend="numba")
        activations.TANH(x.astype(np.float32), backend="numba")
    assert [call.name for call in calls] == ["_forward", "_forward"] and calls[0].types != calls[1].types
    assert np.array_equal(activations.RELU(x, backend="numba"), expected), "afterwards they compute again"
    assert not ahead.missing(calls[:1]), "its machine code is in memory"


def test_an_error_does_not_stay_in_the_recording() -> None:
    with pytest.raises(KeyError), runtime.recording():
        raise KeyError
    x = np.array([-1.0, 2.0])
    assert activations.RELU(x, backend="numba").tolist() == [0, 2]


def test_processes_compile_for_this_one(tmp_path: Path) -> None:
    """What they compile is found on disk; a block that is done is known by its name."""
    code = """
import numpy as np
from minicnn_kernels import activations, ahead, compiler, runtime

def block():
    for dtype in (np.float32, np.float64):
        x = np.linspace(-1, 1, 1 << 15).astype(dtype)
        activations.RELU_BACKWARD(activations.RELU(x), x)

told = []
assert not ahead.is_done("block")
with ahead.compiled("block", told.append) as count:
    block()
    raise ZeroDivisionError  # ends the recording only
assert count == [4] and ahead.is_done("block") and told[-1] is None and "of 4" in str(told[0]), (count, told)
from numba.core import event
class Count(event.Listener):
    def on_start(self, started):
        raise AssertionError(f"compiles {started.data['dispatcher']}")
    def on_end(self, ended):
        pass
event.register("numba:compile", Count())
block()
"""
    import os

    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".nbc"}


def test_a_process_that_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernels are compiled when they are called."""
    start = ahead._start
    monkeypatch.setattr(sys, "path", [*sys.path, "no such folder"])
    monkeypatch.setattr(ahead, "_start", lambda: _ended(start()))
    monkeypatch.setattr(ahead, "missing", lambda calls: list(calls))
    types = runtime.types_of((1, 2))
    calls = [runtime.Call("minicnn_kernels.transpose", "_transpose", (*types, one)) for one in types * 2]
    assert ahead.compile_all(calls, lambda progress: None) == 0


def _ended(process: Any) -> Any:
    process.kill()
    process.wait()
    return process
