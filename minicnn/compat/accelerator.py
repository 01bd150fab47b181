"""`minicnn.accelerator`: the GPU, if there is one, of any make: functions of `minicnn.cuda` under other names."""

from __future__ import annotations

from typing import Any

from ..cuda import current_device as current_device_index
from ..cuda import current_stream, device_count, empty_cache, is_available, synchronize
from ..cuda import device as device_index
from ..cuda import set_device as set_device_index
from ..device import Device as _Device
from .doors import door as _door

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "current_stream", "device_count",
    "device_index", "empty_cache", "is_available", "set_device_idx", "set_device_index", "synchronize",
]  # fmt: skip

current_device_idx, set_device_idx = current_device_index, set_device_index


def current_accelerator(check_available: bool = False) -> Any:
    """Return the device "cuda" without a number if there is a GPU, else None.

    >>> device = minicnn.accelerator.current_accelerator() if minicnn.accelerator.is_available() else "cpu"
    """
    return _Device("cuda") if is_available() else None


_door(globals())
