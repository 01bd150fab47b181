"""Memory for large results, kept when an array goes and given to the next one.

The system hands out large pieces page by page: the first write to each page of 4 KB stops the program for about a
quarter of a microsecond, and when the array goes so do its pages. A training step makes the same hundreds of megabytes
of activations and gradients again and again; paying for their pages each time takes as long as writing them. So memory
whose array is gone waits here for the next.

Memory comes from the system in *segments*, of 32 MB or of the size asked for if that is more. An array takes the
smallest free *block* in which it fits, and the rest of the block stays free; a block that comes back is joined with
its free neighbours (Knuth, "The Art of Computer Programming" 1, section 2.5). So one layer's small gradients lie where
another's large one was: about a fifth more is held than is ever in use at one time, where keeping a piece for each size
took half as much again. Splitting and joining takes longer than many a kernel of a small net, though, so blocks that
came back lately wait as they are, up to `RECENT` bytes in all, for a request of the same size.

**How much is held.** When blocks waiting and in use together are more than 0.3 of, or 32 MB, above the most that was in
use at one time lately (`WINDOW` requests back), segments of which nothing is in use go back to the system, the smallest
first. `empty_cache` gives all of those back.

Blocks start on a page, and thus on a cache line (64 bytes). NumPy's own large arrays start 16 bytes after one, and then
every vector of 64 bytes that is read or written touches two.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, insort
from collections import deque
from math import prod
from typing import Any

import numpy as np

PAGE = 4096  # bytes; blocks are whole pages
LEAST = 1 << 17  # bytes from which an array's memory is kept: below, malloc keeps it itself
SEGMENT = 32 << 20  # bytes taken from the system at least: malloc would keep less when it is let go
SPARE = 0.3, 32 << 20  # the part of the most in use, and the bytes, of which the larger may be held beyond it
WINDOW = 4096  # requests after which the most that was in use begins to be forgotten
RECENT = 16 << 20  # bytes that may wait in blocks as they came back; a quarter of them in one


class Block:
    """`size` bytes at `address`, in a row with the blocks before and after it in its segment.

    `asked` of them were asked for, and `interface` is what the array was made of that is or was there.
    """

    __slots__ = ("address", "after", "asked", "before", "free", "interface", "memory", "size")

    def __init__(self, memory: np.ndarray[Any, Any], address: int, size: int) -> None:
        self.memory, self.address, self.size = memory, address, size
        self.asked = size
        self.interface: dict[str, Any] | None = None
        self.before: Block | None = None
        self.after: Block | None = None
        self.free = False

    def split(self, size: int) -> Block:
        """Keep the first `size` bytes; the rest is a new block."""
        rest = Block(self.memory, self.address + size, self.size - size)
        self.size = size
        rest.before, rest.after, self.after = self, self.after, rest
        if rest.after:
            rest.after.before = rest
        return rest

    def join(self) -> None:
        """Take in the block after this one."""
        other = self.after
        assert other
        self.size += other.size
        self.after = other.after
        if self.after:
            self.after.before = self
        other.before = other.after = None

    def whole(self) -> bool:
        """Whether this is all of its segment."""
        return self.before is None and self.after is None


class _Pool:
    """The free blocks, smallest first, and how much is in use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.returned: deque[Block] = deque()  # on their way back, from any thread and from the garbage collector
        self.recent: dict[int, list[Block]] = {}  # as they came back, by the size that was asked for
        self.waiting = 0  # bytes of those
        self.free: list[tuple[int, int, Block]] = []  # (size, address, block), sorted
        self.held = 0  # bytes free
        self.used = 0  # bytes in use, or recently so
        self.peaks = [0, 0]  # the most in use in the window before, and in this one
        self.requests = 0

    def take(self, size: int) -> Block:
        """A block of `size` bytes, whole pages; or a little more."""
        with self.lock:
            if self.returned:
                self.collect()
            self.requests += 1
            if self.requests % WINDOW == 0:
                self.peaks = [self.peaks[1], self.used]
                self.shrink()
            blocks = self.recent.get(size)
            if blocks:
                block = blocks.pop()
                self.waiting -= block.size
                return block
            at = bisect_left(self.free, (size,))
            if at == len(self.free) and self.waiting:
                self.release_recent()
                at = bisect_left(self.free, (size,))
            if at < len(self.free):
                block = self.free.pop(at)[2]
                block.free = False
                self.held -= block.size
            else:
                block = self.segment(size)
            if block.size - size >= LEAST:
                self.keep(block.split(size))
            block.asked = size
            self.used += block.size
            self.peaks[1] = max(self.peaks[1], self.used)
        return block

    def segment(self, size: int) -> Block:
        """Memory from the system, as one block: a segment, or `size` bytes if that is more."""
        before = self.peaks[1]
        self.used += size  # it counts when room is made for it
        self.peaks[1] = max(before, self.used)
        try:
            self.shrink(max(0, SEGMENT - size))
            try:
                memory = np.empty(max(size, SEGMENT) + PAGE, np.uint8)
            except MemoryError:  # perhaps there is enough without what waits here
                self.release_unused()
                memory = np.empty(max(size, SEGMENT) + PAGE, np.uint8)
        except MemoryError:
            self.peaks[1] = before
            raise
        finally:
            self.used -= size
        address = memory.__array_interface__["data"][0]
        return Block(memory, address + -address % PAGE, max(size, SEGMENT))

    def give(self, block: Block) -> None:
        """Take a block back.

        The garbage collector may free an array at any time, in this thread while it is in `take` or in another. So the
        block waits in a queue if somebody is at work here.
        """
        self.returned.append(block)
        if self.lock.acquire(blocking=False):
            try:
                self.collect()
            finally:
                self.lock.release()

    def collect(self) -> None:
        """Put the blocks that came back among the recent ones; when there are too many of those, release all."""
        while self.returned:
            block = self.returned.popleft()
            if block.size > RECENT // 4:
                self.release(block)
                continue
            if self.waiting + block.size > RECENT:
                self.release_recent()
            self.recent.setdefault(block.asked, []).append(block)
            self.waiting += block.size

    def release_recent(self) -> None:
        """Make free blocks of the recent ones."""
        recent, self.recent, self.waiting = self.recent, {}, 0
        for blocks in recent.values():
            for block in blocks:
                self.release(block)

    def release(self, block: Block) -> None:
        """Make a free block of one that is no longer in use, joined with its free neighbours."""
        self.used -= block.size
        block.interface = None
        before, after = block.before, block.after
        if after and after.free:
            self.remove(after)
            block.join()
        if before and before.free:
            self.remove(before)
            before.join()
            block = before
        self.keep(block)

    def keep(self, block: Block) -> None:
        """Let a block wait."""
        block.free = True
        self.held += block.size
        insort(self.free, (block.size, block.address, block))

    def remove(self, block: Block) -> None:
        """Let a block wait no longer."""
        block.free = False
        self.held -= block.size
        del self.free[bisect_left(self.free, (block.size, block.address))]

    def release_unused(self) -> None:
        """Let all segments go that no array uses."""
        self.collect()
        self.release_recent()
        for _, _, block in list(self.free):
            if block.whole():
                self.remove(block)

    def most(self) -> int:
        """How many bytes may be in use or waiting."""
        peak = max(self.peaks)
        return peak + max(int(peak * SPARE[0]), SPARE[1])

    def shrink(self, more: int = 0) -> None:
        """Let unused segments go, the smallest first, until no more than that many bytes are held; `more` will be."""
        for _, _, block in list(self.free):
            if self.used + self.held + more <= self.most():
                break
            if block.whole():
                self.remove(block)


_pool = _Pool()


class Owner:
    """What an array's memory belongs to: when the last view of it goes, this goes, and gives the memory back."""

    __slots__ = ("__array_interface__", "_block", "_pool")

    def __init__(self, pool: _Pool, block: Block, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._pool, self._block = pool, block
        interface = block.interface
        if interface is None or interface["shape"] != shape or interface["typestr"] != dtype.str:
            where = (block.address, False)  # not read-only
            interface = block.interface = {"version": 3, "shape": shape, "typestr": dtype.str, "data": where}
        self.__array_interface__ = interface

    def __del__(self) -> None:
        self._pool.give(self._block)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`np.empty(shape, dtype)`, on memory of the pool where it is large."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    block = _pool.take(-(-size // PAGE) * PAGE)
    return np.asarray(Owner(_pool, block, tuple(shape), dtype))


def empty_cache() -> None:
    """Give all segments that no array uses back to the system."""
    with _pool.lock:
        _pool.release_unused()
        _pool.peaks = [0, _pool.used]


def held() -> int:
    """Bytes that wait for the next array."""
    return _pool.held + _pool.waiting


def _after_fork() -> None:
    _pool.lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
