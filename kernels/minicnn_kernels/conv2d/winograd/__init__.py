"""Convolution 7 of 8, winograd: 3x3 filters with 2.25 or 4 times fewer multiplications, on transformed tiles.

The algorithms before this one do as many multiplications as the definition.

**One dimension.** By the definition, two neighbouring outputs of a filter of three, F(2, 3), take six multiplications,

    y0 = d0 g0 + d1 g1 + d2 g2
    y1 = d1 g0 + d2 g1 + d3 g2

but they take only four in the following form, since the sums of g are computed once for all tiles of all images:

    m0 = (d0 - d2) g0     m1 = (d1 + d2) (g0 + g1 + g2)/2     m2 = (d2 - d1) (g0 - g1 + g2)/2     m3 = (d1 - d3) g2
    y0 = m0 + m1 + m2
    y1 = m1 - m2 - m3

Multiply it out to check it. As matrices: y = A^T [(G g) . (B^T d)], where the dot multiplies element by element. The
idea is polynomial multiplication: the product of two polynomials is determined by its values at as many points as it
has coefficients, and each of these values takes one multiplication. F(2, 3) uses the points 0, 1, -1 and infinity;
F(4, 3) uses 0, 3/4, -3/4, 3/2, -3/2 and infinity: four outputs for six multiplications instead of twelve.

**Two dimensions.** The same along the columns and then along the rows, so every matrix appears on both sides. A tile of
m x m outputs needs the (m + 2) x (m + 2) input pixels d under it; input tiles overlap by two, output tiles do not:

    y = A^T [ (G g G^T) . (B^T d B) ] A

**Channels.** The sum over the channels can be formed before A^T is applied, since A^T is linear. Then cell (i, k) of
all transformed tiles is a matrix product of its own, with T tiles as rows:

    V[i, k] (T, C)     cell (i, k) of B^T d B, every tile and input channel
    U[i, k] (C, O)     cell (i, k) of G g G^T, every pair of channels
    M[i, k] (T, O)   = V[i, k] U[i, k]          (m + 2)^2 such products, where BLAS works
    y                = A^T M A

So m^2 outputs take (m + 2)^2 multiplications per pair of channels instead of 9 m^2: F(2x2, 3x3) takes 16 instead of 36,
F(4x4, 3x3) 36 instead of 144. The price is the transforms, and the tiles that reach beyond the right and bottom edge.
`tile` chooses m.

**Gradients.** gx is itself a convolution with stride 1, of gy padded by 2 - P, with the weights turned by 180 degrees
and input and output channels exchanged. gw is the transpose of the map from g to y. The transpose of a product is the
product of the transposes in reverse order, first A (for A^T), last G^T (for G):

    gw = G^T [ sum over tiles of (B^T d B) . (A gy A^T) ] G

in which the sum over tiles is again a matrix product for each cell: (C, T) @ (T, O).

**Rounding.** Products of pixels that an output does not see cancel, but their rounding errors do not. So F(4x4, 3x3)
has larger errors than the definition, and the errors of all outputs of a tile are relative to the largest pixel of the
tile. For normally distributed numbers in float32, relative to the size of the outputs (root mean square), they are

    by the definition 3e-7       F(2x2, 3x3) 3e-7       F(4x4, 3x3) 9e-7

With the points 2 and -2, which most texts use, the error is twice as large. A tile is computed by the definition if its
largest pixel is much larger than the pixels that one of its outputs sees, or is close to overflow, or is NaN or Inf:
`weak_tiles.py` has the rule and the guaranteed bounds. On a GPU the program waits for the largest pixels.

S. Winograd, "Arithmetic complexity of computations", 1980; A. Lavin, S. Gray, "Fast algorithms for convolutional neural
networks", 2015. Equations and legend: `conv2d/__init__.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...arrays import Array, constant, contiguous, xp
from ...geometry import Conv
from ...layout import as_order, dense, is_channels_last, padded
from .. import direct, im2col
from ..bias import sum_of_pixels
from ..direct import Gradients, NeedsGrad
from ..weights import checked
from .forward import convolve
from .watch import peaks_numba
from .weak_tiles import calm, gradient_in_parts, peaks_numpy, repair
from .weight_gradient import gradient

# B^T, G and A^T of F(2, 3) and F(4, 3).
MATRICES: dict[int, tuple[Array, Array, Array]] = {
    2: (
        np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
        np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: (
        np.array(
            [
                [81 / 64, 0, -45 / 16, 0, 1, 0],
                [0, -27 / 16, -9 / 4, 3 / 4, 1, 0],
                [0, 27 / 16, -9 / 4, -3 / 4, 1, 0],
                [0, -27 / 32, -9 / 16, 3 / 2, 1, 0],
                [0, 27 / 32, -9 / 16, -3 / 2, 1, 0],
                [0, 81 / 64, 0, -45 / 16, 0, 1],
            ]
        ),
        np.array(
            [
                [64 / 81, 0, 0],
                [-128 / 243, -32 / 81, -8 / 27],
                [-128 / 243, 32 / 81, -8 / 27],
                [32 / 243, 16 / 81, 8 / 27],
                [32 / 243, -16 / 81, 8 / 27],
                [0, 0, 1],
            ]
        ),
        np.array(
            [
                [1.0, 1, 1, 1, 1, 0],
                [0, 3 / 4, -3 / 4, 3 / 2, -3 / 2, 0],
                [0, 9 / 16, 9 / 16, 9 / 4, 9 / 4, 0],
                [0, 27 / 64, -27 / 64, 27 / 8, -27 / 8, 1],
            ]
        ),
    ),
}


def supports(g: Conv) -> bool:
    """Whether the filters are 3x3, stride and dilation are 1, and the padding is at most 2.

    With more padding, gx would need a negative one.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import winograd
    >>> winograd.supports(geometry.conv2d((1, 3, 8, 8), (4, 3, 5, 5)))
    False
    """
    return (g.kh, g.kw, g.sh, g.sw, g.dh, g.dw) == (3, 3, 1, 1, 1, 1) and g.ph <= 2 and g.pw <= 2


def tile(g: Conv) -> int:
    """m, the side of an output tile: 2 or 4, whichever needs fewer products, (m + 2)^2 for each tile."""
    return min((4, 2), key=lambda m: -(-g.oh // m) * -(-g.ow // m) * (m + 2) ** 2)


def multiplications(g: Conv, which: str = "forward") -> int:
    """The number of real multiplications, without those by the constants of the transforms, as in the paper.

    "gx" has the tiles of x, "gw" those of the forward pass.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import winograd
    >>> g = geometry.conv2d((1, 64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> winograd.tile(g), 56 * 56 * 64 * 64 * 9 / winograd.multiplications(g)
    (4, 4.0)
    """
    g = transposed(g) if which == "gx" else g
    m = tile(g)
    return g.n * g.o * (g.c // g.groups) * -(-g.oh // m) * -(-g.ow // m) * (m + 2) ** 2


def transposed(g: Conv) -> Conv:
    """The geometry of gx as a convolution of gy: input and output channels exchanged, padding 2 - P."""
    return g._replace(c=g.o, h=g.oh, w=g.ow, o=g.c, oh=g.h, ow=g.w, ph=2 - g.ph, pw=2 - g.pw)


def turned(w: Array, g: Conv) -> Array:
    """The weights of gx as a convolution of gy: turned by 180 degrees, channels exchanged within their group."""
    wg = w.reshape(g.groups, g.o // g.groups, g.c // g.groups, 3, 3)[..., ::-1, ::-1]
    return wg.transpose(0, 2, 1, 3, 4).reshape(g.c, g.o // g.groups, 3, 3)  # (G, O/G, C/G, 3, 3) -> (C, O/G, 3, 3)


# ------------------------------------------------------------------------------------------------------------- python


def _cut(x: Array, n: int, c: int, p: int, q: int, size: int) -> Array:
    """size x size pixels from (p, q) in float64, zero outside the image."""
    d = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            if 0 <= p + a < x.shape[2] and 0 <= q + b < x.shape[3]:
                d[a, b] = x[n, c, p + a, q + b]
    return d


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Tile by tile: transform, multiply and add over the channels, transform back."""
    return _careful(_forward_python, x, w, b, g, lambda: direct.forward_python(x, w, b, g))


def _forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    m, y = tile(g), np.empty(g.y_shape, x.dtype)
    bt, gm, at = MATRICES[m]
    cg, og = g.c // g.groups, g.o // g.groups
    for n, i, j in np.ndindex(g.n, -(-g.oh // m), -(-g.ow // m)):
        v = [bt @ _cut(x, n, c, i * m - g.ph, j * m - g.pw, m + 2) @ bt.T for c in range(g.c)]
        for o in range(g.o):
            total = np.zeros((m + 2, m + 2))
            for c in range(cg):
                total += (gm @ w[o, c] @ gm.T) * v[o // og * cg + c]
            out = at @ total @ at.T + (0.0 if b is None else b[o])
            rows, columns = min(m, g.oh - i * m), min(m, g.ow - j * m)
            y[n, o, i * m : i * m + rows, j * m : j * m + columns] = out[:rows, :columns]
    return y


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx is a forward pass; gw tile by tile with the transposed transforms."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        back = functools.partial(direct.backward_python, gy, None, w, g, (True, False, False))
        gx = _careful(_forward_python, gy, turned(w, g), None, transposed(g), lambda: back()[0])  # type: ignore
    if needs_grad[1] and x is not None:

        def exact() -> Array:
            return direct.backward_python(gy, x, None, g, (False, True, False))[1]  # type: ignore[return-value]

        m, peaks = tile(g), peaks_numpy(x, g)
        gw = checked(gradient_in_parts(gy, x, g, m, peaks, lambda gy, x: _gradient_python(gy, x, g), exact), exact)
    gb = np.array([sum(float(v) for v in gy[:, o].ravel()) for o in range(g.o)], gy.dtype) if needs_grad[2] else None
    return gx, gw, gb


def _gradient_python(gy: Array, x: Array, g: Conv) -> Array:
    gw, m = np.zeros(g.w_shape), tile(g)
    bt, gm, at = MATRICES[m]
    cg, og = g.c // g.groups, g.o // g.groups
    for o, c in np.ndindex(g.o, cg):
        total = np.zeros((m + 2, m + 2))
        for n, i, j in np.ndindex(g.n, -(-g.oh // m), -(-g.ow // m)):
            d = _cut(x, n, o // og * cg + c, i * m - g.ph, j * m - g.pw, m + 2)
            total += (bt @ d @ bt.T) * (at.T @ _cut(gy, n, o, i * m, j * m, m) @ at)
        gw[o, c] = gm.T @ total @ gm
    return gw.astype(gy.dtype)


# -------------------------------------------------------------------------------------------------------------- numpy


def _matrices(m: int, dtype: Any) -> tuple[Array, ...]:
    return tuple([a.astype(dtype) for a in MATRICES[m]])


def _tiles(x: Array, top: int, left: int, m: int, size: int, grid: tuple[int, int]) -> Array:
    """All tiles of size x size, m apart, the first at pixel (-top, -left): (N, C, TH, TW, size, size)."""
    (th, tw), (h, w) = grid, x.shape[2:]
    down, right = (th - 1) * m + size - top - h, (tw - 1) * m + size - left - w
    pixels = padded(x, top, max(0, down), left, max(0, right))
    n, c, p, q = pixels.strides
    shape, strides = (*x.shape[:2], th, tw, size, size), (n, c, p * m, q * m, p, q)
    tiles: Array = xp(x).lib.stride_tricks.as_strided(pixels, shape, strides)
    return tiles


def _by_frequency(tiles: Array, matrix: Array, groups: int) -> Array:
    """matrix @ tile @ matrix^T of every tile, then (N, C, TH, TW, a, a) -> (G, a*a, N*TH*TW, C/G)."""
    v = matrix @ tiles @ matrix.T
    n, c, th, tw, a, _ = v.shape
    v = v.reshape(n, groups, c // groups, th, tw, a * a)  # -> (N, G, C/G, TH, TW, a*a)
    return v.transpose(1, 5, 0, 3, 4, 2).reshape(groups, a * a, n * th * tw, c // groups)


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """All tiles at once; the sum over the channels is (m + 2)^2 matrix products."""
    return _careful(_forward_numpy, x, w, b, g, lambda: im2col.forward_numpy(x, w, b, g))


def _careful(
    forward: Callable[..., Array], x: Array, w: Array, b: Array | None, g: Conv, exact: Callable[[], Array]
) -> Array:
    """The result of `forward`, with its weak tiles computed by the definition."""
    with np.errstate(over="ignore", invalid="ignore"):  # such results are computed again
        y, weights = forward(x, w, b, g), float(np.abs(w).max()) if w.size else 0.0
    return repair(y, x, w, b, g, tile(g), peaks_numpy(x, g), weights, exact)


def _forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    m = tile(g)
    bt, gm, at = constant(_matrices, x, m, x.dtype)
    grid = th, tw = -(-g.oh // m), -(-g.ow // m)
    v = _by_frequency(_tiles(x, g.ph, g.pw, m, m + 2, grid), bt, g.groups)  # (G, a*a, T, C/G)
    u = (gm @ w @ gm.T).reshape(g.groups, g.o // g.groups, g.c // g.groups, (m + 2) ** 2)  # (O, C/G, a, a) ->
    products = v @ u.transpose(0, 3, 2, 1)  # (G, a*a, T, C/G) @ (G, a*a, C/G, O/G)
    products = products.reshape(g.groups, m + 2, m + 2, g.n, th, tw, g.o // g.groups)
    y = at @ products.transpose(3, 0, 6, 4, 5, 1, 2) @ at.T  # (N, G, O/G, TH, TW, m, m)
    y = y.transpose(0, 1, 2, 3, 5, 4, 6).reshape(g.n, g.o, th * m, tw * m)[:, :, : g.oh, : g.ow]
    return contiguous(y) if b is None else y + b[:, None, None]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx is a forward pass; gw is (m + 2)^2 products, of the transformed tiles of x and of gy."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        back = functools.partial(im2col.backward_numpy, gy, None, w, g, (True, False, False))
        gx = _careful(_forward_numpy, gy, turned(w, g), None, transposed(g), lambda: back()[0])  # type: ignore
    if needs_grad[1] and x is not None:

        def exact() -> Array:
            return im2col.backward_numpy(gy, x, None, g, (False, True, False))[1]  # type: ignore[return-value]

        m, peaks = tile(g), peaks_numpy(x, g)
        with np.errstate(over="ignore", invalid="ignore"):
            gw = gradient_in_parts(gy, x, g, m, peaks, lambda gy, x: _gradient_numpy(gy, x, g), exact)
        gw = checked(gw, exact)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def _gradient_numpy(gy: Array, x: Array, g: Conv) -> Array:
    m = tile(g)
    bt, gm, at = constant(_matrices, gy, m, gy.dtype)
    grid = -(-g.oh // m), -(-g.ow // m)
    v = _by_frequency(_tiles(x, g.ph, g.pw, m, m + 2, grid), bt, g.groups)
    up = _by_frequency(_tiles(gy, 0, 0, m, m, grid), at.T, g.groups)
    gu = up.transpose(0, 1, 3, 2) @ v  # (G, a*a, O/G, T) @ (G, a*a, T, C/G)
    gu = gu.transpose(0, 2, 3, 1).reshape(g.o, g.c // g.groups, m + 2, m + 2)  # (G, O/G, C/G, a*a) ->
    return gm.T @ gu @ gm


# -------------------------------------------------------------------------------------------------------------- numba


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over blocks of tiles or of output channels; y has the memory order of x."""
    return _compiled(x, w, b, g, False)


def _compiled(x: Array, w: Array, b: Array | None, g: Conv, turn: bool) -> Array:
    """The convolution of geometry g; `turn`: it is gx of another convolution, and w has the weights of that one."""
    m = tile(g)
    y, suspicious, weights = convolve(x, w, b, g, m, turn)
    if not suspicious and calm(weights, g):
        return y

    def exact() -> Array:
        if turn:
            return im2col.backward_numba(x, None, w, transposed(g), (True, False, False))[0]  # type: ignore[return-value]
        return im2col.forward_numba(x, w, b, g)

    return repair(y, x, turned(w, transposed(g)) if turn else w, b, g, m, peaks_numba(x, g), weights, exact)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx is a forward pass; gw and gb are in `weight_gradient.py`."""
    like = dense(gy if x is None else x)
    gy = as_order(gy, is_channels_last(like))
    gx = gw = gb = None
    if needs_grad[0] and w is not None:
        gx = _compiled(gy, w, None, transposed(g), True)
    if needs_grad[1] and x is not None:

        def exact() -> Array:
            return im2col.backward_numba(gy, like, None, g, (False, True, False))[1]  # type: ignore[return-value]

        def rough(gy: Array, x: Array) -> Array:
            gy, x = (as_order(a, is_channels_last(like)) for a in (gy, x))
            return gradient(gy, x, g, tile(g), False)[0]  # type: ignore[index]

        found = gradient(gy, like, g, tile(g))
        if found is not None:
            gw, gb = found
        else:
            gw = gradient_in_parts(gy, like, g, tile(g), peaks_numba(like, g), rough, exact)
        gw = checked(gw, exact)
    if needs_grad[2] and gb is None:
        with np.errstate(all="ignore"):  # as in the compiled sum
            gb = sum_of_pixels(gy)
    return gx, gw, gb if needs_grad[2] else None
