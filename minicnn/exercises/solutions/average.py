"""Average pooling."""

from __future__ import annotations

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.pooling.average import backward_python, forward_python

Pair = tuple[int, int]


def avg_pool2d_forward(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """Average pooling: the mean of each window.

        y[n, c, i, j] = 1/(KH*KW) * sum over a, b of  x[n, c, i*SH - PH + a, j*SW - PW + b]

    Outside of the image x is 0, and these zeros count: it is always divided by KH*KW.

    Args:
        x: maps, (N, C, H, W).
        kernel: (KH, KW), the size of a window.
        stride: (SH, SW).
        padding: (PH, PW), at most half of the kernel.

    Returns:
        y, (N, C, OH, OW), with OH = floor((H + 2*PH - KH) / SH) + 1, and OW in the same way.
    """
    return forward_python(x, geometry.pool2d(x.shape, kernel, stride, padding, op="avg_pool2d"))


def avg_pool2d_backward(gy: Array, size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The gradient of average pooling: every value of a window gets an equal share.

        gx[n, c, p, q] = sum of gy[n, c, i, j] / (KH*KW) over all windows (i, j) that have (p, q)

    Args:
        gy: upstream gradient, (N, C, OH, OW).
        size: (H, W) of the maps of the forward pass.
        kernel: (KH, KW).
        stride: (SH, SW); windows overlap where it is smaller than the kernel.
        padding: (PH, PW).

    Returns:
        gx, (N, C, H, W).
    """
    return backward_python(gy, geometry.pool2d((*gy.shape[:2], *size), kernel, stride, padding, op="avg_pool2d"))
