"""Element by element over arrays whose memory is not one piece: y = a + b, a - b, a b or a copy, run by run.

    a, b, y   all of one shape, of any rank; the strides may differ, and a stride of 0 repeats a number

Channels of images in channels-last memory are not one piece: those of a pixel are neighbours, those of the next pixel
come after a gap. Nor is a number for each channel, (1, C, 1, 1) or (N, C, 1, 1), that is repeated for all pixels.
NumPy does such arrays on one thread and calls a function for each run, which takes longer than a run of some dozen
numbers itself.

`as_runs` merges axes that lie in memory as one. If at most three axes remain, and the numbers of a run are neighbours,
`elementwise` goes through them on all cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .addresses import memory
from .arrays import Array, U
from .runtime import njit, parallel, prange, threads

ADD, SUB, MUL, COPY = range(4)
_PIECE = 1 << 12  # numbers of a task; a longer run is several tasks

Triple = tuple[int, int, int]


def as_runs(y: Array, *others: Array) -> tuple[Triple, ...] | None:
    """The sizes of three axes as which all arrays can be seen, then for each array the strides, counted in numbers.

    None if that is not possible. The last axis is a run: its numbers are neighbours in y and in the first of the
    others, and neighbours or a single number in the rest.
    """
    arrays, one = (y, *others), y.itemsize
    axes: list[tuple[int, tuple[int, ...]]] = []
    for axis in sorted(range(y.ndim), key=lambda i: -abs(y.strides[i])):
        size, steps = y.shape[axis], tuple([x.strides[axis] for x in arrays])
        if size == 1:
            continue
        if axes and axes[-1][1] == tuple([size * step for step in steps]):
            axes[-1] = axes[-1][0] * size, steps
        else:
            axes.append((size, steps))
    if len(axes) > 3 or any(step % one for _, steps in axes for step in steps):
        return None
    axes = [(1, (0,) * len(arrays))] * (3 - len(axes)) + axes
    last = axes[2][1]
    if axes[2][0] > 1 and (last[:2] != (one, one)[: len(last[:2])] or any(step not in (0, one) for step in last[2:])):
        return None
    sizes = axes[0][0], axes[1][0], axes[2][0]
    return sizes, *[(axes[0][1][k] // one, axes[1][1][k] // one, axes[2][1][k] // one) for k in range(len(arrays))]


@njit()
def _run(op: int, a: Array, b: Array, y: Array, inside: bool, repeated: bool) -> None:
    # `inside`: y is a, for which a loop that names both would not be vectorised. `repeated`: b is one number.
    if op == COPY:
        for i in range(y.size):
            y[i] = a[i]
    elif inside and repeated:
        c = b[0]
        if op == ADD:
            for i in range(y.size):
                y[i] += c
        elif op == SUB:
            for i in range(y.size):
                y[i] -= c
        else:
            for i in range(y.size):
                y[i] *= c
    elif inside:
        if op == ADD:
            for i in range(y.size):
                y[i] += b[i]
        elif op == SUB:
            for i in range(y.size):
                y[i] -= b[i]
        else:
            for i in range(y.size):
                y[i] *= b[i]
    elif repeated:
        c = b[0]
        if op == ADD:
            for i in range(y.size):
                y[i] = a[i] + c
        elif op == SUB:
            for i in range(y.size):
                y[i] = a[i] - c
        else:
            for i in range(y.size):
                y[i] = a[i] * c
    elif op == ADD:
        for i in range(y.size):
            y[i] = a[i] + b[i]
    elif op == SUB:
        for i in range(y.size):
            y[i] = a[i] - b[i]
    else:
        for i in range(y.size):
            y[i] = a[i] * b[i]


@njit()
def _share(
    t: Any, shares: int, op: int, like: Array, places: Triple, sizes: Triple, ys: Triple, xs: Triple, bs: Triple
) -> None:
    rows, size = sizes[0] * sizes[1], sizes[2]
    pieces, inside = (size + _PIECE - 1) // _PIECE, places[0] == places[2]
    first, end = t * rows * pieces // shares, (t + 1) * rows * pieces // shares
    i, j, e = first // pieces // sizes[1], first // pieces % sizes[1], first % pieces * _PIECE
    for _ in range(first, end):
        count = min(_PIECE, size - e)
        a = memory(places[0], i * xs[0] + j * xs[1] + e, count, like)
        b = memory(places[1], i * bs[0] + j * bs[1] + e * bs[2], count if bs[2] else 1, like)
        y = memory(places[2], i * ys[0] + j * ys[1] + e, count, like)
        _run(op, a, b, y, inside, bs[2] == 0)
        e += _PIECE  # the next piece, without the divisions that it would take to find it by its number
        if e >= size:
            e, j = 0, j + 1
            if j == sizes[1]:
                j, i = 0, i + 1


@njit(parallel=True)
def _elementwise(
    shares: int, op: int, like: Array, places: Triple, sizes: Triple, ys: Triple, xs: Triple, bs: Triple
) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, op, like, places, sizes, ys, xs, bs)


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def elementwise(op: int, a: Array, b: Array, y: Array, runs: tuple[Triple, ...]) -> None:
    """y = a op b, all of one type, for `runs` = as_runs(y, a, b); y may be a, and overlaps neither otherwise."""
    sizes, ys, xs, bs = runs
    with parallel():
        places = _address(a), _address(b), _address(y)
        _elementwise(threads(), op, np.empty(0, y.dtype), places, sizes, ys, xs, bs)


def copy(x: Array, y: Array) -> None:
    """y[...] = x, of one shape and type, where they do not overlap."""
    runs = as_runs(y, x, x) if x.size >= _PIECE and x.dtype.char in "fd" and x.flags.aligned else None
    if runs is None:
        y[...] = x
    else:
        elementwise(COPY, x, x, y, runs)


@njit()
def _join_share(t: Any, shares: int, places: Array, widths: Array, steps: Array, rows: int, y: Array) -> None:
    # Some rows of all arrays at a time, so that y is written piece by piece
    total = y.size // rows
    block = max(1, (1 << 14) // total)
    first, end = t * rows // shares, (t + 1) * rows // shares
    for row in range(first, end, block):
        count, to = min(block, end - row), row * total
        for k in range(places.size):
            width, step = U(widths[k]), U(steps[k])
            x = memory(places[k], row * steps[k], (count - 1) * steps[k] + widths[k], y)
            at, out = U(0), U(to)
            for _ in range(count):
                for e in range(width):
                    y[out + e] = x[at + e]
                at, out = at + step, out + U(total)
            to += widths[k]


@njit(parallel=True)
def _join(shares: int, places: Array, widths: Array, steps: Array, rows: int, y: Array) -> None:
    for t in prange(shares):
        _join_share(np.intp(t), shares, places, widths, steps, rows, y)


def join(xs: Sequence[Array], y: Array) -> bool:
    """Write arrays (rows, L_k) side by side to y (rows, sum of L_k), which is contiguous; False if an x has no runs."""
    one = y.itemsize
    if y.dtype.char not in "fd":
        return False
    for x in xs:
        if x.strides[1] != one or x.strides[0] < 0 or x.strides[0] % one or not x.flags.aligned:
            return False
    places = np.array([_address(x) for x in xs], np.intp)
    widths, steps = np.array([x.shape[1] for x in xs]), np.array([x.strides[0] // one for x in xs])
    with parallel():
        _join(threads(), places, widths, steps, len(y), y.reshape(-1))
    return True
