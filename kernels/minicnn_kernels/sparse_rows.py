"""Sparse matrices for interpolation and padding along one axis: which inputs an output is made of, and their weights.

With s = IN/OUT (or the reciprocal of a given scale; (IN - 1)/(OUT - 1) with align_corners), output pixel o lies at

    p = s*(o + 1/2) - 1/2            pixels are squares; the corners of both images coincide
    p = s*o                          align_corners: pixels are points; the first ones coincide, and the last ones

of the input. Then, with i = floor(p) and f = p - i,

    nearest          x[floor(s*o)]
    nearest-exact    x[floor(s*(o + 1/2))]
    linear           (1 - f) x[i] + f x[i+1]                               p at least 0; the last x is repeated
    cubic            sum_k c(k - f) x[i+k], k = -1..2, c Keys' function with a = -3/4    both end values are repeated
    area             the mean of x over floor(IN*o/OUT) .. ceil(IN*(o + 1)/OUT) - 1

With antialias (linear, and cubic with a = -1/2), the function is stretched by max(s, 1), so that every input counts. It
is cut off at the ends, and its weights are divided by their sum, as Pillow does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .arrays import Array


class Taps(NamedTuple):
    """A matrix (OUT, IN) by rows: row o has `weight[k]` in column `column[k]` for k = start[o] .. start[o+1] - 1.

    Two of them are equal if they are the same object, so that a `Taps` can be a key of what was made from it.
    """

    size: int  # IN
    start: Array  # (OUT + 1,) int64
    column: Array  # (K,) int64
    weight: Array  # (K,) float64

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def out(self) -> int:
        """OUT."""
        return self.start.size - 1

    def transposed(self) -> Taps:
        """The matrix (IN, OUT)."""
        rows = np.repeat(np.arange(self.out), np.diff(self.start))
        order = np.argsort(self.column, kind="stable")
        start = np.concatenate(([0], np.cumsum(np.bincount(self.column, minlength=self.size))))
        return Taps(self.out, start, rows[order], self.weight[order])

    def merged(self) -> Taps:
        """The same matrix with at most one weight for each pair of output and input.

        Pixels beyond an edge are repeated, so an output may have several weights for one input; these are added up.
        """
        rows = np.repeat(np.arange(self.out), np.diff(self.start))
        places, inverse = np.unique(rows * self.size + self.column, return_inverse=True)
        start = np.searchsorted(places, np.arange(self.out + 1) * self.size)
        return Taps(self.size, start, places % self.size, np.bincount(inverse, self.weight))


def of_rows(size: int, column: Array, weight: Array) -> Taps:
    """Taps from columns and weights (OUT, T), the same number for each output."""
    out, count = column.shape
    return Taps(size, np.arange(out + 1) * count, column.reshape(-1).astype(np.int64), weight.reshape(-1) * 1.0)


# ------------------------------------------------------------------------------------------------------ interpolation


@functools.lru_cache(256)
def interpolation(
    mode: str, size: int, out: int, scale: float | None = None, align_corners: bool = False, antialias: bool = False
) -> tuple[Taps, Taps]:
    """The taps of a mode ("nearest", "nearest-exact", "linear", "cubic", "area"), and the taps of the transpose."""
    if mode == "area":
        taps = _area(size, out)
    elif mode.startswith("nearest"):
        taps = _nearest(size, out, scale, exact=mode == "nearest-exact")
    else:
        step = (size - 1) / max(out - 1, 1) * (out > 1) if align_corners else 1 / scale if scale else size / out
        if size == out and (antialias or mode == "linear"):  # the identity, as in PyTorch, whatever the scale
            taps = of_rows(size, np.arange(out)[:, None], np.ones((out, 1)))
        elif antialias:
            function, radius = (_tent, 1) if mode == "linear" else (functools.partial(keys, a=-0.5), 2)
            taps = _stretched(size, out, step, function, radius)
        else:
            at = np.arange(out)
            p = at * step if align_corners else (at + 0.5) * step - 0.5
            taps = _linear(size, p) if mode == "linear" else _cubic(size, p)
    return taps, taps.transposed()


def _area(size: int, out: int) -> Taps:
    first = [o * size // out for o in range(out)]
    end = [-(-(o + 1) * size // out) for o in range(out)]
    return _runs(size, [(a, np.full(b - a, 1 / (b - a))) for a, b in zip(first, end, strict=True)])


def _runs(size: int, rows: list[tuple[int, Array]]) -> Taps:
    """Taps from, for each output, its first input and the weights of this input and the ones after it."""
    start = np.cumsum([0, *(weight.size for _, weight in rows)])
    column = [np.arange(first, first + weight.size) for first, weight in rows] or [np.zeros(0, np.int64)]
    return Taps(size, start, np.concatenate(column), np.concatenate([np.zeros(0), *(weight for _, weight in rows)]))


def _nearest(size: int, out: int, scale: float | None, exact: bool) -> Taps:
    # In float32 as in PyTorch: where s*o is a whole number except for rounding, the rounding decides which pixel it is.
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(out)
    at = np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return of_rows(size, np.minimum(np.floor(at * step).astype(np.int64), size - 1)[:, None], np.ones((out, 1)))


def _linear(size: int, p: Array) -> Taps:
    p = np.maximum(p, 0)
    i = np.minimum(p.astype(np.int64), size - 1)
    f = np.clip(p - i, 0, 1)
    return of_rows(size, np.stack((i, np.minimum(i + 1, size - 1)), 1), np.stack((1 - f, f), 1))


def _cubic(size: int, p: Array) -> Taps:
    i = np.floor(p).astype(np.int64)
    k = np.arange(-1, 3)
    weight = keys(k - (p - i)[:, None], a=-0.75)  # (OUT, 4)
    return of_rows(size, np.clip(i[:, None] + k, 0, size - 1), weight)


def keys(t: Any, a: float) -> Any:
    """Keys' cubic: (a+2)|t|^3 - (a+3)t^2 + 1 up to 1, a|t|^3 - 5a t^2 + 8a|t| - 4a up to 2, then 0."""
    t = np.abs(t)
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((t - 5) * t + 8) * t * a - 4 * a
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def _tent(t: Any) -> Any:
    return np.maximum(1 - np.abs(t), 0)


def _stretched(size: int, out: int, step: float, function: Callable[[Any], Any], radius: int) -> Taps:
    """The taps of a function that is 0 beyond `radius`, stretched by the step if the step is above 1."""
    wide = max(step, 1.0)
    rows = []
    for o in range(out):
        centre = step * (o + 0.5)
        first = max(int(centre - radius * wide + 0.5), 0)
        end = min(int(centre + radius * wide + 0.5), size)
        weight = function((np.arange(first, end) - centre + 0.5) / wide)
        total = weight.sum()
        rows.append((first, weight / total if total else weight))
    return _runs(size, rows)


# ------------------------------------------------------------------------------------------------------------ padding


@functools.lru_cache(256)
def padding(mode: str, size: int, before: int, after: int) -> tuple[Taps, Taps]:
    """The taps of padding ("reflect", "replicate", "circular") by `before` and `after`, and those of the transpose.

    A negative number crops.
    """
    at = np.arange(-before, size + after)
    if mode == "reflect":
        at = np.abs(at)
        at = np.where(at < size, at, 2 * (size - 1) - at)
    elif mode == "replicate":
        at = np.clip(at, 0, size - 1)
    else:  # circular: around the part that cropping leaves
        first = max(0, -before)
        at = first + (at - first) % max(1, size - first - max(0, -after))
    taps = of_rows(size, at[:, None], np.ones((at.size, 1)))
    return taps, taps.transposed()
