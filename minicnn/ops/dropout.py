"""Dropout: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.engine import Function
from ..random import default_generator
from ..tensor import Array, Tensor
from .operands import floating


class Dropout(Function):
    """y = x * mask, where the mask is 0 with probability p, else 1/(1 - p)."""

    @staticmethod
    def forward(ctx: Any, x: Array, p: float) -> Array:
        """Draw the mask and apply it."""
        keep = np.asarray(default_generator.numpy.random(x.shape, dtype=np.float32) >= p)
        mask = keep.astype(x.dtype) * x.dtype.type(1 / (1 - p) if p < 1 else 0)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """The gradient goes where the values went."""
        (mask,) = ctx.saved
        return gy * mask, None


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is zeroed with probability p and the others are scaled by 1/(1 - p), so the mean stays.

    Raises:
        ValueError: p outside [0, 1], or `inplace=True`, which is not supported.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be a probability between 0 and 1, got {p}")
    if inplace:
        raise ValueError("dropout: inplace=True is not supported; the result is a new tensor")
    floating("dropout", input=input)
    return Dropout.apply(input, p) if training and p else input
