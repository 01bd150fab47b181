"""`minicnn.backends.mkldnn`: switches without effect; minicnn has convolutions of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager as _Manager

from ..doors import door as _door
from .switches import switched as _switched

enabled = False
deterministic = False
allow_tf32 = False


def is_available() -> bool:
    """False: there is no oneDNN here."""
    return False


def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> _Manager[None]:
    """Set the switches within a `with` block, where they change nothing.

    >>> with minicnn.backends.mkldnn.flags(enabled=True):
    ...     print(minicnn.backends.mkldnn.enabled)
    True
    """
    return _switched(__name__, enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32)


_door(globals())
