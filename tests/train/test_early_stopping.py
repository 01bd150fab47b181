"""When to stop, and what a later run needs to go on as if nothing had happened."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minicnn
from minicnn.train import EarlyStopping

RNG = np.random.default_rng(0)


def by_hand(values: list[float], patience: int, min_delta: float) -> list[bool]:
    """The rule said in another way: after each value, how long ago was the last record?"""
    answers, record, last = [], -math.inf, 0
    for place, value in enumerate(values, 1):
        if value > record + min_delta:
            record, last = value, place
        answers.append(place - last >= patience)
    return answers


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("min_delta", [0.0, 0.3])
def test_the_rule(patience: int, min_delta: float) -> None:
    for _ in range(20):
        values = RNG.normal(size=30).tolist()
        up, down = EarlyStopping(patience, min_delta), EarlyStopping(patience, min_delta, mode="min")
        expected = by_hand(values, patience, min_delta)
        assert [up.step(v) for v in values] == expected
        assert [down.step(-v) for v in values] == expected
        assert up.best == -(down.best or 0) and values[up.best_step - 1] == up.best


def test_equal_values_are_not_better() -> None:
    stopping = EarlyStopping(3)
    assert [stopping.step(0.5) for _ in range(4)] == [False, False, False, True]
    assert stopping.best_step == 1 and stopping.waited == 3


def test_nan_is_never_better() -> None:
    stopping = EarlyStopping(2, mode="min")
    assert [stopping.step(v) for v in (math.nan, 3.0, math.nan, 2.0)] == [False, False, False, False]
    assert stopping.best == 2.0
    nothing = EarlyStopping(2)
    assert [nothing.step(math.nan) for _ in range(2)] == [False, True] and nothing.best is None


def test_infinite_values() -> None:
    stopping = EarlyStopping(2, mode="min")
    assert [stopping.step(v) for v in (math.inf, math.inf, 5.0)] == [False, False, False]
    assert stopping.best == 5.0


def test_a_tensor_of_one_element_is_a_value() -> None:
    stopping = EarlyStopping(1)
    stopping.step(minicnn.tensor([0.25]))
    assert stopping.best == 0.25 and type(stopping.best) is float


@pytest.mark.parametrize("cut", range(8))
def test_a_state_goes_on(cut: int) -> None:
    values = [0.1, 0.3, 0.2, 0.4, 0.4, 0.1, 0.2, 0.5]
    whole, first, second = EarlyStopping(4), EarlyStopping(4), EarlyStopping(4)
    expected = [whole.step(v) for v in values]
    answers = [first.step(v) for v in values[:cut]]
    second.load_state_dict(first.state_dict())
    assert answers + [second.step(v) for v in values[cut:]] == expected
    assert second.state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"patience": 0}, "patience must be at least 1"), ({"patience": 1.5}, "patience must be an int"),
     ({"patience": 2, "min_delta": -1}, "min_delta must be 0 or more, got -1"),
     ({"patience": 2, "min_delta": math.nan}, "min_delta"), ({"patience": 2, "min_delta": "1"}, "must be a number"),
     ({"patience": 2, "mode": "maximum"}, "'max' or 'min'")],
)  # fmt: skip
def test_wrong_settings(arguments: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        EarlyStopping(**arguments)


@pytest.mark.parametrize(
    "state",
    [{}, {"best": 1.0, "best_step": 3, "steps": 2}, {"best": None, "best_step": 1, "steps": 2}, {"best": "x"},
     {"best": 1.0, "best_step": 0, "steps": 2}, {"best": 1.0, "best_step": -1, "steps": 2},
     {"best": math.nan, "best_step": 1, "steps": 2}],
)  # fmt: skip
def test_wrong_states_change_nothing(state: dict) -> None:
    stopping = EarlyStopping(2)
    stopping.step(0.5)
    before = stopping.state_dict()
    with pytest.raises(ValueError, match=re.escape("EarlyStopping: ")):
        stopping.load_state_dict(state)
    assert stopping.state_dict() == before
