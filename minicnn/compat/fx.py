"""`minicnn.fx`: there is no symbolic tracing; the decorator that prepares a function for it leaves it as it is."""

from __future__ import annotations

from typing import TypeVar

from .doors import door as _door

F = TypeVar("F")


def wrap(fn_or_name: F) -> F:
    """The function, or the name, itself."""
    return fn_or_name


_door(globals())
