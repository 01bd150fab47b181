"""Depthwise convolution, compiled, in bands of rows. The mathematics is in `depthwise/__init__.py`.

The arrays are channels last, with as many channels on both sides. A row of results is computed in pieces: the pixels
whose windows lie inside the image, all in one go, and each pixel beside them, whose window loses some filter columns.
Of a row near the top or the bottom, the windows lose some filter rows. What is left is always a rectangle of filter
cells, and the loops of `tile.py` go over it.

**One loop for y and gx.** gx[p] gets contributions through those filter rows a for which p + PH - a*DH is a multiple
of SH. These depend only on the *phase* (p + PH) % SH. All rows of one phase, next to each other, are a convolution of
gy with stride 1, with every SH / gcd(SH, DH)-th filter row, in reverse order. The same holds for columns. So both
passes are sets of `Axis`: one for y, one for each phase of gx.

Call all functions inside `with parallel():`.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...geometry import Conv
from ...layout import flat
from ...runtime import njit, prange, threads, workspace
from .tile import filtered, lanes, summed


class Axis(NamedTuple):
    """The rows, or the columns, of one phase: result u sums over taps k, at place u*stride - pad + k*dilation of the
    source.
    """

    results: int  # their number
    first: int  # where result 0 is written
    step: int  # from result to result, where they are written
    size: int  # of the source
    stride: int
    pad: int
    dilation: int
    taps: int
    tap: int  # of the filter, tap 0 here
    tap_step: int  # in the filter, from tap to tap
    low: int  # the first result with all taps
    high: int  # after the last one


def _axis(
    count: int, first: int, step: int, size: int, stride: int, pad: int, dilation: int, taps: int, tap: int,
    tap_step: int,
) -> Axis:  # fmt: skip
    low = max(0, -(-pad // stride))
    high = (size - 1 + pad - (taps - 1) * dilation) // stride + 1 if taps else count
    low = min(low, count)
    return Axis(count, first, step, size, stride, pad, dilation, taps, tap, tap_step, low, max(low, min(count, high)))


def _of_gradient(x: int, y: int, kernel: int, stride: int, pad: int, dilation: int) -> list[Axis]:
    """The phases of gx along one side, in the order of their first places."""
    axes, each = [], stride // math.gcd(stride, dilation)
    for first in range(min(stride, x)):
        phase, v = (first + pad) % stride, (first + pad) // stride
        taps = [a for a in range(kernel) if a * dilation % stride == phase]
        # place v + u of gx gets tap a from place v + u - (a*dilation - phase) / stride of gy
        shifts = [(a * dilation - phase) // stride for a in taps]
        between, most, tap = dilation * each // stride, shifts[-1] if taps else 0, taps[-1] if taps else 0
        axes.append(_axis(-(-(x - first) // stride), first, stride, y, 1, most - v, between, len(taps), tap, -each))
    return axes


Group = tuple[int, ...]  # an element for each input channel of a group, which has as many output channels


def _group(g: Conv) -> Group:
    return (0,) * (g.c // g.groups)


Axes = tuple[Array, Array]  # the phases of rows and of columns: (phases, 12), each line an `Axis`


@functools.lru_cache(1024)
def _forward_axes(g: Conv) -> Axes:
    rows = _axis(g.oh, 0, 1, g.h, g.sh, g.ph, g.dh, g.kh, 0, 1)
    columns = _axis(g.ow, 0, 1, g.w, g.sw, g.pw, g.dw, g.kw, 0, 1)
    return np.array([rows], np.intp), np.array([columns], np.intp)


@functools.lru_cache(1024)
def _gradient_axes(g: Conv) -> Axes:
    rows = _of_gradient(g.h, g.oh, g.kh, g.sh, g.ph, g.dh)
    columns = _of_gradient(g.w, g.ow, g.kw, g.sw, g.pw, g.dw)
    return np.array(rows, np.intp).reshape(-1, 12), np.array(columns, np.intp).reshape(-1, 12)


@njit()
def _axis_of(phases: Array, i: int) -> Axis:
    a = phases[i]
    return Axis(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11])


@njit()
def _taps_inside(u: int, axis: Axis) -> tuple[int, int]:
    """The first tap of result u that lies inside the source, and the end of them."""
    start, dilation = u * axis.stride - axis.pad, axis.dilation
    first = (-start + dilation - 1) // dilation if start < 0 else 0
    end = (axis.size - start + dilation - 1) // dilation if start < axis.size else 0
    end = min(end, axis.taps)
    return min(first, end), end


@njit()
def _end_of_piece(axis: Axis, u: int) -> int:
    """The end of the piece of results, all with the same taps, that begins at result u."""
    return axis.high if axis.low <= u < axis.high else u + 1


@njit()
def _filter_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, c: int, wide: int, images: int, bands: int,
    height: int, width: int, kw: int, rows: Array, columns: Array, group: Group,
) -> None:  # fmt: skip
    # `height` and `width` are those of y
    size_of_cell = len(group) * c
    for task in range(t * images * bands // shares, (t + 1) * images * bands // shares):
        n, band = task // bands, task % bands
        for p in range(band * height // bands, (band + 1) * height // bands):
            row = _axis_of(rows, p % rows.shape[0])
            u = (p - row.first) // row.step
            a0, a1 = _taps_inside(u, row)
            line = n * row.size + u * row.stride - row.pad + a0 * row.dilation
            for phase in range(columns.shape[0]):
                column = _axis_of(columns, phase)
                size, taps = column.size, (row.tap + a0 * row.tap_step) * kw + column.tap
                v = 0
                while v < column.results:
                    end = _end_of_piece(column, v)
                    e0, e1 = _taps_inside(v, column)
                    at = (line * size + v * column.stride - column.pad + e0 * column.dilation) * c
                    to = ((n * height + p) * width + column.first + v * column.step) * c
                    cell = (taps + e0 * column.tap_step) * size_of_cell
                    filtered(
                        wide, c, end - v, x, at, column.stride * c,
                        a1 - a0, row.dilation * size * c, e1 - e0, column.dilation * c,
                        w, cell, row.tap_step * kw * size_of_cell, column.tap_step * size_of_cell,
                        b, y, to, column.step * c, group,
                    )  # fmt: skip
                    v = end


@njit(parallel=True)
def _filter(
    shares: int, x: Array, w: Array, b: Array, y: Array, c: int, wide: int, images: int, bands: int, height: int,
    width: int, kw: int, rows: Array, columns: Array, group: Group,
) -> None:  # fmt: skip
    for t in prange(shares):
        _filter_share(np.intp(t), shares, x, w, b, y, c, wide, images, bands, height, width, kw, rows, columns, group)


def _bands(images: int, height: int) -> int:
    """The number of bands into which an image is cut: enough for all threads."""
    return max(1, min(height, -(-4 * threads() // max(1, images))))


def _correlate(x: Array, w: Array, b: Array, y: Array, g: Conv, axes: Axes) -> None:
    images, c, height, width = y.shape
    wide, bands = lanes(x.itemsize), _bands(images, height)
    _filter(threads(), flat(x), w, b, flat(y), c, wide, images, bands, height, width, g.kw, *axes, _group(g))


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Conv) -> None:
    """Compute y; w is (KH*KW, C/G, O), flat."""
    bias = np.zeros(y.shape[1], x.dtype) if b is None else b
    _correlate(x, w, bias, y, g, _forward_axes(g))


def backward_x(gy: Array, w: Array, gx: Array, g: Conv) -> None:
    """Compute gx; w is (KH*KW, O/G, C), flat."""
    _correlate(gy, w, np.zeros(gx.shape[1], gy.dtype), gx, g, _gradient_axes(g))


@njit()
def _sum_share(
    t: Any, shares: int, gy: Array, x: Array, sums: Array, c: int, wide: int, images: int, bands: int, kh: int, kw: int,
    rows: Array, columns: Array, group: Group,
) -> None:  # fmt: skip
    # sums[t] is gw as (KH*KW, C/G, vectors, lanes); the last vector may overlap the one before
    row, column = _axis_of(rows, 0), _axis_of(columns, 0)
    vectors = (c + wide - 1) // wide
    pitch, size_of_cell = vectors * wide, vectors * wide * len(group)
    starts, to = np.empty(kh * kw, np.intp), np.empty(kh * kw, np.intp)
    sums[t, : kh * kw * size_of_cell] = 0
    for task in range(t * images * bands // shares, (t + 1) * images * bands // shares):
        n, band = task // bands, task % bands
        for i in range(band * row.results // bands, (band + 1) * row.results // bands):
            a0, a1 = _taps_inside(i, row)
            line, v = n * row.size + i * row.stride - row.pad, 0
            while v < column.results:
                end = _end_of_piece(column, v)
                e0, e1 = _taps_inside(v, column)
                found, left = 0, v * column.stride - column.pad
                for a in range(a0, a1):
                    for e in range(e0, e1):
                        under = (line + a * row.dilation) * column.size + left + e * column.dilation  # first pixel
                        starts[found], to[found] = under * c, (a * kw + e) * size_of_cell
                        found += 1
                up = ((n * row.results + i) * column.results + v) * c
                summed(c, end - v, gy, up, c, x, starts, column.stride * c, sums[t], to, found, pitch, group)
                v = end


@njit(parallel=True)
def _sum(
    shares: int, gy: Array, x: Array, sums: Array, c: int, wide: int, images: int, bands: int, kh: int, kw: int,
    rows: Array, columns: Array, group: Group,
) -> None:  # fmt: skip
    for t in prange(shares):
        _sum_share(np.intp(t), shares, gy, x, sums, c, wide, images, bands, kh, kw, rows, columns, group)


@njit()
def _gather(shares: int, sums: Array, gw: Array, c: int, wide: int, size: int, cells: int) -> None:
    """Add up the sums of the shares, in their order: (KH*KW, C/G, vectors, lanes) -> gw (O, C/G, KH*KW)."""
    pitch = (c + wide - 1) // wide * wide
    for o in range(c):
        place = pitch - c + o if o >= c // wide * wide else o
        for k in range(size * cells):
            at = (k % cells * size + k // cells) * pitch + place
            total = sums[0, at]
            for t in range(1, shares):
                total += sums[t, at]
            gw[o * size * cells + k] = total


def backward_w(gy: Array, x: Array, gw: Array, g: Conv) -> None:
    """Compute gw, flat."""
    c, wide, bands, group, shares = x.shape[1], lanes(x.itemsize), _bands(g.n, g.oh), _group(g), threads()
    sums = workspace("conv2d gw", g.kh * g.kw * len(group) * -(-c // wide) * wide, gy.dtype)
    _sum(shares, flat(gy), flat(x), sums, c, wide, g.n, bands, g.kh, g.kw, *_forward_axes(g), group)
    _gather(shares, sums, gw, c, wide, len(group), g.kh * g.kw)
