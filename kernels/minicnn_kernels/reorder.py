"""From one order of memory to the other: many matrices (rows, columns), each transposed.

    NCHW -> channels last:   N matrices (C, H*W)          channels last -> NCHW:   N matrices (H*W, C)

NumPy does this on one thread, element by element. Here a share is some blocks of rows, few enough that the lines that
are read stay in the first-level cache until all of their values are taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .runtime import njit, parallel, prange, threads

Array = np.ndarray[Any, np.dtype[Any]]

LEAST = 1 << 14  # values from which this is faster than NumPy
_ROWS = 32  # rows in a block


@njit()
def _share(t: Any, chunks: int, x: Array, y: Array, rows: int, columns: int) -> None:
    u = np.uintp
    blocks = (rows + _ROWS - 1) // _ROWS
    tasks = x.size // (rows * columns) * blocks
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        start, r0 = task // blocks * rows * columns, task % blocks * _ROWS
        count = u(min(rows, r0 + _ROWS) - r0)
        for c in range(columns):
            at, to, step = u(start + r0 * columns + c), u(start + c * rows + r0), u(columns)
            for r in range(count):
                y[to + r] = x[at + r * step]


@njit(parallel=True)
def _transpose(chunks: int, x: Array, y: Array, rows: int, columns: int) -> None:
    for t in prange(chunks):
        _share(np.intp(t), chunks, x, y, rows, columns)


def transpose(x: Array, y: Array) -> None:
    """y (N, B, A) = x (N, A, B), both contiguous."""
    with parallel():
        _transpose(threads(), x.reshape(-1), y.reshape(-1), x.shape[1], x.shape[2])
