"""Image to column and back: the two linear maps that turn a convolution into a matrix product.

    im2col:  col[k, (i, j)] = x[c, i*SH - PH + a*DH, j*SW - PW + b*DW],   k = (c*KH + a)*KW + b     0 in the padding
    col2im:  x[c, p, q]     = sum of col[k, (i, j)] over all cells that im2col copies from (c, p, q)

A column of `col` is one flattened window of K = C/G*KH*KW values; an image has OH*OW windows. A pixel lies in up to
KH*KW windows, and im2col copies it to all of them. So col2im, the adjoint (<im2col(x), v> = <x, col2im(v)>), adds up
as many values for each pixel.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...arrays import Array, U, xp
from ...geometry import Conv
from ...runtime import njit
from ..direct import inside, pad


def length(g: Conv) -> int:
    """K, the length of a column: C/G*KH*KW."""
    return g.c // g.groups * g.kh * g.kw


def cells_python(group: int, g: Conv) -> Iterator[tuple[int, int, int, int, int]]:
    """Every (k, window, c, p, q): row and column of col, and the pixel that belongs there; padding is left out."""
    for k in range(length(g)):
        c, a, b = k // (g.kh * g.kw), k // g.kw % g.kh, k % g.kw
        for window in range(g.oh * g.ow):
            p = window // g.ow * g.sh - g.ph + a * g.dh
            q = window % g.ow * g.sw - g.pw + b * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                yield k, window, group * (g.c // g.groups) + c, p, q


def im2col(x: Array, g: Conv) -> Array:
    """Every window of x as a column: (N, C, H, W) -> (N, G, C/G*KH*KW, OH*OW).

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d.im2col.columns import im2col
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> im2col(x, geometry.conv2d(x.shape, (1, 1, 2, 2)))[0, 0]  # the first column is the first window
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    pixels = pad(x, g)
    n, c, h, w = pixels.strides
    windows = xp(x).lib.stride_tricks.as_strided(  # a view; nothing is copied before the reshape
        pixels, (g.n, g.c, g.kh, g.kw, g.oh, g.ow), (n, c, h * g.dh, w * g.dw, h * g.sh, w * g.sw)
    )
    return windows.reshape(g.n, g.groups, length(g), g.oh * g.ow)


def col2im(col: Array, g: Conv) -> Array:
    """The adjoint of `im2col`: add every column back onto its window: (N, G, C/G*KH*KW, OH*OW) -> (N, C, H, W).

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d.im2col.columns import col2im
    >>> col2im(np.ones((1, 1, 4, 4)), geometry.conv2d((1, 1, 3, 3), (1, 1, 2, 2)))[0, 0]  # how many windows see a pixel
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    cells = col.reshape(g.n, g.c, g.kh, g.kw, g.oh, g.ow)  # (N, G, K, OH*OW) -> (N, C, KH, KW, OH, OW)
    whole = xp(col).zeros((g.n, g.c, g.h + 2 * g.ph, g.w + 2 * g.pw), col.dtype)
    for a in range(g.kh):
        for b in range(g.kw):  # for one filter cell no pixel is in two windows, so += adds each value once
            i, j = a * g.dh, b * g.dw
            under = whole[:, :, i : i + g.sh * (g.oh - 1) + 1 : g.sh, j : j + g.sw * (g.ow - 1) + 1 : g.sw]
            under += cells[:, :, a, b]
    return whole[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w]


# Compiled, for one group and the windows of a band, a few output rows that stay in the cache. P = rows*OW is the number
# of windows. In NCHW memory, for one image: col (K, P), made of runs along the rows of x. In NHWC memory: col (P, K)
# with k = (a*KW + b)*C/G + c, made of runs along the channels, or along whole filter rows if their pixels are
# neighbours.
#
# The runs are short, so the loops use unsigned offsets (U) into flat memory; a slice for each run would take longer
# than copying the run.


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
def _run(j: int, b: int, cells: int, g: Conv) -> tuple[int, int, int]:
    """Which of `cells` filter columns from b on are in the image at output column j: b0..b1, and the pixel of b0."""
    q = j * g.sw - g.pw + b * g.dw
    b0 = min(cells, max(0, -q))
    return b0, max(b0, min(cells, g.w - q)), q + b0


@njit()
def im2col_nhwc(x: Array, col: Array, first: int, r0: int, r1: int, g: Conv) -> None:
    """x (N, H, W, C), channels from `first` -> col (P, K).

    For the output rows r0..r1 of the batch; row i of image n has the number n*OH + i.
    """
    cg, xs, cols = g.c // g.groups, x.reshape(-1), col.reshape(-1)
    cells = g.kw if g.dw == 1 and g.groups == 1 else 1  # filter columns whose pixels are neighbours in x
    width = U(cells * cg)
    for row in range(r0, r1):
        for a in range(g.kh):
            p = row % g.oh * g.sh - g.ph + a * g.dh
            start = (row // g.oh * g.h + p) * g.w
            for j in range(g.ow):
                for b in range(0, g.kw, cells):
                    to = U((((row - r0) * g.ow + j) * g.kh + a) * g.kw * cg + b * cg)
                    b0, b1, q = _run(j, b, cells, g)
                    if p < 0 or p >= g.h or b1 == b0:
                        for e in range(width):
                            cols[to + e] = 0
                        continue
                    run, count = U((start + q) * g.c + first), U((b1 - b0) * cg)
                    for e in range(U(b0 * cg)):
                        cols[to + e] = 0
                    for e in range(U(b1 * cg), width):
                        cols[to + e] = 0
                    to += U(b0 * cg)
                    for e in range(count):
                        cols[to + e] = xs[run + e]


@njit()
def col2im_nhwc(col: Array, gx: Array, first: int, r0: int, r1: int, g: Conv) -> None:
    """Add col (P, K) onto gx (N, H, W, C); adjoint of `im2col_nhwc`."""
    cg, gxs, cols = g.c // g.groups, gx.reshape(-1), col.reshape(-1)
    cells = g.kw if g.dw == 1 and g.groups == 1 else 1
    for row in range(r0, r1):
        for a in range(g.kh):
            p = row % g.oh * g.sh - g.ph + a * g.dh
            if p < 0 or p >= g.h:
                continue
            start = (row // g.oh * g.h + p) * g.w
            for j in range(g.ow):
                for b in range(0, g.kw, cells):
                    b0, b1, q = _run(j, b, cells, g)
                    if b1 == b0:
                        continue
                    run = U((((row - r0) * g.ow + j) * g.kh + a) * g.kw * cg + (b + b0) * cg)
                    to, count = U((start + q) * g.c + first), U((b1 - b0) * cg)
                    for e in range(count):
                        gxs[to + e] += cols[run + e]
