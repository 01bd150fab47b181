"""The update rules that nets are trained with most, as compiled loops over all elements, once through memory.

Each does to the element i of the arrays what the rule of its optimiser does to pieces of them, in the same order of
operations, so that the numbers are the same to the bit. The gradient comes as it is: `sign`, -1 where maximize is set,
and `decay`, the weight decay that is added to it, are the loop's to apply.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.runtime import njit, parallel, prange, threads

from ..tensor import Array

U = np.uintp
LARGE = 1 << 15  # elements from which on waking the threads, about 5 microseconds, pays


@njit(error_model="numpy")
def _descend_share(t: Any, chunks: int, x: Array, g: Array, lr: float, sign: float, decay: float) -> None:
    kind = x.dtype.type
    lr_, sign_, decay_ = kind(lr), kind(sign), kind(decay)
    for i in range(U(t * x.size // chunks), U((t + 1) * x.size // chunks)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d  # no decay of an infinite x is no NaN
        x[i] -= lr_ * d


@njit(parallel=True)
def _descend(chunks: int, x: Array, g: Array, lr: float, sign: float, decay: float) -> None:
    for t in prange(chunks):
        _descend_share(np.intp(t), chunks, x, g, lr, sign, decay)


@njit(error_model="numpy")
def _momentum_share(
    t: Any, chunks: int, x: Array, g: Array, b: Array, lr: float, sign: float, decay: float, momentum: float,
    gain: float, nesterov: bool,
) -> None:  # fmt: skip
    kind = x.dtype.type
    lr_, sign_, decay_, momentum_, gain_ = kind(lr), kind(sign), kind(decay), kind(momentum), kind(gain)
    for i in range(U(t * x.size // chunks), U((t + 1) * x.size // chunks)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d
        mean = momentum_ * b[i] + gain_ * d
        b[i] = mean
        x[i] -= lr_ * (d + momentum_ * mean if nesterov else mean)


@njit(parallel=True)
def _momentum(
    chunks: int, x: Array, g: Array, b: Array, lr: float, sign: float, decay: float, momentum: float, gain: float,
    nesterov: bool,
) -> None:  # fmt: skip
    for t in prange(chunks):
        _momentum_share(np.intp(t), chunks, x, g, b, lr, sign, decay, momentum, gain, nesterov)


@njit(error_model="numpy")
def _adam_share(
    t: Any, chunks: int, x: Array, g: Array, m: Array, v: Array, sign: float, decay: float, shrink: float, gain1: float,
    decay2: float, gain2: float, size: float, scale: float, eps: float,
) -> None:  # fmt: skip
    kind = x.dtype.type
    sign_, decay_, shrink_, size_, scale_ = kind(sign), kind(decay), kind(shrink), kind(size), kind(scale)
    gain1_, decay2_, gain2_, eps_ = kind(gain1), kind(decay2), kind(gain2), kind(eps)
    for i in range(U(t * x.size // chunks), U((t + 1) * x.size // chunks)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d
        m[i] += gain1_ * (d - m[i])
        v[i] = v[i] * decay2_ + gain2_ * d * d
        x[i] = shrink_ * x[i] - m[i] / (np.sqrt(v[i]) / scale_ + eps_) * size_


@njit(parallel=True)
def _adam(
    chunks: int, x: Array, g: Array, m: Array, v: Array, sign: float, decay: float, shrink: float, gain1: float,
    decay2: float, gain2: float, size: float, scale: float, eps: float,
) -> None:  # fmt: skip
    for t in prange(chunks):
        _adam_share(
            np.intp(t), chunks, x, g, m, v, sign, decay, shrink, gain1, decay2, gain2, size, scale, eps
        )  # fmt: skip


def descend(x: Array, g: Array, *numbers: Any) -> None:
    """x -= lr * g; numbers: lr, sign, decay."""
    with parallel():
        if x.size < LARGE:
            _descend_share(0, 1, x, g, *numbers)
        else:
            _descend(threads(), x, g, *numbers)


def momentum(x: Array, g: Array, b: Array, *numbers: Any) -> None:
    """SGD with momentum; numbers: lr, sign, decay, momentum, gain, nesterov."""
    with parallel():
        if x.size < LARGE:
            _momentum_share(0, 1, x, g, b, *numbers)
        else:
            _momentum(threads(), x, g, b, *numbers)


def adam(x: Array, g: Array, m: Array, v: Array, *numbers: Any) -> None:
    """Adam without amsgrad; numbers: sign, decay, shrink, gain1, decay2, gain2, size, scale, eps."""
    with parallel():
        if x.size < LARGE:
            _adam_share(0, 1, x, g, m, v, *numbers)
        else:
            _adam(threads(), x, g, m, v, *numbers)
