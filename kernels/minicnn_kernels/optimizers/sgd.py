"""Stochastic gradient descent: every weight takes a small step against its gradient, with or without momentum.

    d = sign g + weight_decay x
    b <- momentum b + gain d                                the momentum, if there is a buffer for it
    x <- x - lr d                                           without momentum
    x <- x - lr b                                           with momentum
    x <- x - lr (d + momentum b)                            with Nesterov's momentum

    x, g, b    of one shape, for each of the tensors

`SGD(weights, gradients, numbers)` overwrites x and b; `weights` is `Weights(xs)`, with momentum `Weights(xs, bs)`. The
numpy row and the numba row do the same operations in the same order, so their results are the same to the bit.

I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
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


class SGDNumbers(NamedTuple):
    """The numbers in the equations of the update.

    lr: the learning rate.
    sign: -1 to maximise, else 1.
    weight_decay: the factor with which x is added to the gradient.
    momentum: the fraction of b that is left after a step.
    gain: the fraction of the gradient that is added to b: 1 - dampening, and 1 in the first step.
    nesterov: whether to use Nesterov's momentum.
    """

    lr: float
    sign: float = 1.0
    weight_decay: float = 0.0
    momentum: float = 0.0
    gain: float = 1.0
    nesterov: bool = False


def sgd_python(weights: Weights, gradients: Sequence[Array], numbers: SGDNumbers) -> None:
    """The definition, one value at a time."""
    n = numbers
    with np.errstate(all="ignore"):
        for x, gradient, *buffers in weights.with_gradients(gradients):
            g = gradient.astype(np.float64)  # a copy: the gradient may lie in the memory of x
            for place in np.ndindex(x.shape):
                d = n.sign * g[place]
                if n.weight_decay != 0:  # with 0, an infinite x must not give a NaN
                    d += n.weight_decay * np.float64(x[place])
                for b in buffers:  # the momentum, if there is one
                    mean = n.momentum * np.float64(b[place]) + n.gain * d
                    b[place] = mean
                    d = d + n.momentum * mean if n.nesterov else mean
                x[place] = np.float64(x[place]) - n.lr * d


def _update_numpy(arrays: list[Array], numbers: SGDNumbers) -> None:
    lr, sign, weight_decay, momentum, gain, nesterov = numbers

    def update(x: Array, g: Array, *buffers: Any) -> None:
        for b in buffers:
            b *= momentum
            b += gain * g
            g = g + momentum * b if nesterov else b
        x -= lr * g

    in_pieces(update, arrays, sign, weight_decay)


def sgd_numpy(weights: Weights, gradients: Sequence[Array], numbers: SGDNumbers) -> None:
    """One tensor after the other, block by block (`pieces.py`)."""
    weights.update_each(_update_numpy, gradients, numbers)


@njit(error_model="numpy")
def _plain(x: Array, g: Array, numbers: SGDNumbers) -> None:
    kind, decay = x.dtype.type, numbers.weight_decay
    lr, sign, weight_decay = kind(numbers.lr), kind(numbers.sign), kind(decay)
    for i in range(U(x.size)):
        d = sign * g[i]
        d = d + weight_decay * x[i] if decay != 0 else d
        x[i] -= lr * d


@njit(error_model="numpy")
def _momentum(x: Array, g: Array, b: Array, numbers: SGDNumbers) -> None:
    kind, decay, nesterov = x.dtype.type, numbers.weight_decay, numbers.nesterov
    lr, sign, weight_decay = kind(numbers.lr), kind(numbers.sign), kind(decay)
    momentum, gain = kind(numbers.momentum), kind(numbers.gain)
    for i in range(U(x.size)):
        d = sign * g[i]
        d = d + weight_decay * x[i] if decay != 0 else d
        mean = momentum * b[i] + gain * d
        b[i] = mean
        x[i] -= lr * (d + momentum * mean if nesterov else mean)


@njit(error_model="numpy")
def _share(t: Any, shares: int, like: Array, table: Array, gradients: Array, numbers: SGDNumbers) -> None:
    for k in range(table.shape[1]):
        first, count = part(t, shares, table, k)
        if count > 0:
            x, g = memory(table[2, k], first, count, like), memory(gradients[k], first, count, like)
            if table.shape[0] == 3:
                _plain(x, g, numbers)
            else:
                _momentum(x, g, memory(table[3, k], first, count, like), numbers)


@njit(parallel=True)
def _threaded(shares: int, like: Array, table: Array, spans: Array, gradients: Array, numbers: SGDNumbers) -> bool:
    apart = are_apart(like, table, spans, gradients)
    for t in prange(shares * apart):
        _share(np.intp(t), shares, like, table, gradients, numbers)
    return apart


def sgd_numba(weights: Weights, gradients: Sequence[Array], numbers: SGDNumbers) -> None:
    """All tensors in one call, parallel over shares of their elements."""
    weights.update_all(_threaded, _update_numpy, gradients, numbers)


def sgd_cuda(weights: Weights, gradients: Sequence[Array], numbers: SGDNumbers) -> None:
    """All tensors in one launch: `sgd.cu`."""
    weights.update_in_one_launch("optimizers/sgd.cu", "sgd", 1, _update_numpy, gradients, numbers)


SGD = Table(
    "sgd",
    {
        ("elementwise", "python"): sgd_python,
        ("elementwise", "numpy"): sgd_numpy,
        ("elementwise", "numba"): sgd_numba,
        ("elementwise", "cuda"): sgd_cuda,
    },
)
