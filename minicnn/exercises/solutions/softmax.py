"""Softmax."""

from __future__ import annotations

from minicnn_kernels.arrays import Array
from minicnn_kernels.softmax import softmax_backward_python, softmax_python


def softmax_forward(x: Array) -> Array:
    """Softmax: the numbers of a row become probabilities.

        y[n, k] = e^x[n, k] / sum over j of e^x[n, j]

    Rows with large numbers, such as 1000, must work too: e^1000 is infinity. Subtract a number from the whole row
    first, which does not change the result.

    Args:
        x: logits, (N, K).

    Returns:
        y, (N, K); each row adds up to 1.
    """
    return softmax_python(x, 1)


def softmax_backward(gy: Array, y: Array) -> Array:
    """The gradient of softmax. Every output of a row depends on every input of the row:

        dy[j]/dx[k] = y[j] * ([j = k] - y[k])          [j = k] is 1 if j = k, else 0
        gx[n, k]    = sum over j of  gy[n, j] * dy[n, j]/dx[n, k]

    Args:
        gy: upstream gradient, (N, K).
        y: the result of softmax, (N, K).

    Returns:
        gx, (N, K).
    """
    return softmax_backward_python(gy, y, 1)
