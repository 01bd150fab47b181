"""A pool of memory for large results: the memory of an array that is deleted is kept and given to a new array.

The system hands out large memory page by page: the first write to each page of 4 KB stops the program for about a
quarter of a microsecond, and when the array is deleted, its pages go back to the system. A training step makes the same
hundreds of megabytes of activations and gradients again and again; new pages each time would cost as much as writing
the results. So the memory of deleted arrays waits here for the next array.

Memory comes from the system in *segments*, of 32 MB or of the requested size if that is more. An array takes the
smallest free *block* in which it fits, and the rest of the block stays free; a block that comes back is joined with
its free neighbours (Knuth, "The Art of Computer Programming" 1, section 2.5). So the small gradients of one layer lie
where the large gradient of another was. The pool holds about a fifth more than is ever in use at one time; with
separate memory for each size it would hold half as much again. But splitting and joining take longer than many a kernel
of a small net. So blocks that came back lately are not joined, up to `RECENT` bytes in all; they wait for a request of
the same size.

**How much is held.** The pool compares the memory that is in use or waiting with the peak, the most that was in use at
one time lately (in the last `WINDOW` requests). If it is more than the peak plus 0.3 of it, and more than the peak plus
32 MB, unused segments go back to the system, the smallest first. `empty_cache` gives all unused segments back.

**Interrupts.** Ctrl-C may raise KeyboardInterrupt between any two steps of the pool's own work, and leave its lists
and sums half changed. So each operation notes when it begins and when it ends. If an operation has begun but not
ended, the next one gives up all free blocks and starts again. Memory in use belongs to its array, and goes back to the
system with it. A deleted array calls a function of C (`deque.append`): in a `__del__`, a KeyboardInterrupt would be
lost.

Blocks start on a page, and thus on a cache line (64 bytes). NumPy's own large arrays start 16 bytes after a cache line,
and then every vector of 64 bytes that is read or written touches two lines.
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
LEAST = 1 << 17  # bytes from which the pool keeps an array's memory: smaller memory is kept by malloc
SEGMENT = 32 << 20  # the least number of bytes taken from the system: malloc would keep a smaller freed segment
SPARE = 0.3, 32 << 20  # how much may be held beyond the most in use: the larger of this fraction of it and these bytes
WINDOW = 4096  # requests after which the pool begins to forget the most that was in use
RECENT = 16 << 20  # bytes that may wait in unjoined blocks; one block may have a quarter of them


class Block:
    """`size` bytes at `address`, linked with the blocks before and after it in its segment.

    `asked` is the requested number of bytes, and `interface` describes the present or last array on this memory to
    NumPy. `age` is the age of the pool when the block was made.
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
        """Keep the first `size` bytes, and return the rest as a new block."""
        rest = Block(self.memory, self.address + size, self.size - size, self.age)
        self.size = size
        rest.before, rest.after, self.after = self, self.after, rest
        if rest.after:
            rest.after.before = rest
        return rest

    def join(self) -> None:
        """Join the block after this one to it."""
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
    """The owner of an array's memory: it is deleted with the last view of the array, and its ticket tells the pool."""

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
        self.returned: deque[Ticket] = deque()  # from deleted arrays; any thread and the garbage collector append to it
        self.tickets: set[Ticket] = set()  # of all live arrays
        self.age = 0
        self.renew()

    def renew(self) -> None:
        """Start with an empty pool; blocks that are in use now no longer belong to it."""
        self.age += 1
        self.recent: dict[int, list[Block]] = {}  # not joined, by the requested size
        self.waiting = 0  # bytes in the recent blocks
        self.free: list[tuple[int, int, Block]] = []  # (size, address, block), sorted
        self.held = 0  # free bytes
        self.used = 0  # bytes in use or in recent blocks
        self.peaks = [0, 0]  # the most in use in the previous window, and in the current one
        self.requests = 0
        self.at_work = False

    def nested(self) -> bool:
        """Whether this thread is already inside the pool: a signal handler or a `__del__` has interrupted it."""
        return self.at_work and self.lock._is_owned()  # type: ignore[attr-defined]

    def begin(self) -> None:
        """Begin an operation; if the one before did not end, it was interrupted, and the pool starts again."""
        if self.at_work:
            for block in [*(block for _, _, block in self.free), *(b for same in self.recent.values() for b in same)]:
                block.before = block.after = None  # else the cycle of blocks would wait for the garbage collector
            self.renew()
        self.at_work = True

    def take(self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Owner:
        """The owner of the memory of a new array: `size` bytes, which is whole pages, or a little more."""
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
        """A block of `size` bytes, from the free blocks or from the system."""
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
        """New memory from the system, as one block: a segment of 32 MB, or `size` bytes if that is more."""
        before = self.peaks[1]
        self.used += size  # already counted while room is made for it
        self.peaks[1] = max(before, self.used)
        try:
            self.shrink(max(0, SEGMENT - size))
            try:
                memory = np.empty(max(size, SEGMENT) + PAGE, np.uint8)
            except MemoryError:  # it may succeed once the waiting memory is given back
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
        """Add the blocks that came back to the recent ones; if these are too many, release them all.

        The garbage collector may delete an array at any time: in another thread, or in this one inside `take`. So the
        tickets wait in a queue until the next operation of the pool.
        """
        while self.returned:
            ticket = self.returned[0]
            self.tickets.discard(ticket)
            self.returned.popleft()  # last: if an interrupt comes before this, the ticket is still in the queue
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
        """Turn the recent blocks into free blocks."""
        recent, self.recent, self.waiting = self.recent, {}, 0
        for blocks in recent.values():
            for block in blocks:
                self.release(block)

    def release(self, block: Block) -> None:
        """Turn a block that is no longer in use into a free block, joined with its free neighbours."""
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
        """Enter a block in the sorted list of free blocks."""
        block.free = True
        self.held += block.size
        insort(self.free, (block.size, block.address, block))

    def remove(self, block: Block) -> None:
        """Take a block out of the list of free blocks."""
        block.free = False
        self.held -= block.size
        del self.free[bisect_left(self.free, (block.size, block.address))]

    def release_unused(self) -> None:
        """Give all segments that no array uses back to the system."""
        self.collect()
        self.release_recent()
        for _, _, block in list(self.free):
            if block.whole():
                self.remove(block)

    def most(self) -> int:
        """How many bytes the pool may hold, in use and waiting together."""
        peak = max(self.peaks)
        return peak + max(int(peak * SPARE[0]), SPARE[1])

    def shrink(self, more: int = 0) -> None:
        """Give unused segments back, the smallest first, until no more than `most` bytes are held, `more` included."""
        for _, _, block in list(self.free):
            if self.used + self.held + more <= self.most():
                break
            if block.whole():
                self.remove(block)


_pool = _Pool()


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`np.empty(shape, dtype)`; a large array gets memory of the pool."""
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
    """The bytes that wait for new arrays."""
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
