"""Convolution 1 of 8, direct: the definition. Every output is the dot product of a window and a filter.

Equations and legend: `conv2d/__init__.py`.

It needs no scratch memory, and 2*N*O*OH*OW*(C/G)*KH*KW floating-point operations. The backward pass visits the same
products as the forward pass: where forward adds w*x to y, backward adds w*gy to gx and x*gy to gw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array, contiguous, xp
from ..cuda import launch, scalar, strides
from ..geometry import Conv
from ..layout import dense, empty_beside, is_channels_last, padded
from ..runtime import FAST, njit, parallel, prange, threads
from .bias import sum_of_pixels

_FILE = "conv2d/direct.cu"
NeedsGrad = tuple[bool, bool, bool]
Gradients = tuple[Array | None, Array | None, Array | None]


def multiplications(g: Conv, which: str = "forward") -> int:
    """The number of real multiplications, including those by zeros of the padding; the same for forward, gx and gw."""
    return g.n * g.o * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw


# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The definition, in plain loops; the reference for all others.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import direct
    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    >>> direct.forward_python(x, w, None, geometry.conv2d(x.shape, w.shape))  # such as 0 - 4
    array([[[[-4., -4.],
             [-4., -4.]]]])
    """
    y = np.empty(g.y_shape, x.dtype)
    for n, o, i, j in np.ndindex(*g.y_shape):
        total = 0.0 if b is None else float(b[o])
        for c, a, b_, ci, p, q in _window(g, o, i, j):
            total += float(w[o, c, a, b_]) * float(x[n, ci, p, q])
        y[n, o, i, j] = total
    return y


def _window(g: Conv, o: int, i: int, j: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """The products in output (o, i, j): weight (c, a, b) and the pixel (ci, p, q) under it; without the padding."""
    first = o // (g.o // g.groups) * (g.c // g.groups)  # the first input channel of o's group
    for c in range(g.c // g.groups):
        for a in range(g.kh):
            for b in range(g.kw):
                p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b * g.dw
                if 0 <= p < g.h and 0 <= q < g.w:
                    yield c, a, b, first + c, p, q


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One filter cell (a, b) at a time: a shifted, strided image times the weights of that cell, for all pixels."""
    pixels = pad(x, g)
    y = xp(x).zeros((g.n, g.groups, g.o // g.groups, g.oh * g.ow), x.dtype)
    w = w.reshape(g.groups, g.o // g.groups, g.c // g.groups, g.kh, g.kw)  # (O, C/G, KH, KW) -> (G, O/G, C/G, KH, KW)
    for a in range(g.kh):
        for b_ in range(g.kw):
            under = _under(pixels, g, a, b_).reshape(g.n, g.groups, g.c // g.groups, g.oh * g.ow)  # (N, C, OH, OW)
            y += w[..., a, b_] @ under  # (G, O/G, C/G) @ (N, G, C/G, OH*OW)
    y = y.reshape(g.y_shape)  # (N, G, O/G, OH*OW) -> (N, O, OH, OW)
    if b is not None:
        y += b[:, None, None]
    return y


def pad(x: Array, g: Conv) -> Array:
    """x with PH rows and PW columns of zeros on each side: (N, C, H + 2*PH, W + 2*PW)."""
    return padded(x, g.ph, g.ph, g.pw, g.pw) if g.ph or g.pw else x


def _under(x: Array, g: Conv, a: int, b: int) -> Array:
    """The view (N, C, OH, OW) of the padded input that is under filter cell (a, b) as the window slides."""
    top, left = a * g.dh, b * g.dw
    return x[:, :, top : top + g.sh * (g.oh - 1) + 1 : g.sh, left : left + g.sw * (g.ow - 1) + 1 : g.sw]


@njit(fastmath=FAST)
def _forward_share(t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv) -> None:
    # A task is one output channel of one image. Whole rows of x are added to its rows, in a loop of stride 1.
    tasks, cg = g.n * g.o, g.c // g.groups
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        n, o = task // g.o, task % g.o
        first = o // (g.o // g.groups) * cg
        for i in range(g.oh):
            row = y[n, o, i]
            row[:] = b[o]
            for c in range(cg):
                for a in range(g.kh):
                    p = i * g.sh - g.ph + a * g.dh
                    if p >= 0 and p < g.h:
                        for k in range(g.kw):
                            q, j0, j1 = inside(k, g)
                            weight = w[o, c, a, k]
                            to, run = row[j0:j1], x[n, first + c, p, q + j0 * g.sw :]
                            if g.sw == 1:  # with a step of 1 in the source LLVM vectorises the loop
                                for j in range(to.size):
                                    to[j] += weight * run[j]
                            else:
                                for j in range(to.size):
                                    to[j] += weight * run[j * g.sw]


@njit()
def inside(k: int, g: Conv) -> tuple[int, int, int]:
    """The column q of x under filter column k for j = 0, and the range of j for which q + j*SW is inside the image."""
    q = k * g.dw - g.pw
    j0 = min(g.ow, max(0, -(q // g.sw)))
    j1 = max(j0, min(g.ow, (g.w - 1 - q) // g.sw + 1))
    return q, j0, j1


@njit(parallel=True)
def _forward(shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, g)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The definition, compiled; parallel over the output channels of all images, vectorised along a row."""
    y = np.empty(g.y_shape, x.dtype)
    bias = np.zeros(g.o, x.dtype) if b is None else np.ascontiguousarray(b)
    with parallel():
        _forward(threads(), np.ascontiguousarray(x), np.ascontiguousarray(w), bias, y, g)
    return y


def forward_cuda(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The definition, a thread for each output: `direct.cu`."""
    x = dense(x)
    y = empty_beside(x, g.y_shape, is_channels_last(x))
    bias = None if b is None else contiguous(b)
    launch(_FILE, f"forward<{scalar(x)}>", y.size, x, strides(x), contiguous(w), bias, y, strides(y), g)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """The loops of the forward pass; each product w*x adds gy*w to the gradient of x, and gy*x to that of w.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import direct
    >>> x, w, gy = np.arange(3.0).reshape(1, 1, 1, 3), np.array([[[[10.0, 1.0]]]]), np.ones((1, 1, 1, 2))
    >>> gx, gw, gb = direct.backward_python(gy, x, w, geometry.conv2d(x.shape, w.shape), (True, True, True))
    >>> gx[0, 0, 0], gw[0, 0, 0], gb
    (array([10., 11.,  1.]), array([1., 3.]), array([2.]))
    """
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, g.w_shape, (g.o,)))
    for n, o, i, j in np.ndindex(*g.y_shape):
        up = float(gy[n, o, i, j])
        gb[o] += up
        for c, a, b, ci, p, q in _window(g, o, i, j):
            if w is not None:
                gx[n, ci, p, q] += up * float(w[o, c, a, b])
            if x is not None:
                gw[o, c, a, b] += up * float(x[n, ci, p, q])
    gradients = tuple(
        a.astype(gy.dtype) if wanted else None for a, wanted in zip((gx, gw, gb), needs_grad, strict=True)
    )
    return gradients  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """One filter cell at a time: gw is a product with the shifted image; gx gets its part at the shifted pixels."""
    og, cg = g.o // g.groups, g.c // g.groups
    by_group = g.groups, og, cg, g.kh, g.kw
    up = gy.reshape(g.n, g.groups, og, g.oh * g.ow)  # (N, O, OH, OW) -> (N, G, O/G, OH*OW)
    pixels = pad(x, g) if x is not None and needs_grad[1] else None
    wg = w.reshape(by_group) if w is not None and needs_grad[0] else None  # (O, C/G, KH, KW) -> (G, O/G, C/G, KH, KW)
    whole = xp(gy).zeros((g.n, g.c, g.h + 2 * g.ph, g.w + 2 * g.pw), gy.dtype)
    gw = xp(gy).empty(by_group, gy.dtype)
    for a in range(g.kh):
        for b in range(g.kw):
            if pixels is not None:
                under = _under(pixels, g, a, b).reshape(g.n, g.groups, cg, g.oh * g.ow)
                gw[..., a, b] = np.einsum("ngop,ngcp->goc", up, under, optimize=True)
            if wg is not None:
                back = wg[..., a, b].transpose(0, 2, 1) @ up  # (G, C/G, O/G) @ (N, G, O/G, OH*OW)
                _under(whole, g, a, b)[...] += back.reshape(g.n, g.c, g.oh, g.ow)
    gx = contiguous(whole[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w]) if needs_grad[0] else None
    return gx, gw.reshape(g.w_shape) if needs_grad[1] else None, sum_of_pixels(gy) if needs_grad[2] else None


@njit(fastmath=FAST)
def _backward_x_share(t: Any, shares: int, gy: Array, w: Array, gx: Array, g: Conv) -> None:
    # A task is one input channel of one image: no two tasks write the same gx.
    tasks, cg, og = g.n * g.c, g.c // g.groups, g.o // g.groups
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        n, c = task // g.c, task % g.c
        gx[n, c] = 0
        for o in range(c // cg * og, (c // cg + 1) * og):
            for i in range(g.oh):
                for a in range(g.kh):
                    p = i * g.sh - g.ph + a * g.dh
                    if p >= 0 and p < g.h:
                        for k in range(g.kw):
                            q, j0, j1 = inside(k, g)
                            weight = w[o, c % cg, a, k]
                            to, run = gx[n, c, p, q + j0 * g.sw :], gy[n, o, i, j0:j1]
                            if g.sw == 1:
                                for j in range(run.size):
                                    to[j] += weight * run[j]
                            else:
                                for j in range(run.size):
                                    to[j * g.sw] += weight * run[j]


@njit(parallel=True)
def _backward_x(shares: int, gy: Array, w: Array, gx: Array, g: Conv) -> None:
    for t in prange(shares):
        _backward_x_share(np.intp(t), shares, gy, w, gx, g)


@njit(fastmath=FAST)
def _backward_w_share(t: Any, shares: int, gy: Array, x: Array, gw: Array, g: Conv) -> None:
    # A task is one output channel: no two tasks write the same gw.
    cg = g.c // g.groups
    for o in range(t * g.o // shares, (t + 1) * g.o // shares):
        for c in range(cg):
            ci = o // (g.o // g.groups) * cg + c
            for a in range(g.kh):
                for k in range(g.kw):
                    q, j0, j1 = inside(k, g)
                    total = gw.dtype.type(0)
                    for n in range(g.n):
                        for i in range(g.oh):
                            p = i * g.sh - g.ph + a * g.dh
                            if p >= 0 and p < g.h:
                                up, run = gy[n, o, i, j0:j1], x[n, ci, p, q + j0 * g.sw :]
                                if g.sw == 1:
                                    for j in range(up.size):
                                        total += up[j] * run[j]
                                else:
                                    for j in range(up.size):
                                        total += up[j] * run[j * g.sw]
                    gw[o, c, a, k] = total


@njit(parallel=True)
def _backward_w(shares: int, gy: Array, x: Array, gw: Array, g: Conv) -> None:
    for t in prange(shares):
        _backward_w_share(np.intp(t), shares, gy, x, gw, g)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Compiled loops; gx parallel over the input channels of all images, gw over output channels."""
    gy, gx, gw = np.ascontiguousarray(gy), None, None
    with parallel():
        if needs_grad[0] and w is not None:
            gx = np.empty(g.x_shape, gy.dtype)
            _backward_x(threads(), gy, np.ascontiguousarray(w), gx, g)
        if needs_grad[1] and x is not None:
            gw = np.empty(g.w_shape, gy.dtype)
            _backward_w(threads(), gy, np.ascontiguousarray(x), gw, g)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def backward_cuda(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx: a thread for each of its pixels; gw: a warp for each weight; `direct.cu`."""
    gy, gx, gw = dense(gy), None, None
    kind = scalar(gy)
    if needs_grad[0] and w is not None:
        gx = empty_beside(gy, g.x_shape, is_channels_last(gy if x is None else dense(x)))
        launch(_FILE, f"backward_x<{kind}>", gx.size, gy, strides(gy), contiguous(w), gx, strides(gx), g)
    if needs_grad[1] and x is not None:
        x, gw = dense(x), empty_beside(gy, g.w_shape)
        launch(_FILE, f"backward_w<{kind}>", 32 * gw.size, gy, strides(gy), x, strides(x), gw, g)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None
