"""An exercise: its statement, the cases that an answer is tried on, and the mistakes that are looked for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

Arguments = dict[str, Any]


class Case(NamedTuple):
    """One call that an answer is tried on.

    Attributes:
        title: what is special about it: "stride 2: the last column fills no window".
        args: the arguments by name, in their order.
    """

    title: str
    args: Arguments


class Candidate(NamedTuple):
    """A mistake, and the result that it gives in a case; None where it cannot be made."""

    name: str
    remedy: str
    result: Array | None


Candidates = Callable[[Arguments, "dict[str, Array]", "Exercise"], Mapping[str, Iterable[Candidate]]]


class Wrong(NamedTuple):
    """A wrong answer, as a function with the arguments of the solution, or a class; and how to mend it."""

    name: str
    remedy: str
    answer: Any


def call_function(answer: Any, args: Arguments) -> Any:
    """Call an answer that is a function; by position, so that it may name its arguments otherwise."""
    return answer(*args.values())


@dataclass(frozen=True, eq=False)  # so that it can be the key of a cache
class Exercise:
    """A programming exercise.

    Attributes:
        name: of the exercise, as in `minicnn exercise new NAME`.
        topic: convolution, pooling ...
        level: 1 (short), 2 or 3 (needs patience).
        solution: the function or class that is right; its docstring is the statement.
        outputs: the names of what is returned, in order.
        cases: the calls, from easy to hard; the same at each call.
        hints: for those who do not know how to go on; more is said from one to the next.
        candidates: the results that known mistakes give in a case, by output, the likeliest first.
        wrong: more mistakes, as wrong answers.
        call: how an answer is called.
        whole: whether the results are whole numbers (ints).
    """

    name: str
    topic: str
    level: int
    solution: Any
    outputs: tuple[str, ...]
    cases: Callable[[], list[Case]]
    hints: Sequence[str]
    candidates: Candidates | None = None
    wrong: Sequence[Wrong] = ()
    call: Callable[[Any, Arguments], Any] = call_function
    whole: bool = False

    @property
    def entry(self) -> str:
        """The name of the function or class that an answer defines."""
        found: str = self.solution.__name__
        return found

    @property
    def title(self) -> str:
        """The first sentence of the statement."""
        first = inspect.getdoc(self.solution).split("\n\n")[0]  # type: ignore[union-attr]
        return " ".join(first.split()).partition(":")[0].partition(".")[0].partition(";")[0]

    @property
    def parameters(self) -> list[str]:
        """The names of the arguments, in order; none for a class."""
        return [] if inspect.isclass(self.solution) else list(inspect.signature(self.solution).parameters)

    def right(self, args: Arguments, answer: Any = None) -> dict[str, Array]:
        """The results of the solution (or of another answer) by name."""
        found = self.call(self.solution if answer is None else answer, copied(args))
        found = found if len(self.outputs) > 1 else (found,)
        return {name: np.asarray(a, np.float64) for name, a in zip(self.outputs, found, strict=True)}

    def mistakes(self, args: Arguments, right: dict[str, Array]) -> dict[str, list[Candidate]]:
        """All mistakes, with the results that they give in a case, by output."""
        found: dict[str, list[Candidate]] = {name: [] for name in self.outputs}
        with np.errstate(all="ignore"):
            for wrong in self.wrong:
                try:
                    results = self.right(args, wrong.answer)
                except Exception:  # it cannot be made here
                    continue
                for name, result in results.items():
                    found[name].append(Candidate(wrong.name, wrong.remedy, result))
            for name, candidates in (self.candidates(args, right, self) if self.candidates else {}).items():
                found[name] += candidates
        return found


def copied(args: Arguments) -> Arguments:
    """The arguments with copies of what can be changed: arrays and lists."""
    return {k: copy.deepcopy(v) if isinstance(v, np.ndarray | list) else v for k, v in args.items()}
