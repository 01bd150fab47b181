"""Losses. Softmax and cross-entropy are one operation: their common gradient is p - onehot, and nothing overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry, softmax_xent

from ..autograd.engine import Function
from ..tensor import Array, Tensor
from .operands import floating

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropy(Function):
    """loss[n] = log(sum_k exp(x[n, k])) - x[n, t[n]]; keeps the probabilities."""

    @staticmethod
    def forward(ctx: Any, logits: Array, target: Array) -> Array:
        """Run the chosen kernel."""
        losses, probabilities = softmax_xent.SOFTMAX_XENT(logits, target)
        ctx.save_for_backward(probabilities, target)
        return losses

    @staticmethod
    def backward(ctx: Any, g: Array) -> tuple[Array, None]:
        """g (p - onehot(t))."""
        probabilities, target = ctx.saved
        return softmax_xent.SOFTMAX_XENT_BACKWARD(g, probabilities, target), None


def cross_entropy(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The cross-entropy of softmax(input) against the true classes, -log softmax(input)[target].

    Args:
        input: logits (N, classes), not probabilities.
        target: class indices (N,), integers from 0 to classes - 1.
        reduction: "mean" over the rows, "sum", or "none" for (N,).

    Raises:
        ShapeError: shapes that do not fit.
        IndexError: a target that is not a class.
    """
    floating("cross_entropy", input=input)
    if reduction not in REDUCTIONS:
        raise ValueError(f"cross_entropy: reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    classes = target.array if isinstance(target, Tensor) else np.asarray(target)
    if classes.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: targets must be integer class indices, got {classes.dtype}")
    span = (int(classes.min()), int(classes.max())) if classes.size else None
    geometry.cross_entropy(input.shape, classes.shape, span)
    losses: Tensor = CrossEntropy.apply(input, np.ascontiguousarray(classes, np.int64))
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
