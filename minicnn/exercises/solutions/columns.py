"""Image to column, back, and the convolution as a matrix product."""

from __future__ import annotations

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.fold import fold_python, unfold_python

Pair = tuple[int, int]


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Image to column: every window of x becomes a column of a matrix.

        col[n, k, i*OW + j] = x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]   with k = (c*KH + a)*KW + b

    and 0 where that is outside of the image. A pixel is copied to every window that has it.

    Args:
        x: images, (N, C, H, W).
        kernel: (KH, KW), the size of a window.
        stride: (SH, SW).
        padding: (PH, PW), of zeros.
        dilation: (DH, DW).

    Returns:
        col, (N, C*KH*KW, OH*OW), with OH = floor((H + 2*PH - DH*(KH - 1) - 1) / SH) + 1, and OW in the same way.
    """
    return unfold_python(x, geometry.unfold(x.shape, kernel, dilation, padding, stride))


def col2im(
    col: Array, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:  # fmt: skip
    """Column to image, the adjoint of im2col: every column is added back to its window.

        x[n, c, p, q] = sum of col[n, k, i*OW + j] over all cells that `im2col` copies from (n, c, p, q)

    A pixel lies in several windows, and gets a part from each. This is how the gradient of a convolution comes back.

    Args:
        col: (N, C*KH*KW, OH*OW), as `im2col` makes it: row k = (c*KH + a)*KW + b, column i*OW + j.
        size: (H, W) of the images.
        kernel: (KH, KW), the size of a window.
        stride: (SH, SW).
        padding: (PH, PW): what falls there is dropped.
        dilation: (DH, DW).

    Returns:
        x, (N, C, H, W).
    """
    return fold_python(col, geometry.fold(col.shape, size, kernel, dilation, padding, stride))
