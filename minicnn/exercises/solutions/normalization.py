"""Batch normalisation."""

from __future__ import annotations

from minicnn_kernels.arrays import Array
from minicnn_kernels.batchnorm.definition import evaluation_python, training_backward_python, training_python


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, momentum: float, eps: float,
    training: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Batch normalisation: every channel gets mean 0 and variance 1, then is scaled and shifted.

        y[n, c, i, j] = gamma[c] * (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) + beta[c]

    In training, mean and var are those of the channel in this batch, over its M = N*H*W values, and the running
    statistics move:

        mean[c] = sum of x / M          running_mean <- (1 - momentum) * running_mean + momentum * mean
        var[c]  = sum of (x - mean)^2 / M
                                        running_var  <- (1 - momentum) * running_var  + momentum * var * M/(M - 1)

    In evaluation, mean and var are the running statistics, which stay as they are.

    Args:
        x: maps, (N, C, H, W).
        gamma, beta: (C,).
        running_mean, running_var: (C,), before this batch; do not write into them.
        momentum, eps: numbers.
        training: whether it is training, else evaluation.

    Returns:
        y (N, C, H, W), running_mean (C,), running_var (C,).
    """
    if not training:
        y = evaluation_python(x, gamma, beta, running_mean, running_var, eps)
        return y, running_mean.copy(), running_var.copy()
    y, mean, var, _ = training_python(x, gamma, beta, eps)
    m = x.size // x.shape[1]
    running_mean = (1 - momentum) * running_mean + momentum * mean
    return y, running_mean, (1 - momentum) * running_var + momentum * var * m / (m - 1)


def batch_norm_backward(gy: Array, x: Array, gamma: Array, eps: float) -> tuple[Array | None, ...]:
    """The gradients of batch normalisation in training.

        xhat = (x - mean[c]) / std[c],  std = sqrt(var + eps);  y = gamma * xhat + beta
        mean and var are over the M = N*H*W values of the channel, and so they depend on every x:

        gbeta[c]  = sum of gy
        ggamma[c] = sum of gy * xhat
        gx        = gamma[c] / std[c] * (gy - mean of gy - xhat * (mean of gy * xhat)),  means over the channel

    Args:
        gy: upstream gradient, (N, C, H, W).
        x: maps of the forward pass, (N, C, H, W).
        gamma: (C,).
        eps: a number.

    Returns:
        gx (N, C, H, W), ggamma (C,), gbeta (C,).
    """
    _, mean, _, invstd = training_python(x, gamma, None, eps)
    return training_backward_python(gy, x, gamma, None, mean, invstd, (True, True, True))
