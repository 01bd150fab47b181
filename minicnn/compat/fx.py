"""`minicnn.fx`: there is no symbolic tracing, so `wrap`, which prepares a function for it, changes nothing."""

from __future__ import annotations

from typing import TypeVar

from .doors import door as _door

F = TypeVar("F")


def wrap(fn_or_name: F) -> F:
    """The function, or the name, unchanged."""
    return fn_or_name


_door(globals())
