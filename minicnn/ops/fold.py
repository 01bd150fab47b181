"""Taking the windows of images as columns, and adding columns back; equations in `minicnn_kernels/fold.py`."""

from __future__ import annotations

from typing import Any

from minicnn_kernels import fold as kernels
from minicnn_kernels import geometry
from minicnn_kernels.geometry import IntOrPair

from ..tensor import Array, Tensor
from .tensor.linear_map import LinearMapRow, Map
from .tensor.operands import backend_for

__all__ = ["fold", "unfold"]


def _columns(x: Array, *arguments: Any) -> Array:
    g = arguments[-1]
    y = kernels.UNFOLD(x.reshape(g.x_shape), g, **backend_for(x))  # (C, H, W) -> (1, C, H, W)
    return y.reshape(g.col_shape[4 - x.ndim :])


def _images(x: Array, *arguments: Any) -> Array:
    g = arguments[-1]
    y = kernels.FOLD(x.reshape(g.col_shape), g, **backend_for(x))  # (K, L) -> (1, K, L)
    return y.reshape(g.x_shape[3 - x.ndim :])


UNFOLD = LinearMapRow("Unfold", _columns, _images, lambda shape, g: g.col_shape[4 - len(shape) :])
FOLD = LinearMapRow("Fold", _images, _columns, lambda shape, g: g.x_shape[3 - len(shape) :])


def unfold(
    input: Tensor, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0, stride: IntOrPair = 1
) -> Tensor:
    """Return each window of (N, C, H, W), or (C, H, W), as a column: (N, C*KH*KW, L), L = OH*OW windows, row by row.

    A convolution is a product with these columns: `weight.flatten(1) @ unfold(x, ...)`.

    Args:
        input: images.
        kernel_size, dilation, padding, stride: an int or (vertical, horizontal), as in `conv2d`.

    Raises:
        ShapeError: the rank is wrong, or a window does not fit.

    >>> x = minicnn.arange(9.0).reshape(1, 1, 3, 3)
    >>> F.unfold(x, 2)[0]  # the first column is the first window: 0 1 3 4
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]])
    """
    shape = (1, *input.shape) if input.ndim == 3 else input.shape
    return Map.apply(input, UNFOLD, geometry.unfold(shape, kernel_size, dilation, padding, stride))


def fold(
    input: Tensor, output_size: IntOrPair, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0,
    stride: IntOrPair = 1,
) -> Tensor:  # fmt: skip
    """Add columns (N, C*KH*KW, L), or (C*KH*KW, L), onto the windows they came from: (N, C, *output_size).

    This is the transpose of `unfold`, not its inverse: a pixel that lies in several windows gets the sum.

    Raises:
        ShapeError: the rank is wrong, or the numbers of rows or columns do not fit the windows.

    >>> F.fold(minicnn.ones(1, 4, 4), (3, 3), 2)[0, 0]  # how many of the four windows a pixel lies in
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    shape = (1, *input.shape) if input.ndim == 2 else input.shape
    g = geometry.fold(shape, output_size, kernel_size, dilation, padding, stride)
    return Map.apply(input, FOLD, g)
