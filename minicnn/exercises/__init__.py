"""Exercises: layers to be written by hand, graded by the library's own kernels, with the name of the mistake; and
questions for paper and pencil, in `quiz`.

    check(my_conv2d_backward, "conv2d_backward")     grade a function; in a notebook, the result is shown as tables
    check("conv2d_backward.py")                      or a file, in a process of its own
    case("conv2d_backward", 3)                       the arguments of a case
    stub("conv2d_backward")                          the text to fill in
    solution("conv2d_backward")                      the solution, cut out of the library
    EXERCISES                                        all of them, by name

Files:
    catalogue.py   the table           exercise.py    what an exercise is          topics/     the exercises
    grading.py     check               candidates.py  mistakes of `explain`        solutions/  what is right
    attempt.py     one call            sandbox.py, child.py  a file in a process   report.py   what is shown
    sources.py     stubs and solutions
    quiz/          questions for paper and pencil            lesson.py      what notebooks of a course need
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import lesson
from . import sources as _sources
from .catalogue import EXERCISES, find
from .exercise import Arguments, Case, Exercise, Wrong, copied
from .grading import check, check_file
from .report import Report

__all__ = [
    "EXERCISES", "Case", "Exercise", "Report", "Wrong", "case", "check", "check_file", "find", "lesson", "solution",
    "stub",
]  # fmt: skip


def case(name: str, number: int) -> Arguments:
    """The arguments of a case of an exercise, by name; cases are counted from 1.

        args = case("conv2d_backward", 3)
        conv2d_backward(**args)

    Raises:
        ValueError: there is no such exercise or case.

    >>> from minicnn.exercises import case
    >>> {name: getattr(value, "shape", value) for name, value in case("conv2d_forward", 1).items()}
    {'x': (1, 1, 2, 2), 'w': (1, 1, 2, 2), 'b': (1,), 'stride': (1, 1), 'padding': (0, 0), 'dilation': (1, 1)}
    """
    cases = find(name).cases()
    if not 1 <= number <= len(cases):
        raise ValueError(f"{name} has the cases 1 to {len(cases)}, and no case {number}")
    return copied(cases[number - 1].args)


def stub(name: str) -> str:
    """The text of the file that a student fills in.

    >>> from minicnn.exercises import stub
    >>> print(stub("output_size").splitlines()[0])
    # Exercise: output_size (basics, *)
    """
    return _sources.stub(find(name))


def solution(name: str) -> str:
    """The solution as a program, cut out of the library.

    >>> from minicnn.exercises import solution
    >>> "def output_size" in solution("output_size")
    True
    """
    return _sources.solution(find(name))


_answer(globals())
