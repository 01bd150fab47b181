"""Batch normalisation: each channel is scaled to mean 0 and variance 1, then scaled by gamma and shifted by beta.

    mean[c]      = sum x[n, c, s] / M                              M = N*S values per channel, in training
    var[c]       = sum (x[n, c, s] - mean[c])^2 / M
    invstd[c]    = 1 / sqrt(var[c] + eps)
    y[n, c, s]   = gamma[c] (x[n, c, s] - mean[c]) invstd[c] + beta[c]

    x, y, gx, gy               (N, C, ...): S stands for all axes after the second: none, or H and W of images
    gamma, beta                (C,) or None for 1 and 0
    mean, var, invstd, ggamma, gbeta   (C,)

    gbeta[c]     = sum gy
    ggamma[c]    = sum gy (x - mean[c]) invstd[c]
    gx           = gamma[c] invstd[c] (gy - gbeta[c]/M - (x - mean[c]) invstd[c] ggamma[c]/M)    training
    gx           = gamma[c] invstd[c] gy                                                         evaluation

In evaluation mode mean and var are given constants. Only the gradients that `needs_grad` asks for are computed; the
others are None:

    TRAINING(x, gamma, beta, eps, relu=False) -> (y, mean, var, invstd)
    TRAINING_BACKWARD(gy, x, gamma, beta, mean, invstd, needs_grad, relu=False) -> (gx, ggamma, gbeta)
    EVALUATION(x, gamma, beta, mean, var, eps, relu=False) -> y
    EVALUATION_BACKWARD(gy, x, gamma, beta, mean, var, eps, needs_grad, relu=False) -> (gx, ggamma, gbeta)

With `relu`, the result is max(y, 0), and the backward functions replace gy by 0 where y is not positive. They compute y
again from x, which they read in any case. So ReLU costs no pass over memory, and nothing has to be kept for it.

The variance takes two passes over x: the formula E[x^2] - E[x]^2, in one pass, loses all digits if the mean is large.
(`rows.py` and `channels.cu` explain how Numba and a GPU do it in one pass nevertheless.) The mean is
x0[c] + sum (x - x0[c]) / M, where x0 is the first value of the channel, so that a constant channel gives exactly beta.
Sums are float64. An empty batch has mean 0, variance 0 and zero gradients.

S. Ioffe and C. Szegedy, "Batch normalization", 2015, https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

from typing import Any

from ..dispatch import Table
from .channels import evaluation_backward_cuda, evaluation_cuda, training_backward_cuda, training_cuda
from .compiled import evaluation_backward_numba, evaluation_numba, training_backward_numba, training_numba
from .definition import (
    Gradients,
    Vector,
    evaluation_backward_numpy,
    evaluation_backward_python,
    evaluation_numpy,
    evaluation_python,
    training_backward_numpy,
    training_backward_python,
    training_numpy,
    training_python,
)

__all__ = [
    "EVALUATION", "EVALUATION_BACKWARD", "TRAINING", "TRAINING_BACKWARD", "Gradients", "Vector",
]  # fmt: skip


def _table(op: str, algorithm: str, *rows: Any) -> Table:
    backends = ("python", "numpy", "numba", "cuda")
    return Table(op, {(algorithm, backend): row for backend, row in zip(backends, rows, strict=True)})


TRAINING = _table("batch_norm", "two-pass", training_python, training_numpy, training_numba, training_cuda)
TRAINING_BACKWARD = _table(
    "batch_norm backward",
    "two-pass",
    training_backward_python,
    training_backward_numpy,
    training_backward_numba,
    training_backward_cuda,
)
EVALUATION = _table(
    "batch_norm evaluation", "given", evaluation_python, evaluation_numpy, evaluation_numba, evaluation_cuda
)
EVALUATION_BACKWARD = _table(
    "batch_norm evaluation backward",
    "given",
    evaluation_backward_python,
    evaluation_backward_numpy,
    evaluation_backward_numba,
    evaluation_backward_cuda,
)
