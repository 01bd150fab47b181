"""What `check` found: shown as text in a terminal, and as HTML in a notebook."""

from __future__ import annotations

import html
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

from ..explain.document import Block, Grid, Row, html_of, text_of
from ..explain.sums import number
from .attempt import Outcome
from .catalogue import EXERCISES, after
from .exercise import Case, Exercise

_MOST = 150  # numbers of an array that is shown whole
_WIDTH = 96


class Wrongness(NamedTuple):
    """What is wrong with an output, and the place of its largest error; None where a place says nothing."""

    text: str
    where: tuple[int, ...] | None


class Known(NamedTuple):
    """A mistake that gives what an answer gave, in `explained` of the `failed` cases where an output is wrong."""

    name: str
    remedy: str
    explained: int
    failed: int


@dataclass(frozen=True)
class Result:
    """One case: what the answer did, and what is right.

    Attributes:
        case: the arguments.
        outcome: what the answer did.
        right: the right outputs.
        wrong: for each wrong output, what is wrong with it.
    """

    case: Case
    outcome: Outcome
    right: dict[str, Array]
    wrong: dict[str, Wrongness]

    @property
    def ok(self) -> bool:
        """Whether the answer is right in this case."""
        return self.outcome.outputs is not None and not self.outcome.problem and not self.wrong

    @property
    def size(self) -> int:
        """How many numbers the arguments have."""
        return sum(value.size for value in self.case.args.values() if isinstance(value, np.ndarray))

    def summary(self) -> str:
        """What is wrong, in one line."""
        texts = [wrong.text for wrong in self.wrong.values()]
        if self.outcome.problem:
            at = f" ({self.outcome.line})" if self.outcome.line else ""
            texts.insert(0, f"{self.outcome.problem}{at}")
        return "; ".join(texts)


@dataclass(frozen=True)
class Report:
    """The result of `check`.

    Attributes:
        exercise: what was asked for.
        cases: all cases.
        results: of the cases that were tried; fewer if the answer ended the program.
        problem: why nothing could be tried, or ""; also if the answer is not written yet.
        path: the file of the answer, or None.
        mistakes: for each wrong output, the mistakes that explain it, the likeliest first.
    """

    exercise: Exercise
    cases: Sequence[Case]
    results: Sequence[Result]
    problem: str
    path: Path | None
    mistakes: dict[str, list[Known]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the answer is right in all cases."""
        return not self.problem and len(self.results) == len(self.cases) and all(result.ok for result in self.results)

    @property
    def passed(self) -> int:
        """In how many cases the answer is right."""
        return sum(result.ok for result in self.results)

    @property
    def shown(self) -> Result | None:
        """The case that is shown: of those that fail, the one with the fewest numbers."""
        failed = [result for result in self.results if not result.ok]
        return min(failed, key=lambda result: result.size, default=None)

    def _number(self, result: Result) -> int:
        """The number of a case, counted from 1."""
        return next(i for i, one in enumerate(self.results, 1) if one is result)

    def __str__(self) -> str:
        lines: list[str] = []
        for block in self._blocks():
            lines += block.text.splitlines() if isinstance(block, _Plain) else text_of(block)
            lines.append("")
        return "\n".join(line.rstrip() for line in lines).strip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [
            f"<pre>{html.escape(block.text)}</pre>" if isinstance(block, _Plain) else html_of(block)
            for block in self._blocks()
        ]
        return f'<div style="font-family: sans-serif">{"".join(parts)}</div>'

    def _blocks(self) -> Iterator[Block | _Plain]:
        name = self.exercise.name
        if self.problem:
            yield f"{name}: {self.problem}."
            statement = inspect.getdoc(self.exercise.solution)
            if self.path is None and self.results and self.results[0].outcome.unwritten and statement:
                yield _Plain(textwrap.indent(statement, "    "))  # a file that `exercise new` writes has it already
            yield from self._next()
            return
        yield _Plain("\n".join([f"{name}: {self.passed} of {len(self.cases)} cases are right", "", *self._table()]))
        shared = sorted({output for result in self.results for output in result.outcome.shared})
        if self.ok:
            if shared:
                verb = "shares" if len(shared) == 1 else "share"
                yield (
                    f"Note: {' and '.join(shared)} {verb} memory with an argument: who changes one later changes the "
                    "other. Return a copy."
                )
        elif (result := self.shown) is not None:
            yield from self._case(result)
            yield from self._named(result)
        yield from self._next()

    def _table(self) -> Iterator[str]:
        """A line for each case."""
        said: dict[str, int] = {}
        for at, case in enumerate(self.cases, 1):
            result = self.results[at - 1] if at <= len(self.results) else None
            sign = "-    " if result is None else "ok   " if result.ok else "WRONG"
            text = f"  {sign} {at:2}  {case.title}"
            if result is None:
                text += ": not tried"
            elif not result.ok:
                summary = result.summary()
                first = said.setdefault(summary, at)
                text += f": {summary}" if first == at or len(summary) < 30 else f": as case {first}"
            yield from textwrap.wrap(text, 112, subsequent_indent=" " * 12)

    def _case(self, result: Result) -> Iterator[Block | _Plain]:
        """A case completely: arguments, what is right, and what the answer gave."""
        yield f"Case {self._number(result)}, the smallest that fails: {result.case.title}"
        plain = [(k, v) for k, v in result.case.args.items() if not isinstance(v, np.ndarray)]
        for name, value in result.case.args.items():
            if isinstance(value, np.ndarray):
                yield from shown(name, value)
        if plain:
            yield _Plain("\n".join(f"    {name} = {value}" for name, value in plain))
        for name, expected in result.right.items():
            if result.outcome.outputs is None:
                yield from shown(f"{name} must be", expected)
                continue
            got = result.outcome.outputs[self.exercise.outputs.index(name)]
            if name in result.wrong:
                off = _off(got, expected) if got.shape == expected.shape else None
                yield from shown(f"{name} must be", expected, off)
                yield from shown(f"{name} is", got, off)
        if result.outcome.problem:
            where = f", in {result.outcome.line}" if result.outcome.line else ""
            yield f"What happened: {result.outcome.problem}{where}."
        if result.outcome.printed.strip():
            yield _Plain("\n".join(["It printed:", *[f"    {t}" for t in result.outcome.printed.splitlines()[:12]]]))

    def _named(self, result: Result) -> Iterator[str]:
        """The names of the mistakes."""
        for name, known in self.mistakes.items():
            first = known[0]
            others = "; or ".join(one.name for one in known[1:3])
            cases = f"all {first.failed} cases" if first.failed > 1 else "the one case"
            several = f"so it is in {cases} where it is wrong"
            if first.explained < first.failed:
                several = f"so it is in {first.explained} of the {first.failed} cases where it is wrong"
                several += ": there may be more"
            yield f"What is wrong with {name}: {first.name} ({several}). Remedy: {first.remedy}."
            if others:
                yield f"The same numbers would come from this: {others}."
        unknown = [  # and nothing else is said about them
            name
            for name, wrong in result.wrong.items()
            if name not in self.mistakes and wrong.text == f"{name} is wrong"
        ]
        if unknown and not result.outcome.problem:
            yield f"No usual mistake gives these numbers of {' and '.join(unknown)}. Follow the case above on paper."

    def _next(self) -> Iterator[Block | _Plain]:
        """What to do now."""
        name, commands, hints = self.exercise.name, [], self.exercise.hints
        if not self.ok and self.shown is not None and not self.problem and not self.mistakes and hints:
            yield f"Hint: {hints[min(self.passed * len(hints) // len(self.cases), len(hints) - 1)]}"
        listed = EXERCISES.get(name) is self.exercise  # else it is a teacher's own
        if listed and self.ok:
            commands = [("The library's own solution:", f"minicnn exercise solution {name}")]
            if (following := after(name)) is not None:
                commands.append(("Next exercise:", f"minicnn exercise new {following.name}"))
        elif listed and self.shown is not None and not self.problem:
            case = f'minicnn.exercises.case("{name}", {self._number(self.shown)})'
            commands = [("The arguments of this case:", case)]
        if not self.ok and self.path is not None:
            commands.append(("Mend it, and check it again:", f"minicnn exercise check {self.path}"))
        width = max((len(text) for text, _ in commands), default=0)
        if commands:
            yield _Plain("\n".join(f"{text.ljust(width)}  {line}" for text, line in commands))


class _Plain(NamedTuple):
    """Text that is shown as it is."""

    text: str


def _off(got: Array, expected: Array) -> Array:
    """Where numbers differ so much that it shows; or at all, if none does."""
    with np.errstate(all="ignore"):
        scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        found: Array = ~(same | (np.abs(got - expected) <= 1e-6 * scale))
    return found if found.any() else ~same


def shown(name: str, array: Array, marked: Array | None = None) -> Iterator[Row | _Plain]:
    """An array as tables, a table for each pair of its last two axes; only its shape if it is large."""
    values = np.asarray(array)
    what, _, rest = name.partition(" ")
    if values.ndim == 0:
        yield _Plain(f"    {name} {'' if rest else '= '}{_number(values[()])}")
        return
    if values.size > _MOST or not values.size:
        yield _Plain(f"    {name}: shape {values.shape}, {values.size} numbers")
        return
    row: Row = []
    width = 0
    for place in np.ndindex(*values.shape[:-2]):
        part = np.atleast_2d(values[place])
        where = np.atleast_2d(marked[place]) if marked is not None else np.zeros(part.shape, bool)
        label = f"{what}{list(place)} {rest}".strip() if place else name
        rows = [[_number(v) for v in line] for line in part]
        table = Grid(label, rows, frozenset(zip(*(k.tolist() for k in where.nonzero()), strict=True)))
        wide = max(len(label), part.shape[1] * (max(len(t) for line in rows for t in line) + 2)) + 4
        if row and width + wide > _WIDTH:
            yield row
            row, width = [], 0
        row += [table, "  "]
        width += wide + 8
    yield row


def _number(value: Any) -> str:
    return str(value) if not np.isfinite(value) else number(value)
