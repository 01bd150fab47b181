"""The error bounds of Winograd's convolution, and how they are kept: tiles with too much rounding are computed again.

All outputs of a tile are sums of the same products, in which the pixels that an output does not see cancel. Their
rounding errors do not cancel: they are relative to the largest pixel of the tile. One pixel of 1e6 among pixels of 1
would leave an error of 0.3 in outputs beside it that do not see it. Inf and NaN do not cancel at all, and beyond 1e36
products overflow.

An output is *weak* if the largest pixel of its tile, over all channels of its group, is more than RANGE times the
largest pixel that the output sees, or if it is so large or so small that products may leave the range of the type (this
includes Inf and NaN). A tile with a weak output is computed by the definition. Weak outputs that see only zeros do not
count: they are the bias, and add nothing to gw. So for every image, an output without Inf or NaN in its window is
finite, and

    |y - exact|  <= (10 + 4 RANGE) eps sum_{c, a, b} |w[o, c, a, b]| X[n, i, j]
    |gw - exact| <= (10 + 4 RANGE) eps sum_{n, i, j} G[n, i, j] X[n, i, j]

where eps = 2^-24 in float32, X[n, i, j] is the largest magnitude that the output sees, and G[n, i, j] that of gy over
the output channels; for gx, the first line holds with gy in place of x. The definition would have |w| |x| in place of
|w| X: here a pixel of 1 beside a pixel of 30 in its window has the error of the 30. The 10 is for numbers of similar
size (8.5 was measured, 3 on normally distributed numbers, at most 1.5 by the definition). The 4 RANGE is for one pixel,
at the worst place of the tile, that is not quite RANGE times larger (20 was measured, with random weights in 18
channels). As in any algorithm, a long sum adds its own rounding, and each product may add half of the smallest number
of the type.

All pixels are checked while their tile is transformed (`watch.py`), which takes a few per cent of the time. The code
here runs only if that check finds something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...arrays import Array, beside, host, xp
from ...geometry import Conv
from .watch import RANGE

MANY = 1 / 4  # if this fraction of the outputs is weak, all outputs are computed by the definition
_ROWS = 1 << 22  # the most numbers in the windows that are copied at a time


def calm(weights: float, g: Conv) -> bool:
    """Whether, with weights up to this magnitude, every tile that `watch.look` does not note is really not weak."""
    return weights == 0 or (weights >= 2.0**-20 and weights * (g.c // g.groups) <= 2.0**15)


def peaks_numpy(x: Array, g: Conv) -> Array:
    """(N, G, H, W): the largest magnitude of each pixel, over the channels of each group."""
    with np.errstate(invalid="ignore"):
        sizes = np.abs(x).reshape(g.n, g.groups, g.c // g.groups, g.h, g.w)  # (N, C, H, W) -> (N, G, C/G, H, W)
        return sizes.max(2) if x.size else sizes.sum(2)


def _over(cells: Array, size: int, step: int, count: tuple[int, int]) -> Array:
    """The largest of each block of size x size cells; `count` blocks down and right, `step` cells apart."""
    for axis, many in ((2, count[0]), (3, count[1])):
        parts = [slice(a, a + step * (many - 1) + 1, step) for a in range(size)]
        rows = [cells[:, :, part] if axis == 2 else cells[..., part] for part in parts]
        cells = rows[0].copy()
        for other in rows[1:]:
            np.maximum(cells, other, out=cells)
    return cells


def weak(peaks: Array, g: Conv, m: int, weights: float) -> tuple[Array, Array, Array]:
    """Three arrays (N, G, OH, OW): whether the tile of an output must be computed again, whether the output is weak but
    sees only zeros (in the other tiles), and the largest magnitude that it sees.

    Args:
        peaks: the largest magnitude of each pixel; NaN counts as Inf.
        weights: the largest magnitude of the weights; with 0, the limits that depend on it are not tested.
    """
    info = np.finfo(peaks.dtype)
    th, tw = -(-g.oh // m), -(-g.ow // m)
    padded = np.zeros((g.n, g.groups, th * m + 2, tw * m + 2), peaks.dtype)
    high, wide = (
        min(size, room - pad) for size, room, pad in zip((g.h, g.w), padded.shape[2:], (g.ph, g.pw), strict=True)
    )
    inner = padded[:, :, g.ph : g.ph + high, g.pw : g.pw + wide]
    inner[...] = peaks[:, :, :high, :wide]
    inner[np.isnan(inner)] = np.inf
    sees = _over(padded, 3, 1, (th * m, tw * m))[:, :, : g.oh, : g.ow]
    tiles = _over(padded, m + 2, m, (th, tw))
    most = 2.0 ** (int(info.maxexp) - 13) / (max(1, g.c // g.groups) * max(1.0, weights))
    least = 2.0 ** (int(info.minexp) + 16) / min(1.0, weights) if weights else 0.0
    outside = (tiles > 0) & ((tiles < least) | (tiles > most) | (not weights <= most))
    tiles, outside = (np.repeat(np.repeat(a, m, 2), m, 3)[:, :, : g.oh, : g.ow] for a in (tiles, outside))
    bad = outside | (sees < tiles / tiles.dtype.type(RANGE))
    down, right = np.arange(0, g.oh, m), np.arange(0, g.ow, m)
    anew = np.logical_or.reduceat(np.logical_or.reduceat(bad & (sees > 0), down, 2), right, 3) if bad.size else bad
    anew = np.repeat(np.repeat(anew, m, 2), m, 3)[:, :, : g.oh, : g.ow]
    return anew, ~anew & bad, sees


def _windows(x: Array, at: tuple[Array, Array, Array], group: int, g: Conv) -> Array:
    """(K, C/G*9): the pixels that outputs (n, i, j) see in the channels of a group, zero outside the image."""
    (n, i, j), cg = at, g.c // g.groups
    rows = xp(x).zeros((len(n), cg, 3, 3), x.dtype)
    for a in range(3):
        for b in range(3):
            p, q = i + (a - g.ph), j + (b - g.pw)
            inside = np.flatnonzero((p >= 0) & (p < g.h) & (q >= 0) & (q < g.w))
            there, n_, p, q = (beside(v, x) for v in (inside, n[inside], p[inside], q[inside]))
            rows[there, :, a, b] = x[n_, group * cg : (group + 1) * cg, p, q]
    return rows.reshape(len(n), cg * 9)


def _parts(places: Array, g: Conv) -> Any:
    """The indices of the marked places (N, G, OH, OW), group by group, in parts that fit the memory limit `_ROWS`."""
    step = max(1, _ROWS // max(1, 9 * (g.c // g.groups)))
    for group in range(g.groups):
        n, i, j = np.nonzero(places[:, group])
        for k in range(0, len(n), step):
            yield group, (n[k : k + step], i[k : k + step], j[k : k + step])


def repair(
    y: Array,
    x: Array,
    w: Array,
    b: Array | None,
    g: Conv,
    m: int,
    peaks: Array,
    weights: float,
    exact: Callable[[], Array],
) -> Array:
    """y with its weak tiles computed by the definition, in place; if there are many, the result of `exact`."""
    anew, blank, _ = weak(host(peaks), g, m, weights)
    if not np.isfinite(weights) or np.count_nonzero(anew) > MANY * anew.size:
        return exact()
    og, bias = g.o // g.groups, xp(y).zeros(g.o, y.dtype) if b is None else b
    with np.errstate(all="ignore"):  # Inf * 0; compiled kernels do not warn of it either
        for group, at in _parts(blank, g):
            n, i, j = (beside(v, y) for v in at)
            y[n, group * og : (group + 1) * og, i, j] = bias[group * og : (group + 1) * og]
        for group, at in _parts(anew, g):
            o, (n, i, j) = slice(group * og, (group + 1) * og), (beside(v, y) for v in at)
            y[n, o, i, j] = _windows(x, at, group, g) @ w[o].reshape(og, -1).T + bias[o]
    return y


def gradient_in_parts(
    gy: Array,
    x: Array,
    g: Conv,
    m: int,
    peaks: Array,
    rough: Callable[[Array, Array], Array],
    exact: Callable[[], Array],
) -> Array:
    """gw if x has weak tiles: their part by the definition, that of the other tiles by Winograd's `rough(gy, x)`."""
    apart, _, sees = weak(host(peaks), g, m, 0.0)
    if np.count_nonzero(apart) > MANY * apart.size:
        return exact()
    og, cg = g.o // g.groups, g.c // g.groups
    finite = host(np.isfinite(gy).reshape(g.n, g.groups, og, g.oh, g.ow).all(2))
    gw = xp(gy).zeros((g.groups, og, cg * 9), gy.dtype)
    with np.errstate(all="ignore"):
        for group, at in _parts(apart | (sees == 0) & ~finite, g):
            n, i, j = (beside(v, gy) for v in at)
            up = gy[n, group * og : (group + 1) * og, i, j]
            gw[group] += up.T @ _windows(x, at, group, g)
        keep = np.repeat(~apart & (sees > 0), og, 1)  # (N, G, OH, OW) -> (N, O, OH, OW)
        large = peaks > 2.0 ** (int(np.finfo(x.dtype).maxexp) - 13) / max(1, cg)
    gy = np.where(beside(keep, gy), gy, gy.dtype.type(0))
    x = np.where(np.repeat(large | np.isnan(peaks), cg, 1), x.dtype.type(0), x)  # only in tiles treated apart
    return rough(gy, x) + gw.reshape(g.w_shape)
