"""The convolution as a matrix product of filters and columns, and its gradients."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import Array

Pair = tuple[int, int]


def conv2d_product(col: Array, w: Array, b: Array, size: Pair) -> Array:
    """A convolution as a matrix product: `im2col` has made the columns, and the filters are the rows of a matrix.

        y[n] = W col[n] + b     (O, K) @ (K, OH*OW)     W has the filter o, flattened, as its row o;  K = C*KH*KW

    Args:
        col: (N, K, OH*OW), the windows as columns; row k = (c*KH + a)*KW + b.
        w: filters, (O, C, KH, KW).
        b: bias, (O,).
        size: (OH, OW), the size of the result.

    Returns:
        y, (N, O, OH, OW).
    """
    y = w.reshape(len(w), -1) @ col + b[:, None]  # (O, C, KH, KW) -> (O, K); (O, K) @ (N, K, OH*OW) + (O, 1)
    return y.reshape(len(col), len(w), *size)  # (N, O, OH*OW) -> (N, O, OH, OW)


def conv2d_product_backward(gy: Array, col: Array, w: Array) -> tuple[Array, Array, Array]:
    """The gradients of a convolution as a matrix product; `col2im` makes gx of gcol.

        y[n] = W col[n] + b     (O, K) @ (K, OH*OW)     so, with G = gy[n] as a matrix (O, OH*OW):

        gcol[n] = W^T G         gW = sum over n of G col[n]^T         gb = sum over n and all columns of G

    Args:
        gy: upstream gradient, (N, O, OH, OW).
        col: (N, K, OH*OW), of the forward pass.
        w: filters, (O, C, KH, KW), K = C*KH*KW.

    Returns:
        gcol (N, K, OH*OW), gw (O, C, KH, KW), gb (O,).
    """
    up = gy.reshape(len(gy), len(w), -1)  # (N, O, OH, OW) -> (N, O, OH*OW)
    gcol = w.reshape(len(w), -1).T @ up  # (K, O) @ (N, O, OH*OW)
    gw = np.einsum("nop,nkp->ok", up, col)
    return gcol, gw.reshape(w.shape), up.sum((0, 2))
