"""The table of all exercises, in the order in which they are best done."""

from __future__ import annotations

import difflib

from .exercise import Exercise
from .topics import basics, classes, columns, convolution, dense, normalization, optimizers, pooling, tape

_TOPICS = (basics, convolution, columns, pooling, dense, classes, normalization, optimizers, tape)
EXERCISES: dict[str, Exercise] = {one.name: one for topic in _TOPICS for one in topic.EXERCISES}


def find(name: str) -> Exercise:
    """The exercise of a name.

    Raises:
        ValueError: there is none; the message has similar names.

    >>> from minicnn.exercises import find
    >>> find("relu_backward").title
    'The gradient of ReLU'
    """
    if name not in EXERCISES:
        near = [one for one in EXERCISES if name in one][:4] if len(name) > 2 else []
        near = near or difflib.get_close_matches(name, EXERCISES, 3, 0.5)
        hint = f"; similar ones are {', '.join(near)}" if near else ""
        raise ValueError(f"there is no exercise {name!r}{hint}; `minicnn exercise list` shows all {len(EXERCISES)}")
    return EXERCISES[name]


def after(name: str) -> Exercise | None:
    """The exercise that comes after this one; None after the last."""
    names = [*EXERCISES, None]
    following = names[names.index(name) + 1] if name in EXERCISES else None
    return EXERCISES[following] if following is not None else None
