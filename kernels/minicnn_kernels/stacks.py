"""Stacks of matrices for the rows "cuda" of `matmul`, where NumPy and Numba leave a stack to BLAS, matrix by matrix.

    y[..., i, j] = sum_k a[..., i, k] b[..., k, j]        a (..., M, K), b (..., K, N), y (..., M, N)

The leading axes broadcast: an axis that an operand does not have, or has with size 1, takes no steps in its memory, so
that nothing is copied. A gradient has to be summed over the axes that were broadcast: there, y has no axis or one of
size 1, and the sum over that axis is a part of the sum over k.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arrays import Array, contiguous, xp
from .cuda import Axis, Stack
from .gemm import Operand, axis, gemm_cuda
from .geometry import Shape
from .layout import empty_beside


class _Level(NamedTuple):
    """A leading axis: its size, and how far apart its matrices are in a, b and y."""

    size: int
    steps: tuple[int, ...]


def stacks_cuda(a: Array, b: Array, shape: Shape) -> Array:
    """The products of a and b, summed to `shape` over the leading axes that it lacks or has with size 1."""
    y = empty_beside(a, shape)
    if not y.size:
        return y
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = _dense(a), _dense(b)
    kept, summed = _levels(lead, a, b, y)
    if len(kept) > 3 or len(summed) > 2:  # more than an `Axis` has room for
        a, b, kept, summed = _copied(lead, a, b, y)
    (m, k), n = a.shape[-2:], b.shape[-1]
    left = Stack(0, _axis(kept, 0), axis(m, _step(a, -2)), _terms(summed, 0, k, _step(a, -1)))
    right = Stack(0, _axis(kept, 1), _terms(summed, 1, k, _step(b, -2)), axis(n, _step(b, -1)))
    batches, times = (math.prod([level.size for level in levels]) for levels in (kept, summed))
    to = Operand(y, Stack(0, _axis(kept, 2), axis(m, n), axis(n, 1)))
    gemm_cuda((m, n, k * times), Operand(a, left), Operand(b, right), to, batches=batches)
    return y


def _dense(x: Array) -> Array:
    """x without the copies that a stride of 0 makes, copied if there are gaps, or if no side of a matrix is a run."""
    x = x[tuple([slice(1 if step == 0 else None) for step in x.strides[:-2]])]
    order = sorted(range(x.ndim), key=lambda i: -x.strides[i])
    run = x.itemsize in x.strides[-2:]
    return x if run and x.transpose(order).flags.c_contiguous else contiguous(x)


def _step(x: Array, i: int) -> int:
    """How many elements the numbers along an axis are apart; 0 if there is one, or if the axis is missing."""
    return x.strides[i] // x.itemsize if -i <= x.ndim and x.shape[i] > 1 else 0


def _levels(lead: Shape, a: Array, b: Array, y: Array) -> tuple[list[_Level], list[_Level]]:
    """The leading axes that y keeps, and those that are summed; the innermost first, with as few levels as possible."""
    kept: list[_Level] = []
    summed: list[_Level] = []
    for i in range(-3, -3 - len(lead), -1):
        size = lead[i + 2]
        if size == 1:
            continue
        there = -i <= y.ndim and y.shape[i] == size
        steps = tuple(_step(x, i) for x in (a, b, y))
        levels = kept if there else summed
        inner = levels[-1] if levels else None
        if inner and steps == tuple(inner.size * step for step in inner.steps):
            levels[-1] = _Level(size * inner.size, inner.steps)
        else:
            levels.append(_Level(size, steps))
    return kept, summed


def _copied(lead: Shape, a: Array, b: Array, y: Array) -> tuple[Array, Array, list[_Level], list[_Level]]:
    """a and b with all their copies, (kept, summed, ., .), and the two levels."""
    mine = (1,) * (len(lead) + 2 - y.ndim) + y.shape[:-2]
    order = sorted(range(len(lead)), key=lambda i: mine[i] != lead[i])  # the axes that y keeps, in their order, first
    rows = math.prod(mine)
    found = [xp(x).broadcast_to(x, (*lead, *x.shape[-2:])).transpose(*order, -2, -1) for x in (a, b)]
    a, b = (contiguous(x).reshape(rows, -1, *x.shape[-2:]) for x in found)  # -> (kept, summed, M, K), (.., .., K, N)
    sizes = a.shape[-2] * a.shape[-1], b.shape[-2] * b.shape[-1]
    times = a.shape[1]
    kept = _Level(rows, (times * sizes[0], times * sizes[1], y.shape[-2] * y.shape[-1]))
    return a, b, [kept], [_Level(times, (*sizes, 0))]


def _axis(levels: list[_Level], i: int) -> Axis:
    """Where the matrices of operand i begin."""
    sizes, steps = [level.size for level in levels] + [1, 1], [level.steps[i] for level in levels] + [0, 0, 0]
    return Axis(sizes[0], sizes[1], *steps[:3])


def _terms(levels: list[_Level], i: int, k: int, step: int) -> Axis:
    """The terms of a sum: K in each matrix of operand i, and all matrices that are summed."""
    steps = [level.steps[i] for level in levels] + [0, 0]
    return Axis(max(1, k), levels[0].size if levels else 1, step, *steps[:2])
