"""Times of contenders that take turns. A turn is many calls and one wait for the GPU at its end."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

TURN = 0.03  # seconds
FEW = 1.0  # a contender whose call takes this many seconds is timed once


class Contender(NamedTuple):
    """Something to be timed: the library whose GPU it uses, the call, and what holds around each of its turns."""

    lib: Any
    call: Callable[[], Any]
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


def measure(contenders: dict[str, Contender], seconds: float) -> dict[str, Any]:
    """Milliseconds of the best turn of each, or a text that says why it cannot run."""
    best: dict[str, Any] = {}
    calls: dict[str, int] = {}
    for name, one in contenders.items():
        try:
            _turn(one, 1)  # compiles, chooses algorithms, allocates
            best[name] = _turn(one, 1)
        except Exception as error:
            best[name] = f"{type(error).__name__}: {str(error)[:300]}"
            _free(one)
            continue
        if best[name] < FEW:
            calls[name] = max(1, min(500, int(TURN / best[name])))
    end = time.perf_counter() + seconds
    while calls and time.perf_counter() < end:
        for name, count in calls.items():
            best[name] = min(best[name], _turn(contenders[name], count))
    return {name: 1e3 * spent if isinstance(spent, float) else spent for name, spent in best.items()}


def _turn(one: Contender, calls: int) -> float:
    with one.around():
        one.lib.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            one.call()
        one.lib.cuda.synchronize()
        return (time.perf_counter() - start) / calls


def _free(one: Contender) -> None:
    """Give back memory. Raises if the GPU does not answer any more, which ends the case."""
    gc.collect()
    one.lib.cuda.empty_cache()
    one.lib.cuda.synchronize()


def fastest(times: dict[str, Any], start: str) -> float:
    """The shortest time among the contenders whose names start so; infinite if there is none."""
    found = [ms for name, ms in times.items() if name.startswith(start) and not isinstance(ms, str)]
    return min(found, default=math.inf)


def ratio(times: dict[str, Any], theirs: str, ours: str = "minicnn") -> float | None:
    """Their time over ours: above 1, minicnn is faster."""
    a, b = fastest(times, theirs), fastest(times, ours)
    return a / b if math.isfinite(a) and math.isfinite(b) and b > 0 else None
