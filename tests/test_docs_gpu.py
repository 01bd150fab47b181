"""docs/gpu.md: what it says about operations that compute on the CPU, and about waiting, is true."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn.autograd.engine import Function
from minicnn_kernels import arrays
from minicnn_kernels.emulated.traffic import DeviceSynchronized, no_waits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
ON_CPU = re.findall(r"^\| (`.*?) \| `(\w+)` \|$", TEXT, re.M)


def kinds(of: type[Function]) -> Iterator[type[Function]]:
    """All functions of the library that differentiate."""
    for one in of.__subclasses__():
        yield one
        yield from kinds(one)


def test_the_list_of_what_cupy_cannot_do_is_complete() -> None:
    for module in pkgutil.walk_packages(minicnn.ops.__path__, "minicnn.ops."):
        importlib.import_module(module.name)
    there = {one.__name__ for one in kinds(Function) if one.on_cpu and one.__module__.startswith("minicnn.")}
    assert there and {name for _, name in ON_CPU} == there
    for operations, _ in ON_CPU:
        assert all(
            hasattr(minicnn.Tensor, name) or hasattr(minicnn, name) for name in re.findall(r"`(\w+)`", operations)
        )


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the expressions below are about, on the emulated GPU."""
    with arrays.emulated():
        x = minicnn.rand(3, 4, device="cuda")
        i, rows = minicnn.tensor([0, 1], device="cuda"), minicnn.zeros(3, 4, device="cuda").long()
        labels = minicnn.tensor([0, 1, 2], device="cuda")
        net = minicnn.nn.Sequential(minicnn.nn.Linear(4, 3), minicnn.nn.BatchNorm1d(3), minicnn.nn.ReLU()).to("cuda")
        parameter = minicnn.nn.Parameter(x.clone())
        parameter.sum().backward()
        averaging = minicnn.nn.BatchNorm1d(4, momentum=None).to("cuda")
        yield {"parameters": [parameter], "averaging": averaging, "optim": minicnn.optim,
               "x": x, "y": x + 1, "i": i, "rows": rows, "mask": x > 0.5, "one": minicnn.ones((), device="cuda"),
               "labels": labels, "net": net, "minicnn": minicnn, "F": F}  # fmt: skip


clip = "minicnn.nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)"
# The words of the text in order of their lists, and an expression for each.
WAITS = {
    "x.item()": "one.item()", "float(x)": "float(one)", "x.tolist()": "x.tolist()", "x.cpu()": "x.cpu()",
    "print(x)": "str(x)", "if x > 0:": "bool(one > 0)", "x.equal(y)": "x.equal(y)", "x[mask]": "x[mask]",
    "nonzero": "x.nonzero()", "argwhere": "minicnn.argwhere(x)", "masked_select": "x.masked_select(mask)",
    "repeat_interleave": "x[:2].repeat_interleave(i, 0)", "x[indices]": "x[i]", "gather": "x.gather(1, rows)",
    "scatter": "x.scatter(1, rows[:, :1], y)",
    "scatter_add": "x.scatter_add(1, rows, y)", "index_select": "x.index_select(0, i)",
    "index_add": "x.index_add(0, i, y[:2])", "index_copy": "x.index_copy(0, i, y[:2])",
    "index_fill": "x.index_fill(0, i, 1)", "index_put": "x.index_put((i,), one)", "take": "x.take(i)",
    "take_along_dim": "x.take_along_dim(rows, 1)", "masked_scatter": "x.masked_scatter(mask, y)",
    "one_hot": "F.one_hot(i)", "max_unpool2d": "F.max_unpool2d(x[None, None], rows[None, None], 2)",
    "k // n": "rows // (rows + 1)", "k % n": "rows % (rows + 1)", "k ** n": "rows ** (rows + 1)", "n": "2 ** rows",
    "normal": "minicnn.normal(x, y)", "bernoulli_": "x.clone().bernoulli_(x)", "allclose": "x.allclose(y)",
    "linspace": "minicnn.linspace(one, 2, 3)", "full": "minicnn.full((2,), one)", "tensor": "minicnn.tensor([one, 2])",
    "clip_grad_norm_": clip, "error_if_nonfinite=True": clip,
}  # fmt: skip
UNIQUE = {
    "unique": "x.unique()", "unique_consecutive": "x.unique_consecutive()", "bincount": "i.bincount()",
    "histc": "x.histc()", "multinomial": "x.multinomial(2)", "bernoulli": "x.bernoulli()",
    "poisson": "minicnn.poisson(x)",
}  # fmt: skip


def section(start: str, end: str) -> str:
    return TEXT[TEXT.index(start) : TEXT.index(end, TEXT.index(start))]


def test_the_lists_are_those_of_the_text() -> None:
    listed = re.findall(r"`([^`]+)`", section("It waits only", "- in the operations above"))
    assert listed == list(WAITS)
    assert re.findall(r"`(\w+)`", section("`unique`, `unique_consecutive`", "also compute")) == list(UNIQUE)


OTHERS = [
    "averaging(x)", "optim.SGD(parameters, lr=one).step()", "optim.LBFGS(parameters).step(lambda: parameters[0].sum())"
]  # fmt: skip
FREE = [
    "rows // 2", "rows % 2", "rows ** 2", "x // y", "x % y", "x ** y", "x.bernoulli_(0.5)", "x.isclose(y)",
    "optim.SGD(parameters, lr=minicnn.tensor(0.1)).step()", "F.batch_norm(x, y[0], y[1], training=True)",
    "minicnn.nn.utils.clip_grad_norm_(parameters, 1.0)", "x.masked_fill(mask, 1)",
]  # fmt: skip


@pytest.mark.parametrize("expression", FREE)
def test_what_does_not_wait(names: dict[str, Any], expression: str) -> None:
    with no_waits():
        eval(expression, names)


@pytest.mark.parametrize("expression", [*WAITS.values(), *UNIQUE.values(), *OTHERS])
def test_what_waits(names: dict[str, Any], expression: str) -> None:
    eval(expression, names)
    with no_waits(), pytest.raises(DeviceSynchronized):
        eval(expression, names)


@pytest.mark.parametrize("optimizer", [minicnn.optim.SGD, minicnn.optim.Adam])
def test_a_training_step_does_not_wait(names: dict[str, Any], optimizer: Any) -> None:
    net, x = names["net"], minicnn.rand(3, 4)
    opt = optimizer(net.parameters(), lr=0.1)
    for _ in range(2):
        with no_waits():
            opt.zero_grad()
            loss = F.cross_entropy(F.dropout(net(x.to("cuda"))), names["labels"])
            loss.backward()
            minicnn.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
    assert loss.item() > 0


def test_a_label_out_of_range(names: dict[str, Any]) -> None:
    wrong = names["labels"] + 2
    with no_waits():
        loss = F.cross_entropy(names["x"], wrong)
    assert loss.isnan()
    with minicnn.autograd.detect_anomaly(), pytest.raises((IndexError, ValueError, RuntimeError), match="4"):
        F.cross_entropy(names["x"], wrong)


def test_the_program_of_the_text_runs(names: dict[str, Any]) -> None:
    program = re.search(r"```python\n(import minicnn\n.*?)```", TEXT, re.S)
    assert program
    exec(program[1], found := {})
    assert found["device"] == "cuda" and found["net"][3].weight.grad.is_cuda
