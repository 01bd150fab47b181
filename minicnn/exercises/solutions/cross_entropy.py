"""Softmax and cross-entropy."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.softmax_xent import backward_python, forward_python


def cross_entropy_forward(x: Array, target: Array) -> Array:
    """Cross-entropy of logits: minus the logarithm of the probability of the true class, on average over the batch.

        p[n, k] = e^x[n, k] / sum over j of e^x[n, j]
        loss    = 1/N * sum over n of -log p[n, target[n]]

    Rows with large numbers, such as 1000, must work too: neither e^x may be infinity, nor p be 0 under the logarithm.
    Write -log p as a difference of numbers first.

    Args:
        x: logits, (N, K).
        target: the true classes, (N,), whole numbers from 0 to K - 1.

    Returns:
        the loss, a number.
    """
    return np.asarray(forward_python(x, target)[0].mean())


def cross_entropy_backward(gy: float, x: Array, target: Array) -> Array:
    """The gradient of cross-entropy by the logits.

        gx[n, k] = gy/N * (p[n, k] - [k = target[n]])     p = softmax of the rows of x; [k = t] is 1 if k = t, else 0

    Args:
        gy: upstream gradient of the loss, a number.
        x: logits, (N, K), also large ones such as 1000.
        target: the true classes, (N,).

    Returns:
        gx, (N, K).
    """
    _, p = forward_python(x, target)
    return backward_python(np.full(len(x), gy / len(x)), p, target)
