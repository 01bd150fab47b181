"""Convolution 6 of 8, depthwise: no sum over channels, since every output channel sees only one input channel.

Equations and legend: `conv2d/__init__.py`.

With as many groups as channels, C/G is 1 and O = C*M. Output channel o filters channel c = o // M:

    y[n, o, i, j]  = b[o] + sum_{a, b} w[o, a, b] x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gw[o, a, b]    = sum_{n, i, j} gy[n, o, i, j] x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gx[n, c, p, q] = sum_{o of c} sum_{a, b} w[o, a, b] gy[n, o, i, j]  with i*SH = p + PH - a*DH, j*SW = q + PW - b*DW

There is no sum over channels, and so there is no matrix product. 2*KH*KW operations per output are little work beside
the memory traffic of x and y, so the goal is to read x and write y only once.

On Numba the same loops serve for groups of a few input channels and as many output channels, as in ResNeXt: groups of
2 or 4, with AVX-512 also of 8 (`fills_vectors`). As a matrix product such a group would fill a small part of a vector.

A. Howard et al., "MobileNets", 2017; F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Array, contiguous, xp
from ...cuda import launch, launch_blocks, scalar, strides
from ...gemm import add_parts
from ...geometry import Conv
from ...layout import as_order, dense, empty, empty_beside, is_channels_last
from ...runtime import parallel
from ..bias import sum_of_pixels
from ..direct import Gradients, NeedsGrad, pad
from . import bands, tile


def supports(g: Conv) -> bool:
    """Whether every group is one input channel.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import depthwise
    >>> depthwise.supports(geometry.conv2d((1, 64, 28, 28), (64, 1, 3, 3), groups=64))
    True
    """
    return g.groups == g.c


def fills_vectors(g: Conv, itemsize: int) -> bool:
    """Whether several groups of equally many input and output channels fill a vector, on Numba.

    The loops for depthwise convolution then serve for them, too; `implicit` would leave most of a vector empty.
    """
    size = g.c // g.groups
    return g.o == g.c and 0 < size < tile.lanes(itemsize) and tile.lanes(itemsize) % size == 0


# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Plain loops over outputs and the cells of their windows."""
    y = np.empty(g.y_shape, x.dtype)
    for n, o, i, j in np.ndindex(*g.y_shape):
        total = 0.0 if b is None else float(b[o])
        for a, b_ in np.ndindex(g.kh, g.kw):
            p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b_ * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                total += float(w[o, 0, a, b_]) * float(x[n, o * g.c // g.o, p, q])
        y[n, o, i, j] = total
    return y


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One filter cell (a, b) at a time, for all pixels: the shifted image times the channel's weight there."""
    pixels = np.repeat(pad(x, g), g.o // g.c, 1)  # (N, O, H + 2*PH, W + 2*PW)
    y: Array = xp(x).zeros(g.y_shape, x.dtype)
    if b is not None:
        y += b[:, None, None]
    for a, b_ in np.ndindex(g.kh, g.kw):
        y += w[:, 0, a, b_, None, None] * _under(pixels, g, a, b_)
    return y


def _under(x: Array, g: Conv, a: int, b: int) -> Array:
    """The view (N, O, OH, OW) of the padded input under filter cell (a, b)."""
    top, left = a * g.dh, b * g.dw
    return x[:, :, top : top + g.sh * (g.oh - 1) + 1 : g.sh, left : left + g.sw * (g.ow - 1) + 1 : g.sw]


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over images, or over bands of their rows; y has the memory order of x."""
    channels_last, images, channels = is_channels_last(x), _filled(x, g), max(g.o, tile.lanes(x.itemsize))
    y = empty((g.n, channels, g.oh, g.ow), x.dtype, True)
    with parallel():
        bands.forward(images, _cells(w, g, channels), None if b is None else _up_to(channels, b), y, g)
    return as_order(y if channels == g.o else y[:, : g.o], channels_last)


def _filled(x: Array, g: Conv) -> Array:
    """Images (N, C or O, H, W), channels last, with O channels and zeros after them if a vector is longer than a pixel.

    This is a copy if O > C or if there are fewer channels than lanes, both of which are rare.
    """
    n, c, h, w = x.shape
    channels = max(g.o, tile.lanes(x.itemsize))
    if c == channels:
        return as_order(x, True)
    filled = np.zeros((n, h, w, channels), x.dtype)
    filled[..., : g.o].reshape(n, h, w, c, g.o // c)[...] = x.transpose(0, 2, 3, 1)[..., None]
    return filled.transpose(0, 3, 1, 2)


def _cells(w: Array, g: Conv, channels: int) -> Array:
    """w (O, C/G, KH, KW) -> (KH*KW, C/G, channels), flat."""
    return _up_to(channels, w.reshape(g.o, g.c // g.groups, g.kh * g.kw).transpose(2, 1, 0)).reshape(-1)


def _cells_of_gradient(w: Array, g: Conv, channels: int) -> Array:
    """w (O, C/G, KH, KW) -> (KH*KW, O/G, channels), flat: input and output channels of each group change places."""
    size = g.c // g.groups
    if size == 1:
        return _cells(w, g, channels)
    turned = w.reshape(g.groups, size, size, g.kh * g.kw).transpose(3, 1, 0, 2)
    return _up_to(channels, turned.reshape(g.kh * g.kw, size, g.c)).reshape(-1)


def _up_to(channels: int, a: Array) -> Array:
    """An array (..., O) with zeros after the O channels, if that makes more of them."""
    if a.shape[-1] == channels:
        return np.ascontiguousarray(a)
    filled = np.zeros((*a.shape[:-1], channels), a.dtype)
    filled[..., : a.shape[-1]] = a
    return filled


_FILE = "conv2d/depthwise/depthwise.cu"
_STRIP = 4  # as in the file


def forward_cuda(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """A thread for four outputs, one below the other: `depthwise.cu`."""
    x, bias = dense(x), None if b is None else contiguous(b)
    inside = is_channels_last(x)
    y = empty_beside(x, g.y_shape, inside)
    args = x, strides(x), contiguous(w), bias, y, strides(y), g, inside
    launch(_FILE, f"forward<{scalar(x)}>", g.n * g.o * -(-g.oh // _STRIP) * g.ow, *args)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """The loops of the forward pass; each product w*x adds gy*w to the gradient of x, and gy*x to that of w."""
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, g.w_shape, (g.o,)))
    for n, o, i, j in np.ndindex(*g.y_shape):
        up, c = float(gy[n, o, i, j]), o * g.c // g.o
        gb[o] += up
        for a, b in np.ndindex(g.kh, g.kw):
            p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                if w is not None:
                    gx[n, c, p, q] += up * float(w[o, 0, a, b])
                if x is not None:
                    gw[o, 0, a, b] += up * float(x[n, c, p, q])
    gradients = tuple(
        a.astype(gy.dtype) if wanted else None for a, wanted in zip((gx, gw, gb), needs_grad, strict=True)
    )
    return gradients  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """One filter cell at a time: gy times its weights is added to gx under it; gw is gy times the pixels under it."""
    m = g.o // g.c
    gx = gw = None
    if needs_grad[0] and w is not None:
        whole = xp(gy).zeros((g.n, g.o, g.h + 2 * g.ph, g.w + 2 * g.pw), gy.dtype)
        for a, b in np.ndindex(g.kh, g.kw):
            _under(whole, g, a, b)[...] += w[:, 0, a, b, None, None] * gy
        gx = whole[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w]
        gx = gx.reshape(g.n, g.c, m, g.h, g.w).sum(2)  # (N, O, H, W) -> (N, C, M, H, W) -> (N, C, H, W)
    if needs_grad[1] and x is not None:
        pixels, gw = np.repeat(pad(x, g), m, 1), xp(gy).empty(g.w_shape, gy.dtype)
        for a, b in np.ndindex(g.kh, g.kw):
            gw[:, 0, a, b] = sum_of_pixels(gy * _under(pixels, g, a, b))
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Parallel as forward; gw is a partial sum per share. gx has the memory order of x."""
    channels_last, channels = is_channels_last(gy if x is None else x), max(g.o, tile.lanes(gy.itemsize))
    up, gx, gw = _filled(gy, g), None, None
    if needs_grad[0] and w is not None:
        whole = empty((g.n, channels, g.h, g.w), gy.dtype, True)
        with parallel():
            bands.backward_x(up, _cells_of_gradient(w, g, channels), whole, g)
        if channels > g.c:
            whole = whole[:, : g.o].reshape(g.n, g.c, g.o // g.c, g.h, g.w).sum(2)
        gx = as_order(whole, channels_last)
    if needs_grad[1] and x is not None:
        gw = empty((channels, g.c // g.groups * g.kh * g.kw), gy.dtype)
        images = _filled(x, g)
        with parallel():
            bands.backward_w(up, images, gw.reshape(-1), g)
        gw = gw[: g.o].reshape(g.w_shape)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def shares(pixels: int, blocks: int, lanes: int) -> tuple[int, int]:
    """How many of the pixels of a channel a block adds up, and how many blocks they need; `blocks` have all channels.

    A thread, of which `lanes` have a channel, has 32 to 256 pixels: the more channels there are, the more.
    """
    length = lanes * min(max(-(-pixels * blocks // (256 * lanes)), 32), 256)
    return length, max(1, -(-pixels // length))


def backward_cuda(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx: a thread for each of its pixels. gw: a block for a channel, or for 32 in channels-last memory."""
    gy, x, gx, gw, kind = dense(gy), None if x is None else dense(x), None, None, scalar(gy)
    if needs_grad[0] and w is not None:
        gx = empty_beside(gy, g.x_shape, is_channels_last(gy if x is None else x))
        inside = is_channels_last(gx)
        launch(
            _FILE, f"backward_x<{kind}>", gx.size, gy, strides(gy), contiguous(w), gx, strides(gx), g, inside
        )  # fmt: skip
    if needs_grad[1] and x is not None:
        gw = empty_beside(gy, g.w_shape)
        wide = 32 if is_channels_last(gy) else 1  # channels of a block, whose 256 threads divide the pixels
        blocks, lanes, pixels = -(-g.o // wide), 256 // wide, g.n * g.oh * g.ow
        length, count = shares(pixels, blocks, lanes)
        parts = gw if count == 1 else empty_beside(gy, (count * gw.size,))
        args = gy, strides(gy), x, strides(x), parts, g, wide, length
        launch_blocks(_FILE, f"backward_w<{kind}>", (blocks * count,), (256,), *args)
        add_parts(parts, gw, count)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None
