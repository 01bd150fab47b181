"""The sizes of every operation, and every error about shapes.

The legend, used in all kernels:

    N        images in the batch            C, H, W   channels, height, width of the input
    O        output channels (filters)        KH, KW    height and width of the filter (window)
    SH, SW   stride                           PH, PW    padding on each side
    DH, DW   dilation                         OH, OW    height and width of the output
    G        groups                           gx gw gb gy   gradients of x, w, b and of the output y

The size of one side of the output (Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285):

    OH = floor((H + 2*PH - (DH*(KH - 1) + 1)) / SH) + 1

A compiled kernel gets a geometry that was checked here, so it may assume that its arrays fit.
"""

from __future__ import annotations

from .convolution import Conv, conv2d, conv_transpose2d, fold, same_padding, unfold
from .losses import cross_entropy
from .normalization import Channels, Groups, batch_norm, group_norm, instance_norm, layer_norm, local_response_norm
from .padding import pad
from .products import linear, matmul
from .sizes import (
    IntOrPair,
    KindError,
    Shape,
    ShapeError,
    SizeError,
    broadcast,
    counted,
    fits,
    listed,
    output_size,
    pair,
    real,
    shown,
    whole,
    wholes,
)
from .windows import Pool, adaptive_pool2d, fractional_pool2d, max_unpool2d, pool2d

__all__ = [
    "Channels",
    "Conv",
    "Groups",
    "IntOrPair",
    "KindError",
    "Pool",
    "Shape",
    "ShapeError",
    "SizeError",
    "adaptive_pool2d",
    "batch_norm",
    "broadcast",
    "conv2d",
    "conv_transpose2d",
    "counted",
    "cross_entropy",
    "fits",
    "fold",
    "fractional_pool2d",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "linear",
    "listed",
    "local_response_norm",
    "matmul",
    "max_unpool2d",
    "output_size",
    "pad",
    "pair",
    "pool2d",
    "real",
    "same_padding",
    "shown",
    "unfold",
    "whole",
    "wholes",
]  # fmt: skip
