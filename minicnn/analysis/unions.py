"""Fields of several tensors as those of one: sums, tensors joined along an axis, and values written into a tensor."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from .fields import MOST, NONE, Ints, Shape, Side

EMPTY = (NONE, -1, np.inf, -np.inf)  # of elements that depend on no pixel
WIDER = (np.minimum, np.maximum, np.minimum, np.maximum)


def aligned(sides: Iterable[Side], axes: Iterable[int]) -> list[Side]:
    """Return the sides with the same parts along some axes."""
    found = list(sides)
    for axis in axes:
        if len({side.groups[axis] for side in found}) > 1:
            groups = [side.groups[axis] for side in found if not side.same(axis)] or [found[0].groups[axis]]
            found = [side.parted(axis, max(groups, key=len)) for side in found]
    return found


def _widest(arrays: Sequence[Ints], which: int) -> Ints:
    function: Any = WIDER[which]
    found: Ints = reduce(function, arrays)
    return found


def _limited(sides: list[Side]) -> list[Side]:
    """Return sides whose arrays do not become too large together: along long axes, each then depends on all."""
    while True:
        shape = np.broadcast_shapes(*[a.shape for side in sides for a in side.arrays])
        if math.prod(shape) <= MOST:
            return sides
        longest = int(np.argmax(shape))
        sides = [side.pooled_parts([longest]) for side in sides]


def nothing(shape: Shape) -> Side:
    """Return the side of a constant."""
    first, last, begin, end = (np.full((1,) * len(shape), a) for a in EMPTY)
    return Side(tuple([(n,) for n in shape]), first, last, begin, end, (0.0,) * len(shape))


def union(sides: Sequence[Side], shape: Shape) -> Side:
    """Return the side of a sum: each element depends on what the elements at its place of all terms depend on.

    Terms are broadcast to the shape; one whose window does not move, beside one whose does, is context.
    """
    given = [side for side in sides if not side.empty] or list(sides[:1])
    wide = [side.expanded(shape) for side in given]
    if len(wide) == 1:
        return wide[0]
    moves = [side.moves for side in wide]
    wide = _limited(aligned(wide, range(len(shape))))
    moving = [side for side, one in zip(wide, moves, strict=True) if one] or wide
    first, last = (_widest([side.arrays[i] for side in wide], i) for i in (0, 1))
    begin, end = (_widest([side.arrays[i] for side in moving], i) for i in (2, 3))
    jumps = tuple([_first(of) for of in zip(*[side.jumps for side in moving], strict=True)])
    context = any(side.context for side in wide) or len(moving) < len(wide)
    window = _window(moving)
    return Side(wide[0].groups, first, last, begin, end, jumps, **window, jump=moving[0].jump, context=context)


def joined(sides: Sequence[Side | None], sizes: Sequence[int], axis: int, shape: Shape) -> Side:
    """Return the side of tensors one after the other along an axis; None is one that depends on no pixel."""
    sides = [None if side is None or side.empty else side for side in sides]
    if not any(sides):
        return nothing(shape)
    real = aligned([side for side in sides if side is not None], [i for i in range(len(shape)) if i != axis])
    total, context = sum(sizes), any(side.context for side in real)
    if len(real) == len(sides) and all(side.same(axis) and _equal(side, real[0]) for side in real):
        return replace(real[0].resized(axis, total), **_window(real), context=context)
    real = [side.single(axis) for side in real]
    (d,) = real[0].dims(axis)
    jump = next((side.jumps[d] for side in real if side.jumps[d]), 0.0)
    moving = [side for side in real if side.moves] or real
    if not jump and len(moving) < len(real):  # channels whose window does not move are context
        context = True
        real = [s if s.moves else replace(s, begin=np.full_like(s.begin, np.inf), end=np.full_like(s.end, -np.inf))
                for s in real]  # fmt: skip
    line = [_broadcast([side.arrays[i] for side in real], {d}) for i in range(4)]
    if max(map(math.prod, line)) * total > MOST:
        return union([side.pooled((axis,)).resized(axis, total) for side in real], shape)
    left = iter(real)
    given = [EMPTY if side is None else next(left).arrays for side in sides]
    arrays = [
        np.concatenate(
            [np.broadcast_to(a[i], (*one[:d], n, *one[d + 1 :])) for a, n in zip(given, sizes, strict=True)], d
        )
        for i, one in enumerate(line)
    ]
    groups = tuple([(total,) if i == axis else group for i, group in enumerate(real[0].groups)])
    found = moving[0].with_arrays(arrays, groups=groups, context=context)
    window = _window(moving)
    if jump:  # along the axis
        first = next(i for i, side in enumerate(sides) if side is not None)
        even = real[0].begin.shape[d] > 1 and real[0].even(axis)
        window = {"start": real[0].start - jump * sum(sizes[:first]) * even, "size": max(s.size for s in real)}
    elif not moving[0].moves and (jump := _progress(found, d)):  # rows that were apart
        window = {"start": real[0].start, "size": max(s.size for s in real)}
    jumps = tuple([jump if i == d else _first(of) for i, of in enumerate(zip(*[s.jumps for s in moving], strict=True))])
    return replace(found, jumps=jumps, **window)


def _window(sides: Sequence[Side]) -> dict[str, Any]:
    """Return the start and the size of the window that holds those of all sides."""
    start = min(side.start for side in sides)
    return {"start": start, "size": max(side.start + side.size for side in sides) - start}


def _first(jumps: Iterable[float]) -> float:
    return next((jump for jump in jumps if jump), 0.0)


def _broadcast(arrays: Sequence[Ints], but: Container[int]) -> Shape:
    """Return the shape that arrays broadcast to, with 1 for some axes."""
    return np.broadcast_shapes(*[tuple([1 if d in but else n for d, n in enumerate(a.shape)]) for a in arrays])


def _equal(a: Side, b: Side) -> bool:
    return a.jumps == b.jumps and all(np.array_equal(x, y) for x, y in zip(a.arrays, b.arrays, strict=True))


def _progress(side: Side, d: int) -> float:
    """Return by how much the window moves from each place along a part to the next, if always as much; else 0."""
    others = tuple([i for i in range(side.begin.ndim) if i != d])
    begin, end = side.begin.min(others), side.end.max(others)
    if len(begin) < 2 or not (np.isfinite(begin) & np.isfinite(end)).all():
        return 0.0
    steps = np.diff(begin)
    return float(steps[0]) if (steps == steps[0]).all() and np.array_equal(steps, np.diff(end)) else 0.0


def written(before: Side | None, value: Side, at: Sequence[int | slice], shape: Shape, add: bool) -> Side:
    """Return the side of a tensor with a value written, or added, at an index: an int or a slice for each axis.

    Args:
        before: of the tensor before; None if it depends on no pixel.
        value: of the value, with an axis for each int, too.
    """
    before = None if before is None or before.empty else before
    lines = [slice(i % n, i % n + 1) if isinstance(i, int) else i for i, n in zip(at, shape, strict=True)]
    places = [range(*line.indices(n)) for line, n in zip(lines, shape, strict=True)]
    part = [axis for axis, n in enumerate(shape) if places[axis] != range(n)]
    value = value.expanded(tuple(map(len, places)))
    if not part:
        return union([before, value], shape) if add and before is not None else value
    both = aligned([value] if before is None else [value, before], [i for i in range(len(shape)) if i not in part])
    for axis in part:
        both = [side.single(axis) for side in both]
    value, old = both[0], both[1] if before is not None else None
    axes = {value.dims(axis).start: axis for axis in part}
    free = _broadcast([a for side in both for a in side.arrays], axes)
    whole = [shape[axes[d]] if d in axes else n for d, n in enumerate(free)]
    if math.prod(whole) > MOST:  # an upper bound
        value = value.pooled(part)
        for axis in part:
            value = value.resized(axis, shape[axis])
        return union([value] if old is None else [old, value], shape)
    index = tuple([lines[axes[d]] if d in axes else slice(None) for d in range(len(whole))])
    arrays = []
    for which, new in enumerate(value.arrays):
        a = np.array(np.broadcast_to(EMPTY[which] if old is None else old.arrays[which], whole))
        a[index] = WIDER[which](a[index], new) if add else new
        arrays.append(a)
    jumps = tuple([jump / places[axes[d]].step if d in axes else jump for d, jump in enumerate(value.jumps)])
    start = value.start - sum(places[axis].start * jumps[d] for d, axis in axes.items())
    found = value.with_arrays(
        arrays, jumps=jumps, start=start,
        groups=tuple([(n,) if axis in part else value.groups[axis] for axis, n in enumerate(shape)]),
    )  # fmt: skip
    if old is None:
        return found
    if value.empty:
        return old.with_arrays(arrays, groups=found.groups)
    sides = [side for side in (old, found) if side.moves] or [old, found]
    jumps = tuple([_first(of) for of in zip(*[side.jumps for side in sides], strict=True)])
    context = old.context or value.context or len(sides) == 1
    return replace(found, jumps=jumps, **_window(sides), jump=sides[0].jump, context=context)
