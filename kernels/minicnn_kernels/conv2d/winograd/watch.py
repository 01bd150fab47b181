"""How tiles that Winograd's transforms would round too much are found, while the tiles are transformed.

`weak_tiles.py` says which tiles these are and how they are computed.

Magnitudes are compared as integers: the bits of positive floating-point numbers, read as integers, have the order of
the numbers, with Inf and NaN above all others, and a factor of 2^k between two numbers is a difference of k in the
exponent. The loop for the largest of integers is vectorised; that for floating-point numbers, which may be NaN, is not.

The test of a strip of tiles is cheap, and may call a good strip suspicious. Each 3x3 window in a tile of 6x6 contains
one of the four pixels in the middle, so if these four are large, every window has a large pixel.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array, U
from ...geometry import Conv
from ...layout import dense, flat, is_channels_last
from ...runtime import njit, parallel, prange, threads, workspace

RANGE = 32.0  # how many times larger the largest pixel of a tile may be than the largest that an output sees
SMALL, LARGE = 2.0**-80, 2.0**100  # tiles outside this range are checked again, with the size of the weights


class Watch(NamedTuple):
    """The arrays with which a kernel looks for such tiles."""

    bits: Array  # the scratch memory of each share, as integers
    limits: Array  # see `_limits`
    seen: Array  # for each share: the largest magnitude of a suspicious strip, and that of the weights


@functools.cache
def _limits(dtype: Any) -> Array:
    """As integers: all bits but the sign, a factor of RANGE, and the smallest and largest pixel of a good tile."""
    kind, mantissa = (np.int32, 23) if dtype.itemsize == 4 else (np.int64, 52)
    bounds = np.array([SMALL, LARGE], dtype).view(kind)
    return np.array([np.iinfo(kind).max, int(np.log2(RANGE)) << mantissa, *bounds], kind)


def watch(rows: Array) -> Watch:
    """A `Watch` for a kernel whose shares use the rows of `rows` as scratch memory; call it inside `parallel()`."""
    limits = _limits(rows.dtype)
    seen = workspace("winograd seen", 2, limits.dtype)
    seen[:] = 0
    return Watch(rows.view(limits.dtype), limits, seen)


def noted(w: Watch, dtype: Any) -> tuple[bool, float]:
    """Whether a tile is suspicious, and the largest magnitude of the weights."""
    strip, weights = _most(w.seen)
    return bool(strip), float(w.seen.dtype.type(weights).view(dtype))


@njit()
def _most(seen: Array) -> tuple[Any, Any]:
    # The largest of all shares
    strip, weights = seen[0, 0], seen[0, 1]
    for t in range(1, seen.shape[0]):
        strip, weights = max(strip, seen[t, 0]), max(weights, seen[t, 1])
    return strip, weights


@njit()
def largest(bits: Array, every: Any, at: int, count: int) -> Any:
    """The largest magnitude of `count` numbers; `every` has all bits but the sign."""
    kind, start = bits.dtype.type, U(at)
    most = kind(0)
    for k in range(U(count)):
        most = max(most, kind(bits[start + k] & every))
    return most


@njit()
def look(bits: Array, limits: Array, m: int, tiles: int, count: int, rows: int, columns: int, seen: Array) -> None:
    """Note in seen[0] if one of `tiles` tiles side by side, gathered to `bits` by `input_strip`, may be weak.

    Args:
        rows: how many rows of y the tiles give.
        columns: the number of columns of y from the first tile on.
    """
    lane, every = tiles + 1, limits[0]
    most = bits.dtype.type(0)
    for a in range(m + 2):
        for r in range(m):
            run = (tiles + 1 if r < 2 else tiles) * count
            most = max(most, largest(bits, every, (a * m + r) * lane * count, run))
    if most == 0:
        return
    if most < limits[2] or most > limits[3]:
        seen[0] = most
        return
    for j in range(tiles):
        wide = min(m, columns - j * m)
        for a in range(min(2, rows - 1), rows):
            for k in range(j * m + min(2, wide - 1), j * m + wide):
                at = ((a * m + k % m) * lane + k // m) * count
                if largest(bits, every, at, count) < most - limits[1]:
                    seen[0] = most
                    return


@njit()
def _peaks_share(t: Any, shares: int, x: Array, every: Any, peaks: Array, g: Conv, channels_last: bool) -> None:
    # A task is a row of an image.
    cg = g.c // g.groups
    for task in range(t * g.n * g.h // shares, (t + 1) * g.n * g.h // shares):
        n, p = task // g.h, task % g.h
        for group in range(g.groups):
            to = U(((n * g.groups + group) * g.h + p) * g.w)
            if channels_last:
                at = (n * g.h + p) * g.w * g.c + group * cg
                for q in range(g.w):
                    peaks[to + U(q)] = largest(x, every, at + q * g.c, cg)
                continue
            for q in range(U(g.w)):
                peaks[to + q] = 0
            for c in range(cg):
                start = U(((n * g.c + group * cg + c) * g.h + p) * g.w)
                for q in range(U(g.w)):
                    peaks[to + q] = max(peaks[to + q], x.dtype.type(x[start + q] & every))


@njit(parallel=True)
def _peaks(shares: int, x: Array, every: Any, peaks: Array, g: Conv, channels_last: bool) -> None:
    for t in prange(shares):
        _peaks_share(np.intp(t), shares, x, every, peaks, g, channels_last)


def peaks_numba(x: Array, g: Conv) -> Array:
    """(N, G, H, W): the largest magnitude of each pixel, over the channels of each group."""
    x, limits = dense(x), _limits(x.dtype)
    peaks = np.empty((g.n, g.groups, g.h, g.w), x.dtype)
    with parallel():
        bits = flat(x).view(limits.dtype)
        _peaks(threads(), bits, limits[0], peaks.reshape(-1).view(limits.dtype), g, is_channels_last(x))
    return peaks
