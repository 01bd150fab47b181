"""Measuring speed: functions that take turns, and the speed of a matrix product for comparison."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

Key = TypeVar("Key")


def seconds_of(call: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def best_times(contenders: Mapping[Key, Callable[[], Any]], seconds: float, turns: int = 8) -> dict[Key, float]:
    """The best time of each call in seconds, which was disturbed least; see `times`."""
    return {name: min(spent) for name, spent in times(contenders, seconds, turns).items()}


def times(contenders: Mapping[Key, Callable[[], Any]], seconds: float, turns: int = 8) -> dict[Key, list[float]]:
    """The times of each call in seconds; the calls take turns until the time is over and each has three times.

    Because of the turns, a machine that becomes faster or slower does so for all of them. The first call of a turn is
    not counted: it finds the data of another contender in the caches. Garbage is collected between the turns only.

    Args:
        contenders: functions without arguments; each should have run before, so that its kernels are compiled.
        seconds: about how long to measure all of them together.
        turns: how many turns each gets in that time, if its calls are short enough.
    """
    spent: dict[Key, list[float]] = {name: [] for name in contenders}
    turn = seconds / max(1, turns * len(contenders))
    end = time.perf_counter() + seconds
    collecting = gc.isenabled()
    try:
        while contenders and (time.perf_counter() < end or min(map(len, spent.values())) < 3):
            for name, call in contenders.items():
                gc.enable()
                call()
                gc.disable()
                until = time.perf_counter() + turn
                while True:
                    spent[name].append(seconds_of(call))
                    if time.perf_counter() >= until:
                        break
    finally:
        (gc.enable if collecting else gc.disable)()
    return spent


def gemm_peak(side: int = 2048, repeats: int = 15) -> float:
    """FLOP/s of a float32 matrix product on all threads, the best of `repeats`: a limit for convolutions."""
    a = np.ones((side, side), np.float32)
    return float(2 * side**3 / min(seconds_of(lambda: a @ a) for _ in range(repeats)))
