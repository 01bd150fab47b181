"""Convolution 5 of 8, registers: the definition without a matrix, one tile of outputs at a time kept in registers.

For few channels. There the sums of a matrix product would be too short, and its few output channels would not fill the
vectors; here the pixels fill them. It computes the equations of `conv2d/__init__.py` for stride 1, dilation 1, one
group, and padding smaller than the filter. The image is laid out flat, with its padding and WP = W + 2*PW columns. Then
every *tap* (cell) of the filter is a *shift* of the whole image, and convolution is a sum of shifted vectors:

    y[o, i*WP + j] = b[o] + sum_{c, a, b} w[o, c, a, b] x[c, (i*WP + j) + (a*WP + b)]      all e = i*WP + j at once

where the rows of an image form one long vector. The last KW - 1 columns of each row of y would see pixels of two rows,
and are left out. gx is the same sum over gy, with the filters turned by 180 degrees, w[o, c, KH-1-a, KW-1-b], input and
output channels exchanged, and padding KH - 1 - PH, KW - 1 - PW. gw has a sum over e instead:

    gw[o, c, a, b] = sum_e gy[o, e] x[c, e + a*WP + b]                                   gy = 0 in the last columns

**What a core can do** (the roofline). A processor with AVX-512 starts two multiply-adds of 16 numbers per cycle, but
also only two loads, and one store; a load that is not aligned counts twice. With one tap and one output at a time, a
step is 2 loads, a store and 1 multiply-add: it is bound by memory, even if all data are in the first-level cache. So
each loaded x must serve several outputs, each weight must serve several x, and a sum must stay in its register until it
is complete. A *tile* of results, 6 outputs times 4 vectors of e, is summed over all channels and taps at once. A step
is 4 loads of x (8 if unaligned loads count twice) and 6 of weights for 24 multiply-adds: 12 cycles of arithmetic and 7
of memory. gw keeps 4 outputs times 5 taps as sums in registers; a step is 4 loads of gy and 5 of x (14 if unaligned
loads count twice) for 20 multiply-adds: 10 cycles and 7.

Small images are taken several at a time, S of them side by side at each pixel, (C, HP, WP, S). A shift by one pixel is
then a shift by S, and rows are long enough for vectors. The best S is the number of lanes of a vector; see `groups.py`.

In gw, a NaN or Inf of x is multiplied by the zeros in the last columns of gy, at taps that do not see it. So a gw that
is not finite is computed again by im2col (`weights.checked`).

J. Zhang, F. Franchetti and T. M. Low, "High performance zero-memory overhead direct convolutions", 2018,
https://arxiv.org/abs/1809.10170. E. Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
architectures", 2018, https://arxiv.org/abs/1808.05567. In these papers the lanes of a vector are channels; lanes that
are pixels are our own variant.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Array, contiguous, xp
from ...geometry import Conv
from ...layout import dense, empty, is_channels_last, padded
from ...llvm import filled_up
from ...runtime import threads
from ...sums import total
from .. import im2col
from ..bias import sum_of_pixels
from ..direct import Gradients, NeedsGrad, pad
from ..weights import checked
from . import shares
from .groups import together
from .tile import BYTES


def supports(g: Conv) -> bool:
    """Whether stride and dilation are 1, there is one group, and every window touches the image."""
    steps = (g.sh, g.sw, g.dh, g.dw, g.groups) == (1, 1, 1, 1, 1)
    return steps and g.ph < g.kh and g.pw < g.kw and g.oh > 0 and g.ow > 0


def fills_tiles(g: Conv, gradient: str, channels_last: bool, itemsize: int) -> bool:
    """Whether the tiles of the forward pass, or of gx, are almost full: either with images as lanes, or with rows that
    fill most of the two vectors of a tile.
    """
    g, lanes = _turned(g) if gradient else g, BYTES // itemsize
    if channels_last or g.ow < lanes:
        return together(g, threads(), lanes)
    return g.ow >= 0.7 * filled_up(g.ow, 2 * lanes)


def _turned(g: Conv) -> Conv:
    """The geometry of gx as a convolution of gy."""
    return g._replace(
        c=g.o, h=g.oh, w=g.ow, o=g.c, oh=g.h, ow=g.w, ph=g.kh - 1 - g.ph, pw=g.kw - 1 - g.pw
    )  # fmt: skip


def _turn(w: Array) -> Array:
    """The filters of gx: (O, C, KH, KW) -> (C, O, KH, KW), each turned by 180 degrees."""
    return w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


# -------------------------------------------------------------------------------------------------- python and numpy


def _shift(g: Conv, a: int, b: int) -> int:
    """The distance from e to the pixel under tap (a, b)."""
    return a * (g.w + 2 * g.pw) + b


def _length(g: Conv) -> int:
    """The number of values from the first e of a result to the last."""
    return (g.oh - 1) * (g.w + 2 * g.pw) + g.ow


def _flat_planes(x: Array, g: Conv) -> Array:
    """x with its padding, flat: (N, C, HP*WP)."""
    return pad(x, g).reshape(g.n, g.c, (g.h + 2 * g.ph) * (g.w + 2 * g.pw))  # (N, C, HP, WP) -> (N, C, HP*WP)


def _rows_of(y: Array, g: Conv) -> Array:
    """(N, O, OH, OW) from flat rows (N, O, length), without the last columns of each row."""
    whole = xp(y).zeros((*y.shape[:2], g.oh * (g.w + 2 * g.pw)), y.dtype)
    whole[..., : y.shape[2]] = y
    return whole.reshape(g.n, g.o, g.oh, g.w + 2 * g.pw)[..., : g.ow]  # (N, O, OH*WP) -> (N, O, OH, OW)


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The sum over taps, one e after the other."""
    pixels = _flat_planes(x, g)
    y = np.zeros((g.n, g.o, _length(g)))
    for n, o, e in np.ndindex(*y.shape):
        y[n, o, e] = 0.0 if b is None else float(b[o])
        for c, a, k in np.ndindex(g.c, g.kh, g.kw):
            y[n, o, e] += float(w[o, c, a, k]) * float(pixels[n, c, e + _shift(g, a, k)])
    return np.ascontiguousarray(_rows_of(y, g).astype(x.dtype))


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One tap at a time: a slice of the flat image times the weights of the tap."""
    pixels = _flat_planes(x, g)
    y = xp(x).zeros((g.n, g.o, _length(g)), x.dtype)
    for a in range(g.kh):
        for k in range(g.kw):
            y += w[:, :, a, k] @ pixels[:, :, _shift(g, a, k) :][:, :, : _length(g)]  # (O, C) @ (N, C, length)
    y = _rows_of(y, g)
    return contiguous(y if b is None else y + b[:, None, None])


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx by the forward pass with turned filters; gw is the sum over e in the rows of gy, without the last columns."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        gx = forward_python(gy, _turn(w), None, _turned(g))
    if needs_grad[1] and x is not None:
        pixels, sums = _flat_planes(x, g), np.zeros(g.w_shape)
        for o, c, a, k in np.ndindex(*sums.shape):
            for n, i, j in np.ndindex(g.n, g.oh, g.ow):
                e = i * (g.w + 2 * g.pw) + j
                sums[o, c, a, k] += float(gy[n, o, i, j]) * float(pixels[n, c, e + _shift(g, a, k)])
        gw = sums.astype(gy.dtype)
    gb = np.array([sum(map(float, gy[:, o].reshape(-1))) for o in range(g.o)], gy.dtype) if needs_grad[2] else None
    return gx, gw, gb


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx by the forward pass with turned filters; gw one tap at a time, gy with columns of zeros times a slice of x."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        gx = forward_numpy(gy, _turn(w), None, _turned(g))
    if needs_grad[1] and x is not None:
        pixels, wide = _flat_planes(x, g), padded(gy, 0, 0, 0, g.w + 2 * g.pw - g.ow)
        wide = wide.reshape(g.n, g.o, g.oh * (g.w + 2 * g.pw))[..., : _length(g)]  # (N, O, OH, WP) -> (N, O, OH*WP)
        gw = xp(gy).empty(g.w_shape, gy.dtype)
        for a in range(g.kh):
            for k in range(g.kw):
                under = pixels[:, :, _shift(g, a, k) :][:, :, : _length(g)]
                gw[:, :, a, k] = total(wide @ under.transpose(0, 2, 1), (0,))[0]  # (N, O, length) @ (N, length, C)
        gw = checked(gw, lambda: im2col.backward_numpy(gy, x, None, g, (False, True, False))[1])
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


# -------------------------------------------------------------------------------------------------------------- numba


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over groups of images and blocks of outputs, vectorised along the rows."""
    x = dense(x)
    y = empty(g.y_shape, x.dtype, is_channels_last(x))
    if y.size:
        shares.forward(x, w, b, y, g)
    return y


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx by the forward pass with turned filters; gw and gb parallel over groups of images and blocks of outputs."""
    gx = gw = gb = None
    if needs_grad[0] and w is not None:
        gx = forward_numba(gy, _turn(w), None, _turned(g))
    if needs_grad[1] and x is not None and gy.size:
        gw, gb = shares.backward_w(gy, x, g)
        gw = checked(gw, lambda: im2col.backward_numba(gy, x, None, g, (False, True, False))[1])
    elif needs_grad[1] and x is not None:
        gw = np.zeros(g.w_shape, gy.dtype)
    return gx, gw, (sum_of_pixels(gy) if gb is None else gb) if needs_grad[2] else None
