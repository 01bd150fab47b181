"""A question for any numbers: how to draw the numbers, how to ask, and the numbers that the courses use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from .question import Question

CS231N = "Stanford CS231n, Convolutional Neural Networks for Visual Recognition, https://cs231n.github.io"


class Template(NamedTuple):
    """A question for any numbers.

    Attributes:
        name: such as "output-size".
        about: what it asks, in one line.
        ask: the question for given numbers, by keyword.
        draw: random numbers for it.
        slides: the numbers for which courses ask it, the first being the best known.
    """

    name: str
    about: str
    ask: Callable[..., Question]
    draw: Callable[[Random], Mapping[str, Any]]
    slides: Sequence[Mapping[str, Any]]


def some(number: int, thing: str) -> str:
    """ "1 filter", "10 filters"."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def sentence(text: str) -> str:
    """The text with a capital at its begin: "the net" -> "The net"."""
    return text[:1].upper() + text[1:]


def padded(padding: int) -> str:
    """ "no padding", "padding 2"."""
    return f"padding {padding}" if padding else "no padding"
