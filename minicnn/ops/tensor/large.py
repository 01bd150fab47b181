"""Sums, products and joins of large arrays, for which operations call kernels that use all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arithmetic import ARITHMETIC
from minicnn_kernels.arrays import GPU_TYPES, Array, as_array
from minicnn_kernels.channel_products import SUM_OF_PRODUCTS
from minicnn_kernels.dispatch import compiles
from minicnn_kernels.layout import empty, is_channels_last, lies_channels_last
from minicnn_kernels.runs import join

from ...memory_formats import tidy

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_MANY = 1 << 14  # numbers from which a kernel is worth its call


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


def joined(xs: Sequence[Array], dim: int) -> Array:
    """Return arrays of one type, one after the other along an axis, in new memory: channels-last if all of them are."""
    last = [is_channels_last(x) or lies_channels_last(x) for x in xs]  # the first is mostly true, or found faster
    alike = all(last) or (not any(last) and all(x.flags.c_contiguous for x in xs))
    size = sum(x.size for x in xs)
    if size < _MANY or not alike or type(xs[0]) in GPU_TYPES or xs[0].dtype.char not in "fd" or not compiles():
        return tidy(np.concatenate(xs, dim))
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] for x in xs)
    y = empty(tuple(shape), xs[0].dtype, last[0])
    if not (last[0] and dim == 1 and join([_pixels(x) for x in xs], _pixels(y))):
        np.concatenate(xs, dim, out=y)
    return y


def _pixels(x: Array) -> Array:
    """Return a channels-last array as (N*H*W, C); a slice of channels without a copy."""
    n, c, h, w = x.shape
    return x.transpose(0, 2, 3, 1).reshape(n * h * w, c)  # (N, C, H, W) -> (N, H, W, C) -> (N*H*W, C)
