"""The activations in NumPy, on whole arrays at once; a table has one row for the value and gradient of each.

`np.where`, which chooses between two formulas, computes both for all elements. So exponents are first limited
(`minimum`) so that nothing overflows; the value of a formula that is not chosen does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, as_array, special


class Formulas(NamedTuple):
    """value(x, *parameters) and gradient(g, x, *parameters), with as many parameters as the activation has."""

    value: Callable[..., Any]
    gradient: Callable[..., Any]


def _sigmoid(x: Array) -> Any:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _log1p_exp(x: Array) -> Any:
    """log(1 + e^x)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _silu_gradient(g: Array, x: Array) -> Any:
    return g * _sigmoid(x) * (1 + x * _sigmoid(-x))


def _mish_gradient(g: Array, x: Array) -> Any:
    p = _log1p_exp(x)
    q = np.exp(-2 * p)
    return g * (np.tanh(p) + x * _sigmoid(x) * (4 * q / (1 + q) ** 2))


def _normal(x: Array) -> Any:
    """P(X <= x) of the standard normal distribution."""
    return special(x).ndtr(x)


def _gelu_gradient(g: Array, x: Array) -> Any:
    return g * (_normal(x) + x * np.exp(-0.5 * x * x) * 0.3989422804014327)


def _gelu_tanh(x: Array) -> Any:
    """tanh(u(x))."""
    return np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))


def _gelu_tanh_gradient(g: Array, x: Array) -> Any:
    x = x.astype(np.float64)  # in float64, x^2 of a large float32 is finite, so that 0 x^2 is 0
    t = _gelu_tanh(x)
    return g * 0.5 * (1 + t + x * (1 - t * t) * (0.7978845608028654 * (1 + 0.134145 * x * x)))


def _shrink_gradient(g: Array, x: Array, a: float) -> Any:
    return np.where((x < -a) | (x > a), g, 0)


TABLE = {
    "leaky_relu": Formulas(lambda x, a: np.where(x > 0, x, x * a), lambda g, x, a: np.where(x > 0, g, g * a)),
    "hardtanh": Formulas(
        lambda x, a, b: np.minimum(np.maximum(x, a), b), lambda g, x, a, b: np.where((x <= a) | (x >= b), 0, g)
    ),
    "hardswish": Formulas(
        lambda x: x * (np.clip(x + 3, 0, 6) / 6),
        lambda g, x: np.where(x <= -3, 0, np.where(x >= 3, g, g * (x / 3 + 0.5))),
    ),
    "hardsigmoid": Formulas(lambda x: np.clip(x + 3, 0, 6) / 6, lambda g, x: np.where((x > -3) & (x < 3), g / 6, 0)),
    "threshold": Formulas(lambda x, a, b: np.where(x <= a, b, x), lambda g, x, a, b: np.where(x <= a, 0, g)),
    "hardshrink": Formulas(lambda x, a: np.where((-a <= x) & (x <= a), 0, x), _shrink_gradient),
    "softshrink": Formulas(lambda x, a: np.where(x > a, x - a, np.where(x < -a, x + a, x * 0)), _shrink_gradient),
    "elu": Formulas(
        lambda x, a, b, c: np.where(x <= 0, a * np.expm1(c * np.minimum(x, 0)), b * x),
        lambda g, x, a, b, c: np.where(x > 0, g * b, g * (a * c) * np.exp(c * np.minimum(x, 0))),
    ),
    "softplus": Formulas(
        lambda x, a, b: np.where(a * x > b, x, _log1p_exp(a * x) / a),
        lambda g, x, a, b: np.where(a * x > b, g, g * _sigmoid(a * x)),
    ),
    "logsigmoid": Formulas(lambda x: -_log1p_exp(-x), lambda g, x: g * _sigmoid(-x)),
    "silu": Formulas(lambda x: x * _sigmoid(x), _silu_gradient),
    "mish": Formulas(lambda x: x * np.tanh(_log1p_exp(x)), _mish_gradient),
    "gelu": Formulas(lambda x: x * _normal(x), _gelu_gradient),
    "gelu_tanh": Formulas(lambda x: 0.5 * x * (1 + _gelu_tanh(x)), _gelu_tanh_gradient),
    "softsign": Formulas(lambda x: x / (1 + np.abs(x)), lambda g, x: (g + 0 * x) / (1 + np.abs(x)) ** 2),
    "tanhshrink": Formulas(lambda x: x - np.tanh(x), lambda g, x: g * np.tanh(x) ** 2),
}


def forward_numpy(op: str, x: Array, *parameters: float) -> Array:
    """Whole arrays."""
    with np.errstate(all="ignore"):
        return as_array(TABLE[op].value(x, *parameters)).astype(x.dtype, copy=False)


def backward_numpy(op: str, gy: Array, x: Array, *parameters: float) -> Array:
    """Whole arrays."""
    with np.errstate(all="ignore"):
        return as_array(TABLE[op].gradient(gy, x, *parameters)).astype(x.dtype, copy=False)
