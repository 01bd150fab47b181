"""`minicnn.backends.mps`: minicnn does not use Apple's GPUs."""

from __future__ import annotations

from ..doors import door as _door


def is_available() -> bool:
    """False: minicnn runs on the CPU."""
    return False


is_built = is_available

_door(globals())
