"""Warping images: every output pixel is looked up at a place of the input, between its pixels.

A grid says where: `grid[n, i, j]` = (gx, gy), the place whose value output pixel (i, j) of image n gets. Places are
measured in half widths and half heights from the middle, as by spatial transformers: -1 and 1 are the outer edges of
the image, and the centre of input pixel (p, q) is at gx = (2q + 1) / W - 1, gy = (2p + 1) / H - 1. So

    u = (gx + 1) W / 2 - 1/2        v = (gy + 1) H / 2 - 1/2        the place in pixels: column u, row v

    nearest     y[n, c, i, j] = x[n, c, p, q]                           (p, q) = (v, u), rounded, halves to even
    bilinear    y[n, c, i, j] = sum_{p, q} w_pq x[n, c, p, q]           w_pq = max(0, 1 - |v - p|) max(0, 1 - |u - q|)

Pixels outside the image count as 0. With `fill`, a colour f, the part of an output that comes from outside gets it:

    m = sum of the w_pq inside the image (nearest: 1 inside, 0 outside)        y <- m y + (1 - m) f

which at an edge weighs y by m twice, as torchvision does.

    x      (N, C, H, W)         grid   (N, OH, OW, 2)        fill   (C,) or None        y   (N, C, OH, OW)

`GRID` makes the grid of a projective map, such as a rotation or a change of perspective, from its matrix:

    (a, b, c) = M[n] (xs[j], ys[i], 1)        grid[n, i, j] = (a / c, b / c)

    M   (N, 3, 3)        xs   (OW,)        ys   (OH,)        the coordinates of the outputs, in any unit that M takes

M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, "Spatial transformer networks", NeurIPS 2015.

There is no gradient, and the compiled rows run on one thread without a lock: a loader's thread makes the next batch
with them while the net computes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import Array, U, xp
from .dispatch import Table
from .layout import dense, empty, flat, is_channels_last
from .runtime import njit

# ------------------------------------------------------------------------------------------------ the grid of a matrix


def grid_python(matrices: Array, xs: Array, ys: Array) -> Array:
    """The definition."""
    grid = np.empty((len(matrices), len(ys), len(xs), 2), matrices.dtype)
    for n, i, j in np.ndindex(*grid.shape[:3]):
        a, b, c = (float(r[0]) * float(xs[j]) + float(r[1]) * float(ys[i]) + float(r[2]) for r in matrices[n])
        grid[n, i, j] = (a / c, b / c) if c else (math.copysign(math.inf, a), math.copysign(math.inf, b))
    return grid


def grid_numpy(matrices: Array, xs: Array, ys: Array) -> Array:
    """The three sums for all pixels at once."""
    m = matrices[:, :, :, None, None]  # (N, 3, 3, 1, 1)
    a, b, c = (m[:, r, 0] * xs + m[:, r, 1] * ys[:, None] + m[:, r, 2] for r in range(3))  # (N, OH, OW)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([a / c, b / c], axis=-1)


@njit(error_model="numpy")
def _grid(matrices: Array, xs: Array, ys: Array, grid: Array) -> None:
    for n in range(len(matrices)):
        m = matrices[n]
        affine = m[2, 0] == 0 and m[2, 1] == 0 and m[2, 2] == 1
        for i in range(len(ys)):
            for j in range(len(xs)):
                a = m[0, 0] * xs[j] + m[0, 1] * ys[i] + m[0, 2]
                b = m[1, 0] * xs[j] + m[1, 1] * ys[i] + m[1, 2]
                if not affine:
                    c = m[2, 0] * xs[j] + m[2, 1] * ys[i] + m[2, 2]
                    a, b = a / c, b / c
                grid[n, i, j, 0] = a
                grid[n, i, j, 1] = b


def grid_numba(matrices: Array, xs: Array, ys: Array) -> Array:
    """One pass over the grid; an affine map divides nothing."""
    matrices, xs, ys = (np.ascontiguousarray(a) for a in (matrices, xs, ys))
    grid = np.empty((len(matrices), len(ys), len(xs), 2), matrices.dtype)
    _grid(matrices, xs, ys, grid)
    return grid


GRID = Table(
    "warp grid",
    {
        ("projective", "python"): grid_python,
        ("projective", "numpy"): grid_numpy,
        ("projective", "numba"): grid_numba,
    },
)

# ---------------------------------------------------------------------------------------------------- looking up pixels


def warp_python(x: Array, grid: Array, mode: str, fill: Array | None) -> Array:
    """The definition."""
    (count, channels, h, w), (_, oh, ow, _) = x.shape, grid.shape
    y = np.zeros((count, channels, oh, ow), x.dtype)
    for n, i, j in np.ndindex(count, oh, ow):
        u, v = place(grid[n, i, j, 0], w), place(grid[n, i, j, 1], h)
        inside, sums = 0.0, np.zeros(channels)
        for p, q, weight in _taps(float(u), float(v), mode):
            if 0 <= p < h and 0 <= q < w:
                inside += weight
                sums += [weight * float(value) for value in x[n, :, p, q]]
        y[n, :, i, j] = sums if fill is None else inside * sums + (1 - inside) * fill
    return y


def place(g: Array, size: int) -> Array:
    """u or v: the place in pixels along an axis of `size` pixels, in the type of the grid."""
    return (g + g.dtype.type(1)) * g.dtype.type(size / 2) - g.dtype.type(0.5)


def _taps(u: float, v: float, mode: str) -> list[tuple[int, int, float]]:
    """Row, column and weight of the pixels around a place; none for a place that is no number."""
    if not (abs(u) < 1e9 and abs(v) < 1e9):
        return []
    if mode == "nearest":
        return [(round(v), round(u), 1.0)]
    rows, columns = ((math.floor(a), a - math.floor(a)) for a in (v, u))
    (p, dv), (q, du) = rows, columns
    return [
        (p, q, (1 - dv) * (1 - du)),
        (p, q + 1, (1 - dv) * du),
        (p + 1, q, dv * (1 - du)),
        (p + 1, q + 1, dv * du),
    ]


def warp_numpy(x: Array, grid: Array, mode: str, fill: Array | None) -> Array:
    """The neighbours of all outputs at once, one of the four after the other."""
    (count, channels, h, w), (_, oh, ow, _) = x.shape, grid.shape
    u, v = place(grid[..., 0], w), place(grid[..., 1], h)  # (N, OH, OW)
    there = (np.abs(u) < 1e9) & (np.abs(v) < 1e9)
    u, v = np.where(there, u, -9), np.where(there, v, -9)
    if mode == "nearest":
        taps = [(np.rint(v), np.rint(u), np.ones_like(u))]
    else:
        p, q = np.floor(v), np.floor(u)
        dv, du = v - p, u - q
        taps = [
            (p, q, (1 - dv) * (1 - du)),
            (p, q + 1, (1 - dv) * du),
            (p + 1, q, dv * (1 - du)),
            (p + 1, q + 1, dv * du),
        ]
    lib = xp(x)
    y, inside = lib.zeros((count, oh, ow, channels), x.dtype), lib.zeros_like(u)
    last, images = np.moveaxis(x, 1, -1), lib.arange(count)[:, None, None]  # (N, H, W, C)
    for p, q, weight in taps:
        within = (p >= 0) & (p < h) & (q >= 0) & (q < w)
        rows, columns = np.clip(p, 0, h - 1).astype(np.intp), np.clip(q, 0, w - 1).astype(np.intp)
        y += np.where(within[..., None], weight[..., None] * last[images, rows, columns], 0)
        inside += np.where(within, weight, 0)
    if fill is not None:
        m = inside[..., None]
        y = m * y + (1 - m) * fill.astype(x.dtype)
    y = np.moveaxis(y, -1, 1)  # (N, OH, OW, C) -> (N, C, OH, OW)
    return y if is_channels_last(x) else lib.ascontiguousarray(y)


# Numba: a row of outputs at a time: first its places, then the pixels there, for all channels. Most places have four
# neighbours inside the image. A channel, a row and a pixel are as many numbers apart as the order of the memory of x
# and y says (`_steps`).


@njit(error_model="numpy")
def _places(grid: Array, at: int, nearest: bool, w: int, h: int, us: Array, vs: Array) -> None:
    """The places of a row in pixels, whose grid begins at `at`."""
    kind = grid.dtype.type
    wide, high, one, half = kind(w / 2), kind(h / 2), kind(1), kind(0.5)
    start = U(at)
    for j in range(U(us.size)):
        us[j] = (grid[start + U(2) * j] + one) * wide - half
        vs[j] = (grid[start + U(2) * j + U(1)] + one) * high - half
    if nearest:
        for j in range(U(us.size)):
            us[j], vs[j] = np.rint(us[j]), np.rint(vs[j])


@njit(error_model="numpy")
def _at_edge(x: Array, at: int, u: Any, v: Any, h: int, w: int, xh: int, xw: int, y: Array, to: int, fill: Any) -> None:
    """One output, of the channel whose pixels begin at `at`, where the image ends; None is no fill."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    row, column = np.floor(v), np.floor(u)  # not math.floor: float32 less an integer is float64
    p, q, dv, du = int(row), int(column), v - row, u - column
    total, inside = zero, zero
    for a in range(2):
        for b in range(2):
            if 0 <= p + a < h and 0 <= q + b < w:
                weight = (dv if a else one - dv) * (du if b else one - du)
                total += weight * x[U(at + (p + a) * xh + (q + b) * xw)]
                inside += weight
    y[U(to)] = total if fill is None else inside * total + (one - inside) * fill


@njit(error_model="numpy")
def _warp(x: Array, grid: Array, nearest: bool, fill: Any, y: Array, out: Any, size: Any, xs: Any, ys: Any) -> None:
    (count, oh, ow), (channels, h, w), (xn, xc, xh, xw), (yn, yc, yh, yw) = out, size, xs, ys
    kind, us, vs = x.dtype.type, np.empty(ow, x.dtype), np.empty(ow, x.dtype)
    zero, one, last_u, last_v, c_end = kind(0), kind(1), kind(w - 1), kind(h - 1), U(channels)
    for row in range(count * oh):
        n, i = row // oh, row % oh
        _places(grid, row * ow * 2, nearest, w, h, us, vs)
        for j in range(U(ow)):
            u, v = us[j], vs[j]
            to = U(n * yn + i * yh) + j * U(yw)
            if nearest and zero <= u <= last_u and zero <= v <= last_v:
                at = U(n * xn + int(v) * xh + int(u) * xw)
                for c in range(c_end):
                    y[to + c * U(yc)] = x[at + c * U(xc)]
            elif not nearest and zero <= u < last_u and zero <= v < last_v:
                p, q = int(v), int(u)
                dv, du = v - kind(p), u - kind(q)
                at = U(n * xn + p * xh + q * xw)
                for c in range(c_end):
                    above, below = at + c * U(xc), at + c * U(xc) + U(xh)
                    upper = (one - du) * x[above] + du * x[above + U(xw)]
                    y[to + c * U(yc)] = (one - dv) * upper + dv * ((one - du) * x[below] + du * x[below + U(xw)])
            elif not nearest and -1 < u < w and -1 < v < h:  # so is no NaN
                for k in range(channels):
                    colour = None if fill is None else fill[k]
                    _at_edge(x, n * xn + k * xc, u, v, h, w, xh, xw, y, int(to) + k * yc, colour)
            else:
                for c in range(c_end):
                    y[to + c * U(yc)] = zero if fill is None else fill[c]


def warp_numba(x: Array, grid: Array, mode: str, fill: Array | None) -> Array:
    """One pass over the grid; y in the memory order of x."""
    x, grid = dense(x), np.ascontiguousarray(grid, x.dtype)
    channels_last = is_channels_last(x)
    (count, channels, h, w), (_, oh, ow, _) = x.shape, grid.shape
    y = empty((count, channels, oh, ow), x.dtype, channels_last)
    if y.size:
        colour = None if fill is None else np.ascontiguousarray(fill, x.dtype)
        steps = _steps(channels, h, w, channels_last), _steps(channels, oh, ow, channels_last)
        _warp(flat(x), flat(grid), mode == "nearest", colour, flat(y), (count, oh, ow), (channels, h, w), *steps)
    return y


def _steps(channels: int, h: int, w: int, channels_last: bool) -> tuple[int, int, int, int]:
    """How far apart in memory neighbouring images, channels, rows and pixels are."""
    image = channels * h * w
    return (image, 1, w * channels, channels) if channels_last else (image, h * w, w, 1)


WARP = Table(
    "warp",
    {
        ("lookup", "python"): warp_python,
        ("lookup", "numpy"): warp_numpy,
        ("lookup", "numba"): warp_numba,
    },
)
