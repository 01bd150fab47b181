"""The gradients of linear layers and ReLU, and dropout."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.activations.relu_tanh_sigmoid import relu_backward_python
from minicnn_kernels.arrays import Array
from minicnn_kernels.matmul import linear_backward_python


def linear_backward(gy: Array, x: Array, w: Array) -> tuple[Array | None, ...]:
    """The gradients of a linear layer.

        y = x w^T + b,   y[n, o] = b[o] + sum over k of x[n, k] * w[o, k]

    Every product x[n, k] * w[o, k] gives gy[n, o] * w[o, k] to gx[n, k], and gy[n, o] * x[n, k] to gw[o, k].

    Args:
        gy: upstream gradient, (N, O).
        x: inputs of the forward pass, (N, K).
        w: weight, (O, K).

    Returns:
        gx (N, K), gw (O, K), gb (O,).
    """
    return linear_backward_python(gy, x, w, (True, True, True))


def relu_backward(gy: Array, x: Array) -> Array:
    """The gradient of ReLU: y = max(x, 0), so it is gy where x is positive, and 0 elsewhere, also where x is 0.

    Args:
        gy: upstream gradient, of any shape.
        x: inputs of the forward pass, of the same shape.

    Returns:
        gx, of the same shape.
    """
    return relu_backward_python(gy, x)


def dropout(x: Array, gy: Array, u: Array, p: float, training: bool) -> tuple[Array, Array]:
    """Inverted dropout, forward and backward: values are dropped at random, and what is kept is enlarged.

        in training     y = x / (1 - p) where u >= p, else 0       gx = gy / (1 - p) where u >= p, else 0
        in evaluation   y = x                                      gx = gy

    p is the probability to be dropped. The random numbers u are given, so that the result is known; the mask of the
    backward pass is that of the forward pass.

    Args:
        x: inputs, of any shape.
        gy: upstream gradient of y.
        u: random numbers from 0 to 1, of the same shape.
        p: a number, 0 <= p < 1.
        training: whether it is training, else evaluation.

    Returns:
        y and gx, of the shape of x.
    """
    if not training:
        return x.copy(), gy.copy()
    mask = (u >= p) / (1 - p)
    return np.where(mask > 0, x * mask, 0.0), np.where(mask > 0, gy * mask, 0.0)
