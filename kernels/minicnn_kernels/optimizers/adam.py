"""Adam: steps of about the same size for every weight, from running means of the gradient and of its square.

    d = sign g + weight_decay x
    m <- m + (1 - beta1) (d - m)
    v <- beta2 v + (1 - beta2) d^2
    w <- max(w, v)                                          amsgrad, if there is a buffer for it; else w = v
    x <- shrink x - step_size m / (sqrt(w) / bias_correction + eps)

    x, g, m, v, w    of one shape, for each of the tensors

`ADAM(weights, gradients, numbers)` overwrites all arrays except g; `weights` is `Weights(xs, ms, vs)`, for amsgrad
`Weights(xs, ms, vs, ws)`. The numpy row and the numba row do the same operations in the same order, so their results
are the same to the bit.

D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, https://arxiv.org/abs/1412.6980; amsgrad: S.
Reddi et al., "On the convergence of Adam and beyond", ICLR 2018, https://openreview.net/forum?id=ryQu7f-RZ
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..addresses import are_apart, memory, part
from ..arrays import Array, U
from ..dispatch import Table
from ..runtime import njit, prange
from .pieces import in_pieces
from .weights import Weights


class AdamNumbers(NamedTuple):
    """The numbers in the equations of the update.

    step_size: lr / (1 - beta1^t) in step t = 1, 2, ...
    one_minus_beta1: the fraction with which a gradient enters its running mean.
    beta2: the fraction of the running mean of the squares that is left after a step.
    one_minus_beta2: the fraction with which a square enters its running mean.
    bias_correction: sqrt(1 - beta2^t).
    eps: prevents a division by 0.
    sign: -1 to maximise, else 1.
    weight_decay: the factor with which x is added to the gradient.
    shrink: 1 - lr * weight_decay, if the weight decay is decoupled from the gradient (AdamW), else 1.
    """

    step_size: float
    one_minus_beta1: float
    beta2: float
    one_minus_beta2: float
    bias_correction: float
    eps: float
    sign: float = 1.0
    weight_decay: float = 0.0
    shrink: float = 1.0


def adam_python(weights: Weights, gradients: Sequence[Array], numbers: AdamNumbers) -> None:
    """The definition, one value at a time."""
    n = numbers
    with np.errstate(all="ignore"):
        for x, gradient, m, v, *maxima in weights.with_gradients(gradients):
            g = gradient.astype(np.float64)  # a copy: the gradient may lie in the memory of x
            for place in np.ndindex(x.shape):
                d: Any = n.sign * g[place]
                if n.weight_decay != 0:  # with 0, an infinite x must not give a NaN
                    d += n.weight_decay * np.float64(x[place])
                mean: Any = np.float64(m[place])
                m[place] = mean = mean + n.one_minus_beta1 * (d - mean)
                v[place] = square = n.beta2 * np.float64(v[place]) + n.one_minus_beta2 * d * d
                for w in maxima:
                    w[place] = square = np.maximum(np.float64(w[place]), square)
                step = n.step_size * mean / (np.sqrt(square) / n.bias_correction + n.eps)
                x[place] = n.shrink * np.float64(x[place]) - step


def _update_numpy(arrays: list[Array], numbers: AdamNumbers) -> None:
    n = numbers

    def update(x: Array, g: Array, m: Array, v: Array, *maxima: Any) -> None:
        m += n.one_minus_beta1 * (g - m)
        v *= n.beta2
        v += n.one_minus_beta2 * g * g
        for w in maxima:
            np.maximum(w, v, out=w)
            v = w
        d = np.sqrt(v)
        d /= n.bias_correction
        d += n.eps
        np.divide(m, d, out=d)
        d *= n.step_size
        x -= d

    in_pieces(update, arrays, n.sign, n.weight_decay, n.shrink)


def adam_numpy(weights: Weights, gradients: Sequence[Array], numbers: AdamNumbers) -> None:
    """One tensor after the other, block by block (`pieces.py`)."""
    weights.update_each(_update_numpy, gradients, numbers)


@njit(error_model="numpy")
def _means(x: Array, g: Array, m: Array, v: Array, i: Any, numbers: AdamNumbers) -> None:
    # update the running means of element i
    kind, decay = x.dtype.type, numbers.weight_decay
    d = kind(numbers.sign) * g[i]
    d = d + kind(decay) * x[i] if decay != 0 else d
    m[i] += kind(numbers.one_minus_beta1) * (d - m[i])
    v[i] = v[i] * kind(numbers.beta2) + kind(numbers.one_minus_beta2) * d * d


@njit(error_model="numpy")
def _stepped(x: Any, m: Any, v: Any, kind: Any, numbers: AdamNumbers) -> Any:
    # x after the step
    size, correction, eps = kind(numbers.step_size), kind(numbers.bias_correction), kind(numbers.eps)
    return kind(numbers.shrink) * x - m / (np.sqrt(v) / correction + eps) * size


@njit(error_model="numpy")
def _plain(x: Array, g: Array, m: Array, v: Array, numbers: AdamNumbers) -> None:
    for i in range(U(x.size)):
        _means(x, g, m, v, i, numbers)
        x[i] = _stepped(x[i], m[i], v[i], x.dtype.type, numbers)


@njit(error_model="numpy")
def _amsgrad(x: Array, g: Array, m: Array, v: Array, w: Array, numbers: AdamNumbers) -> None:
    for i in range(U(x.size)):
        _means(x, g, m, v, i, numbers)
        w[i] = w[i] if w[i] >= v[i] or w[i] != w[i] else v[i]  # a NaN stays, as in np.maximum
        x[i] = _stepped(x[i], m[i], w[i], x.dtype.type, numbers)


@njit(error_model="numpy")
def _share(t: Any, shares: int, like: Array, table: Array, gradients: Array, numbers: AdamNumbers) -> None:
    for k in range(table.shape[1]):
        first, count = part(t, shares, table, k)
        if count > 0:
            x, g = memory(table[2, k], first, count, like), memory(gradients[k], first, count, like)
            m, v = memory(table[3, k], first, count, like), memory(table[4, k], first, count, like)
            if table.shape[0] == 5:
                _plain(x, g, m, v, numbers)
            else:
                _amsgrad(x, g, m, v, memory(table[5, k], first, count, like), numbers)


@njit(parallel=True)
def _threaded(shares: int, like: Array, table: Array, spans: Array, gradients: Array, numbers: AdamNumbers) -> bool:
    apart = are_apart(like, table, spans, gradients)
    for t in prange(shares * apart):
        _share(np.intp(t), shares, like, table, gradients, numbers)
    return apart


def adam_numba(weights: Weights, gradients: Sequence[Array], numbers: AdamNumbers) -> None:
    """All tensors in one call, parallel over shares of their elements."""
    weights.update_all(_threaded, _update_numpy, gradients, numbers)


def adam_cuda(weights: Weights, gradients: Sequence[Array], numbers: AdamNumbers) -> None:
    """All tensors in one launch: `adam.cu`."""
    weights.update_in_one_launch("optimizers/adam.cu", "adam", 3, _update_numpy, gradients, numbers)


ADAM = Table(
    "adam",
    {
        ("elementwise", "python"): adam_python,
        ("elementwise", "numpy"): adam_numpy,
        ("elementwise", "numba"): adam_numba,
        ("elementwise", "cuda"): adam_cuda,
    },
)
