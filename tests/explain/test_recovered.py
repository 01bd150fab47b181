"""Values of a loss that is there already: those that the saved arrays and the formulas tell, and no wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
from tapes import leaf

import minicnn
from minicnn.explain import Tape, recorded
from minicnn.nn import functional as F


def values(tape: Tape) -> list[float | None]:
    """The results of the operations, if they are known."""
    numbers = [operation.outputs[0].numbers for operation in tape.operations]
    return [None if n is None or n.values is None else float(n.values.sum()) for n in numbers]


def test_all_values_of_a_formula() -> None:
    a, b, c = leaf(2.0), leaf(-3.0), leaf(7.0)
    found = values(recorded((a * b + c).tanh() * a))
    assert found == pytest.approx([-6, 1, np.tanh(1), 2 * np.tanh(1)], rel=1e-5)


def test_they_are_those_of_a_run_that_is_followed() -> None:
    a, b = minicnn.rand(2, 3, requires_grad=True), minicnn.rand(3, requires_grad=True)

    def function() -> minicnn.Tensor:
        y = F.relu(a / b - b) ** 2 + (a * 2).sigmoid().exp()
        return (y.clamp(min=0.5) - a.sqrt()).sum()

    told, followed = values(recorded(function())), values(recorded(function))
    assert len(told) == len(followed) and sum(v is not None for v in told) >= 8
    for found, expected in zip(told, followed, strict=True):
        assert found is None or found == pytest.approx(expected, rel=1e-4)


def test_a_constant_that_nobody_saved() -> None:
    a = leaf(2.0)
    assert values(recorded((a + 1) * 1 + 1)) == [None, None, 4]
    assert values(recorded((a * 3 + 1).exp()))[:2] == [6, None]


@pytest.mark.parametrize("after", ["leaf", "result"])
def test_what_was_written_to_is_no_operand(after: str) -> None:
    a, b = leaf(2.0), leaf(3.0)
    d = a + b
    loss = (d + a) + 1
    (a if after == "leaf" else d).data.mul_(10.0)
    tape = recorded(loss, names={"d": d})
    found = values(tape)
    assert found[1:] == [None, 8], "neither 23, nor 52"


@pytest.mark.cpu_only("writes into the array of a tensor")
def test_a_write_behind_the_back_of_the_tape_is_noticed_at_the_loss() -> None:
    a, b = leaf(2.0), leaf(3.0)
    loss = (a + b) - b
    a.array[...] = 50.0
    assert values(recorded(loss)) == [None, 2]


def test_after_the_saved_arrays_were_freed() -> None:
    a, b = leaf(2.0), leaf(3.0)
    loss = (a * b) * a
    loss.backward()
    assert values(recorded(loss)) == [6, 12]


def test_large_tensors_are_not_computed_again() -> None:
    a = minicnn.ones(100, requires_grad=True)
    assert values(recorded((a + a).sum())) == [None, 200]
