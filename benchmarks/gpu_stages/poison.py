"""Memory of a GPU that shows mistakes: full of NaN until it is written, and between guards that nothing may write to.

A float that a kernel forgets to write is NaN in the result. A guard that a kernel reads gives huge numbers, and one
that it has written to is found by `check`. The emulated GPU has both for every array of every launch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GUARD = 4096  # bytes on each side: a multiple of 512, to which CuPy's pool aligns
NAN, MARK = 0xFF, 0xFD  # in every byte: NaN, and as floats -4e37 and -2e298


class Watched:
    """Blocks of memory from a pool of CuPy, each between two guards. It is what `cupy.cuda.using_allocator` takes."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._held: list[tuple[Any, int]] = []

    def __call__(self, size: int) -> Any:
        """A block of this many bytes, full of NaN."""
        block = self._pool.malloc(size + 2 * GUARD)
        block.memset(MARK, size + 2 * GUARD)
        inside = block + GUARD
        if size:
            inside.memset(NAN, size)
        self._held.append((block, size))
        return inside

    def check(self) -> None:
        """Raise AssertionError if a guard was written to since the last check; then let go of the blocks."""
        held, self._held = self._held, []
        for block, size in held:
            for where, start in (("before", 0), ("behind", GUARD + size)):
                found = ctypes.create_string_buffer(GUARD)
                (block + start).copy_to_host(ctypes.cast(found, ctypes.c_void_p), GUARD)
                places = [i for i, byte in enumerate(found.raw) if byte != MARK]
                assert not places, (
                    f"{len(places)} bytes {where} an array of {size} bytes were written, the first {places[0]} and the "
                    f"last {places[-1]} bytes from the start of the guard"
                )


@contextmanager
def watched() -> Iterator[Watched | None]:
    """Inside the block, arrays are made in watched memory. On the emulated GPU they always are: then it is None."""
    from minicnn_kernels import arrays

    cupy = arrays.gpu()
    if arrays.is_emulated():
        yield None
        return
    memory = Watched(cupy.get_default_memory_pool())
    with cupy.cuda.using_allocator(memory):
        yield memory
