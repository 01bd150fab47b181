"""The sum of a product over the pixels of images: y = sum_p a b, the gradient of a number for each channel.

    SUM_OF_PRODUCTS(a, b, each) -> y      y[n, c] = sum_{h, w} a[n, c, h, w] b[n, c, h, w]
                                          or, if not `each`, y[c]: summed over the images too

    a, b  (N, C, H, W)      y  (N, C, 1, 1), or (1, C, 1, 1)

It is the gradient of s in x s, where s is broadcast over the pixels: a is the upstream gradient, b is x. As two steps,
product and sum, it would write and read an array of the size of the images in between.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .arithmetic import arithmetic_numba
from .arrays import Array, U
from .dispatch import Table
from .layout import flat, is_channels_last
from .runtime import FAST, njit, parallel, prange, threads
from .sums import total

_ROWS = 128  # pixels whose products are added in the type of the images; the sums of such blocks are added in float64


def sum_of_products_python(a: Array, b: Array, each: bool) -> Array:
    """The definition."""
    images, channels = a.shape[:2]
    y = np.zeros((images if each else 1, channels, 1, 1))
    for n, c, p, q in itertools.product(*map(range, a.shape)):
        y[n if each else 0, c, 0, 0] += float(a[n, c, p, q]) * float(b[n, c, p, q])
    return y.astype(a.dtype)


def sum_of_products_numpy(a: Array, b: Array, each: bool) -> Array:
    """The product, then its sum."""
    return total(a * b, _axes(each))


def _axes(each: bool) -> tuple[int, ...]:
    return (2, 3) if each else (0, 2, 3)


@njit(fastmath=FAST)
def _share(t: Any, shares: int, a: Array, b: Array, rows: int, channels: int, block: Array, sums: Array) -> None:
    # a and b (images, rows, C); share t has a stretch of rows, and adds to sums[t] (images, C)
    images, q = sums.shape[1] // channels, U(channels)
    first, end = t * images * rows // shares, (t + 1) * images * rows // shares
    part, mine = block[t], sums[t]
    mine[:] = 0
    while first < end:
        count, to = min(_ROWS, end - first, rows - first % rows), U(first // rows * channels)
        part[:channels] = 0
        at = U(first * channels)
        for _ in range(count):
            for c in range(q):
                part[c] += a[at + c] * b[at + c]
            at += q
        for c in range(q):
            mine[to + c] += part[c]
        first += count


@njit(parallel=True)
def _sums(shares: int, a: Array, b: Array, rows: int, channels: int, block: Array, sums: Array) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, a, b, rows, channels, block, sums)


def sum_of_products_numba(a: Array, b: Array, each: bool) -> Array:
    """Parallel over pixels, in channels-last memory; other arrays in two steps."""
    if not (is_channels_last(a) and is_channels_last(b) and a.dtype == b.dtype and a.dtype.char in "fd" and a.size):
        return total(arithmetic_numba("mul", a, b), _axes(each))
    n, c, h, w = a.shape
    images, rows = (n, h * w) if each else (1, n * h * w)
    sums, block = np.empty((threads(), images * c)), np.empty((threads(), c), a.dtype)
    with parallel():
        _sums(threads(), flat(a), flat(b), rows, c, block, sums)
    with np.errstate(all="ignore"):  # a sum beyond float32 is Inf
        return sums.sum(0).astype(a.dtype).reshape(images, c, 1, 1)  # (images * C,) -> (images, C, 1, 1)


SUM_OF_PRODUCTS = Table(
    "sum of products",
    {
        ("channels", "python"): sum_of_products_python,
        ("channels", "numpy"): sum_of_products_numpy,
        ("channels", "numba"): sum_of_products_numba,
    },
)
