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
    IntOrTriple,
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
    triple,
    whole,
    wholes,
)
from .volumes import (
    Slabs,
    adaptive_pool3d,
    conv3d,
    conv_transpose3d,
    max_unpool3d,
    pool3d,
    same_padding3d,
)
from .windows import Pool, adaptive_pool2d, fractional_pool, max_unpool2d, pool2d

__all__ = [
    "Channels",
    "Conv",
    "Groups",
    "IntOrPair",
    "IntOrTriple",
    "KindError",
    "Pool",
    "Shape",
    "ShapeError",
    "SizeError",
    "Slabs",
    "adaptive_pool2d",
    "adaptive_pool3d",
    "batch_norm",
    "broadcast",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "conv_transpose3d",
    "counted",
    "cross_entropy",
    "fits",
    "fold",
    "fractional_pool",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "linear",
    "listed",
    "local_response_norm",
    "matmul",
    "max_unpool2d",
    "max_unpool3d",
    "output_size",
    "pad",
    "pair",
    "pool2d",
    "pool3d",
    "real",
    "same_padding",
    "same_padding3d",
    "shown",
    "triple",
    "unfold",
    "whole",
    "wholes",
]  # fmt: skip
