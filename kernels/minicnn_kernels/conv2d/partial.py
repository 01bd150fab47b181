"""Partial sums: each share of a kernel adds up its own tasks, then the shares are added up, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout import Array
from ..runtime import njit, prange, threads


@njit()
def _add_up_share(t: Any, chunks: int, sums: Array, total: Array) -> None:
    first, last = np.uintp(t * total.size // chunks), np.uintp((t + 1) * total.size // chunks)
    for e in range(first, last):
        total[e] = sums[0, e]
    for s in range(1, sums.shape[0]):
        for e in range(first, last):
            total[e] += sums[s, e]


@njit(parallel=True)
def _add_up(chunks: int, sums: Array, total: Array) -> None:
    for t in prange(chunks):
        _add_up_share(np.intp(t), chunks, sums, total)


def add_up(sums: Array, total: Array) -> None:
    """total[e] = sum_t sums[t, e], as many as `total` has; inside `with parallel():`."""
    _add_up(threads() if total.size > 1 << 14 else 1, sums, total)
