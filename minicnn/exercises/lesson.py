"""What the notebooks of a course need: numbers of slides compared, questions with checked answers, images at hand.

images("mnist", side=32)          MNIST where its files are, otherwise the bundled digits
compare(("parameters of LeNet-5", 61_706, counted), ...)      a table; an error if a number differs
questions(("How large is the output?", 28, size), ...)        questions, with answers to unfold
"""

from __future__ import annotations

import html
import numbers as kinds
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import datasets, transforms
from ..datasets.vision import ArrayDataset
from ..tensor import Tensor
from .quiz.answers import AnswerError, numbers

__all__ = ["Comparison", "Images", "LessonError", "Questions", "compare", "images", "questions"]

_WIDTH = 96


class LessonError(AssertionError):
    """A number of a lesson is not what the lesson says. The message names it, with both values."""


# ------------------------------------------------------------------------------------------------- values as one reads


def _plain(value: Any) -> Any:
    """Tensors and NumPy's values as Python's, so that they compare and print like those of a slide."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in value)
    return value


def _same(printed: Any, computed: Any, tolerance: float) -> bool:
    """Whether a computed value is the printed one; a text such as "25.6 M" means all values that round to it."""
    if isinstance(printed, tuple):
        return (
            isinstance(computed, tuple)
            and len(printed) == len(computed)
            and all(_same(a, b, tolerance) for a, b in zip(printed, computed, strict=True))
        )
    if isinstance(printed, str) and isinstance(computed, kinds.Real):
        try:
            return any(reading.means(float(computed)) for reading in numbers(printed))
        except AnswerError:
            return False
    if isinstance(printed, kinds.Real) and isinstance(computed, kinds.Real):
        return abs(float(printed) - float(computed)) <= tolerance
    return bool(printed == computed)


def _shown(value: Any) -> str:
    """A value as text, with separators of thousands; a matrix by rows."""
    if isinstance(value, bool) or not isinstance(value, kinds.Real | tuple):
        return str(value)
    if isinstance(value, tuple):
        nested = any(isinstance(each, tuple) for each in value)
        return (" / " if nested else " ").join(map(_shown, value)) if nested else f"({', '.join(map(_shown, value))})"
    return f"{value:,}" if isinstance(value, kinds.Integral) else f"{float(value):,.6g}"


# ------------------------------------------------------------------------------------------ numbers of slides, compared


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns: shown as a table.

    Attributes:
        rows: (what, printed, computed, remark) of each number, as text; the remark is empty if both are the same.
        source: where the printed numbers stand.
    """

    rows: tuple[tuple[str, str, str, str], ...]
    source: str = "on the slide"

    def __str__(self) -> str:
        titles = ("", self.source, "computed", "")
        table = [titles, *((a, b, c, d or "the same") for a, b, c, d in self.rows)]
        widths = [max(len(row[k]) for row in table) for k in range(3)]
        lines = [f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in table]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = '<td style="text-align: {}">{}</td>'.format
        body = "".join(
            "<tr>"
            + cell("left", html.escape(what))
            + cell("right", html.escape(printed))
            + cell("right", html.escape(computed))
            + cell("left", html.escape(f"\N{BALLOT X} {remark}" if remark else "\N{CHECK MARK} the same"))
            + "</tr>"
            for what, printed, computed, remark in self.rows
        )
        head = f"<th></th><th>{html.escape(self.source)}</th><th>computed</th><th></th>"
        return f"<table><tr>{head}</tr>{body}</table>"


def compare(*rows: Sequence[Any], tolerance: float = 0.0, source: str = "on the slide") -> Comparison:
    """Compare numbers that slides print with computed ones; a slide that is known to be wrong says why.

    Args:
        rows: each (what, printed, computed), or (what, printed, computed, why the slide is wrong). Printed and computed
            are numbers, texts, shapes or matrices (tuples, lists, arrays, tensors). A printed text with a number, such
            as "25.6 M" or "15.47 G", means all values that round to it.
        tolerance: by how much numbers may differ, absolutely.
        source: where the printed numbers come from, the title of their column: "by hand" if no slide has them.

    Returns:
        a table, which `print` shows as text and a notebook as HTML.

    Raises:
        LessonError: a number differs and no reason is given, or a reason is given and it does not differ.

    >>> from minicnn.exercises import lesson
    >>> print(lesson.compare(("weights of a 5x5x3 filter", 75, 5 * 5 * 3), ("ResNet-50", "25.6 M", 25_557_032)))
                               on the slide    computed
    weights of a 5x5x3 filter            75          75  the same
    ResNet-50                        25.6 M  25,557,032  the same
    """
    found = []
    for what, given, value, *why in rows:
        printed, computed = _plain(given), _plain(value)
        same = _same(printed, computed, tolerance)
        if not same and not why:
            raise LessonError(f"{what}: {source} it is {_shown(printed)}, computed is {_shown(computed)}")
        if same and why:
            raise LessonError(
                f"{what}: the slide is said to be wrong ({why[0]}), but {_shown(computed)} is computed too"
            )
        found.append((str(what), _shown(printed), _shown(computed), str(why[0]) if why else ""))
    return Comparison(tuple(found), source)


# ------------------------------------------------------------------------------------------------------------ questions


@dataclass(frozen=True)
class Questions:
    """What `questions` returns: the questions, with answers that a notebook unfolds.

    Attributes:
        pairs: (question, answer) of each.
    """

    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        blocks = []
        for number, (question, answer) in enumerate(self.pairs, 1):
            blocks.append(textwrap.fill(f"{number}. {question}", _WIDTH, subsequent_indent="   "))
            blocks.append(textwrap.fill(answer, _WIDTH, initial_indent="   ", subsequent_indent="   "))
        return "\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li>{html.escape(question)}<details><summary>Answer</summary>{html.escape(answer)}</details></li>"
            for question, answer in self.pairs
        )
        return f"<ol>{items}</ol>"


def questions(*rows: Sequence[Any], tolerance: float = 0.0) -> Questions:
    """Questions to ask oneself at the end of a lesson. An answer that is a number is compared with a computed one.

    Args:
        rows: each (question, answer), (question, answer, computed) or (question, answer, computed, words after it).
            Answers are compared as in `compare`.
        tolerance: by how much an answer may differ from the computed one, absolutely.

    Returns:
        the questions, which `print` shows with their answers, and a notebook with answers to unfold.

    Raises:
        LessonError: an answer is not what was computed.

    >>> from minicnn.exercises import lesson
    >>> print(lesson.questions(("How large is the output of 5x5 over 32 pixels?", 28, 32 - 5 + 1, "32 - 5 + 1")))
    1. How large is the output of 5x5 over 32 pixels?
       28: 32 - 5 + 1
    """
    found = []
    for question, answer, *rest in rows:
        given = _plain(answer)
        if rest and not _same(given, _plain(rest[0]), tolerance):
            raise LessonError(
                f"{question} The answer is said to be {_shown(given)}; computed is {_shown(_plain(rest[0]))}"
            )
        found.append((str(question), ": ".join([_shown(given), *map(str, rest[1:])])))
    return Questions(tuple(found))


# --------------------------------------------------------------------------------------------------------------- images


@dataclass(frozen=True)
class Images:
    """The images of a lesson: those of a dataset, or the bundled digits in their place.

    Attributes:
        name: of the dataset that it is.
        real: whether it is the one that was asked for.
        train, test: the two parts; a sample is (Tensor (C, side, side), class).
        classes: the names of the classes.
    """

    name: str
    real: bool
    train: ArrayDataset
    test: ArrayDataset

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return list(self.train.classes)

    def __repr__(self) -> str:
        image = self.train[0][0]
        size = f"{len(self.train):,} training images and {len(self.test):,} test images, {tuple(image.shape)} each"
        return f"{self.name}: {size}{'' if self.real else ' (the bundled digits, in place of the real images)'}"


_SETS: dict[str, tuple[str, Callable[..., ArrayDataset], int, int]] = {  # name, class, channels, side
    "mnist": ("MNIST", datasets.MNIST, 1, 28),
    "cifar10": ("CIFAR-10", datasets.CIFAR10, 3, 32),
    "digits": ("Digits", datasets.Digits, 1, 8),
}


def images(
    name: str,
    *,
    side: int | None = None,
    root: str | None = None,
    train_steps: Iterable[Any] = (),
    normalize: bool = False,
    download: bool | None = None,
) -> Images:
    """A dataset if its files are there, otherwise the bundled digits in its shape, so that a lesson runs offline.

    Args:
        name: "mnist", "cifar10" or "digits".
        side: the images are resized to side x side pixels; None for the dataset's own size.
        root: the folder with the files; None for the one that the environment variable MINICNN_DATA names.
        train_steps: transforms for training images only, after resizing: `transforms.RandomHorizontalFlip()` ...
        normalize: subtract the mean of the training images, and divide by their standard deviation, for each channel.
        download: fetch missing files; None for yes on Google Colab, and no elsewhere.

    Raises:
        ValueError: the name is not known.

    >>> from minicnn.exercises import lesson
    >>> lesson.images("digits", side=32)
    Digits: 1,437 training images and 360 test images, (1, 32, 32) each
    """
    if name not in _SETS:
        raise ValueError(f"images: {name!r} is not one of {', '.join(map(repr, _SETS))}")
    title, make, channels, own = _SETS[name]
    fetch = "google.colab" in sys.modules if download is None else download
    real = True
    if name == "digits":
        train, test = make(train=True), make(train=False)
    else:
        try:
            place = root or ("data" if fetch else None)
            train, test = (make(place, train=part, download=fetch) for part in (True, False))
        except datasets.DatasetError:
            title, real = "Digits", False
            train, test = datasets.Digits(train=True), datasets.Digits(train=False)
    wanted = own if side is None else side
    start: list[Any] = [transforms.ToTensor()]
    if train.data.shape[1] != wanted:
        start.append(transforms.Resize(wanted))
    if channels == 3 and train.data.ndim == 3:
        start.append(transforms.Grayscale(3))
    end: list[Any] = []
    if normalize:
        mean, std = _statistics(np.asarray(train.data))
        end.append(transforms.Normalize(mean * (channels // len(mean)), std * (channels // len(std))))
    train.transform = transforms.Compose([*start, *train_steps, *end])
    test.transform = transforms.Compose([*start, *end])
    return Images(title, real, train, test)


def _statistics(data: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of images (N, H, W) or (N, H, W, C) of bytes, in 0..1.

    Bytes are counted, which is exact; a sum of fifty million numbers in float32 stops growing at 2^24.
    """
    levels = np.arange(256) / 255
    mean, std = [], []
    for channel in np.moveaxis(data, -1, 0) if data.ndim == 4 else (data,):
        parts = (channel[i : i + 1000].ravel() for i in range(0, len(channel), 1000))
        share = sum(np.bincount(part, minlength=256) for part in parts) / channel.size
        mean.append(float(share @ levels))
        std.append(float(np.sqrt(share @ (levels - mean[-1]) ** 2)))
    return mean, std
