"""Schedules: their formulas, schedules written by users, warnings, state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.optim import lr_scheduler as s
from minicnn.optim.swa_utils import SWALR


def optimiser(*rates: float, kind: Any = optim.SGD, **options: Any) -> Any:
    params = [nn.Parameter(np.ones(1)) for _ in rates]
    return kind([{"params": [p], "lr": lr} for p, lr in zip(params, rates, strict=True)], **options)


def cosine(t: float, length: float) -> float:
    return (1 + math.cos(math.pi * t / length)) / 2


# A schedule, and the rate in epoch t that its docstring says, for a base rate of 1.
FORMULAS: dict[str, tuple[Callable[[Any], Any], Callable[[int], float]]] = {
    "LambdaLR": (lambda o: s.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "MultiplicativeLR": (
        lambda o: s.MultiplicativeLR(o, lambda t: 1 - 1 / (t + 2)),
        lambda t: math.prod(1 - 1 / (n + 2) for n in range(1, t + 1)),
    ),
    "StepLR": (lambda o: s.StepLR(o, 4, 0.5), lambda t: 0.5 ** (t // 4)),
    "MultiStepLR": (lambda o: s.MultiStepLR(o, [2, 9, 9], 0.5), lambda t: 0.5 ** ((t >= 2) + 2 * (t >= 9))),
    "ConstantLR": (lambda o: s.ConstantLR(o, 0.25, 6), lambda t: 0.25 if t < 6 else 1),
    "LinearLR": (lambda o: s.LinearLR(o, 0.5, 0.9, 8), lambda t: 0.5 + 0.4 * min(t, 8) / 8),
    "ExponentialLR": (lambda o: s.ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "PolynomialLR": (lambda o: s.PolynomialLR(o, 10, 2), lambda t: (1 - min(t, 10) / 10) ** 2),
    "CosineAnnealingLR": (lambda o: s.CosineAnnealingLR(o, 7, 0.2), lambda t: 0.2 + 0.8 * cosine(t, 7)),
    "CosineAnnealingWarmRestarts": (
        lambda o: s.CosineAnnealingWarmRestarts(o, 2, 2),
        lambda t: cosine(*((t, 2) if t < 2 else (t - 2, 4) if t < 6 else (t - 6, 8) if t < 14 else (t - 14, 16))),
    ),
    "CyclicLR": (lambda o: s.CyclicLR(o, 0, 1, 3, 5), lambda t: t % 8 / 3 if t % 8 <= 3 else (8 - t % 8) / 5),
    "CyclicLR triangular2": (
        lambda o: s.CyclicLR(o, 0, 1, 4, mode="triangular2"),
        lambda t: (1 - abs(t % 8 - 4) / 4) / 2 ** (t // 8),
    ),
    "OneCycleLR": (
        lambda o: s.OneCycleLR(o, 1.0, 25, pct_start=0.24, div_factor=4, final_div_factor=5),
        lambda t: 1 + (0.25 - 1) * cosine(t, 5) if t <= 5 else 0.05 + 0.95 * cosine(t - 5, 19),
    ),
    "SequentialLR": (
        lambda o: s.SequentialLR(o, [s.ConstantLR(o, 0.5, 99), s.ExponentialLR(o, 0.5)], [3]),
        lambda t: 0.5 if t < 3 else 0.5 ** (t - 3),
    ),
    "ChainedScheduler": (
        lambda o: s.ChainedScheduler([s.StepLR(o, 2, 0.5), s.ExponentialLR(o, 0.9)]),
        lambda t: 0.5 ** (t // 2) * 0.9**t,
    ),
    "SWALR": (lambda o: SWALR(o, 0.5, 6, "linear"), lambda t: 1 - min(t, 6) / 12),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    make, formula = FORMULAS[name]
    optimizer = optimiser(1.0, lr=1.0, momentum=0.9)
    schedule = make(optimizer)
    for t in range(20):
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(formula(t), abs=1e-12)
        assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        schedule.step()


@pytest.mark.parametrize(("kind", "key"), [(optim.SGD, "momentum"), (optim.Adam, "betas")])
def test_the_momentum_falls_as_the_rate_rises(kind: Any, key: str) -> None:
    for make in (
        lambda o: s.OneCycleLR(o, 1.0, 10, pct_start=0.5, base_momentum=0.8, max_momentum=0.9),
        lambda o: s.CyclicLR(o, 0.1, 1.0, 4, base_momentum=0.8, max_momentum=0.9),
    ):
        optimizer = optimiser(1.0, kind=kind)
        schedule, seen = make(optimizer), []
        optimizer.step()
        for _ in range(5):
            value = optimizer.param_groups[0][key]
            seen.append(value[0] if key == "betas" else value)
            schedule.step()
        assert seen[0] == pytest.approx(0.9) and seen[4] == pytest.approx(0.8) and seen == sorted(seen, reverse=True)
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        s.OneCycleLR(optimiser(1.0, kind=optim.Adagrad), 1.0, 10)


def test_plateaus() -> None:
    optimizer = optimiser(1.0, 0.1)
    schedule = s.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=[0, 0.04], threshold=0)
    rates = []
    for loss in [3, 2, 2, 2, 2, 2, 2, minicnn.tensor(1.0), 1, 1]:
        schedule.step(loss)
        rates.append(schedule.get_last_lr()[0])
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert schedule.get_last_lr()[1] == 0.04
    optimizer.add_param_group({"params": nn.Parameter(np.ones(1)), "lr": 1})
    with pytest.raises(RuntimeError, match="modify the `min_lrs` field"):
        for _ in range(9):
            schedule.step(1)


# --------------------------------------------------------------------------------------------- schedules of one's own


def test_a_schedule_of_ones_own() -> None:
    class Warmup(s._LRScheduler):
        def __init__(self, optimizer: Any, steps: int, last_epoch: int = -1) -> None:
            self.steps = steps
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[float]:
            return [base * min(1, (self.last_epoch + 1) / self.steps) for base in self.base_lrs]

    optimizer = optimiser(1.0, 0.5)
    schedule = Warmup(optimizer, 4)
    seen = [schedule.get_last_lr()]
    for _ in range(4):
        optimizer.step()
        schedule.step()
        seen.append([group["lr"] for group in optimizer.param_groups])
    assert seen == [[0.25, 0.125], [0.5, 0.25], [0.75, 0.375], [1, 0.5], [1, 0.5]]
    assert isinstance(schedule, s.LRScheduler) and schedule.get_lr() == [1, 0.5]
    state = schedule.state_dict()
    assert "optimizer" not in state and state["steps"] == 4 and state["last_epoch"] == 4


def test_one_with_the_wrong_number_of_rates() -> None:
    class Wrong(s.LRScheduler):
        def get_lr(self) -> list[float]:
            return [1.0]

    with pytest.raises(ValueError, match="zip"):
        Wrong(optimiser(1.0, 0.5))


# ----------------------------------------------------------------------------------------------------------- warnings


def messages(call: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


def test_warnings_about_the_order_of_steps() -> None:
    optimizer = optimiser(1.0)
    schedule = s.StepLR(optimizer, 1)
    (text,) = messages(schedule.step)
    assert "before `optimizer.step()`" in text and "how-to-adjust-learning-rate" in text
    assert not messages(schedule.step)  # once
    optimizer = optimiser(1.0)
    schedule = s.StepLR(optimizer, 1)
    optimizer.step()
    assert not messages(schedule.step)
    schedule = s.StepLR(optimizer, 1)
    optimizer.step = lambda: None
    (text,) = messages(schedule.step)
    assert "has been overridden" in text


def test_the_optimiser_is_not_kept_alive() -> None:
    import gc
    import weakref

    optimizer = optimiser(1.0)
    weak = weakref.ref(optimizer)
    s.StepLR(optimizer, 1)
    gc.disable()
    try:
        del optimizer
        assert weak() is None
    finally:
        gc.enable()


def test_other_warnings() -> None:
    schedule = s.StepLR(optimiser(1.0), 1)
    (text,) = messages(schedule.get_lr)
    assert "use `get_last_lr()`" in text
    schedule.optimizer.step()
    (text,) = messages(lambda: schedule.step(3))
    assert "epoch parameter" in text and schedule.get_last_lr() == [pytest.approx(1e-3)]


# -------------------------------------------------------------------------------------------------------------- state


def test_states_of_functions() -> None:
    class Falling:
        def __init__(self, base: float) -> None:
            self.base = base

        def __call__(self, t: float) -> float:
            return self.base**t

    optimizer = optimiser(1.0, 1.0)
    first = s.LambdaLR(optimizer, [Falling(0.5), lambda t: 1])
    state = first.state_dict()
    assert state["lr_lambdas"] == [{"base": 0.5}, None]
    second = s.LambdaLR(optimizer, [Falling(0.9), lambda t: 2])
    second.load_state_dict(state)
    assert second.lr_lambdas[0].base == 0.5 and second.lr_lambdas[1](0) == 2
    assert "lr_lambdas" in state  # as it was


def test_new_groups_and_old_ones() -> None:
    optimizer = optimiser(1.0)
    optimizer.param_groups[0]["initial_lr"] = 0.5
    assert s.LambdaLR(optimizer, lambda t: 1, last_epoch=4).get_last_lr() == [0.5]
    assert s.StepLR(optimizer, 2).base_lrs == [0.5]


def test_verbose_gives_a_warning_and_nothing_else() -> None:
    class Own(s.LRScheduler):
        def __init__(self, optimizer: Any, verbose: bool = False) -> None:
            super().__init__(optimizer, -1, verbose)

        def get_lr(self) -> list[float]:
            return self.base_lrs

    for create in (
        lambda: s.StepLR(optimiser(1.0), 1, 0.1, -1, False),
        lambda: s.StepLR(optimiser(1.0), 1, verbose=True),
        lambda: s.ReduceLROnPlateau(optimiser(1.0), "min", patience=3, verbose=True),
        lambda: s.LRScheduler.__init__(Own.__new__(Own), optimiser(1.0), verbose=True),
        lambda: Own(optimiser(1.0), True),
    ):
        (text,) = messages(create)
        assert "The verbose parameter is deprecated" in text
    assert not messages(lambda: s.StepLR(optimiser(1.0), 1, verbose="deprecated"))
    with pytest.raises(TypeError, match="positional argument"):
        s.StepLR(optimiser(1.0), 1, 0.1, -1, False, 5)
