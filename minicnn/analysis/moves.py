"""The fields after linear maps that move elements: changes of shape, slices, padding, interpolation, windows ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from ..ops.fold import FOLD, UNFOLD
from ..ops.pad import CONSTANT, RESAMPLE
from ..ops.tensor.diagonal import DIAGONAL, TRIL, TRIU
from ..ops.tensor.expand import EXPAND
from ..ops.tensor.flip_roll import FLIP, ROLL, TILE, WINDOWS
from ..ops.tensor.indexing import SLICE
from ..ops.tensor.shape import PERMUTE, RESHAPE
from ..ops.tensor.strides import CLONE
from .fields import MOST, Ints, Shape, Side
from .graph import Operation
from .unions import EMPTY, written

Index = Sequence[Any]


def moved(operation: Operation, side: Side) -> Side:
    """Return the side after a `Map` or `View`; without a rule, every element depends on every other."""
    _, row, *arguments = operation.arguments
    rule, shape = MOVES.get(row), operation.outputs[0].shape
    return side.everywhere(shape) if rule is None else rule(side, shape, *arguments)


def returned(operation: Operation, before: Side | None, side: Side, shape: Shape) -> Side | None:
    """Return the side of the tensor of which an operation made a view, after that has the other side; None: unknown."""
    _, row, *arguments = operation.arguments
    if row is SLICE:
        return put(before, side, arguments[0], shape)
    if row is PERMUTE:
        return side.permuted([arguments[0].index(axis) for axis in range(len(shape))])
    return side.reshaped(shape) if row is RESHAPE else None


def put(before: Side | None, value: Side, index: Any, shape: Shape, add: bool = False) -> Side:
    """Return the side of a tensor of a shape with a value written, or added, at an index of ints, slices and None."""
    at = without_ellipsis(index, len(shape))
    sizes, rest = [], iter(shape)  # of the value, with 1 for each int
    for one in at:
        n = 1 if one is None else next(rest)
        sizes.append(len(range(*one.indices(n))) if isinstance(one, slice) else 1)
    value = value.expanded(tuple([n for n, one in zip(sizes, at, strict=True) if not _is_int(one)]))
    value = value.reshaped(tuple([n for n, one in zip(sizes, at, strict=True) if one is not None]))
    return written(before, value, [one for one in at if one is not None], shape, add)


def without_ellipsis(index: Any, rank: int) -> list[Any]:
    """Return an index with a slice for each axis that it leaves out."""
    at = [*index] if isinstance(index, tuple) else [index]
    used = sum(a is not None and a is not Ellipsis for a in at)
    place = at.index(Ellipsis) if Ellipsis in at else len(at)
    at[place : place + 1] = [slice(None)] * (rank - used)
    return at


def _is_int(one: Any) -> bool:
    return one is not None and not isinstance(one, slice)


def taken(side: Side, axis: int, places: Ints) -> Side:
    """Return the rows at `places` along an axis, in this order."""
    side = side if side.same(axis) else side.single(axis)
    found = side.gather(axis, places[:, None], step=_stride(places, side.shape[axis]))
    if found.same(axis) or not len(places):
        return found
    d = side.dims(axis).start
    if len(places) > 1 and side.begin.shape[d] > 1 and all((a == a.take([0], d)).all() for a in found.arrays):
        return found.pooled((axis,))  # these rows are all the same
    if side.even(axis):
        return replace(found, start=side.start + float(places[0]) * side.step(axis))
    by, at_end = (float(a.flat[0]) - float(b.flat[0]) for a, b in ((found.begin, side.begin), (found.end, side.end)))
    if by == at_end and math.isfinite(by):
        return replace(found, start=side.start + by)
    return found  # these channels see more, or less, than the first: the window has not moved


def _stride(places: Ints, rows: int) -> float:
    """Return the jump of the rows at `places` over that of all rows."""
    steps = np.diff(places)
    if not len(steps):
        return 1.0
    if (steps == steps[0]).all():
        return float(steps[0])
    return rows / len(places) if (steps >= 0).all() else float(np.median(steps))


def _slice(side: Side, shape: Shape, index: Any) -> Side:
    before = side.shape
    for axis, one in enumerate([a for a in without_ellipsis(index, len(before)) if a is not None]):
        rows = np.arange(before[axis])
        if _is_int(one):
            side = taken(side, axis, rows[one].reshape(1)).pooled((axis,)).resized(axis, 1)
        elif len(rows[one]) < len(rows):
            side = taken(side, axis, rows[one])
    return side.reshaped(shape)


def _pad(side: Side, shape: Shape, sizes: Sequence[tuple[int, int]], value: float) -> Side:
    for axis, (before, after) in enumerate(sizes):
        if before or after:
            side = _padded(side, axis, np.arange(-before, side.shape[axis] + after), before)
    return side


def _padded(side: Side, axis: int, places: Ints, before: int) -> Side:
    found = side.gather(axis, places[:, None])
    return replace(found, start=found.start - before * side.step(axis))


def _resample(side: Side, shape: Shape, axis: int, taps: Any, back: Any) -> Side:
    counts = np.diff(taps.start)
    places = np.zeros((taps.out, int(counts.max(initial=1))), np.int64)
    valid = np.arange(places.shape[1]) < counts[:, None]
    places[valid] = taps.column
    valid[valid] = taps.weight != 0
    before = _before(places, valid, side.shape[axis])
    return side.resampled(axis, places, valid) if before is None else _padded(side, axis, places[:, 0], before)


def _before(places: Ints, valid: Ints, rows: int) -> int | None:
    """Return how many rows come before the image's own, if it is only padded: all its rows are there in their order."""
    if places.shape[1] != 1 or not valid.all():
        return None
    column = places[:, 0]
    for before in range(len(column) - rows + 1):
        if np.array_equal(column[before : before + rows], np.arange(rows)):
            return before
    return None


def _flip(side: Side, shape: Shape, axes: Sequence[int]) -> Side:
    for axis in axes:
        side = taken(side, axis, np.arange(shape[axis])[::-1])
    return side


def _roll(side: Side, shape: Shape, shifts: Sequence[int], axes: Sequence[int]) -> Side:
    for axis, shift in zip(axes, shifts, strict=True):
        side = taken(side, axis, (np.arange(shape[axis]) - shift) % shape[axis])
    return side


def _tile(side: Side, shape: Shape, repeats: Sequence[int]) -> Side:
    sizes = (1,) * (len(shape) - len(side.groups)) + side.shape
    apart = side.reshaped(tuple(chain(*((1, n) for n in sizes))))
    return apart.expanded(tuple(chain(*zip(repeats, sizes, strict=True)))).reshaped(shape)


def _windows(side: Side, shape: Shape, axis: int, size: int, step: int) -> Side:
    """The windows along an axis, with the places in a window as a new last axis."""
    if not side.groups:
        return side.reshaped(shape)
    places = np.arange(shape[axis])[:, None] * step + np.arange(size)
    apart = taken(side, axis, places.ravel()).reshaped((*shape[: axis + 1], size, *shape[axis + 1 : -1]))
    order = [i for i in range(len(shape)) if i != axis + 1]
    return apart.permuted((*order, axis + 1))


def _lines(g: Any) -> list[tuple[int, int, Ints]]:
    """Return, for each side, its size, the number of places and the row of each place of each window, (K, OUT)."""
    sides = (g.h, g.kh, g.sh, g.ph, g.dh, g.oh), (g.w, g.kw, g.sw, g.pw, g.dw, g.ow)
    return [(n, k, np.arange(k)[:, None] * d + np.arange(out) * s - p) for n, k, s, p, d, out in sides]


def _unfold(side: Side, shape: Shape, g: Any) -> Side:
    """(N, C, H, W) -> (N, C*KH*KW, OH*OW)."""
    axis = len(side.groups) - 2
    for i, (_, _, line) in enumerate(_lines(g), axis):
        side = side.gather(i, line.reshape(-1, 1), step=float(line[0, -1] - line[0, 0]) / max(line.shape[1] - 1, 1))
    side = side.reshaped((*side.shape[:axis], g.kh, g.oh, g.kw, g.ow))
    return side.permuted((*range(axis), axis, axis + 2, axis + 1, axis + 3)).reshaped(shape)


def _fold(side: Side, shape: Shape, g: Any) -> Side:
    """(N, C*KH*KW, OH*OW) -> (N, C, H, W): each pixel is the sum over the windows in which it is."""
    axis = len(shape) - 2
    side = side.reshaped((*shape[:axis], g.kh, g.kw, g.oh, g.ow))
    side = side.permuted((*range(axis), axis, axis + 2, axis + 1, axis + 3))
    side = side.reshaped((*shape[:axis], g.kh * g.oh, g.kw * g.ow))
    for i, (n, _, line) in enumerate(_lines(g), axis):
        hits = line.ravel() == np.arange(n)[:, None]  # (rows, K*OUT)
        places = np.argsort(~hits, 1, kind="stable")[:, : int(hits.sum(1).max())]
        side = side.resampled(i, places, np.take_along_axis(hits, places, 1))
    return side


def _triangle(keep: Callable[..., Ints]) -> Callable[[Side, Shape, int], Side]:
    def rule(side: Side, shape: Shape, k: int) -> Side:
        """Elements outside the triangle are zeros."""
        mask, rank = keep(np.ones(shape[-2:], bool), k), len(shape)
        if mask.size > MOST:  # an upper bound
            return side
        side = side.single(rank - 2).single(rank - 1)
        return side.with_arrays([np.where(mask, a, nothing) for a, nothing in zip(side.arrays, EMPTY, strict=True)])

    return rule


def _diagonal(side: Side, shape: Shape, offset: int, a: int, b: int) -> Side:
    before = side.shape
    rest = [i for i in range(len(before)) if i not in (a, b)]
    side = side.permuted((*rest, a, b)).reshaped((*shape[:-1], before[a] * before[b]))
    first = max(-offset, 0) * before[b] + max(offset, 0)
    return taken(side, len(shape) - 1, first + np.arange(shape[-1]) * (before[b] + 1))


MOVES: dict[Any, Callable[..., Side]] = {
    CLONE: lambda side, shape, *_: side,
    RESHAPE: lambda side, shape, _: side.reshaped(shape),
    PERMUTE: lambda side, shape, order: side.permuted(order),
    EXPAND: lambda side, shape, _: side.expanded(shape),
    SLICE: _slice,
    FLIP: _flip,
    ROLL: _roll,
    TILE: _tile,
    WINDOWS: _windows,
    CONSTANT: _pad,
    RESAMPLE: _resample,
    UNFOLD: _unfold,
    FOLD: _fold,
    DIAGONAL: _diagonal,
    TRIL: _triangle(np.tril),
    TRIU: _triangle(np.triu),
}
