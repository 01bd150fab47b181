"""Batch normalisation as a tensor operation: S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import batchnorm as kernels
from minicnn_kernels import geometry

from ..autograd.engine import Function
from ..tensor import Array, Tensor
from .operands import floating


class BatchNormTraining(Function):
    """y = gamma (x - mean)/sqrt(var + eps) + beta with the batch's own mean and variance, which are results too."""

    @staticmethod
    def forward(ctx: Any, x: Array, gamma: Array | None, beta: Array | None, eps: float) -> tuple[Array, Array, Array]:
        """Run the chosen kernel."""
        y, mean, var, invstd = kernels.TRAINING(x, gamma, beta, eps)
        ctx.save_for_backward(x, gamma, mean, invstd)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, gy: Array, *_: Array) -> tuple[Array | None, ...]:
        """The kernel's gradients, through the mean and the variance too."""
        x, gamma, mean, invstd = ctx.saved
        return (*kernels.TRAINING_BACKWARD(gy, x, gamma, mean, invstd, ctx.needs_input_grad[:3]), None)


class BatchNormEvaluation(Function):
    """y = gamma (x - mean)/sqrt(var + eps) + beta with given mean and variance: a scale and a shift per channel."""

    @staticmethod
    def forward(
        ctx: Any, x: Array, gamma: Array | None, beta: Array | None, mean: Array, var: Array, eps: float
    ) -> Array:
        """Run the chosen kernel."""
        ctx.save_for_backward(x, gamma, mean, var)
        ctx.eps = eps
        return kernels.EVALUATION(x, gamma, beta, mean, var, eps)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """The kernel's gradients; mean and variance are constants."""
        x, gamma, mean, var = ctx.saved
        need = ctx.needs_input_grad[:3]
        return (*kernels.EVALUATION_BACKWARD(gy, x, gamma, mean, var, ctx.eps, need), None, None, None)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of (N, C, ...) to mean 0 and variance 1, then scale by `weight` and shift by `bias`.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    In training, or without running statistics, mean and variance are the batch's (the variance divided by the count),
    and the running ones are moved towards them, the variance there divided by the count - 1:

        running = (1 - momentum) * running + momentum * batch

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_var: (C,), changed in place in training; None for none.
        weight, bias: (C,) or None: gamma and beta.

    Raises:
        ShapeError: a vector that is not (C,), or one value per channel in training.
    """
    floating("batch_norm", input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    geometry.batch_norm(input.shape, training, {k: None if v is None else v.shape for k, v in vectors.items()})
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "batch_norm: evaluation needs running_mean and running_var; pass training=True to use the batch's"
            )
        y: Tensor = BatchNormEvaluation.apply(input, weight, bias, running_mean.detach(), running_var.detach(), eps)
        return y
    y, mean, var = BatchNormTraining.apply(input, weight, bias, eps)
    count = input.numel() // input.shape[1] if input.shape[1] else 0
    if count:  # an empty batch says nothing
        for running, batch in ((running_mean, mean.array), (running_var, var.array * (count / max(count - 1, 1)))):
            if running is not None:
                running.detach().copy_((1 - momentum) * running.array + momentum * np.asarray(batch, running.dtype))
    return y
