"""Max pooling."""

from __future__ import annotations

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.pooling.largest import forward_python
from minicnn_kernels.pooling.places import add_python

Pair = tuple[int, int]


def max_pool2d_forward(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """Max pooling: the largest value of each window.

        y[n, c, i, j] = max over a, b of  x[n, c, i*SH - PH + a, j*SW - PW + b]

    Places outside of the image do not count (they are minus infinity, not 0).

    Args:
        x: maps, (N, C, H, W).
        kernel: (KH, KW), the size of a window.
        stride: (SH, SW).
        padding: (PH, PW), at most half of the kernel.

    Returns:
        y, (N, C, OH, OW), with OH = floor((H + 2*PH - KH) / SH) + 1, and OW in the same way.
    """
    return forward_python(x, geometry.pool2d(x.shape, kernel, stride, padding))[0]


def max_pool2d_backward(gy: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The gradient of max pooling: it goes to the largest value of each window, and the others get 0.

        gx[n, c, p, q] = sum of gy[n, c, i, j] over all windows (i, j) whose largest value is at (p, q)

    If several values of a window are largest, the first of them gets all, row by row.

    Args:
        gy: upstream gradient, (N, C, OH, OW).
        x: maps of the forward pass, (N, C, H, W).
        kernel: (KH, KW).
        stride: (SH, SW); windows overlap where it is smaller than the kernel.
        padding: (PH, PW).

    Returns:
        gx, (N, C, H, W).
    """
    g = geometry.pool2d(x.shape, kernel, stride, padding)
    index = forward_python(x, g)[1]
    return add_python(gy, index, g)
