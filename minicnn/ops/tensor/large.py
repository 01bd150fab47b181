"""Sums and products of large arrays, for which the rows of `arithmetic.py` call kernels that use all cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arithmetic import ARITHMETIC
from minicnn_kernels.arrays import Array, as_array
from minicnn_kernels.channel_products import SUM_OF_PRODUCTS

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_MANY = 1 << 14  # numbers from which broadcasting is worth a kernel


def shared_out(op: str, general: Any) -> Callable[..., Array]:
    """The NumPy function `general`; for two arrays of the same shape the kernel, which uses all cores.

    It also does large arrays with a smaller one that is broadcast, such as images with a number for each channel.
    """

    def function(a: Any, b: Any, out: Array | None = None) -> Array:
        if type(a) is np.ndarray and type(b) is np.ndarray and a.dtype == b.dtype and a.dtype in _FLOATS:
            if a.shape == b.shape:
                return np.asarray(ARITHMETIC(op, a, b, out))
            shape = a.shape if a.size > b.size else b.shape
            if max(a.size, b.size) >= _MANY and np.broadcast_shapes(a.shape, b.shape) == shape:
                return np.asarray(ARITHMETIC(op, np.broadcast_to(a, shape), np.broadcast_to(b, shape), out))
        return as_array(general(a, b, out=out))

    return function


def summed_product(gy: Any, x: Any, shape: tuple[int, ...]) -> Array | None:
    """The gradient of a number for each channel, (1, C, 1, 1) or (N, C, 1, 1), which multiplies images x."""
    if type(x) is not np.ndarray or x.shape != gy.shape or x.dtype != gy.dtype or x.dtype not in _FLOATS:
        return None
    if len(shape) != 4 or shape[1:] != (gy.shape[1], 1, 1) or shape[0] not in (1, len(gy)):
        return None
    return np.asarray(SUM_OF_PRODUCTS(gy, x, shape[0] == len(gy)))
