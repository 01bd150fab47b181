"""How one operation changes which pixels its result depends on: the rules behind `receptive_field`.

A `Side` describes one side of the image, height or width: for each element of a tensor the first and the last row (or
column) of the image that it depends on. A window operation (kernel K, stride S, padding P, dilation D) has

    first[i] = min over k of first[i S - P + k D]            k = 0 .. K - 1, where that row exists
    size' = size + (K - 1) D jump       jump' = jump S       start' = start - P jump

where the jump is the distance of neighbouring rows in pixels, and `start` the first row of the window of row 0, which
is negative if padding comes first.

The rows of (N, C, H, W) depend on the place along H alone, so the array of the height is (1, 1, H, 1). An axis that
a reshape made of others keeps them as its parts: the axis of (N H W, C) has the parts N, H and W, and its array is
(1, H, 1, 1). So nothing is lost when the axis is split again; only an operation along the axis needs it as one part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
MOST = 1 << 17  # elements whose fields are told apart
NONE = 2**40  # `first` of a row that depends on no pixel; its `last` is -1


@dataclass(frozen=True)
class Side:
    """One side of the fields of a tensor.

    Attributes:
        groups: for each axis of the tensor the sizes of its parts, whose product is the size of the axis.
        first, last: the exact first and last pixel that each element depends on, within the image. The arrays have an
            axis for each part, of size 1 if the place along it makes no difference.
        begin, end: those of the window: if the image went on beyond its edges and each padding saw pixels there, and
            without context.
        jumps: for each part how far the window moves from one place to the next: negative after a flip, 0 if it stays.
        start, size: of the moving window: see this file. Where channels see windows of their own, it holds them all.
        jump: the pixels that one step would move the window, if it fills a whole side and does not move any more.
        context: whether something that has seen a whole side was mixed in, as in squeeze-and-excitation. The fields are
            then larger than `size`.
    """

    groups: tuple[Shape, ...]
    first: Ints
    last: Ints
    begin: Ints
    end: Ints
    jumps: tuple[float, ...]
    start: float = 0.0
    size: float = 1.0
    jump: float = 1.0
    context: bool = False

    @staticmethod
    def of_input(shape: Shape, axis: int | None) -> Side:
        """Return the side of the image itself along an axis: each pixel depends on itself. None: it has one row."""
        along = [n if i == axis else 1 for i, n in enumerate(shape)]
        rows = np.arange(math.prod(along)).reshape(along)
        jumps = tuple([float(i == axis) for i in range(len(shape))])
        return Side(tuple([(n,) for n in shape]), rows, rows, rows.astype(float), rows.astype(float), jumps)

    @property
    def shape(self) -> Shape:
        """The shape of the tensor."""
        return tuple([math.prod(group) for group in self.groups])

    @property
    def parts(self) -> Shape:
        """The sizes of all parts."""
        return tuple([n for group in self.groups for n in group])

    def dims(self, axis: int) -> range:
        """Return the places of the parts of an axis."""
        begin = sum(map(len, self.groups[:axis]))
        return range(begin, begin + len(self.groups[axis]))

    @property
    def arrays(self) -> tuple[Ints, Ints, Ints, Ints]:
        """The four arrays."""
        return self.first, self.last, self.begin, self.end

    @property
    def placed(self) -> bool:
        """Whether elements at different places belong to different rows of the image."""
        return any(jump and n > 1 for jump, n in zip(self.jumps, self.parts, strict=True))

    @property
    def moves(self) -> bool:
        """Whether they have different windows, too; not if each depends on all of the side, as after attention."""
        sizes = zip(self.jumps, self.begin.shape, self.end.shape, strict=True)
        return any(jump and max(n, m) > 1 for jump, n, m in sizes)

    @property
    def empty(self) -> bool:
        """Whether no element depends on a pixel."""
        return bool(self.last.max(initial=-1) < 0)

    def same(self, axis: int) -> bool:
        """Return whether the place along an axis makes no difference."""
        return all(not self.jumps[d] and max([a.shape[d] for a in self.arrays]) == 1 for d in self.dims(axis))

    def step(self, axis: int) -> float:
        """Return how far the window moves along an axis from one place to the next, on average."""
        return _step(self.groups[axis], [self.jumps[d] for d in self.dims(axis)])

    def moving(self) -> list[int]:
        """Return the axes along which the window moves."""
        return [axis for axis in range(len(self.groups)) if any(self.jumps[d] for d in self.dims(axis))]

    def lying(self) -> list[int]:
        """Return the axes that the side lies along: those along which the window moves, from coarse to fine.

        Where a finer one comes first, as the channels of (N, C r r, H/r, W/r), its places are the parts of a cell.
        """
        found: list[int] = []
        extent = 0.0
        for axis in reversed(self.moving()):
            steps = [
                (abs(self.jumps[d]), self.parts[d]) for d in self.dims(axis) if self.jumps[d] and self.parts[d] > 1
            ]
            if steps and min(steps)[0] >= extent * (1 - 1e-6):
                found.insert(0, axis)
                extent = max(jump * n for jump, n in steps)
        return found or [axis for axis in self.moving() if self.shape[axis] == 1][-1:]

    def even(self, axis: int) -> bool:
        """Return whether the window moves by the same from each place along an axis of one part to the next."""
        (d,) = self.dims(axis)
        with np.errstate(invalid="ignore"):  # Inf - Inf, of rows without pixels
            return bool(np.allclose(np.diff(self.begin, axis=d), self.jumps[d]))

    def _each(self, function: Callable[[Ints], Ints], **changes: Any) -> Side:
        """Return the side with a function of its four arrays."""
        return self.with_arrays([function(a) for a in self.arrays], **changes)

    def with_arrays(self, arrays: Iterable[Ints], **changes: Any) -> Side:
        """Return the side with other arrays."""
        first, last, begin, end = arrays
        return replace(self, first=first, last=last, begin=begin, end=end, **changes)

    # ---------------------------------------------------------------------------------------------------------- parts

    def resized(self, axis: int, n: int, jump: float = 0.0) -> Side:
        """Return the side with another size of an axis along which the place makes no difference."""
        dims = self.dims(axis)
        i, j = dims.start, dims.stop
        groups = (*self.groups[:axis], (n,), *self.groups[axis + 1 :])
        jumps = (*self.jumps[:i], jump, *self.jumps[j:])
        if j - i == 1:
            return replace(self, groups=groups, jumps=jumps)
        return self._each(lambda a: a.reshape(*a.shape[:i], 1, *a.shape[j:]), groups=groups, jumps=jumps)

    def single(self, axis: int) -> Side:
        """Return the side with an axis as one part. If it is long, each place depends on all: an upper bound."""
        dims = self.dims(axis)
        if len(dims) == 1:
            return self
        i, j, n, sizes = dims.start, dims.stop, self.shape[axis], self.groups[axis]
        if any(math.prod(a.shape[:i] + a.shape[j:]) * n > MOST for a in self.arrays if max(a.shape[i:j]) > 1):
            return self.pooled((axis,)).resized(axis, n)

        def one(a: Ints) -> Ints:
            if max(a.shape[i:j]) == 1:
                return a.reshape(*a.shape[:i], 1, *a.shape[j:])
            whole = np.broadcast_to(a, (*a.shape[:i], *sizes, *a.shape[j:]))
            return whole.reshape(*a.shape[:i], n, *a.shape[j:])

        groups = (*self.groups[:axis], (n,), *self.groups[axis + 1 :])
        return self._each(one, groups=groups, jumps=(*self.jumps[:i], self.step(axis), *self.jumps[j:]))

    def reshaped(self, shape: Shape) -> Side:
        """Return the side of the same elements in another shape, in row-major order."""
        if shape == self.shape:
            return self
        if 0 in shape:
            return self.everywhere(shape)
        kept = [d for d, (n, jump) in enumerate(zip(self.parts, self.jumps, strict=True)) if n > 1 or jump]
        sizes = [self.parts[d] for d in kept]
        side = self._each(  # each part as an axis of its own
            lambda a: a.reshape([a.shape[d] for d in kept]),
            groups=tuple([(n,) for n in sizes]), jumps=tuple([self.jumps[d] for d in kept]),
        )  # fmt: skip
        counts: list[int] = []  # of the parts of each axis
        for n in shape:
            i, have = sum(counts), 1
            if n == 1 and side.parts[i : i + 1] != (1,):
                side = side._inserted(i)
            counts.append(int(n == 1))
            while have < n:
                end, total = i + counts[-1] + 1, have * side.parts[i + counts[-1]]
                if n % total and total % n:  # parts that do not fit are joined until they do
                    while total % n:
                        total, end = total * side.parts[end], end + 1
                    groups = (*side.groups[:i], tuple(side.parts[i:end]), *side.groups[end:])
                    side, counts[-1], have = replace(side, groups=groups).single(i), 0, 1
                if total > n:
                    side = side._split(i + counts[-1], (n // have, total // n))
                counts[-1], have = counts[-1] + 1, min(total, n)
        rest = len(side.parts) - sum(counts)  # parts of one row
        if not shape:
            return side._each(lambda a: a.reshape(()), groups=(), jumps=())
        counts[-1] += rest
        ends = np.cumsum(counts)
        return replace(side, groups=tuple([side.parts[e - c : e] for e, c in zip(ends, counts, strict=True)]))

    def _split(self, axis: int, sizes: Shape) -> Side:
        """Return the side with an axis of one part as several, where all axes have one part."""
        i, j = axis, axis + len(sizes)

        def several(a: Ints) -> Ints:
            if a.shape[i] == 1:
                return a.reshape(*a.shape[:i], *[1] * len(sizes), *a.shape[i + 1 :])
            return _compact(a.reshape(*a.shape[:i], *sizes, *a.shape[i + 1 :]), range(i, j))

        begin = np.broadcast_to(self.begin, (*self.begin.shape[:i], self.parts[i], *self.begin.shape[i + 1 :]))
        begin = begin.reshape(*begin.shape[:i], *sizes, *begin.shape[i + 1 :])
        inside = [self.jumps[i] * math.prod(sizes[k + 1 :]) for k in range(len(sizes))]
        jumps = [_slope(begin, i + k, inside[k]) if self.jumps[i] else 0.0 for k in range(len(sizes))]
        groups = (*self.groups[:i], *[(n,) for n in sizes], *self.groups[i + 1 :])
        return self._each(several, groups=groups, jumps=(*self.jumps[:i], *jumps, *self.jumps[i + 1 :]))

    def _inserted(self, axis: int) -> Side:
        """Return the side with one more axis, of size 1."""
        i = sum(map(len, self.groups[:axis]))
        groups, jumps = (*self.groups[:axis], (1,), *self.groups[axis:]), (*self.jumps[:i], 0.0, *self.jumps[i:])
        return self._each(lambda a: np.expand_dims(a, i), groups=groups, jumps=jumps)

    def permuted(self, order: Sequence[int]) -> Side:
        """Return the side with its axes in another order."""
        places = [d for axis in order for d in self.dims(axis)]
        groups, jumps = tuple([self.groups[axis] for axis in order]), tuple([self.jumps[d] for d in places])
        return self._each(lambda a: a.transpose(places), groups=groups, jumps=jumps)

    def expanded(self, shape: Shape) -> Side:
        """Return the side of the tensor broadcast to a shape."""
        side = self
        for _ in range(len(shape) - len(self.groups)):
            side = side._inserted(0)
        for axis, (have, n) in enumerate(zip(side.shape, shape, strict=True)):
            side = side if have == n else side.resized(axis, n)
        return side

    def parted(self, axis: int, sizes: Shape) -> Side:
        """Return the side with an axis in parts of these sizes."""
        if self.groups[axis] == sizes:
            return self
        shape = self.shape
        side = self.reshaped((*shape[:axis], *sizes, *shape[axis + 1 :]))
        for k in range(axis, axis + len(sizes)):
            side = side.single(k)
        return replace(side, groups=(*side.groups[:axis], sizes, *side.groups[axis + len(sizes) :]))

    # ---------------------------------------------------------------------------------------------------- many to one

    def pooled(self, axes: Iterable[int]) -> Side:
        """Return a side of which each element depends on all elements along some axes: a sum over them, or a product.

        The sizes of the axes remain.
        """
        return self.pooled_parts([d for axis in axes for d in self.dims(axis)])

    def pooled_parts(self, dims: Sequence[int]) -> Side:
        """Return the same for the places of some parts."""
        varied = tuple([d for d in dims if max([a.shape[d] for a in self.arrays]) > 1])
        moved = [abs(self.jumps[d]) * self.parts[d] for d in dims if self.jumps[d]]
        if not varied and not moved:
            return self
        found = replace(
            self,
            first=self.first.min(varied, keepdims=True, initial=NONE),
            last=self.last.max(varied, keepdims=True, initial=-1),
            begin=self.begin.min(varied, keepdims=True, initial=np.inf),
            end=self.end.max(varied, keepdims=True, initial=-np.inf),
            jumps=tuple([0.0 if d in dims else jump for d, jump in enumerate(self.jumps)]),
        )
        if not moved:
            return found
        if any(self.jumps[d] and self.parts[d] > 1 for d in dims):
            found = found.measured()._each(_compact)
        return replace(found, jump=max(moved))

    def measured(self) -> Side:
        """Return the side with the start and the size of the windows as they are."""
        seen = np.isfinite(self.begin) & np.isfinite(self.end)
        if not seen.any():
            return self
        length = np.subtract(self.end, self.begin, where=seen, out=np.zeros(seen.shape))
        start = self.begin.flat[0] if seen.flat[0] else self.start
        return replace(self, start=float(start), size=float(length.max()) + 1)

    def mixed(self, axes: Iterable[int]) -> Side:
        """Return a side of which each element depends on all others along some axes too, as after a normalisation."""
        dims = [d for axis in axes for d in self.dims(axis)]
        side = self.pooled_parts([d for d in dims if not self.jumps[d]])
        moving = tuple([d for d in dims if side.jumps[d] and side.parts[d] > 1])
        if not moving:
            return side
        first, last = side.first.min(moving, keepdims=True), side.last.max(moving, keepdims=True)
        return replace(side, first=first, last=last, context=True)

    def everywhere(self, shape: Shape) -> Side:
        """Return the side of a tensor of any shape in which each element depends on all of this one."""
        side = self.pooled(range(len(self.groups)))
        ones = (1,) * len(shape)
        groups, jumps = tuple([(n,) for n in shape]), (0.0,) * len(shape)
        return side._each(lambda a: a.reshape(ones), groups=groups, jumps=jumps)

    # ---------------------------------------------------------------------------------------------------- along an axis

    def gather(self, axis: int, places: Ints, valid: Ints | None = None, step: float = 1.0) -> Side:
        """Return a side whose row i along an axis depends on the rows `places[i]`, (rows, K), where `valid`.

        Places outside the rows exist if the image goes on beyond its edges. `step` is the new jump over the old one.
        Along an axis where the place makes no difference, rows without any place count as all others.
        """
        if self.same(axis):
            return self.resized(axis, len(places))
        side = self.single(axis)
        (i,) = side.dims(axis)
        rows, jump = side.parts[i], side.jumps[i]
        inside = (places >= 0) & (places < rows)
        exact = inside if valid is None else inside & valid
        known = np.ones_like(inside) if valid is None else valid
        near = places.clip(0, rows - 1)

        def at(a: Ints) -> Ints:  # (..., rows, K)
            return np.moveaxis(np.broadcast_to(a, (*a.shape[:i], rows, *a.shape[i + 1 :])), i, -1)[..., near]

        beyond = (places - near) * jump
        first = np.where(exact, at(side.first), NONE).min(-1, initial=NONE)
        last = np.where(exact, at(side.last), -1).max(-1, initial=-1)
        begin = np.where(known, at(side.begin) + beyond, np.inf).min(-1, initial=np.inf)
        end = np.where(known, at(side.end) + beyond, -np.inf).max(-1, initial=-np.inf)
        arrays = [np.moveaxis(a, -1, i) for a in (first, last, begin, end)]
        groups = (*side.groups[:axis], (len(places),), *side.groups[axis + 1 :])
        return side.with_arrays(arrays, groups=groups, jumps=(*side.jumps[:i], jump * step, *side.jumps[i + 1 :]))

    def window(self, axis: int, k: int, s: int, p: int, d: int, out: int) -> Side:
        """Return the side after a convolution or pooling along an axis."""
        if k == s == 1 and p == 0:
            return self
        found = self.gather(axis, np.arange(out)[:, None] * s - p + np.arange(k) * d, step=s)
        return found._grown(self, axis, -p, (k - 1) * d)

    def ranges(self, axis: int, begin: Ints, end: Ints) -> Side:
        """Return the side after windows of unequal sizes: window i has the rows begin[i] .. end[i] - 1."""
        most = int((end - begin).max(initial=0))
        places = begin[:, None] + np.arange(most)
        found = self.gather(axis, places, places < end[:, None], self.shape[axis] / max(len(begin), 1))
        return found._grown(self, axis, 0, most - 1)

    def _grown(self, before: Side, axis: int, first: int, rows: int) -> Side:
        """Return the side with the start and size of windows that go from the row `first` on over `rows` more."""
        jump = before.step(axis)
        if not jump and not before.same(axis):  # rows in any order
            return self.measured()
        start = self.start + first * jump + min(rows * jump, 0.0)
        return replace(self, start=start, size=self.size + abs(rows * jump))

    def transposed(self, axis: int, k: int, s: int, p: int, d: int, out: int) -> Side:
        """Return the side after a transposed convolution: row j gets the rows i with j = i s - p + t d, t < k."""
        reach = np.arange(out)[:, None] + p - np.arange(k) * d
        return self.gather(axis, reach // s, reach % s == 0, 1 / s).measured()

    def resampled(self, axis: int, places: Ints, valid: Ints) -> Side:
        """Return the side after an interpolation."""
        return self.gather(axis, places, valid, self.shape[axis] / max(len(places), 1)).measured()


def _compact(a: Ints, axes: Iterable[int] | None = None) -> Ints:
    """Return an array with size 1 along axes along which it does not change."""
    for axis in range(a.ndim) if axes is None else axes:
        one = a.take([0], axis)
        a = one if a.shape[axis] > 1 and (a == one).all() else a
    return a


def _step(sizes: Shape, jumps: Sequence[float]) -> float:
    """Return the mean jump along an axis of these parts: that of the innermost part along which the window moves."""
    inner = 1
    for n, jump in zip(reversed(sizes), reversed(jumps), strict=True):
        if jump and n > 1:
            return jump / inner
        inner *= n
    return max(jumps, key=abs) if inner == 1 else 0.0


def _slope(begin: Ints, axis: int, otherwise: float) -> float:
    """Return the mean difference of neighbours along an axis."""
    with np.errstate(invalid="ignore"):  # Inf - Inf, of rows without pixels
        steps = np.diff(begin, axis=axis)
    steps = steps[np.isfinite(steps)]
    return float(steps.mean()) if steps.size else otherwise
