"""A question with its answer, the way to it, and the wrong answers that people usually give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import answers
from .answers import NO_FIT, AnswerError, Shape

LONGEST = 500  # characters of an answer
Answer = float | Shape | frozenset[int] | str | None


class Mistake(NamedTuple):
    """A wrong answer, and what was done wrong to get it."""

    answer: Any
    reason: str


class Verdict(NamedTuple):
    """What becomes of an answer.

    Attributes:
        right: whether it is right.
        text: the verdict in words; of a wrong answer that is usual, what was done wrong.
        understood: False if it is no answer at all, such as a word where a number is asked for: ask again.
    """

    right: bool
    text: str
    understood: bool = True


class Curves(NamedTuple):
    """The losses of a training, one value an epoch."""

    training: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True)
class Question:
    """One question with one answer.

    Attributes:
        text: the question, in one paragraph.
        kind: "number", "shape", "choice" or "text".
        answer: the number; the shape (C, H, W), (H, W) or (F,); the numbers of the right options; the first of the
            texts that are right. None: it does not fit.
        steps: how the answer is found, a line a step. Every "=" in it is a calculation that holds.
        mistakes: usual wrong answers; of a choice, the number of an option each.
        unit: of a number, such as "B".
        options: of a choice.
        several: whether any number of options may be right.
        accepted: the texts that are right.
        block: a table, a listing or a chart that belongs to the question, in lines of equal pitch.
        curves: what the block draws, for those who can draw better.
        note: what else is worth knowing, such as a mistake that is in print.
        sources: where it comes from.
        id, topic: given by the catalogue.
    """

    text: str
    kind: str
    answer: Answer
    steps: tuple[str, ...]
    mistakes: tuple[Mistake, ...] = ()
    unit: str = ""
    options: tuple[str, ...] = ()
    several: bool = False
    accepted: tuple[str, ...] = ()
    block: str = ""
    curves: Curves | None = None
    note: str = ""
    sources: tuple[str, ...] = ()
    id: str = ""
    topic: str = ""

    @property
    def solution(self) -> str:
        """The answer as text: "760 parameters", "32 x 32 x 10", "b) overfitting"."""
        return self._written(self.answer)

    def check(self, answer: Any) -> Verdict:
        """Compare an answer with the right one.

        Args:
            answer: what was typed, or a number, a shape, a set of option numbers, or None for "does not fit".

        Raises:
            TypeError: it is none of these.

        >>> from minicnn.exercises.quiz import question
        >>> verdict = question("output-size-7").check("46 x 46")
        >>> verdict.right
        False
        """
        if not isinstance(answer, str):
            answer = self._typed(answer)
        if not answer.strip():
            return Verdict(False, "no answer", understood=False)
        if len(answer) > LONGEST:
            return Verdict(False, f"this is too long; answer in up to {LONGEST} characters", understood=False)
        try:
            return {"number": self._number, "shape": self._shape, "choice": self._choice, "text": self._text}[
                self.kind
            ](answer)
        except AnswerError as error:
            return Verdict(False, str(error), error.understood)

    def _typed(self, answer: Any) -> str:
        """An answer of another type as a person would type it."""
        if answer is None:
            return NO_FIT
        if isinstance(answer, (set, frozenset)):
            return " ".join(_letter(n) for n in sorted(answer)) or "none"
        if isinstance(answer, (tuple, list)):
            return "x".join(str(int(n)) for n in answer)
        if isinstance(answer, bool) or not isinstance(answer, (int, float)):
            raise TypeError(
                f"check: an answer is a text, a number, a shape, a set of option numbers or None, got {answer!r}"
            )
        return _letter(int(answer)) if self.kind == "choice" else repr(answer)

    def _number(self, typed: str) -> Verdict:
        if self.answer == 0 and answers.is_zero(typed, self.unit):
            return Verdict(True, "Right.")
        if answers.is_no_fit(typed) and not self.unit:
            return self._fits()
        if answers.is_zero(typed, self.unit):
            typed = "0"
        readings = answers.numbers(typed, self.unit)
        meant = [r for r in readings if isinstance(self.answer, (int, float)) and r.means(self.answer)]
        if meant:
            assert isinstance(self.answer, (int, float))
            size = abs(self.answer)
            if all(r.margin > 0.5 and r.margin > 0.05 * size for r in meant):
                return Verdict(False, "this is rounded too much; give more digits", understood=False)
            exact = any(abs(r.value - self.answer) <= 1e-9 * size for r in meant)
            return Verdict(True, "Right." if exact else f"Right; exactly {self.solution}.")
        known = [m for m in self.mistakes if m.answer is not None and any(r.means(m.answer) for r in readings)]
        return self._wrong(known)

    def _shape(self, typed: str) -> Verdict:
        if answers.is_no_fit(typed):
            return self._fits()
        given = answers.shape(typed)
        if isinstance(self.answer, tuple) and answers.same_shape(given, self.answer):
            return Verdict(True, "Right.")
        return self._wrong([m for m in self.mistakes if m.answer is not None and answers.same_shape(given, m.answer)])

    def _fits(self) -> Verdict:
        if self.answer is None:
            return Verdict(True, "Right.")
        return self._wrong([m for m in self.mistakes if m.answer is None] or [Mistake(None, "it does fit")])

    def _choice(self, typed: str) -> Verdict:
        given = answers.letters(typed, self.options, self.several)
        assert isinstance(self.answer, frozenset)
        if given == self.answer:
            return Verdict(True, "Right.")
        if not self.several:
            return self._wrong([m for m in self.mistakes if m.answer in given])
        parts = [m.reason for m in self.mistakes if m.answer in given ^ self.answer]
        extra = [self.options[n] for n in sorted(given - self.answer)]
        missing = [self.options[n] for n in sorted(self.answer - given)]
        parts += [f"not among them: {', '.join(extra)}"] if extra else []
        parts += [f"missing: {', '.join(missing)}"] if missing else []
        return Verdict(False, f"Not right: {'; '.join(parts)}.")

    def _text(self, typed: str) -> Verdict:
        if _bare(typed) in {_bare(text) for text in self.accepted}:
            return Verdict(True, "Right.")
        return self._wrong([m for m in self.mistakes if _bare(m.answer) == _bare(typed)])

    def _wrong(self, known: Sequence[Mistake]) -> Verdict:
        return Verdict(False, f"Not right: {known[0].reason}." if known else "Not right.")

    def _written(self, answer: Answer) -> str:
        if answer is None:
            return NO_FIT
        if isinstance(answer, frozenset):
            return ", ".join(f"{_letter(n)}) {self.options[n]}" for n in sorted(answer)) or "none of them"
        if isinstance(answer, tuple):
            return size_text(answer)
        if isinstance(answer, str):
            return answer
        return f"{count(answer)} {self.unit}".rstrip() if self.unit != "epoch" else f"epoch {count(answer)}"


def _letter(number: int) -> str:
    return chr(ord("a") + number)


def _bare(text: str) -> str:
    """A text without spaces, quotes, capitals and the sign between a name and its value."""
    return "".join(c for c in answers.plain(str(text)).translate({91: "(", 93: ")"}) if c not in " '\"`_;=:")


def count(number: float) -> str:
    """A number with separators: 200,960; with at most two decimals if it is not whole: 33.33."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.2f}".rstrip("0")


def size_text(shape: Sequence[int]) -> str:
    """(10, 32, 32) -> "32 x 32 x 10", as courses write it: height, width, depth."""
    ordered = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    return " x ".join(str(n) for n in ordered)


def usual_mistakes(answer: Answer, pairs: Iterable[tuple[Any, str]]) -> tuple[Mistake, ...]:
    """The wrong answers among (answer, reason), each once: a mistake that gives the right answer is none."""
    found: dict[Any, str] = {}
    for wrong, reason in pairs:
        sizes = wrong if isinstance(wrong, tuple) else (wrong,)
        same = wrong == answer or (
            isinstance(wrong, tuple) and isinstance(answer, tuple) and answers.same_shape(wrong, answer)
        )
        if not same and not any(isinstance(n, (int, float)) and n < 0 for n in sizes):
            found.setdefault(wrong, reason)
    return tuple(Mistake(wrong, reason) for wrong, reason in found.items())
