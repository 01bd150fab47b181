"""Unfold copies every window of an image into a column; fold, its adjoint, adds the columns back onto the image.

    unfold:  y[n, k, (i, j)] = x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW],   k = (c*KH + a)*KW + b     0 outside
    fold:    y[n, c, p, q]   = sum of x[n, k, (i, j)] over all cells that unfold copies from (n, c, p, q)

    images (N, C, H, W), columns (N, C*KH*KW, OH*OW)

Each is the gradient of the other. They are the two halves of a convolution by matrix product
(`conv2d/im2col/columns.py`), for a whole batch at once and without the product. `UNFOLD(x, g)` and `FOLD(x, g)` take a
`geometry.Conv` with one group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, contiguous, share_memory
from .conv2d.im2col.columns import cells_python, col2im, col2im_nchw, im2col, im2col_nchw
from .cuda import able, launch, scalar, strides
from .dispatch import Table
from .geometry import Conv
from .layout import dense, empty_beside, writable
from .runtime import njit, parallel, prange, threads


def unfold_python(x: Array, g: Conv) -> Array:
    """The definition: copy pixel by pixel."""
    y = np.zeros(g.col_shape, x.dtype)
    for n in range(g.n):
        for k, window, c, p, q in cells_python(0, g):
            y[n, k, window] = x[n, c, p, q]
    return y


def fold_python(x: Array, g: Conv) -> Array:
    """The definition: add pixel by pixel."""
    y = np.zeros(g.x_shape, np.float64)
    for n in range(g.n):
        for k, window, c, p, q in cells_python(0, g):
            y[n, c, p, q] += float(x[n, k, window])
    return y.astype(x.dtype)


def unfold_numpy(x: Array, g: Conv) -> Array:
    """A view of all windows, copied."""
    y = im2col(x, g).reshape(g.col_shape)  # (N, 1, K, OH*OW) -> (N, K, OH*OW)
    return y.copy() if share_memory(x, y) else y


def fold_numpy(x: Array, g: Conv) -> Array:
    """One cell (a, b) of the window at a time, for all windows at once."""
    return contiguous(col2im(x, g))


# Numba: a task is one channel of one image, that is KH*KW rows of its columns.


@njit()
def _share(t: Any, shares: int, images: Array, columns: Array, g: Conv, forward: bool) -> None:
    tasks, cells = g.n * g.c, g.kh * g.kw
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        n, c = task // g.c, task % g.c
        col = columns[n, c * cells : (c + 1) * cells]
        if forward:
            im2col_nchw(images[n], col, c, 0, g.oh, g)
        else:
            col2im_nchw(col, images[n], c, 0, g.oh, g)


@njit(parallel=True)
def _copy(shares: int, images: Array, columns: Array, g: Conv, forward: bool) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, images, columns, g, forward)


def unfold_numba(x: Array, g: Conv) -> Array:
    """Parallel over the channels of all images."""
    y = np.empty(g.col_shape, x.dtype)
    with parallel():
        _copy(threads(), writable(np.ascontiguousarray(x)), y, g, True)
    return y


def fold_numba(x: Array, g: Conv) -> Array:
    """Parallel over the channels of all images."""
    y = np.zeros(g.x_shape, x.dtype)
    with parallel():
        _copy(threads(), y, writable(np.ascontiguousarray(x)), g, False)
    return y


_FILE = "conv2d/im2col/columns.cu"


def unfold_cuda(x: Array, g: Conv) -> Array:
    """A thread for each element of the columns: `columns.cu`."""
    if not able(x):
        return unfold_numpy(x, g)
    x, y = dense(x), empty_beside(x, g.col_shape)
    launch(_FILE, f"im2col<{scalar(x)}>", y.size, x, strides(x), y, g, False, 0, g.oh)
    return y


def fold_cuda(x: Array, g: Conv) -> Array:
    """A thread for each pixel, which looks for the columns that have it."""
    if not able(x):
        return fold_numpy(x, g)
    x, y = contiguous(x), empty_beside(x, g.x_shape)
    launch(_FILE, f"col2im<{scalar(x)}>", y.size, x, y, strides(y), g, False, 0, g.oh, False)
    return y


UNFOLD = Table(
    "unfold",
    {
        ("columns", "python"): unfold_python,
        ("columns", "numpy"): unfold_numpy,
        ("columns", "numba"): unfold_numba,
        ("columns", "cuda"): unfold_cuda,
    },
)
FOLD = Table(
    "fold",
    {
        ("columns", "python"): fold_python,
        ("columns", "numpy"): fold_numpy,
        ("columns", "numba"): fold_numba,
        ("columns", "cuda"): fold_cuda,
    },
)
