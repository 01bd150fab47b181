"""Batch normalisation on Numba: the order of memory decides whether the loops of `rows.py` or of `planes.py` run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..layout import alike, dense, empty, flat, is_channels_last
from ..runtime import parallel, threads, workspace
from . import planes, rows
from .definition import SMALL, Gradients, Vector, inverse_std
from .rows import View

_FEW = 1 << 14  # for an array of fewer values, waking threads costs more than it saves


def _view(x: Array) -> View:
    """(rows, C, S) of dense memory."""
    if is_channels_last(x) or not x.size:
        return x.size // max(1, x.shape[1]), x.shape[1], 1
    size = math.prod(x.shape[2:])
    return (size * x.shape[0], 1, 1) if x.shape[1] == 1 else (x.shape[0], x.shape[1], size)


def _run(x: Array, driver: Callable[..., None], *args: Any) -> None:
    """All shares of the work on x, on all threads if it is large."""
    driver(1 if x.size < _FEW else threads(), *args)


def training_numba(x: Array, gamma: Vector, beta: Vector, eps: float, relu: bool = False) -> tuple[Array, ...]:
    """y in the memory order of x, and mean, var and invstd, each (C,).

    Where the squares overflow in float32, everything is computed again in float64.
    """
    found = _training(x, gamma, beta, eps, relu)
    if x.itemsize >= 8 or math.isfinite(np.add.reduce(found[2], None, np.float64)):
        return found
    with np.errstate(over="ignore"):
        return tuple(a.astype(x.dtype) for a in _training(x.astype(np.float64), gamma, beta, eps, relu))


def _training(x: Array, gamma: Vector, beta: Vector, eps: float, relu: bool) -> tuple[Array, ...]:
    x = dense(x)
    y, view, low = empty(x.shape, x.dtype, is_channels_last(x)), _view(x), _low(x, relu)
    mean, var, invstd = (np.empty(x.shape[1], x.dtype) for _ in range(3))
    gamma, beta = _vector(gamma, x, 1), _vector(beta, x, 0)
    with parallel():
        if view[2] > 1:
            args = flat(x), gamma, beta, eps, low, flat(y), mean, var, invstd, view
            _run(x, planes.training, *args)
            return y, mean, var, invstd
        width, shares = _wide(view), 1 if x.size < _FEW else threads()
        work = workspace("batch_norm", 2 * x.shape[1], np.float64)
        _run(x, rows.moments, flat(x), width, work, view)
        rows.total(shares, view[0], work, eps, mean, var, invstd)
        wide = np.empty((3, width), x.dtype)
        rows.coefficients(mean, invstd, gamma, beta, wide)
        _run(x, rows.scale, flat(x), wide, low, flat(y), view)
    return y, mean, var, invstd


def _low(x: Array, relu: bool) -> Any:
    return x.dtype.type(0 if relu else np.nan)


def _vector(v: Vector, x: Array, without: float) -> Array:
    """v (C,), contiguous and of x's type, as compiled code needs it; None becomes a vector of `without`."""
    return np.full(x.shape[1], without, x.dtype) if v is None else np.ascontiguousarray(v, x.dtype)


def _wide(view: View) -> int:
    """The length of a wide row (`rows.py`): as many rows of channels as fit, at least one."""
    return max(1, max(1, rows.WIDTH // max(1, view[1])) * view[1]) if view[2] == 1 else view[1]


def evaluation_numba(
    x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, relu: bool = False
) -> Array:  # fmt: skip
    """One pass, parallel over stretches of memory; y in the memory order of x."""
    x = dense(x)
    y, view = empty(x.shape, x.dtype, is_channels_last(x)), _view(x)
    wide = _evaluation_wide(x, gamma, beta, mean, var, eps, view)
    with parallel():
        driver = planes.evaluation if view[2] > 1 else rows.scale
        _run(x, driver, flat(x), wide, _low(x, relu), flat(y), view)
    return y


def _evaluation_wide(
    x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, view: View, count: int = 3
) -> Array:  # fmt: skip
    wide = np.zeros((count, _wide(view)), x.dtype)
    invstd = _vector(inverse_std(var, eps), x, 1)
    rows.coefficients(_vector(mean, x, 0), invstd, _vector(gamma, x, 1), _vector(beta, x, 0), wide)
    return wide


def training_backward_numba(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """One pass for the sums and one for gx = scale g + b (x - mean) + k; each channel has its own scale, b and k."""
    if x.itemsize < 8 and np.minimum.reduce(invstd, initial=1) < SMALL:
        wide_x, wide_gy = x.astype(np.float64), gy.astype(np.float64)
        found = training_backward_numba(wide_gy, wide_x, gamma, beta, mean, invstd, needs_grad, relu)
        return tuple(None if a is None else a.astype(x.dtype) for a in found)  # type: ignore[return-value]
    x, gy = alike(x, gy)
    wide = np.empty((5, _wide(_view(x))), x.dtype)
    invstd = _vector(invstd, x, 1)
    rows.coefficients(_vector(mean, x, 0), invstd, _vector(gamma, x, 1), _vector(beta, x, 0), wide)
    return _gradients(gy, x, invstd, wide, needs_grad, relu, True)


def evaluation_backward_numba(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """The pass for the sums if ggamma or gbeta is wanted; gx = scale g."""
    x, gy = alike(x, gy)
    wide = _evaluation_wide(x, gamma, beta, mean, var, eps, _view(x), 5)
    return _gradients(gy, x, _vector(inverse_std(var, eps), x, 1), wide, needs_grad, relu, False)


def _gradients(
    gy: Array, x: Array, invstd: Array, wide: Array, needs_grad: Sequence[bool], relu: bool, training: bool
) -> Gradients:  # fmt: skip
    """The wanted gradients, from arrays in one memory order."""
    view, low = _view(x), _low(x, relu)
    gx = empty(x.shape if needs_grad[0] else (0,), x.dtype, needs_grad[0] and is_channels_last(x))
    ggamma, gbeta = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    sums = training or needs_grad[1] or needs_grad[2]
    with parallel():
        if view[2] > 1:
            args = flat(gy), flat(x), invstd, wide, low, training, sums, flat(gx), ggamma, gbeta, view
            _run(x, planes.backward, *args)
        else:
            if sums:
                work, shares = workspace("batch_norm", 2 * x.shape[1], np.float64), 1 if x.size < _FEW else threads()
                _run(x, rows.sums, flat(gy), flat(x), wide, low, work, view)
                rows.finish(shares, max(1, view[0]), work, invstd, wide, ggamma, gbeta)
            if needs_grad[0]:
                _run(x, rows.gradient, flat(gy), flat(x), wide, low, training, flat(gx), view)
    return gx if needs_grad[0] else None, ggamma if needs_grad[1] else None, gbeta if needs_grad[2] else None
