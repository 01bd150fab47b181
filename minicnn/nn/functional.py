"""Layers as functions, under PyTorch's names; the work is in `minicnn.ops`."""

from __future__ import annotations

from ..ops.activation import relu, sigmoid, tanh
from ..ops.batchnorm import batch_norm
from ..ops.conv import conv2d
from ..ops.dropout import dropout
from ..ops.linear import linear
from ..ops.loss import cross_entropy
from ..ops.pooling import avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "linear",
    "max_pool2d",
    "relu",
    "sigmoid",
    "tanh",
]
