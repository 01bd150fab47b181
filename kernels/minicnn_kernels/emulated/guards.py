"""The arguments of a kernel on the CPU: arrays as pointers into copies that lie between guards, and their checks."""

from __future__ import annotations

import ctypes
import functools
import mmap
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .array import ndarray, raw, to_write

_GUARD = 4096  # bytes on each side of an array, at least
_FAR = 64 << 20  # bytes around them that a kernel may not touch


class EmulatedLaunchError(RuntimeError):
    """The kernel did something that has no defined result on a GPU."""


def words(kind: str) -> str:
    """A type as text."""
    if kind[0] == "{":
        return f"a struct of {kind[1:-1]} bytes"
    names = {"f": "a float", "i": "an integer", "u": "an unsigned integer", "b": "a bool"}
    return f"{names.get(kind[0], kind[0])} of {kind[1:]} bytes"


class Region:
    """Memory of one or several arrays that overlap: a copy of it, between two guards."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.written = False
        self.arrays: list[str] = []
        self._memory = np.empty(0, np.uint8)
        self._inside = slice(0, 0)
        self._before = b""

    def copy(self) -> None:
        """Make the copy."""
        size = self.end - self.start
        self._memory = _between_untouchable(size + 2 * _GUARD + 256)
        skip = (self.start - address(self._memory) - _GUARD) % 256  # what was aligned stays so, what was not does not
        self._inside = slice(skip + _GUARD, skip + _GUARD + size)
        self._memory[:] = self._nans()
        self.inside[:] = bytes_at(self.start, size)
        self.remember()

    def remember(self) -> None:
        """What is in constant arrays before the kernel runs."""
        self._before = self.inside.tobytes() if not self.written else b""

    def _nans(self) -> Any:
        """What fills the guards: NaN in any type of float.

        Around arrays that may be written it has other bits: so it shows if a NaN of one guard is written to another.
        """
        return np.resize(np.array([0xFD, 0xFD, 0xFD, 0xFF] if self.written else [0xFF], np.uint8), len(self._memory))

    @property
    def inside(self) -> Any:
        """The copy itself."""
        return self._memory[self._inside]

    def check(self, name: str) -> None:
        """Raise an error if the kernel wrote to the guards, or to constant arrays."""
        changed = self._memory != self._nans()
        for guard, where in ((changed[: self._inside.start], "before"), (changed[self._inside.stop :], "behind")):
            if guard.any():
                raise EmulatedLaunchError(f"{name}: wrote {where} the memory of {' and '.join(self.arrays)}")
        if not self.written and self.inside.tobytes() != self._before:
            raise EmulatedLaunchError(f"{name}: wrote to {' and '.join(self.arrays)}, which is const")

    def give_back(self) -> None:
        """Copy what the kernel wrote to the arrays."""
        if self.written:
            bytes_at(self.start, self.end - self.start)[:] = self.inside


class Pointer:
    """An array as an argument: its place in memory, and then in the copy of a region."""

    def __init__(self, start: int, size: int, written: bool, text: str) -> None:
        self.start, self.end, self.written, self.text = start, start + size, written, text
        self.region: Region | None = None
        self.table: list[Pointer] = []  # the arrays that a table of addresses points to

    @property
    def offset(self) -> int:
        """Bytes from the region's start."""
        return self.start - self.region.start if self.region is not None else 0

    def address(self) -> int:
        """Where the kernel finds it."""
        return 0 if self.region is None else address(self.region.inside) + self.offset

    def write_table(self) -> None:
        """Put the addresses in the copies into the copy of a table."""
        if self.region is not None and self.table:
            places = np.array([pointer.address() for pointer in self.table], np.uint64)
            self.region.inside[self.offset : self.offset + places.nbytes] = places.view(np.uint8)
            self.region.remember()


def pointer_to(what: str, value: Any, parameter: str) -> Pointer:
    """An array as an argument, checked; None is a null pointer."""
    if value is None:
        return Pointer(0, 0, False, "")
    if type(value) is not ndarray and not isinstance(value, np.ndarray):
        raise TypeError(f"{what} is {type(value).__name__}, and the parameter is a pointer")
    a = value if isinstance(value, np.ndarray) else to_write(value) if parameter[0] == "*" else raw(value)
    if not a.dtype.isnative:
        raise TypeError(f"{what} is an array of {a.dtype}, whose bytes are in the order of another machine")
    kind = f"{a.dtype.kind}{a.dtype.itemsize}"
    if parameter[1:] not in (kind, "?"):
        raise TypeError(f"{what} is an array of {a.dtype}, and the parameter points to {words(parameter[1:])}")
    steps = [(size - 1) * step for size, step in zip(a.shape, a.strides, strict=True)]
    if a.size and sum(map(abs, steps)) + a.itemsize != a.nbytes:
        raise TypeError(f"{what} has gaps in memory: shape {a.shape}, strides {a.strides}")
    if a.size and any(step < 0 for step in steps):
        raise TypeError(f"{what} runs backwards in memory: shape {a.shape}, strides {a.strides}")
    if parameter[0] == "*" and not a.flags.writeable:
        raise TypeError(f"{what} is read-only, and the kernel may write to it")
    start = address(a)
    return Pointer(start, a.nbytes, parameter[0] == "*", f"argument {what.rpartition(' ')[2]}, {a.shape} {a.dtype}")


def table_of(what: str, value: Any, parameter: str, through: Sequence[Any]) -> Pointer:
    """A table of addresses: an array of int64. Each must be 0, or that of an array in `through`."""
    found = pointer_to(what, value, "&i8")
    if parameter[0] == "*":
        raise TypeError(f"{what}: a kernel may not write to a table of addresses; let the parameter be T* const*")
    if value is None:
        return found
    known = {address(x if isinstance(x, np.ndarray) else x._a): x for x in through}
    for place in (value if isinstance(value, np.ndarray) else raw(value)).tolist():
        if place and place not in known:
            raise EmulatedLaunchError(f"{what}: the address {place:#x} is not that of an array in `through`")
        entry = pointer_to(f"{what}, an array in the table,", known.get(place), parameter[1:])
        entry.text = f"an array in the table that is argument {what.rpartition(' ')[2]}"
        found.table.append(entry)
    return found


def regions_of(pointers: list[Pointer]) -> list[Region]:
    """The regions of arrays: those that overlap share one."""
    found: list[Region] = []
    for pointer in sorted((p for p in pointers if p.end > p.start), key=lambda p: p.start):
        if not found or pointer.start >= found[-1].end:
            found.append(Region(pointer.start, pointer.end))
        region = pointer.region = found[-1]
        region.end = max(region.end, pointer.end)
        region.written |= pointer.written
        region.arrays.append(pointer.text)
    for region in found:
        region.copy()
    return found


class _Bytes:
    """Memory, for NumPy. An array type of ctypes would be a new class for each size, which only a collection frees."""

    def __init__(self, start: int, size: int) -> None:
        self.__array_interface__ = {"data": (start, False), "shape": (size,), "typestr": "|u1", "version": 3}


def bytes_at(start: int, size: int) -> Any:
    """The memory at an address, as a NumPy array."""
    return np.asarray(_Bytes(start, size))


def with_names(text: str, regions: list[Region]) -> str:
    """The text of an error, with the nearest array in place of an address."""
    found = re.search(r"read or wrote at (0x[0-9a-f]+|\(nil\))", text)
    if found is None:
        return text
    place = 0 if found[1] == "(nil)" else int(found[1], 16)
    where = "by a null pointer" if place < 1 << 16 else "where no array is"
    for region in regions:
        start = address(region.inside)
        end = start + len(region.inside)
        distance, side = (start - place, "before") if place < start else (place - end, "behind")
        if distance <= _FAR:
            where = f"{distance} bytes {side} {' and '.join(region.arrays)}"
    return text.replace(found[0], f"read or wrote {where}")


class _Mapping(_Bytes):
    """Memory that the system takes back when no array needs it any more."""

    def __init__(self, start: int, size: int, whole: tuple[int, int]) -> None:
        super().__init__(start, size)
        self._whole = whole

    def __del__(self) -> None:
        _libc().munmap(*self._whole)


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _between_untouchable(size: int) -> Any:
    """New memory; a kernel that goes further than its guards gets a signal from the CPU."""
    page = mmap.PAGESIZE
    inside = -(-size // page) * page
    whole = inside + 2 * _FAR
    start = _libc().mmap(None, whole, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)  # MAP_NORESERVE
    if start in (None, ctypes.c_void_p(-1).value):
        raise MemoryError(f"no {whole} bytes of addresses for the array of an emulated kernel")
    room = _Mapping(start + _FAR, inside, (start, whole))
    if _libc().mprotect(start + _FAR, inside, mmap.PROT_READ | mmap.PROT_WRITE):
        raise MemoryError(f"no {inside} bytes of memory for the array of an emulated kernel")
    return np.asarray(room)


def address(a: Any) -> int:
    """Where the first element of a NumPy array is."""
    return int(a.__array_interface__["data"][0])
