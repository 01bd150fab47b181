"""Differentiable functions on tensors, one family per file; the only layer that calls kernels."""

from __future__ import annotations

from . import activation, arithmetic, batchnorm, conv, dropout, linear, loss, pooling, reduction, shape

__all__ = [
    "activation",
    "arithmetic",
    "batchnorm",
    "conv",
    "dropout",
    "linear",
    "loss",
    "pooling",
    "reduction",
    "shape",
]
