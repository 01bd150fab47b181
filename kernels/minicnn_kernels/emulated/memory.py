"""Memory: of the devices, with pools that say how much is in use, and page-locked memory of the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clocks import Written
from .devices import DEVICES, TOTAL_MEMORY, here

UNIT = 512  # CuPy's pools round sizes up to a multiple of it


class OutOfMemoryError(MemoryError):
    """A device, or the limit of its pool, has too little memory left."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(f"{text}, limit set to: {limit:,} bytes)." if limit else f"{text}).")


class _Arena:
    """The memory of one device: bytes in use, bytes taken from the device, and the pool's limit."""

    def __init__(self) -> None:
        self.used = self.total = self.limit = 0

    def grow(self, size: int) -> None:
        """Let the pool take this much from the device."""
        if self.used + size > (self.limit or TOTAL_MEMORY):
            raise OutOfMemoryError(size, self.total, self.limit)
        self.total = self.used + size


arenas = [_Arena() for _ in range(DEVICES)]


class Memory:
    """A block of a device's memory. Its bytes come back to the pool when no array uses them any more."""

    __slots__ = ("arena", "device_id", "size", "taken", "written")

    def __init__(self, size: int) -> None:
        self.size = size
        self.written: Written | None = None
        self.device_id = device = here.device
        self.arena = arena = arenas[device]
        self.taken = 0
        taken = (size + UNIT - 1) // UNIT * UNIT
        if arena.used + taken > arena.total:
            arena.grow(taken)
        arena.used += taken
        self.taken = taken

    def __del__(self) -> None:
        self.arena.used -= self.taken


class MemoryPointer:
    """A place in device memory."""

    __slots__ = ("bytes", "mem")

    def __init__(self, mem: Memory, offset: int, data: Any = None) -> None:
        self.mem = mem
        self.bytes = np.full(mem.size, 0xFF, np.uint8)[offset:] if data is None else data

    ptr = property(lambda self: self.bytes.__array_interface__["data"][0])
    device_id = property(lambda self: self.mem.device_id)

    def __int__(self) -> int:
        return int(self.ptr)

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, 0, self.bytes[offset:])


def alloc(size: int) -> MemoryPointer:
    """Device memory, full of the bytes of NaN."""
    return MemoryPointer(Memory(size), 0)


class MemoryPool:
    """CuPy's pool of device memory, which keeps what was freed; all its numbers are of the current device."""

    def malloc(self, size: int) -> MemoryPointer:
        """Device memory."""
        return alloc(size)

    def used_bytes(self) -> int:
        """Bytes in use by arrays."""
        return arenas[here.device].used

    def total_bytes(self) -> int:
        """Bytes taken from the device: in use, and kept for later."""
        return arenas[here.device].total

    def free_bytes(self) -> int:
        """Bytes kept for later."""
        return self.total_bytes() - self.used_bytes()

    def n_free_blocks(self) -> int:
        """Number of blocks kept for later; here all of them count as one."""
        return int(self.free_bytes() > 0)

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give back what is kept for later."""
        arenas[here.device].total = arenas[here.device].used

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Raise `OutOfMemoryError` beyond this many bytes, or this part of the device's memory; 0 is no limit."""
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at the same time")
        arenas[here.device].limit = int(fraction * TOTAL_MEMORY) if fraction is not None else size or 0

    def get_limit(self) -> int:
        """The limit, 0 for none."""
        return arenas[here.device].limit


# ------------------------------------------------------------------------------------------------- page-locked memory

_locked: dict[int, int] = {}  # where blocks of page-locked memory begin, and their sizes


class PinnedMemoryPointer(bytearray):
    """A block of page-locked memory of the host: `np.frombuffer(pointer, dtype, count)` is an array on it."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.ptr = 0
        if size:
            whole = np.frombuffer(self, np.uint8)
            whole[...] = 0xFF
            self.ptr = whole.__array_interface__["data"][0]
            _locked[self.ptr] = size

    @property
    def mem(self) -> PinnedMemoryPointer:
        """The block that this pointer begins."""
        return self

    def size(self) -> int:
        """Bytes."""
        return len(self)

    def __int__(self) -> int:
        return self.ptr

    def __del__(self, locked: dict[int, int] = _locked) -> None:  # at exit, the module's own name is gone
        locked.pop(self.ptr, None)


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    """Page-locked memory of the host, from and to which copies run beside the program; full of the bytes of NaN."""
    return PinnedMemoryPointer(size)


class PinnedMemoryPool:
    """CuPy's pool of page-locked memory. Here each block is new, so that none shows what was in it before."""

    def malloc(self, size: int) -> PinnedMemoryPointer:
        """Page-locked memory of the host."""
        return PinnedMemoryPointer(size)

    def free_all_blocks(self) -> None:
        """Give back what is kept for later, which is nothing."""

    def n_free_blocks(self) -> int:
        """Number of blocks kept for later."""
        return 0


def is_pinned(a: np.ndarray[Any, Any]) -> bool:
    """Whether an array of the host lies in page-locked memory."""
    at = a.__array_interface__["data"][0]
    return any(start <= at < start + size for start, size in list(_locked.items()))
