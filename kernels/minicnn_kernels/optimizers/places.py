"""Where arrays are in memory, on the CPU or on a GPU: which tensors an update can change together, in one call.

Not together with others go tensors of a type other than float32 or float64, tensors with gaps in memory, and tensors
that overlap others, for which the order of the updates matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, address, on_gpu, writeable


def together(xs: list[Array], buffers: list[list[Array]]) -> list[int]:
    """The indices of the tensors that one call can update: all have the type of the first that is float32 or float64.

    If some are on a GPU, those on the CPU are not among them.
    """
    written = list(zip(xs, *buffers, strict=True))
    gpu = any(map(on_gpu, xs))
    like = next((x for x in xs if x.dtype in (np.float32, np.float64) and on_gpu(x) == gpu), None)
    if like is None:
        return []
    shared = _overlapping(written)
    return [i for i, x in enumerate(xs) if i not in shared and all(_lies_like(a, x, like) for a in written[i])]


def order(x: Array) -> tuple[int, ...] | None:
    """The order of the axes of a dense array in memory; None for C order."""
    return None if x.flags.c_contiguous else tuple(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))


def in_order(x: Array, axes: tuple[int, ...] | None) -> Array:
    """The view of an array whose axes are in that order."""
    return x if axes is None else x.transpose(axes)


def _lies_like(a: Array, x: Array, like: Array) -> bool:
    """Whether a compiled loop can run over both arrays in the same order, and write to `a`."""
    same = type(a) is type(like) and a.size and a.dtype == like.dtype and a.shape == x.shape
    return bool(same and in_order(a, order(x)).flags.c_contiguous and writeable(a) and not address(a) % a.itemsize)


def spans(arrays: Sequence[Array]) -> Array:
    """(2, arrays): the addresses at which arrays begin, in ascending order, and the largest address at which each and
    those before it end.
    """
    found = np.array(sorted(span(a) for a in arrays if a.size), np.int64).reshape(-1, 2).T.copy()
    found[1] = np.maximum.accumulate(found[1])
    return found


def touches(spans: Array, g: Array) -> bool:
    """Whether an array overlaps one of those whose spans are given."""
    begin, end = span(g)
    return bool((spans[1, spans[0] < end] > begin).any())


def span(a: Array) -> tuple[int, int]:
    """The addresses at which the memory of an array begins and ends."""
    steps = [(size - 1) * stride for size, stride in zip(a.shape, a.strides, strict=True)]
    start = address(a)
    return start + sum(s for s in steps if s < 0), start + sum(s for s in steps if s > 0) + a.itemsize


def _overlapping(written: list[tuple[Any, ...]]) -> set[int]:
    """The indices of the parameters with an array that overlaps another array."""
    found: set[int] = set()
    reach, last = 0, -1  # the largest end address so far, and the index of its parameter
    for begin, end, i in sorted((*span(a), i) for i, arrays in enumerate(written) for a in arrays if a.size):
        if begin < reach:
            found |= {i, last}
        if end > reach:
            reach, last = end, i
    return found
