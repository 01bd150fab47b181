"""The depthwise convolution."""

from __future__ import annotations

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.conv2d.depthwise import forward_python

Pair = tuple[int, int]


def depthwise_conv2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair) -> Array:
    """A depthwise convolution: every input channel has M filters of its own, and no channels are added up.

    There are O = C*M output channels. Output channel o filters input channel c = o // M:

        y[n, o, i, j] = b[o] + sum over a, k of  w[o, 0, a, k] * x[n, o // M, i*SH - PH + a, j*SW - PW + k]

    Args:
        x: images, (N, C, H, W).
        w: filters, (C*M, 1, KH, KW).
        b: bias, (C*M,).
        stride: (SH, SW).
        padding: (PH, PW), of zeros.

    Returns:
        y, (N, C*M, OH, OW), with OH = floor((H + 2*PH - KH) / SH) + 1, and OW in the same way.
    """
    return forward_python(x, w, b, geometry.conv2d(x.shape, w.shape, b.shape, stride, padding, 1, x.shape[1]))
