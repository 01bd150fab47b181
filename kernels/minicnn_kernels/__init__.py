"""Kernels: arrays in, arrays out. No Tensor, no gradient tape, no knowledge of minicnn; see README.md here."""

from __future__ import annotations

from . import (
    activations,
    arithmetic,
    batchnorm,
    channel_products,
    conv2d,
    dropout,
    fold,
    local_response,
    matmul,
    normalization,
    optimizers,
    pooling,
    resample,
    softmax,
    softmax_xent,
    warp,
)  # fmt: skip
from .dispatch import BACKENDS, TABLES, NoKernelError, use
from .geometry import ShapeError

__all__ = [
    "BACKENDS", "TABLES", "NoKernelError", "ShapeError", "activations", "arithmetic", "batchnorm", "channel_products",
    "conv2d", "dropout", "fold", "local_response", "matmul", "normalization", "optimizers", "pooling", "resample",
    "softmax", "softmax_xent", "use", "warp",
]  # fmt: skip
