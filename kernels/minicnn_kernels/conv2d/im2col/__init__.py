"""Convolution 2 of 8, im2col: every window is copied into a column of a matrix, so that BLAS computes the sums.

The seven loops of 1, the definition, become one matrix product (`columns.py` makes the columns):

    col   = im2col(x[n])                          K = C/G*KH*KW rows, OH*OW columns
    y[n]  = w col + b              (O, K) @ (K, OH*OW)
    gw    = sum_n gy[n] col^T      (O, OH*OW) @ (OH*OW, K)
    gx[n] = col2im(w^T gy[n])      (K, O) @ (O, OH*OW)

With G groups each line holds for each group and its channels. BLAS does the arithmetic (on a GPU, `gemm.cu`); the price
is the memory of col, KH*KW/(SH*SW) times that of the input. Equations and legend: `conv2d/__init__.py`.

K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...arrays import Array, contiguous, xp
from ...cuda import launch, scalar, strides
from ...gemm import Operand, add_parts, gemm_cuda
from ...geometry import Conv
from ...layout import as_order, dense, empty, empty_beside, is_channels_last
from ...runtime import parallel, single_blas
from ...sums import total
from .. import pointwise
from ..bias import sum_of_pixels
from ..direct import Gradients, NeedsGrad
from ..direct import multiplications as multiplications  # the products are those of the definition
from ..operands import of_columns, of_images, of_weights
from . import bands
from .columns import cells_python, col2im, im2col, length

_FILE = "conv2d/im2col/columns.cu"

# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Plain loops: copy the windows of one image and group into col, then multiply row by column."""
    y = np.empty((g.n, g.o, g.oh * g.ow), x.dtype)
    og, k_all, windows = g.o // g.groups, range(length(g)), range(g.oh * g.ow)
    for n, group in np.ndindex(g.n, g.groups):
        col = [[0.0 for _ in windows] for _ in k_all]
        for k, window, c, p, q in cells_python(group, g):
            col[k][window] = float(x[n, c, p, q])
        for o in range(group * og, (group + 1) * og):
            row = [float(v) for v in w[o].ravel()]  # (C/G, KH, KW) -> (K,)
            for window in windows:
                y[n, o, window] = sum(row[k] * col[k][window] for k in k_all) + (0.0 if b is None else float(b[o]))
    return y.reshape(g.y_shape)  # (N, O, OH*OW) -> (N, O, OH, OW)


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """All windows of many images at once, then one batched matrix product.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import direct, im2col
    >>> x, w = np.random.default_rng(0).random((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    >>> g = geometry.conv2d(x.shape, w.shape)
    >>> np.allclose(im2col.forward_numpy(x, w, None, g), direct.forward_python(x, w, None, g))
    True
    """
    wg = w.reshape(g.groups, g.o // g.groups, length(g))  # (O, C/G, KH, KW) -> (G, O/G, K)
    y: Array = xp(x).empty((g.n, g.groups, g.o // g.groups, g.oh * g.ow), x.dtype)
    for some, part in _parts(g, x.itemsize):
        np.matmul(wg, im2col(x[some], part), out=y[some])  # (G, O/G, K) @ (N, G, K, OH*OW)
    y = y.reshape(g.y_shape)  # (N, G, O/G, OH*OW) -> (N, O, OH, OW)
    if b is not None:
        y += b[:, None, None]
    return y


MOST = 1 << 28  # bytes that the columns take at a time: all images together may have more than there is memory


def _parts(g: Conv, itemsize: int) -> list[tuple[slice, Conv]]:
    """Parts of the images whose columns take up to `MOST` bytes, each with its geometry."""
    step = max(1, MOST // max(1, g.groups * length(g) * g.oh * g.ow * itemsize))
    return [(slice(n, n + step), g._replace(n=min(step, g.n - n))) for n in range(0, max(1, g.n), step)]


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over bands of output rows; y has the memory order of x."""
    if is_one_window(g):
        y = pointwise.forward_numba(_as_pixels(x), _as_pixels(w), b, _of_pixels(g))
        return y.reshape(g.n, 1, 1, g.o).transpose(0, 3, 1, 2) if is_channels_last(x) else y
    x = dense(x)
    y = empty(g.y_shape, x.dtype, is_channels_last(x))
    with parallel(), single_blas():
        bands.forward(x, w, b, y, g)
    return y


def is_one_window(g: Conv) -> bool:
    """Whether one window is all of an image, as in the fifth layer of LeNet-5: an image is the column already.

    So the convolution is a linear layer, or `pointwise` on images of one pixel.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import im2col
    >>> im2col.is_one_window(geometry.conv2d((100, 16, 5, 5), (120, 16, 5, 5)))
    True
    """
    return (g.kh, g.kw, g.oh, g.ow, g.ph, g.pw, g.groups) == (g.h, g.w, 1, 1, 0, 0, 1)


def _of_pixels(g: Conv) -> Conv:
    """The geometry in which an image (C, H, W) is one pixel with C*H*W channels."""
    return g._replace(c=length(g), h=1, w=1, kh=1, kw=1, sh=1, sw=1, dh=1, dw=1)


def _as_pixels(x: Array) -> Array:
    """Images or filters (N, C, H, W) -> (N, C*H*W, 1, 1)."""
    return as_order(x, False).reshape(x.shape[0], math.prod(x.shape[1:]), 1, 1)


# On a GPU, a band is some images, or some rows of one image if already its columns would take more than `MOST` bytes.


def _bands(g: Conv, itemsize: int) -> Iterator[tuple[slice, Conv, int, int]]:
    """The images of each band, their geometry, the first output row and the number of rows."""
    line = max(1, g.groups * length(g) * g.ow * itemsize)
    rows = min(g.oh, max(1, MOST // line))
    step = max(1, MOST // (line * g.oh))
    for n in range(0, g.n, step):
        for i in range(0, g.oh, rows):
            yield slice(n, n + step), g._replace(n=min(step, g.n - n)), i, min(rows, g.oh - i)


def _columns(x: Array, g: Conv, inside: bool, first: int, rows: int) -> Operand:
    """The windows of some output rows, copied."""
    col = empty_beside(x, (g.n * g.groups * length(g) * rows * g.ow,))
    launch(_FILE, f"im2col<{scalar(x)}>", col.size, x, strides(x), col, g, inside, first, rows)
    return of_columns(col, g, rows * g.ow, inside)


def forward_cuda(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Bands one after the other: copy the windows (`columns.cu`), then multiply (`gemm.cu`); y in the order of x."""
    x, bias = dense(x), None if b is None else contiguous(b)
    inside = is_channels_last(x)
    y, weights = empty_beside(x, g.y_shape, inside), of_weights(contiguous(w), g, inside)
    for some, part, first, rows in _bands(g, x.itemsize):
        sizes = g.o // g.groups, part.n * rows * g.ow, length(g)
        col, to = _columns(x[some], part, inside, first, rows), of_images(y[some], g.groups, rows=rows, first=first)
        gemm_cuda(sizes, weights, col, to, bias, batches=g.groups)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Plain loops: gw[o, k] = sum gy[o, window] col[k, window]; gcol = w^T gy is added to the pixels of col."""
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, (g.o, length(g)), (g.o,)))
    w = None if w is None else w.reshape(g.o, length(g))  # (O, C/G, KH, KW) -> (O, K)
    up = gy.reshape(g.n, g.o, g.oh * g.ow)  # (N, O, OH, OW) -> (N, O, OH*OW)
    og = g.o // g.groups
    for n, group in np.ndindex(g.n, g.groups):
        outputs = range(group * og, (group + 1) * og)
        for k, window, c, p, q in cells_python(group, g):
            if x is not None:
                for o in outputs:
                    gw[o, k] += float(up[n, o, window]) * float(x[n, c, p, q])
            if w is not None:
                gx[n, c, p, q] += sum(float(w[o, k]) * float(up[n, o, window]) for o in outputs)
        for o in outputs:
            gb[o] += sum(float(v) for v in up[n, o])
    gradients = (gx, gw.reshape(g.w_shape), gb)
    return tuple(a.astype(gy.dtype) if wanted else None for a, wanted in zip(gradients, needs_grad, strict=True))  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Two batched matrix products; the windows are copied again instead of kept from the forward pass."""
    og, k, parts = g.o // g.groups, length(g), _parts(g, gy.itemsize)
    up = gy.reshape(g.n, g.groups, og, g.oh * g.ow)  # (N, O, OH, OW) -> (N, G, O/G, OH*OW)
    gx = gw = None
    if needs_grad[0] and w is not None:
        wt = w.reshape(g.groups, og, k).transpose(0, 2, 1)  # (O, C/G, KH, KW) -> (G, K, O/G)
        gx = np.concatenate([col2im(wt @ up[some], part) for some, part in parts])
    if needs_grad[1] and x is not None:
        sums = [total(up[some] @ im2col(x[some], part).transpose(0, 1, 3, 2), (0,)) for some, part in parts]
        gw = total(np.concatenate(sums), (0,)).reshape(g.w_shape)  # (1, G, O/G, K) -> (O, C/G, KH, KW)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Bands as in forward. gx is parallel over images. gw is parallel over rows, with a partial sum per share; if there
    are few rows, over output channels.
    """
    if is_one_window(g):
        pixels, filters = (None if a is None else _as_pixels(a) for a in (x, w))
        gx, gw, gb = pointwise.backward_numba(_as_pixels(gy), pixels, filters, _of_pixels(g), needs_grad)
        gx = None if gx is None else as_order(gx.reshape(g.x_shape), is_channels_last(gy if x is None else x))
        return gx, None if gw is None else gw.reshape(g.w_shape), gb
    like = dense(gy if x is None else x)
    channels_last = is_channels_last(like)
    gy = as_order(gy, channels_last)
    gx = gw = gb = None
    with parallel(), single_blas():
        if needs_grad[0] and w is not None:
            gx = empty(g.x_shape, gy.dtype, channels_last)
            bands.backward_x(gy, w, gx, g, channels_last)
        if needs_grad[2] and not needs_grad[1]:
            gb = sum_of_pixels(gy)
        if needs_grad[1] and x is not None:
            gw, gb = bands.backward_w(gy, like, g)
    return gx, gw, gb if needs_grad[2] else None


def backward_cuda(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Bands as in forward. Those of gx add to it one after the other; those of gw are added up at the end."""
    gy, x, gx, gw, og = dense(gy), None if x is None else dense(x), None, None, g.o // g.groups
    inside, all_bands = is_channels_last(gy if x is None else x), list(_bands(g, gy.itemsize))
    if needs_grad[0] and w is not None:
        gx, turned = empty_beside(gy, g.x_shape, inside), of_weights(contiguous(w), g, inside).turned()
        for some, part, first, rows in all_bands:
            up, to = of_images(gy[some], g.groups, rows=rows, first=first), gx[some]
            col = empty_beside(gy, (part.n * g.groups * length(g) * rows * g.ow,))
            columns = of_columns(col, part, rows * g.ow, inside)
            gemm_cuda((length(g), part.n * rows * g.ow, og), turned, up, columns, batches=g.groups)
            args = col, to, strides(to), part, inside, first, rows, first > 0
            launch(_FILE, f"col2im<{scalar(gy)}>", to.size, *args)
    if needs_grad[1] and x is not None:
        gw, sums = empty_beside(gy, g.w_shape), empty_beside(gy, (len(all_bands), *g.w_shape))
        for number, (some, part, first, rows) in enumerate(all_bands):
            up, part_sum = of_images(gy[some], g.groups, rows=rows, first=first), of_weights(sums[number], g, inside)
            columns = _columns(x[some], part, inside, first, rows).turned()
            gemm_cuda((og, length(g), part.n * rows * g.ow), up, columns, part_sum, batches=g.groups)
        add_parts(sums, gw, len(all_bands))
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None
