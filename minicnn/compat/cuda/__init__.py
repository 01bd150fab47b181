"""`minicnn.cuda`: what programs ask about GPUs. This version of minicnn computes on the CPU."""

from __future__ import annotations

from typing import Any, NoReturn

from ...random import default_generator
from ..doors import door as _door
from . import amp

__all__ = [
    "amp", "current_device", "device_count", "empty_cache", "get_device_name", "initial_seed", "is_available",
    "is_initialized", "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved",
    "memory_allocated", "memory_reserved", "set_device", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """False: there are no GPU kernels in this version."""
    return False


def device_count() -> int:
    """0: minicnn runs on the CPU."""
    return 0


def is_initialized() -> bool:
    """False: minicnn runs on the CPU."""
    return False


def manual_seed(seed: int) -> None:
    """Does nothing, as PyTorch without a GPU; `minicnn.manual_seed` seeds the CPU's stream."""


def manual_seed_all(seed: int) -> None:
    """Does nothing, like `manual_seed`."""


def synchronize(device: Any = None) -> None:
    """Does nothing: an operation has finished when its function returns."""


def empty_cache() -> None:
    """Does nothing: there is no GPU memory. `minicnn.free_memory` gives back memory that is kept on the CPU."""


def _refuse(name: str) -> NoReturn:
    raise RuntimeError(f"cuda.{name}: there is no GPU; ask minicnn.cuda.is_available() first, and compute on 'cpu'")


def current_device() -> int:
    """Raises RuntimeError: there is no GPU."""
    _refuse("current_device")


def get_device_name(device: Any = None) -> str:
    """Raises RuntimeError: there is no GPU."""
    _refuse("get_device_name")


def set_device(device: Any) -> None:
    """Raises RuntimeError: there is no GPU."""
    _refuse("set_device")


def memory_allocated(device: Any = None) -> int:
    """0 bytes: there is no GPU memory."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def initial_seed() -> int:
    """The seed of the CPU's stream."""
    return default_generator.initial_seed()


_door(globals())
