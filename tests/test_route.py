"""The README's routes of one convolution, the one to read and the one that runs, are those that a tracer sees."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
import minicnn_kernels
from minicnn import nn
from minicnn.nn.fused import steps
from minicnn.ops.conv import _known
from minicnn_kernels import conv2d, dispatch, matmul
from minicnn_kernels.runtime import have_numba

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## The route of one convolution\n")[1].split("\n## ")[0]
PACKAGES = tuple(str(Path(package.__file__).parent) + os.sep for package in (minicnn, minicnn_kernels))


ROWS = {
    function.__code__: (table, *row)
    for table in dispatch.TABLES
    for row, function in table.rows.items()
    if hasattr(function, "__code__")
}


class Call(NamedTuple):
    """A call of a function of ours: its file, its name, and the object that is executed."""

    file: Path
    name: str
    code: Any
    arguments: list[Any] | None  # of a kernel that no other kernel has called


def traced(function: Callable[[], Any]) -> tuple[Any, list[Call]]:
    """What a function gives, and the calls of functions of ours on the way."""
    calls: list[Call] = []
    outer: FrameType | None = None  # of the kernel at work

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal outer
        code, arguments = frame.f_code, None
        if event == "return" and frame is outer:
            outer = None
        elif event == "call" and code.co_filename.startswith(PACKAGES):
            if outer is None and code in ROWS:
                outer, arguments = frame, [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]]
            calls.append(Call(Path(code.co_filename), code.co_qualname, code, arguments))

    sys.setprofile(note)
    try:
        return function(), calls
    finally:
        sys.setprofile(None)


# ------------------------------------------------------------------------------------------------- the route to read


def listed(which: int) -> list[tuple[Path, str]]:
    """The files of the README's first (forward) or second (backward) list, each with the function that it names."""
    items = re.findall(r"^(\d+)\. \[[^]]*\]\(([^)]*)\): .*?`([\w.]+)`", SECTION, re.MULTILINE)
    starts = [i for i, (number, *_) in enumerate(items) if number == "1"] + [len(items)]
    assert len(starts) == 3, "the section has two numbered lists"
    return [(ROOT / path, name) for _, path, name in items[starts[which] : starts[which + 1]]]


@pytest.fixture(scope="module")
def to_read() -> list[list[Call]]:
    """The calls of the forward and of the backward pass of one convolution by its definition."""
    conv, x = nn.Conv2d(1, 2, 3), minicnn.randn(1, 1, 5, 5)
    x.requires_grad_()
    _known.cache_clear()  # another test may have had a convolution of these shapes
    with minicnn.use(backend="python", algorithm="direct"):
        y, forward = traced(lambda: conv(x))
        gy = minicnn.randn(*y.shape)
        _, backward = traced(lambda: y.backward(gy))
    return [forward, backward]


@pytest.mark.parametrize("which", [0, 1], ids=["forward", "backward"])
def test_the_route_to_read(which: int, to_read: list[list[Call]]) -> None:
    calls, items = to_read[which], listed(which)
    passed = {call.file.resolve() for call in calls}
    assert passed == {path.resolve() for path, _ in items} and len(passed) <= 12
    first = list(dict.fromkeys((call.file.resolve(), call.name) for call in calls))
    missing = [name for path, name in items if (path.resolve(), name) not in first]
    assert not missing, f"{missing} did not run"
    places = [first.index((path.resolve(), name)) for path, name in items]
    assert places == sorted(places), "the functions, in the order in which they are first called"


# ------------------------------------------------------------------------------------------------ what runs by default


class Kernel(NamedTuple):
    """A kernel that ran: its algorithm and backend, and the file that it is in."""

    table: Any
    algorithm: str
    backend: str
    file: Path


def kernels(calls: list[Call], gradient: int | None = None) -> list[Kernel]:
    """The kernels among the calls; of a backward pass those of the gradient of the input, 0, or of the weight, 1."""
    found = []
    for call in calls:
        if call.arguments is None:
            continue
        table, algorithm, backend = ROWS[call.code]
        of = (True, table is matmul.LINEAR_BACKWARD)  # one kernel for both
        if table is conv2d.BACKWARD:
            *_, of = call.arguments  # the gradients that are wanted
        if gradient is None or of[gradient]:
            found.append(Kernel(table, algorithm, backend, call.file))
    return found


def cells() -> list[list[str]]:
    """The rows of the README's table, without its head."""
    lines = [line for line in SECTION.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def agree(cell: str, ran: list[Kernel]) -> None:
    """Check that a cell links to the kernels that ran, one after the other, and names a convolution's algorithm."""
    links = re.findall(r"\[`([^`]*)`\]\(([^)]*)\)", cell)
    assert len(links) == len(ran), f"{cell!r}, but there ran {ran}"
    for (text, link), kernel in zip(links, ran, strict=True):
        place = (ROOT / link).resolve()
        place = place.parent if place.name == "__init__.py" else place
        assert kernel.file.resolve() == place or place in kernel.file.resolve().parents, f"{cell!r}, but {kernel} ran"
        assert kernel.table not in (conv2d.FORWARD, conv2d.BACKWARD) or kernel.algorithm == text
        assert kernel.backend == "numba"


@pytest.mark.skipif(not have_numba(), reason="by default NumPy runs, without Numba")
def test_what_runs_by_default() -> None:
    code = re.search(r"^model = .*?^\)\n", README, re.MULTILINE | re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {"nn": nn}
    exec(code[0], names)
    model, loss_fn, table = names["model"], nn.CrossEntropyLoss(), cells()
    labels = minicnn.tensor(np.arange(32) % 10)
    todo = [(step.args if isinstance(step, partial) else [step], step) for step in steps(model)]
    todo.append(([loss_fn], lambda scores: loss_fn(scores, labels)))
    assert len(table) == len(todo)
    x = minicnn.randn(32, 1, 32, 32)
    for (layer, forward, of_input, of_weight), (modules, step) in zip(table, todo, strict=True):
        assert re.findall(r"`(\w+)", layer) == [type(module).__name__ for module in modules]
        y, calls = traced(partial(step, x))
        agree(forward, kernels(calls))
        _, calls = traced(partial(y.backward, minicnn.ones_like(y)))
        agree(of_input, kernels(calls, 0))
        agree(of_weight, kernels(calls, 1))
        x = y.detach().requires_grad_()
