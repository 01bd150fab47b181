"""`minicnn.backends.cudnn`: switches without effect; minicnn is deterministic in any case."""

from __future__ import annotations

from contextlib import AbstractContextManager as _Manager

from ..doors import door as _door
from .switches import switched as _switched

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False
benchmark_limit = 10


def is_available() -> bool:
    """False: there is no cuDNN here."""
    return False


def version() -> None:
    """None: there is no cuDNN here."""


def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
    allow_tf32: bool = True,
) -> _Manager[None]:  # fmt: skip
    """Set the switches within a `with` block, where they change nothing.

    >>> with minicnn.backends.cudnn.flags(benchmark=True):
    ...     print(minicnn.backends.cudnn.benchmark)
    True
    """
    return _switched(
        __name__, enabled=enabled, benchmark=benchmark, benchmark_limit=benchmark_limit, deterministic=deterministic,
        allow_tf32=allow_tf32,
    )  # fmt: skip


_door(globals())
