"""Kernels: arrays in, arrays out. No Tensor, no gradient tape, no knowledge of minicnn; see README.md here."""

from __future__ import annotations

from . import batchnorm, conv2d, elementwise, matmul, pooling, softmax_xent
from .dispatch import BACKENDS, TABLES, NoKernelError, use
from .geometry import ShapeError

__all__ = [
    "BACKENDS", "TABLES", "NoKernelError", "ShapeError", "batchnorm", "conv2d", "elementwise", "matmul", "pooling",
    "softmax_xent", "use",
]  # fmt: skip
