"""How much memory of a GPU is in use.

CuPy's pool takes memory from a GPU in blocks and keeps them for the next arrays. "Allocated" is what arrays use of it,
"reserved" all that the pool has taken. It has no record of its peak, so the peak here is that of the reserved memory,
which is at least the allocated one. `reset_peak_memory_stats()` gives back what the pool keeps: after it, it takes only
what the work needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn_kernels import arrays
from minicnn_kernels.arrays import on_device

from ..compat.missing import answer as _answer
from . import devices

_peaks: dict[int, int] = {}  # by the number of a GPU: the highest reserved memory that was seen, in bytes


def _ask(device: Any, function: str, question: Callable[[Any], int]) -> int:
    """What CuPy's pool answers for a GPU; 0 without one."""
    if not devices.is_available():
        return 0
    with on_device(devices.number(device, function)):
        return int(question(arrays.gpu().get_default_memory_pool()))


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU that arrays use; 0 without a GPU."""
    return _ask(device, "memory_allocated", lambda pool: pool.used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes of a GPU that CuPy's pool has taken, for arrays and for later use; 0 without a GPU."""
    return _ask(device, "memory_reserved", lambda pool: pool.total_bytes())


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the pool had taken since the start, or since `reset_peak_memory_stats`; 0 without a GPU.

    It takes and keeps; it gives back in `empty_cache`, and if the GPU's memory is full.
    """
    now = memory_reserved(device)
    if not now and not devices.is_available():
        return 0
    number = devices.number(device, "max_memory_reserved")
    _peaks[number] = max(now, _peaks.get(number, 0))
    return _peaks[number]


def max_memory_allocated(device: Any = None) -> int:
    """`max_memory_reserved`, an upper bound: CuPy does not record the peak of what arrays use."""
    return max_memory_reserved(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Forget the peak, and give back what the pool keeps, so that the next peak is that of the work to come.

    Raises:
        RuntimeError: there is no GPU.
    """
    number = devices.number(device, "reset_peak_memory_stats")
    with on_device(number):
        empty_cache()
    _peaks.pop(number, None)


def ipc_collect() -> None:
    """Do nothing: processes do not share memory of a GPU here, so there is none to release."""


def empty_cache() -> None:
    """Give the memory that CuPy's pools keep back to the current GPU, and page-locked memory to the system.

    Without a GPU it does nothing; `minicnn.free_memory` does the same for the CPU.
    """
    if devices.is_available():
        max_memory_reserved()  # it shrinks now
        arrays.gpu().get_default_memory_pool().free_all_blocks()
        arrays.gpu().get_default_pinned_memory_pool().free_all_blocks()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Bytes of a GPU that are free, other programs counted, and bytes in all.

    Raises:
        RuntimeError: there is no such GPU.
    """
    free, total = devices.cupy_device(device, "mem_get_info").mem_info
    return int(free), int(total)


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The numbers above as a table.

    Raises:
        RuntimeError: there is no such GPU.
    """
    number = devices.number(device, "memory_summary")
    free, total = mem_get_info(number)
    rows = {
        "used by arrays": memory_allocated(number),
        "taken by CuPy's pool": memory_reserved(number),
        "taken at most": max_memory_reserved(number),
        "free on the GPU": free,
        "in all": total,
    }
    title = f"memory of cuda:{number}, {devices.get_device_name(number)}"
    return "\n".join([title, *(f"  {name:<22}{value / 2**20:12,.1f} MiB" for name, value in rows.items())])


_answer(globals())
