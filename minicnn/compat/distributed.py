"""`minicnn.distributed`: training in several processes, which there is not; programs that ask first run in one."""

from __future__ import annotations

from .doors import door as _door

__all__ = [
    "is_available", "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched",
]  # fmt: skip


def is_available() -> bool:
    """Return False: there is no training in several processes.

    >>> minicnn.distributed.is_available() and minicnn.distributed.is_initialized()
    False
    """
    return False


def is_initialized() -> bool:
    """Return False: there is no group of processes.

    >>> minicnn.distributed.is_initialized()
    False
    """
    return False


def is_torchelastic_launched() -> bool:
    """Return False: the program is a process of its own.

    >>> minicnn.distributed.is_torchelastic_launched()
    False
    """
    return False


is_gloo_available = is_mpi_available = is_nccl_available = is_available

_door(globals())
