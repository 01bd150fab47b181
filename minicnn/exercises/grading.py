"""`check`: an answer is tried on all cases of an exercise, compared with the solution, and its mistakes are named.

The cases go from easy to hard. All of them are tried; a mistake is named if it gives, in the cases that fail, exactly
the numbers that the answer gave, and is not excluded by a case that the answer gets right. Where it gives other wrong
numbers, the answer may have two mistakes, or the same numbers came by chance: it is named if it explains twice as many.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from . import sandbox
from .attempt import Outcome, Unusable, attempt, check_signature
from .catalogue import EXERCISES, find
from .exercise import Candidate, Case, Exercise
from .report import Known, Report, Result, Wrongness

_TOLERANCE = {"float64": 1e-9, "float32": 1e-4}  # of the largest number
_SAME = 1e-6  # of the largest number: a mistake gives what was found


def check(answer: Callable[..., Any] | type | str | Path, exercise: str | Exercise | None = None) -> Report:
    """Grade an answer to an exercise, and say what is wrong with it.

        from minicnn.exercises import check

        def relu_backward(gy, x):
            return gy * (gy > 0)

        check(relu_backward)           # in a notebook; or check("relu_backward.py"), check(my_relu, "relu_backward")

    A function is called as it is, without a limit of time; a file is run in a process of its own (`check_file`).

    Args:
        answer: the function or class; or the path of a file that defines it.
        exercise: the name of the exercise, or one of your own; None for the one with the name of the function or of
            the file.

    Raises:
        ValueError: there is no such exercise, or a file has no answer, or several (use `check_file`).
        TypeError: a file is to be graded by an exercise of your own: import its function, and pass that.

    >>> from minicnn.exercises import check
    >>> def relu_backward(gy, x):
    ...     return gy * (gy > 0)
    >>> report = check(relu_backward)
    >>> report.ok, report.mistakes["gx"][0].name
    (False, 'the mask is that of gy: where the upstream gradient is positive')
    """
    if isinstance(answer, str | Path):
        if isinstance(exercise, Exercise):
            raise TypeError(f"check: {answer} is a file; import its function, and pass that with your own exercise")
        reports = check_file(answer, [exercise] if exercise else None)
        if len(reports) != 1:
            names = ", ".join(report.exercise.name for report in reports)
            raise ValueError(f"check: {answer} has answers to {names}; say which one as check(file, name)")
        return reports[0]
    one = find(exercise) if isinstance(exercise, str) else exercise or _of_entry(getattr(answer, "__name__", ""))
    if one is None:
        known = getattr(answer, "__name__", repr(answer))
        raise ValueError(f"check: there is no exercise with the name of {known}; say which one as check(answer, name)")
    try:
        check_signature(answer, one)
    except Unusable as error:
        return Report(one, one.cases(), [], str(error), None)
    cases = one.cases()
    return grade(one, [attempt(one, answer, case) for case in cases])


def _of_entry(name: str) -> Exercise | None:
    """The exercise whose function or class has this name."""
    return next((one for one in EXERCISES.values() if one.entry == name), None)


def check_file(path: str | Path, names: Sequence[str] | None = None, seconds: float = sandbox.SECONDS) -> list[Report]:
    """Grade all answers in a file, in a process of its own: it may fail in any way, or never end.

    Args:
        path: the file.
        names: the exercises; None for all whose function or class the file defines, or that of its own name.
        seconds: the limit of time for each case.

    Raises:
        ValueError: there is no such exercise, or the file has no answer.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; `minicnn exercise new NAME` writes one to fill in")
    found = [find(name).name for name in names] if names else answered(path)
    if not found:
        raise ValueError(
            f"{path} defines no function of an exercise; keep the name that `minicnn exercise new NAME` gives it, or "
            "say which exercise it is"
        )
    reports = []
    for name in found:
        one, (outcomes, problem) = EXERCISES[name], sandbox.run(path, name, seconds)
        reports.append(Report(one, one.cases(), [], problem, path) if problem else grade(one, outcomes, path))
    return reports


def answered(path: Path) -> list[str]:
    """The exercises that a file answers: those whose function it defines, or the one of its own name."""
    try:
        body = ast.parse(path.read_bytes()).body
        ways = [set(_defined(body)), set(_defined(body, imports=True))]  # an import may also be a mere helper
    except (SyntaxError, ValueError):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        ways = [set(re.findall(r"^(?:def|class)\s+(\w+)", text, re.MULTILINE))]
    own = [name for name in EXERCISES if name == path.stem]
    found = ([name for name, one in EXERCISES.items() if one.entry in defined] for defined in ways)
    return next(filter(None, [next(found), own, *found]), [])


def _defined(body: Sequence[ast.stmt], imports: bool = False) -> Iterator[str]:
    """The names that statements define by def, class or =, or also import; those inside of if, try and with as well."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            if imports:
                yield from (alias.asname or alias.name for alias in node.names)
        else:
            for part in ("body", "orelse", "finalbody"):
                yield from _defined(getattr(node, part, []), imports)


# -------------------------------------------------------------------------------------------------------------- grading


def grade(exercise: Exercise, outcomes: Sequence[Outcome], path: Path | None = None) -> Report:
    """Compare outcomes with the solution. Cases that were not tried, since the program ended, are left out."""
    cases, results = exercise.cases(), []
    rights = _rights(exercise)
    for case, outcome, right in zip(cases, outcomes, rights, strict=False):
        results.append(Result(case, outcome, right, _wrongness(case, outcome, right, exercise)))
    unwritten = bool(results) and results[0].outcome.unwritten
    problem = results[0].outcome.problem if unwritten else ""
    return Report(exercise, cases, results, problem, path, _known(exercise, results))


@functools.cache
def _rights(exercise: Exercise) -> list[dict[str, Array]]:
    """What is right in each case."""
    return [exercise.right(case.args) for case in exercise.cases()]


@functools.cache
def _mistakes(exercise: Exercise) -> list[dict[str, list[Candidate]]]:
    """What all mistakes give in each case."""
    cases = zip(exercise.cases(), _rights(exercise), strict=True)
    return [exercise.mistakes(case.args, right) for case, right in cases]


def _wrongness(case: Case, outcome: Outcome, right: dict[str, Array], exercise: Exercise) -> dict[str, Wrongness]:
    """What is wrong with each output; those that are right are left out."""
    found: dict[str, Wrongness] = {}
    if outcome.outputs is None:
        return found
    narrow = any(isinstance(v, np.ndarray) and v.dtype == np.float32 for v in case.args.values())
    for (name, expected), got in zip(right.items(), outcome.outputs, strict=True):
        if got.shape != expected.shape:
            text = f"{name} has the shape {got.shape} and must have {expected.shape}"
            found[name] = Wrongness(text, None)
            continue
        error, where = distance(got.astype(np.float64), expected)
        if error <= _TOLERANCE["float32" if narrow else "float64"]:
            if exercise.whole and got.dtype.kind == "f":
                found[name] = Wrongness(f"{name} is the float {got} and must be an int; divide by //", None)
            continue
        text = f"{name} is wrong"
        if np.isnan(got).any() and not np.isnan(expected).any():
            text = f"{name} has NaN: 0/0, Inf - Inf or Inf/Inf"
        elif np.isinf(got).any() and not np.isinf(expected).any():
            text = f"{name} has Inf: a division by 0, or a number that is too large"
        elif error < 1e-5 and np.array_equal(got, got.astype(np.float32)):
            text = f"{name} has only {_digits(error)} right digits: an array of float32 is in it"
        elif got.dtype.kind != "f" and np.array_equal(got, np.trunc(expected)):
            text = f"{name} has whole numbers only, of the type {got.dtype}: np.zeros(shape) makes it float64"
        found[name] = Wrongness(text, where)
    return found


def distance(a: Array, b: Array) -> tuple[float, tuple[int, ...]]:
    """The largest difference, relative to the largest number of b (at least 1e-300), and its place."""
    if not a.size:
        return 0.0, ()
    with np.errstate(all="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        difference = np.where(np.isnan(difference), np.inf, difference)
        where = tuple(int(k) for k in np.unravel_index(int(difference.argmax()), a.shape))
        scale = float(np.abs(b[np.isfinite(b)]).max(initial=0)) or 1.0
        return float(difference[where]) / scale, where


def _digits(error: float) -> int:
    return int(-np.log10(error))


def _known(exercise: Exercise, results: Sequence[Result]) -> dict[str, list[Known]]:
    """For each output the mistakes that explain it, those first that explain most cases."""
    failed = {name: [r for r in results if name in r.wrong] for name in exercise.outputs}
    if not any(failed.values()):
        return {}
    found: dict[str, list[Known]] = {}
    for name, wrong in failed.items():
        counts: dict[tuple[str, str], int] = {}  # cases that a mistake explains
        against: dict[tuple[str, str], int] = {}  # cases where it would give other wrong numbers
        excluded: set[tuple[str, str]] = set()
        for result, candidates in zip(results, _mistakes(exercise), strict=False):
            if result.outcome.outputs is None:
                continue
            got = result.outcome.outputs[exercise.outputs.index(name)].astype(np.float64)
            for candidate in candidates[name]:
                key = candidate.name, candidate.remedy
                if candidate.result is None:
                    continue
                if _is(candidate.result, result.right[name]):
                    continue  # in this case the mistake changes nothing
                if _is(got, candidate.result):
                    counts[key] = counts.get(key, 0) + 1
                elif name not in result.wrong:
                    excluded.add(key)
                else:
                    against[key] = against.get(key, 0) + 1
        order = {key: place for place, key in enumerate(counts)}
        left = [key for key in counts if key not in excluded and counts[key] >= 2 * against.get(key, 0)]
        left.sort(key=lambda key: (-counts[key], order[key]))
        if left:
            most = counts[left[0]]
            found[name] = [Known(*key, counts[key], len(wrong)) for key in left if counts[key] == most]
    return found


def _is(a: Array, b: Array) -> bool:
    return a.shape == b.shape and distance(a, b)[0] <= _SAME
