"""The modules and constants of a recorded tape, told by the run or from the parameters."""

from __future__ import annotations

import numpy as np
from tapes import gradient, leaf, named, number

import minicnn
from minicnn import nn
from minicnn.autograd import no_grad
from minicnn.explain import Tape, recorded
from minicnn.nn import functional as F


def frames(tape: Tape) -> list[str]:
    return [operation.within for operation in tape.operations]


class Block(nn.Module):
    """x + b(relu(a(x)))"""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU()

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        return x + self.b(self.relu(self.a(x)))


def test_modules_of_a_run_that_is_followed() -> None:
    net, x = nn.Sequential(Block(), Block()), minicnn.randn(2, 3)
    tape = recorded(lambda: nn.MSELoss()(net(x), x), net)
    inside = [f"{i}.{name}" for i in (0, 1) for name in ("a", "relu", "b")]
    assert frames(tape) == [*inside[:3], "0", *inside[3:], "1", *["MSELoss"] * (len(tape.operations) - 8)]
    assert [frame.title for frame in tape.operations[1].frames] == ["Sequential", "0: Block", "0.relu: ReLU"]
    assert [(one.name, one.kind) for one in tape.leaves][:3] == [
        ("x", "constant"), ("0.a.weight", "parameter"), ("0.a.bias", "parameter"),
    ]  # fmt: skip


def test_modules_told_from_parameters() -> None:
    """What is certain: a ReLU between two layers of a block is in the block; a sum between blocks is in the net."""
    net, x = nn.Sequential(Block(), Block()), minicnn.randn(2, 3)
    tape = recorded(net(x).sum(), net)
    assert frames(tape) == ["0.a", "0", "0.b", "Sequential", "1.a", "1", "1.b", "", ""]


def test_a_module_that_is_called_twice() -> None:
    layer = nn.Linear(3, 3)
    net, x = nn.ModuleDict({"one": layer, "two": nn.Linear(3, 3)}), minicnn.randn(2, 3)

    def run() -> minicnn.Tensor:
        return layer(F.relu(layer(F.relu(net["two"](x))))).sum()

    told, followed = recorded(run(), net), recorded(run, net)
    assert frames(told) == ["two", "", "one", "", "one", ""]  # the second ReLU may be outside
    assert frames(followed) == ["two", "", "one", "", "one", ""]
    assert [o.frames[0].call for o in followed.operations if o.within == "one"] == [0, 1]
    assert len(named(followed, "one.weight").contributions) == 2


def test_modules_without_a_model() -> None:
    net, x = nn.Sequential(nn.Linear(3, 1)), minicnn.randn(2, 3)
    tape = recorded(lambda: net(x).sum())
    assert frames(tape)[0] == "Sequential.0" and named(tape, "Sequential.0.weight").gradient is not None


def test_lazy_layers() -> None:
    net, x = nn.Sequential(nn.LazyConv2d(2, (3, 1)), nn.LazyBatchNorm2d()), minicnn.randn(2, 3, 5, 4)
    tape = recorded(lambda: net(x).sum(), net)
    assert {leaf.name for leaf in tape.leaves} >= {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert named(tape, "0.weight").shape == (2, 3, 3, 1)


def test_constants() -> None:
    w, x = leaf(1.0, 2.0), minicnn.tensor([3.0, 4.0])

    def function() -> minicnn.Tensor:
        with no_grad():
            shift = x.mean() + w.sum()
        return (w * (x - shift)).sum()

    tape = recorded(function)
    constants = [one for one in tape.leaves if one.kind == "constant"]
    assert [(one.source, number(one.value.numbers) if not one.value.shape else "") for one in constants] == [
        ("Sub", "")
    ]
    np.testing.assert_array_equal(constants[0].value.numbers.values, [-3.5, -2.5])  # type: ignore[union-attr]
    assert constants[0].value.gradient is None and not constants[0].value.contributions
    np.testing.assert_array_equal(gradient(tape, "w"), [-3.5, -2.5])


def test_frozen_parameters() -> None:
    net, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval(), minicnn.randn(4, 3, requires_grad=True)
    net.requires_grad_(False)
    tape = recorded(lambda: net(x).sum(), net)
    kinds = {one.name: one.kind for one in tape.leaves}
    assert kinds["x"] == "input" and kinds["0.weight"] == kinds["0.bias"] == kinds["1.weight"] == "frozen"
    assert named(tape, "0.weight").gradient is None and named(tape, "x").gradient is not None


def test_meta_tensors() -> None:
    with minicnn.device("meta"):
        net = nn.Sequential(nn.Conv2d(1, 2, (3, 1)), nn.ReLU())
        tape = recorded(lambda: net(minicnn.zeros(2, 1, 5, 4)).sum(), net)
    assert [v.shape for o in tape.operations for v in o.outputs] == [(2, 2, 3, 4), (2, 2, 3, 4), ()]
    assert all(value.numbers is None and value.gradient is None for value in tape.values)
    assert len(tape.steps) == 3 and len(named(tape, "0.weight").contributions) == 1
