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

**Interrupted.** Ctrl-C may raise KeyboardInterrupt between any two steps of the pool's own work, and leave its lists
and sums half changed. So each piece of work says that it has begun and that it has ended; where one has begun only, the
next gives up all free blocks and starts anew. Memory in use is its array's, and goes back to the system with it. An
array that goes says so to a function of C (`deque.append`): in a `__del__` a KeyboardInterrupt would be lost.

Blocks start on a page, and thus on a cache line (64 bytes). NumPy's own large arrays start 16 bytes after one, and then
every vector of 64 bytes that is read or written touches two.
"""

from __future__ import annotations

import os
import threading
import weakref
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

    `asked` of them were asked for, and `interface` is what the array was made of that is or was there. `age` is that of
    the pool when it was made.
    """

    __slots__ = ("address", "after", "age", "asked", "before", "free", "interface", "memory", "size")

    def __init__(self, memory: np.ndarray[Any, Any], address: int, size: int, age: int) -> None:
        self.memory, self.address, self.size = memory, address, size
        self.asked, self.age = size, age
        self.interface: dict[str, Any] | None = None
        self.before: Block | None = None
        self.after: Block | None = None
        self.free = False

    def split(self, size: int) -> Block:
        """Keep the first `size` bytes; the rest is a new block."""
        rest = Block(self.memory, self.address + size, self.size - size, self.age)
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


class Owner:
    """What an array's memory belongs to: when the last view of it goes, this goes, and its ticket tells the pool."""

    __slots__ = ("__array_interface__", "__weakref__", "_block")

    def __init__(self, block: Block, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._block = block
        interface = block.interface
        if interface is None or interface["shape"] != shape or interface["typestr"] != dtype.str:
            where = (block.address, False)  # not read-only
            interface = block.interface = {"version": 3, "shape": shape, "typestr": dtype.str, "data": where}
        self.__array_interface__ = interface


class Ticket(weakref.ref[Owner]):
    """A weak reference to an owner, with its block."""

    __slots__ = ("block",)
    block: Block


class _Pool:
    """The free blocks, smallest first, and how much is in use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.returned: deque[Ticket] = deque()  # on their way back, from any thread and from the garbage collector
        self.tickets: set[Ticket] = set()  # of all arrays there are
        self.age = 0
        self.renew()

    def renew(self) -> None:
        """Begin with nothing; the blocks there are become strangers."""
        self.age += 1
        self.recent: dict[int, list[Block]] = {}  # as they came back, by the size that was asked for
        self.waiting = 0  # bytes of those
        self.free: list[tuple[int, int, Block]] = []  # (size, address, block), sorted
        self.held = 0  # bytes free
        self.used = 0  # bytes in use, or recently so
        self.peaks = [0, 0]  # the most in use in the window before, and in this one
        self.requests = 0
        self.at_work = False

    def nested(self) -> bool:
        """Whether this thread is at work here already: a signal's handler, or a `__del__`, came in between."""
        return self.at_work and self.lock._is_owned()  # type: ignore[attr-defined]

    def begin(self) -> None:
        """What was begun before and did not end was interrupted, and nothing is certain."""
        if self.at_work:
            for block in [*(block for _, _, block in self.free), *(b for same in self.recent.values() for b in same)]:
                block.before = block.after = None  # a circle of blocks would wait for the garbage collector
            self.renew()
        self.at_work = True

    def take(self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Owner:
        """The owner of `size` bytes, whole pages, or a little more, as an array."""
        with self.lock:
            self.begin()
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
            else:
                try:
                    block = self.carve(size)
                except MemoryError:
                    self.at_work = False
                    raise
            owner = Owner(block, shape, dtype)
            ticket = Ticket(owner, self.returned.append)
            ticket.block = block
            self.tickets.add(ticket)
            self.at_work = False
        return owner

    def carve(self, size: int) -> Block:
        """A block from the free ones or from the system."""
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
        return Block(memory, address + -address % PAGE, max(size, SEGMENT), self.age)

    def collect(self) -> None:
        """Put the blocks that came back among the recent ones; when there are too many of those, release all.

        The garbage collector may free an array at any time, in this thread while it is in `take` or in another. So the
        tickets wait in a queue until somebody is at work here.
        """
        while self.returned:
            ticket = self.returned[0]
            self.tickets.discard(ticket)
            self.returned.popleft()  # last: an interrupt must not leave it among the tickets
            block = ticket.block
            if block.age != self.age:
                block.before = block.after = None
            elif block.size > RECENT // 4:
                self.release(block)
            else:
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


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`np.empty(shape, dtype)`, on memory of the pool where it is large."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size < LEAST or _pool.nested():
        return np.empty(shape, dtype)
    return np.asarray(_pool.take(-(-size // PAGE) * PAGE, tuple(shape), dtype))


def empty_cache() -> None:
    """Give all segments that no array uses back to the system."""
    if not _pool.nested():
        with _pool.lock:
            _pool.begin()
            _pool.release_unused()
            _pool.peaks = [0, _pool.used]
            _pool.at_work = False


def held() -> int:
    """Bytes that wait for the next array."""
    if not _pool.nested():
        with _pool.lock:
            _pool.begin()
            _pool.collect()
            _pool.at_work = False
    return _pool.held + _pool.waiting


def _after_fork() -> None:
    _pool.lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
