"""The mistakes that `minicnn.explain.diagnose` knows, for the arguments and outputs of an exercise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from ..explain.mistakes import MISTAKES, RESULTS, Call, common, common_results
from .exercise import Arguments, Candidate, Candidates, Exercise

_RENAMED = {"kernel": "kernel_size", "size": "output_size", "gamma": "w", "beta": "b"}  # as the operation has it
Prepare = Callable[[Arguments], Arguments]


def _split(args: Arguments, prepare: Prepare | None) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays that an operation takes, and its options."""
    given = args if prepare is None else {**args, **prepare(args)}
    given = {_RENAMED.get(name, name): value for name, value in given.items()}
    arrays = {k: v.astype(float) for k, v in given.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    return arrays, {name: value for name, value in given.items() if name not in arrays}


def results(op: str, prepare: Prepare | None = None, names: Mapping[str, str] | None = None) -> Candidates:
    """The mistakes in the results of an operation.

    Args:
        op: its name in `explain.mistakes.RESULTS`.
        prepare: arguments that the operation has, and the exercise has not, from those of the exercise.
        names: for each output of the exercise, its name in the operation, if it is another.
    """

    def candidates(args: Arguments, right: dict[str, Array], exercise: Exercise) -> dict[str, list[Candidate]]:
        inputs, options = _split(args, prepare)
        own = {name: (names or {}).get(name, name) for name in exercise.outputs}
        own = {name: one for name, one in own.items() if one in RESULTS[op]}
        values = {one: right[name] for name, one in own.items()}
        call = Call(inputs, options, values.get("y", np.zeros(())), np.zeros(()), values)
        return {
            name: [
                *(Candidate(m.name, m.remedy, _made(m.gradient, call)) for m in RESULTS[op][one]),
                *(Candidate(*found) for found in common_results(call, one)),
            ]
            for name, one in own.items()
        }  # fmt: skip

    return candidates


def gradients(
    op: str, names: Mapping[str, str], prepare: Prepare | None = None, y: Callable[[Arguments], Array] | None = None
) -> Candidates:  # fmt: skip
    """The mistakes in the gradients of an operation.

    Args:
        op: its name in `explain.mistakes.MISTAKES`.
        names: for each output of the exercise, the input of the operation whose gradient it is.
        prepare: as in `results`.
        y: the result of the forward pass, from the arguments, where mistakes need it.
    """

    def candidates(args: Arguments, right: dict[str, Array], exercise: Exercise) -> dict[str, list[Candidate]]:
        inputs, options = _split(args, prepare)
        gy = inputs.pop("gy", np.asarray(args["gy"], float))
        ones = np.ones_like(args["gy"]) if isinstance(args["gy"], np.ndarray) else 1.0
        plain = exercise.right({**args, "gy": ones})
        values = {one: right[name] for name, one in names.items()}
        call = Call(inputs, options, np.zeros(()) if y is None else y(args), gy, values)
        of_ones = {one: plain[name] for name, one in names.items()}
        return {
            name: [
                *(Candidate(m.name, m.remedy, _made(m.gradient, call)) for m in MISTAKES[op].get(one, [])),
                *(Candidate(*_named(found, names)) for found in common(call, one, of_ones)),
            ]
            for name, one in names.items()
        }  # fmt: skip

    return candidates


def both(*many: Candidates) -> Candidates:
    """The mistakes of several operations together."""

    def candidates(args: Arguments, right: dict[str, Array], exercise: Exercise) -> dict[str, Iterable[Candidate]]:
        found: dict[str, list[Candidate]] = {}
        for one in many:
            for name, new in one(args, right, exercise).items():
                found.setdefault(name, []).extend(new)
        return {**found}

    return candidates


def _named(found: tuple[str, str, Array], names: Mapping[str, str]) -> tuple[str, str, Array]:
    """A mistake "this is the gradient of w" with the exercise's name, ggamma; and without a number of one case."""
    text, remedy, result = found
    if counted := re.fullmatch(r"it is \d+ times too (large|small), (the .*): (.*)", text):
        too, what, why = counted.groups()
        return f"it is too {too} by {what}: {why}", re.sub(r"\d+", what, remedy), result
    for name, one in names.items():
        if text == f"this is the gradient of {one}":
            return f"this is {name}", remedy, result
    return found


def _made(make: Callable[[Call], Array | None], call: Call) -> Array | None:
    """What a mistake gives; None where it cannot be made with these shapes."""
    try:
        found = make(call)
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return None if found is None else np.asarray(found, np.float64)
