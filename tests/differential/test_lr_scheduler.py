"""Schedules against PyTorch's: every number of 60 steps the same, in two groups, also resumed and in closed form."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

METRICS = [5.0, 4, 4.0001, 3.9, 3.9, 3.9, 3.95, 3, 3, 3, 3, 3, 2.9999, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5] * 3


class Factor:
    """A callable object, whose attributes go into the state dict."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, epoch: float) -> float:
        return self.base**epoch


# Each a function of PyTorch's module of schedules, or ours, and an optimiser.
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda t: 0.95**t),
    "LambdaLR per group": lambda s, o: s.LambdaLR(o, [lambda t: t // 3, Factor(0.9)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR per group": lambda s, o: s.MultiplicativeLR(o, [Factor(0.99), lambda t: 0.9]),
    "StepLR": lambda s, o: s.StepLR(o, 7),
    "StepLR gamma": lambda s, o: s.StepLR(o, step_size=3, gamma=0.7),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 10, 10, 40], gamma=0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "ConstantLR factor": lambda s, o: s.ConstantLR(o, factor=0.7, total_iters=11),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR down": lambda s, o: s.LinearLR(o, 0.9, 0.2, total_iters=17),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.93),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, total_iters=20, power=0.9),
    "PolynomialLR default": lambda s, o: s.PolynomialLR(o),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, T_max=20),
    "CosineAnnealingLR waves": lambda s, o: s.CosineAnnealingLR(o, T_max=7, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "CosineAnnealingWarmRestarts mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=1e-3),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.5, step_size_up=6),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 4, 9, mode="triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(
        o, 0.01, 0.5, step_size_up=5, mode="exp_range", gamma=0.97, base_momentum=[0.7, 0.6], max_momentum=0.95
    ),
    "CyclicLR scale_fn": lambda s, o: s.CyclicLR(
        o, 0.01, 0.5, step_size_up=5, scale_fn=lambda x: 1 / 5 ** (x * 0.0001), scale_mode="iterations"
    ),
    "CyclicLR object": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 5, scale_fn=Factor(0.5), cycle_momentum=False),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, max_lr=0.5, total_steps=70),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.2], epochs=10, steps_per_epoch=7, pct_start=0.25, anneal_strategy="linear", div_factor=10,
        final_div_factor=100, base_momentum=[0.8, 0.7],
    ),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=61, three_phase=True),
    "OneCycleLR without momentum": lambda s, o: s.OneCycleLR(o, 0.5, 100, cycle_momentum=False),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=2),
    "ReduceLROnPlateau max": lambda s, o: s.ReduceLROnPlateau(
        o, "max", factor=0.5, patience=1, threshold=0.1, threshold_mode="abs", cooldown=2, min_lr=[1e-3, 1e-4]
    ),
    "ReduceLROnPlateau min abs": lambda s, o: s.ReduceLROnPlateau(
        o, factor=0.3, patience=0, threshold=0.01, threshold_mode="abs", min_lr=1e-3, eps=1e-3
    ),
    "ReduceLROnPlateau max rel": lambda s, o: s.ReduceLROnPlateau(o, mode="max", patience=3, threshold=0.5),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 30, 1e-4), s.ExponentialLR(o, 0.9)], [5, 40]
    ),
    "SequentialLR restarts": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.CosineAnnealingWarmRestarts(o, 4, 2), s.StepLR(o, 2)], milestones=[4, 30]
    ),
    "SequentialLR nested": lambda s, o: s.SequentialLR(
        o, [s.SequentialLR(o, [s.LinearLR(o), s.StepLR(o, 4)], [6]), s.PolynomialLR(o, 10)], milestones=[25]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 5), s.ExponentialLR(o, 0.97)]),
    "ChainedScheduler three": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o), s.CosineAnnealingLR(o, 25, 1e-3), s.MultiStepLR(o, [10, 30])], optimizer=o
    ),
    "SWALR": lambda s, o: s.swa.SWALR(o, 0.05),
    "SWALR linear": lambda s, o: s.swa.SWALR(o, [0.05, 0.5], anneal_epochs=13, anneal_strategy="linear"),
    "SWALR at once": lambda s, o: s.swa.SWALR(o, swa_lr=0.5, anneal_epochs=0),
}  # fmt: skip
KEYS = ("lr", "momentum", "betas", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


class Names:
    """A library's schedules; those of weight averaging as `.swa`."""

    def __init__(self, lib: Any) -> None:
        self.lib, self.swa = lib.optim.lr_scheduler, lib.optim.swa_utils

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lib, name)


def optimiser(lib: Any, kind: str = "SGD") -> Any:
    a, b = (lib.nn.Parameter(lib.ones(2)) for _ in range(2))
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(lib.optim, kind)([{"params": [a]}, {"params": [b], "lr": 0.03}], lr=0.1, **options)


def step(schedule: Any, number: int) -> None:
    if type(schedule).__name__ == "ReduceLROnPlateau":
        schedule.step(METRICS[number])
    else:
        schedule.step()


def seen(optimizer: Any, schedule: Any) -> list[Any]:
    groups = [{key: group[key] for key in KEYS if key in group} for group in optimizer.param_groups]
    return [groups, schedule.get_last_lr()]


def both(name: str, kind: str = "SGD") -> tuple[list[Any], list[Any]]:
    optimizers = [optimiser(lib, kind) for lib in (torch, minicnn)]
    return optimizers, [CASES[name](Names(lib), o) for lib, o in zip((torch, minicnn), optimizers, strict=True)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", CASES)
def test_sixty_steps(name: str, kind: str) -> None:
    """To the last bit: the same operations in the same order."""
    (theirs, ours), (their_schedule, our_schedule) = both(name, kind)
    assert seen(ours, our_schedule) == seen(theirs, their_schedule)
    for number in range(60):
        step(their_schedule, number)
        step(our_schedule, number)
        assert seen(ours, our_schedule) == seen(theirs, their_schedule), number


def plain(state: Any) -> Any:
    """A state dict in comparable form: a method is its name."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items() if key not in ("anneal_func",)}
    return [plain(part) for part in state] if isinstance(state, (list, tuple)) else state


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_state_dicts_are_exchanged_in_the_middle_of_a_run(name: str) -> None:
    (theirs, ours), schedules = both(name)
    for number in range(23):
        for schedule in schedules:
            step(schedule, number)
    states = [copy.deepcopy(schedule.state_dict()) for schedule in schedules]
    assert plain(states[1]) == plain(states[0])
    (new_theirs, new_ours), new_schedules = both(name)
    new_theirs.load_state_dict(ours.state_dict())
    new_ours.load_state_dict(theirs.state_dict())
    new_schedules[0].load_state_dict(states[1])
    new_schedules[1].load_state_dict(states[0])
    for number in range(23, 60):
        for schedule in (schedules[0], *new_schedules):
            step(schedule, number)
        expected = seen(theirs, schedules[0])
        assert seen(new_theirs, new_schedules[0]) == seen(new_ours, new_schedules[1]) == expected


@pytest.mark.parametrize(
    "name", [name for name in CASES if not name.startswith(("Sequential", "Chained", "SWALR", "Multiplicative"))]
)
def test_steps_to_a_given_epoch(name: str) -> None:
    (theirs, ours), schedules = both(name)
    fractions = [7.25, 2.5, 0.75] if "Warm" in name else []
    for epoch in [5, 3, 12, 40, 41, *fractions]:
        for schedule in schedules:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                schedule.step(METRICS[int(epoch)], epoch) if "Reduce" in name else schedule.step(epoch)
            assert ("Warm" in name) != any("epoch parameter" in str(w.message) for w in caught)
        assert seen(ours, schedules[1]) == seen(theirs, schedules[0])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["StepLR", "CosineAnnealingLR", "LinearLR", "PolynomialLR", "ExponentialLR"])
def test_begun_in_the_middle(name: str) -> None:
    options: dict[str, Any] = {
        "StepLR": {"step_size": 4}, "CosineAnnealingLR": {"T_max": 9, "eta_min": 1e-3}, "ExponentialLR": {"gamma": 0.9}
    }.get(name, {})  # fmt: skip
    schedules = []
    for lib in (torch, minicnn):
        optimizer = optimiser(lib)
        with pytest.raises(KeyError, match="initial_lr"):
            getattr(lib.optim.lr_scheduler, name)(optimizer, **options, last_epoch=3)
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.5
        schedules.append(getattr(lib.optim.lr_scheduler, name)(optimizer, **options, last_epoch=3))
    for _ in range(30):
        assert schedules[1].get_last_lr() == schedules[0].get_last_lr()
        for schedule in schedules:
            schedule.step()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in CASES if "Cyclic" not in name and "SWALR" not in name])
def test_rates_that_are_tensors(name: str) -> None:
    """The tensor in the group stays the same one, and gets the numbers that PyTorch's gets, in float64."""
    made = []
    for lib in (torch, minicnn):
        rates = [lib.from_numpy(np.array(value)) for value in (0.1, 0.03)]
        params = [{"params": [lib.nn.Parameter(lib.ones(2))], "lr": rate} for rate in rates]
        optimizer = lib.optim.SGD(params, momentum=0.9)
        made.append((rates, optimizer, CASES[name](Names(lib), optimizer)))
    for number in range(30):
        for _, _, schedule in made:
            step(schedule, number)
        values = []
        for rates, optimizer, schedule in made:
            assert all(group["lr"] is rate for group, rate in zip(optimizer.param_groups, rates, strict=True))
            values.append([[float(r) for r in rates], [float(r) for r in schedule.get_last_lr()]])
        np.testing.assert_allclose(values[1], values[0], 1e-14, err_msg=str(number))


ERRORS: dict[str, Callable[[Any, Any], Any]] = {
    "no optimiser": lambda s, o: s.StepLR(nn.Linear(1, 1), 3),
    "plateau, no optimiser": lambda s, o: s.ReduceLROnPlateau(None),
    "lambdas": lambda s, o: s.LambdaLR(o, [abs]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 1.5),
    "linear start": lambda s, o: s.LinearLR(o, 0),
    "linear end": lambda s, o: s.LinearLR(o, 0.1, -1),
    "T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "T_0 is whole": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2.5),
    "T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 0),
    "eta_min": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, eta_min="0"),
    "negative epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
    "cyclic mode": lambda s, o: s.CyclicLR(o, 0.1, 1, mode="round"),
    "cyclic lists": lambda s, o: s.CyclicLR(o, [0.1], 1),
    "one cycle": lambda s, o: s.OneCycleLR(o, 1),
    "one cycle, epochs": lambda s, o: s.OneCycleLR(o, 1, epochs=3, steps_per_epoch=0),
    "one cycle, total": lambda s, o: s.OneCycleLR(o, 1, -3),
    "one cycle, pct_start": lambda s, o: s.OneCycleLR(o, 1, 10, pct_start=2.0),
    "one cycle, strategy": lambda s, o: s.OneCycleLR(o, 1, 10, anneal_strategy="line"),
    "plateau, factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau, mode": lambda s, o: s.ReduceLROnPlateau(o, "best"),
    "plateau, threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="most"),
    "plateau, min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "sequential, none": lambda s, o: s.SequentialLR(o, [], []),
    "sequential, milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]),
    "sequential, plateau": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "sequential, no schedule": lambda s, o: s.SequentialLR(o, [1], []),
    "chained, none": lambda s, o: s.ChainedScheduler([]),
    "chained, plateau": lambda s, o: s.ChainedScheduler([s.StepLR(o, 1), s.ReduceLROnPlateau(o)]),
    "swa, strategy": lambda s, o: s.swa.SWALR(o, 0.1, anneal_strategy="line"),
    "swa, epochs": lambda s, o: s.swa.SWALR(o, 0.1, anneal_epochs=-1),
    "swa, lists": lambda s, o: s.swa.SWALR(o, [0.1]),
    "ema": lambda s, o: s.swa.get_ema_multi_avg_fn(1.5),
    "a base has no rates": lambda s, o: s.LRScheduler(o),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    texts = []
    for lib in (torch, minicnn):
        with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
            ERRORS[name](Names(lib), optimiser(lib))
        texts.append((caught.type, str(caught.value).replace("'", "").rstrip(".")))
    assert texts[1][0] is texts[0][0]
    assert texts[1][1].startswith(texts[0][1])


def test_too_many_steps_of_one_cycle() -> None:
    optimizer = optimiser(minicnn)
    schedule = minicnn.optim.lr_scheduler.OneCycleLR(optimizer, 1, total_steps=3)
    optimizer.step()
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match=r"Tried to step 4 times. The specified number of total steps is 3"):
        schedule.step()
