"""Image to column and back: the two linear maps that turn a convolution into a matrix product.

    im2col:  col[k, (i, j)] = x[c, i*SH - PH + a*DH, j*SW - PW + b*DW],   k = (c*KH + a)*KW + b     0 in the padding
    col2im:  x[c, p, q]     = sum of col[k, (i, j)] over all cells that im2col copies from (c, p, q)

A column of `col` is one window laid flat: K = C/G*KH*KW values, OH*OW windows a picture. A pixel lies in up to KH*KW
windows; im2col copies it that often, and so col2im, its adjoint (<im2col(x), v> = <x, col2im(v)>), adds that many
values up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geometry import Conv
from ..layout import Array
from ..runtime import njit
from .direct import inside, pad


def length(g: Conv) -> int:
    """K, the length of a column: C/G*KH*KW."""
    return g.c // g.groups * g.kh * g.kw


def cells_python(group: int, g: Conv) -> Iterator[tuple[int, int, int, int, int]]:
    """Every (k, window, c, p, q): row k of col, the column of that window, and the pixel there; padding is left out."""
    for k in range(length(g)):
        c, a, b = k // (g.kh * g.kw), k // g.kw % g.kh, k % g.kw
        for window in range(g.oh * g.ow):
            p = window // g.ow * g.sh - g.ph + a * g.dh
            q = window % g.ow * g.sw - g.pw + b * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                yield k, window, group * (g.c // g.groups) + c, p, q


def im2col(x: Array, g: Conv) -> Array:
    """Every window of x as a column: (N, C, H, W) -> (N, G, C/G*KH*KW, OH*OW)."""
    xp = pad(x, g)
    n, c, h, w = xp.strides
    windows = np.lib.stride_tricks.as_strided(  # a view; nothing is copied before the reshape
        xp, (g.n, g.c, g.kh, g.kw, g.oh, g.ow), (n, c, h * g.dh, w * g.dw, h * g.sh, w * g.sw), writeable=False
    )
    return windows.reshape(g.n, g.groups, length(g), g.oh * g.ow)


def col2im(col: Array, g: Conv) -> Array:
    """The adjoint of `im2col`: add every column back onto its window: (N, G, C/G*KH*KW, OH*OW) -> (N, C, H, W)."""
    cells = col.reshape(g.n, g.c, g.kh, g.kw, g.oh, g.ow)  # (N, G, K, OH*OW) -> (N, C, KH, KW, OH, OW)
    xp = np.zeros((g.n, g.c, g.h + 2 * g.ph, g.w + 2 * g.pw), col.dtype)
    for a in range(g.kh):
        for b in range(g.kw):  # within one kernel cell no two windows meet, so += adds each value once
            i, j = a * g.dh, b * g.dw
            xp[:, :, i : i + g.sh * (g.oh - 1) + 1 : g.sh, j : j + g.sw * (g.ow - 1) + 1 : g.sw] += cells[:, :, a, b]
    return xp[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w]


# Compiled, one group of one picture, the windows of output rows i0..i1 only, as a band that stays in the cache.
# NCHW memory: col (K, P), made of runs along the rows of x. NHWC memory: col (P, K) with k = (a*KW + b)*C/G + c, made
# of runs along the channels. P = (i1 - i0)*OW.
#
# The runs are short, so they are walked by unsigned offsets (U) into flat memory: an unsigned index cannot be a
# negative one that counts from the end, so the loop has no test in it and is vectorised; a slice per run would cost
# more than the run.

U = np.uintp


@njit()
def im2col_nchw(x: Array, col: Array, first: int, i0: int, i1: int, g: Conv) -> None:
    """x (C, H, W), channels from `first` -> col (K, P)."""
    xs, cols, step = x.reshape(-1), col.reshape(-1), U(g.sw)
    for k in range(col.shape[0]):
        c, a, b = k // (g.kh * g.kw), k // g.kw % g.kh, k % g.kw
        q, j0, j1 = inside(b, g)
        for i in range(i0, i1):
            p = i * g.sh - g.ph + a * g.dh
            to = U(k * col.shape[1] + (i - i0) * g.ow)
            if p < 0 or p >= g.h:
                for j in range(U(g.ow)):
                    cols[to + j] = 0
                continue
            for j in range(U(j0)):
                cols[to + j] = 0
            for j in range(U(j1), U(g.ow)):
                cols[to + j] = 0
            to += U(j0)
            run = U(((first + c) * g.h + p) * g.w + max(0, q + j0 * g.sw))
            if g.sw == 1:
                for j in range(U(j1 - j0)):
                    cols[to + j] = xs[run + j]
            else:
                for j in range(U(j1 - j0)):
                    cols[to + j] = xs[run + j * step]


@njit()
def col2im_nchw(col: Array, gx: Array, first: int, i0: int, i1: int, g: Conv) -> None:
    """Add col (K, P) onto gx (C, H, W)."""
    gxs, cols, step = gx.reshape(-1), col.reshape(-1), U(g.sw)
    for k in range(col.shape[0]):
        c, a, b = k // (g.kh * g.kw), k // g.kw % g.kh, k % g.kw
        q, j0, j1 = inside(b, g)
        for i in range(i0, i1):
            p = i * g.sh - g.ph + a * g.dh
            if p >= 0 and p < g.h:
                run = U(k * col.shape[1] + (i - i0) * g.ow + j0)
                to = U(((first + c) * g.h + p) * g.w + max(0, q + j0 * g.sw))
                if g.sw == 1:
                    for j in range(U(j1 - j0)):
                        gxs[to + j] += cols[run + j]
                else:
                    for j in range(U(j1 - j0)):
                        gxs[to + j * step] += cols[run + j]


@njit()
def im2col_nhwc(x: Array, col: Array, first: int, i0: int, i1: int, g: Conv) -> None:
    """x (H, W, C), channels from `first` -> col (P, K)."""
    cg = g.c // g.groups
    xs, cols = x.reshape(-1), col.reshape(-1)
    for window in range(col.shape[0]):
        i, j = i0 + window // g.ow, window % g.ow
        for a in range(g.kh):
            p = i * g.sh - g.ph + a * g.dh
            for b in range(g.kw):
                q = j * g.sw - g.pw + b * g.dw
                to = U(window * col.shape[1] + (a * g.kw + b) * cg)
                if p < 0 or p >= g.h or q < 0 or q >= g.w:
                    for c in range(U(cg)):
                        cols[to + c] = 0
                else:
                    run = U((p * g.w + q) * g.c + first)
                    for c in range(U(cg)):
                        cols[to + c] = xs[run + c]


@njit()
def col2im_nhwc(col: Array, gx: Array, first: int, i0: int, i1: int, g: Conv) -> None:
    """Add col (P, K) onto gx (H, W, C)."""
    cg = g.c // g.groups
    gxs, cols = gx.reshape(-1), col.reshape(-1)
    for window in range(col.shape[0]):
        i, j = i0 + window // g.ow, window % g.ow
        for a in range(g.kh):
            p = i * g.sh - g.ph + a * g.dh
            for b in range(g.kw):
                q = j * g.sw - g.pw + b * g.dw
                if p >= 0 and p < g.h and q >= 0 and q < g.w:
                    run = U(window * col.shape[1] + (a * g.kw + b) * cg)
                    to = U((p * g.w + q) * g.c + first)
                    for c in range(U(cg)):
                        gxs[to + c] += cols[run + c]
