"""One step of an optimiser."""

from __future__ import annotations

from minicnn_kernels.arrays import Array
from minicnn_kernels.optimizers import AdamNumbers, SGDNumbers, Weights
from minicnn_kernels.optimizers.adam import adam_python
from minicnn_kernels.optimizers.sgd import sgd_python


def sgd_step(
    x: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> tuple[Array, Array]:  # fmt: skip
    """A step of SGD with momentum: stochastic gradient descent that remembers its direction.

        d = g + weight_decay * x
        v <- momentum * v + d
        x <- x - lr * v                         or with Nesterov's momentum
        x <- x - lr * (d + momentum * v)        where v is the new one

    Args:
        x: weights, of any shape.
        g: their gradient.
        v: velocity from the step before; 0 in the first step.
        lr, momentum, weight_decay: numbers.
        nesterov: whether to use Nesterov's momentum.

    Returns:
        x and v after the step, as new arrays.
    """
    x, v = x.copy(), v.copy()
    numbers = SGDNumbers(lr, 1.0, weight_decay, momentum, 1.0, nesterov)
    sgd_python(Weights([x], [v]), [g], numbers)
    return x, v


def adam_step(
    x: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:  # fmt: skip
    """A step of Adam: all weights take steps of about the same size.

        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        mhat = m / (1 - beta1^t),  vhat = v / (1 - beta2^t)      corrections, as m and v begin at 0
        x <- x - lr * mhat / (sqrt(vhat) + eps)

    Args:
        x: weights, of any shape.
        g: their gradient.
        m, v: running means of the gradient and of its square, from the step before.
        t: the number of this step: 1, 2, 3 ...
        lr, beta1, beta2, eps: numbers.

    Returns:
        x, m and v after the step, as new arrays; m and v without the correction.
    """
    x, m, v = x.copy(), m.copy(), v.copy()
    numbers = AdamNumbers(lr / (1 - beta1**t), 1 - beta1, beta2, 1 - beta2, (1 - beta2**t) ** 0.5, eps)
    adam_python(Weights([x], [m], [v]), [g], numbers)
    return x, m, v
