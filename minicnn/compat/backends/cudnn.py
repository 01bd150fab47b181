"""`minicnn.backends.cudnn`: switches without effect; minicnn is deterministic in any case."""

from __future__ import annotations

from ..doors import door as _door

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """False: there is no cuDNN here."""
    return False


def version() -> None:
    """None: there is no cuDNN here."""


_door(globals())
