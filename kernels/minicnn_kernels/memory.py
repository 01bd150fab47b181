"""Memory for large results, kept when an array goes and given to the next one that needs as much.

The system hands out large pieces page by page: the first write to each page of 4 KB stops the program for about a
quarter of a microsecond, and when the array goes so do its pages. A training step makes the same hundreds of megabytes
of activations and gradients again and again; paying for their pages each time takes as long as writing them. So a piece
whose array is gone waits here for the next array of its size.

**How much is held.** Pieces waiting and pieces in use together are never more than a fifth, or 16 MB, above the most
that was in use at one time lately (`WINDOW` requests back); what is too much goes back to the system, oldest first.
`empty_cache` gives all of it back.

Pieces start on a cache line (64 bytes). NumPy's own large arrays start 16 bytes after one, and then every vector of 64
bytes that is read or written touches two.
"""

from __future__ import annotations

import os
import threading
from math import prod
from typing import Any

import numpy as np

LINE = 64  # bytes in a cache line
LEAST = 1 << 17  # bytes from which a piece is kept: below, malloc keeps them itself
SPARE = 0.2, 16 << 20  # the part of the most in use, and the bytes, of which the larger may be held beyond it
WINDOW = 4096  # requests after which the most that was in use begins to be forgotten


Piece = tuple[
    np.ndarray[Any, Any], int
]  # memory, a cache line longer than asked for, and the address of its first line


class _Pool:
    """The pieces that wait, by size, and what is in use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # reentrant: the collector may free an array while one is being made
        self.waiting: dict[int, list[Piece]] = {}  # size -> pieces; sizes in order of their last return
        self.held = 0  # bytes waiting
        self.used = 0  # bytes in use
        self.peaks = [0, 0]  # the most in use in the window before, and in this one
        self.requests = 0

    def take(self, size: int) -> Piece:
        """A piece of `size` bytes, or of one of the next two sizes."""
        with self.lock:
            self.requests += 1
            if self.requests % WINDOW == 0:
                self.peaks = [self.peaks[1], self.used]
                self.shrink()
            for candidate in (size, size + step(size), size + 2 * step(size)):
                pieces = self.waiting.get(candidate)
                if pieces:
                    self.held -= candidate
                    self.use(candidate)
                    return pieces.pop()
            self.use(size)
            self.shrink()
        memory = np.empty(size + LINE, np.uint8)
        address = memory.__array_interface__["data"][0]
        return memory, address + -address % LINE

    def give(self, piece: Piece) -> None:
        """Take a piece back."""
        size = piece[0].nbytes - LINE
        with self.lock:
            self.used -= size
            self.held += size
            pieces = self.waiting.pop(size, [])
            pieces.append(piece)
            self.waiting[size] = pieces  # the last size to be let go

    def use(self, size: int) -> None:
        """Count a piece as in use."""
        self.used += size
        self.peaks[1] = max(self.peaks[1], self.used)

    def most(self) -> int:
        """How many bytes may be in use or waiting."""
        peak = max(self.peaks)
        return peak + max(int(peak * SPARE[0]), SPARE[1])

    def shrink(self) -> None:
        """Let pieces go until no more than that many bytes are in use or waiting."""
        most = self.most()
        for size in list(self.waiting):
            while self.used + self.held > most and self.waiting.get(size):
                self.waiting[size].pop()
                self.held -= size


_pool = _Pool()


def step(size: int) -> int:
    """From one size of pieces to the next: there are eight between powers of two, so that an eighth is lost at most."""
    return 1 << (size.bit_length() - 4)


class Owner:
    """What an array's memory belongs to: when the last view of it goes, this goes, and gives the memory back."""

    __slots__ = ("__array_interface__", "_piece", "_pool")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
        self._pool = _pool
        self._piece = _pool.take(size)
        where = (self._piece[1], False)  # not read-only
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": where}

    def __del__(self) -> None:
        self._pool.give(self._piece)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`np.empty(shape, dtype)`, on memory of the pool where it is large."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    return np.asarray(Owner(tuple(shape), dtype, -(-size // step(size)) * step(size)))


def empty_cache() -> None:
    """Give all memory that no array uses back to the system."""
    with _pool.lock:
        _pool.waiting.clear()
        _pool.held = 0
        _pool.peaks = [0, _pool.used]


def held() -> int:
    """Bytes that wait for the next array."""
    return _pool.held


def _after_fork() -> None:
    _pool.lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
