"""How Numba compiles for us: what it leaves out, and that it does so for our kernels alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import compiler, dispatchers, machine_code

numba = pytest.importorskip("numba")


def fill_with_threes(x: Any) -> None:
    for i in numba.prange(x.size):
        x[i] = 3


def test_how_often_a_parallel_function_is_optimised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice less than Numba does it, which goes on as before with the functions of others."""
    compiler.numba()
    from numba.core.codegen import CPUCodegen

    monkeypatch.setattr(machine_code, "folder_of", lambda module: tmp_path)
    count, manager = 0, CPUCodegen._module_pass_manager

    def counted(self: Any, **options: Any) -> Any:
        nonlocal count
        count += not options  # the full passes
        return manager(self, **options)

    def passes(jit: Callable[..., Any]) -> int:
        x, before = np.zeros(1000), count
        jit(fill_with_threes)(x)
        assert (x == 3).all()
        return count - before

    monkeypatch.setattr(CPUCodegen, "_module_pass_manager", counted)
    ours, theirs = partial(dispatchers.jit, options={"parallel": True}), numba.njit(parallel=True)
    passes(theirs)  # and functions of Numba's that both call
    often = passes(theirs)
    assert passes(ours) == often - 2
    assert passes(ours) == 0  # found on disk
    assert passes(theirs) == often
