"""Local response normalisation: each value is divided by a power of the squares around it, across the channels.

    d[n, c, s]   = k + a sum x[n, j, s]^2          j = c - before .. c + after, as far as these channels exist
    y[n, c, s]   = x[n, c, s] d[n, c, s]^-b
    gx           = gy d^-b - 2 a b x sum' gy x d^(-b-1)        sum': over j = c - after .. c + before

    x, y, d, gx, gy            (N, C, ...): S stands for all axes after the second
    before, after              how many channels the window reaches to each side; a is alpha / (before + 1 + after)

    FORWARD(x, before, after, a, b, k) -> (y, d)
    BACKWARD(gy, x, d, before, after, a, b) -> gx

A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
section 3.3. The paper's alpha is a itself; PyTorch and this file divide alpha by the size of the window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import Array
from .cuda import launch, scalar
from .dispatch import Table
from .layout import alike, dense, empty, empty_beside, flat, is_channels_last
from .runtime import njit, parallel, prange, threads

_FILE = "local_response.cu"

# ------------------------------------------------------------------------------------------------------------- python


def forward_python(x: Array, before: int, after: int, a: float, b: float, k: float) -> tuple[Array, Array]:
    """The definition."""
    y, d = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    for n, c, *s in np.ndindex(*x.shape):
        window = range(max(0, c - before), min(x.shape[1], c + after + 1))
        total = k + a * sum(float(x[(n, j, *s)]) ** 2 for j in window)
        d[(n, c, *s)], y[(n, c, *s)] = total, float(x[(n, c, *s)]) * _power(total, -b)
    return y, d


def _power(base: float, exponent: float) -> float:
    """base ** exponent as NumPy computes it: Inf or NaN where Python raises."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float(np.float64(base) ** exponent)


def backward_python(gy: Array, x: Array, d: Array, before: int, after: int, a: float, b: float) -> Array:
    """The definition: x[c] is in the window of each j from c - after to c + before."""
    gx = np.empty(x.shape, x.dtype)
    for n, c, *s in np.ndindex(*x.shape):
        total = 0.0
        for j in range(max(0, c - after), min(x.shape[1], c + before + 1)):
            here = (n, j, *s)
            total += float(gy[here]) * float(x[here]) * _power(float(d[here]), -b - 1)
        here = (n, c, *s)
        gx[here] = float(gy[here]) * _power(float(d[here]), -b) - 2 * a * b * float(x[here]) * total
    return gx


# -------------------------------------------------------------------------------------------------------------- numpy


def _window_sum(v: Array, before: int, after: int) -> Array:
    """The sum over c - before .. c + after along axis 1: a shifted view of all channels for each cell of the window."""
    total = np.zeros_like(v)
    for offset in range(max(-before, 1 - v.shape[1]), min(after, v.shape[1] - 1) + 1):
        size = v.shape[1] - abs(offset)
        total[:, max(0, -offset) :][:, :size] += v[:, max(0, offset) :][:, :size]
    return total


def forward_numpy(x: Array, before: int, after: int, a: float, b: float, k: float) -> tuple[Array, Array]:
    """Whole arrays."""
    kind = x.dtype.type
    d = _window_sum(x * x, before, after) * kind(a) + kind(k)
    return x * d ** kind(-b), d


def backward_numpy(gy: Array, x: Array, d: Array, before: int, after: int, a: float, b: float) -> Array:
    """Whole arrays; the window reversed: `after` channels before c, `before` channels after it."""
    kind = x.dtype.type
    power = d ** kind(-b)
    return np.subtract(
        gy * power, x * _window_sum(gy * x * power / d, after, before) * kind(2 * a * b), out=np.empty_like(x)
    )


# -------------------------------------------------------------------------------------------------------------- numba
# Dense memory is (items, C, S): an item is an image in NCHW memory, and a pixel with S = 1 in channels-last memory. A
# share is some of the items.

View = tuple[int, int, int]


def _view(x: Array) -> View:
    n, c, size = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    return (n * size, c, 1) if is_channels_last(x) else (n, c, size)


@njit(error_model="numpy", fastmath={"contract"})
def _power_minus(d: Any, b: Any) -> Any:
    # the usual exponent 3/4 by square roots, which the processor computes in one instruction
    root = math.sqrt(d)
    return 1 / (root * math.sqrt(root)) if b == 0.75 else d**-b


@njit(error_model="numpy", fastmath={"contract"})
def _window_total(padded: Array, total: Array) -> None:
    # total[c] = sum padded[c .. c + cells - 1]
    total[:] = padded[: total.size]
    for offset in range(1, padded.size - total.size + 1):
        near = padded[offset : offset + total.size]
        for c in range(total.size):
            total[c] += near[c]


@njit(error_model="numpy", fastmath={"contract"})
def _forward_share(
    t: Any, shares: int, x: Array, before: int, after: int, a: Any, b: Any, k: Any, y: Array, d: Array, view: View
) -> None:
    items, channels, size = view
    if size == 1:
        # one pixel after the other, its channels in a row between zeros: the window sum is a sum of shifted rows
        padded, total = np.zeros(before + channels + after, x.dtype), np.empty(channels, x.dtype)
        for item in range(t * items // shares, (t + 1) * items // shares):
            i0, i1 = item * channels, (item + 1) * channels
            values, to, sums = x[i0:i1], y[i0:i1], d[i0:i1]
            squares = padded[before : before + channels]
            for c in range(channels):
                squares[c] = values[c] * values[c]
            _window_total(padded, total)
            for c in range(channels):
                sums[c] = k + a * total[c]
                to[c] = values[c] * _power_minus(sums[c], b)
        return
    for task in range(t * items // shares * channels, (t + 1) * items // shares * channels):
        item, c = task // channels, task % channels
        values, to, sums = x[task * size :], y[task * size : (task + 1) * size], d[task * size : (task + 1) * size]
        sums[:] = 0
        for j in range(max(0, c - before), min(channels, c + after + 1)):
            near = x[(item * channels + j) * size : (item * channels + j + 1) * size]
            for i in range(size):
                sums[i] += near[i] * near[i]
        for i in range(size):
            sums[i] = k + a * sums[i]
            to[i] = values[i] * _power_minus(sums[i], b)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, before: int, after: int, a: Any, b: Any, k: Any, y: Array, d: Array, view: View
) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, before, after, a, b, k, y, d, view)


def forward_numba(x: Array, before: int, after: int, a: float, b: float, k: float) -> tuple[Array, Array]:
    """Parallel over images, or over pixels in channels-last memory."""
    x, kind = dense(x), x.dtype.type
    y, d = (empty(x.shape, x.dtype, is_channels_last(x)) for _ in range(2))
    with parallel():
        _forward(threads(), flat(x), before, after, kind(a), kind(b), kind(k), flat(y), flat(d), _view(x))
    return y, d


@njit(error_model="numpy", fastmath={"contract"})
def _backward_share(
    t: Any, shares: int, gy: Array, x: Array, d: Array, before: int, after: int, a: Any, b: Any, gx: Array, view: View
) -> None:
    items, channels, size = view
    if size == 1:  # as in the forward pass, with the window reversed
        padded, total = np.zeros(before + channels + after, x.dtype), np.empty(channels, x.dtype)
        for item in range(t * items // shares, (t + 1) * items // shares):
            i0, i1 = item * channels, (item + 1) * channels
            ups, values, sums, to = gy[i0:i1], x[i0:i1], d[i0:i1], gx[i0:i1]
            products = padded[after : after + channels]
            for c in range(channels):
                to[c] = ups[c] * _power_minus(sums[c], b)
                products[c] = to[c] * values[c] / sums[c]
            _window_total(padded, total)
            for c in range(channels):
                to[c] -= 2 * a * b * values[c] * total[c]
        return
    q = np.empty(channels * size, x.dtype)  # gy x d^(-b-1) of one item
    for item in range(t * items // shares, (t + 1) * items // shares):
        i0, i1 = item * channels * size, (item + 1) * channels * size
        ups, values, sums, to = gy[i0:i1], x[i0:i1], d[i0:i1], gx[i0:i1]
        for i in range(channels * size):
            power = _power_minus(sums[i], b)
            q[i] = ups[i] * values[i] * power / sums[i]
            sums_power = ups[i] * power
            to[i] = sums_power
        for c in range(channels):
            to, values = gx[i0 + c * size : i0 + (c + 1) * size], x[i0 + c * size : i0 + (c + 1) * size]
            for j in range(max(0, c - after), min(channels, c + before + 1)):
                near = q[j * size : (j + 1) * size]
                for i in range(size):
                    to[i] -= 2 * a * b * values[i] * near[i]


@njit(parallel=True)
def _backward(
    shares: int, gy: Array, x: Array, d: Array, before: int, after: int, a: Any, b: Any, gx: Array, view: View
) -> None:
    for t in prange(shares):
        _backward_share(np.intp(t), shares, gy, x, d, before, after, a, b, gx, view)


def backward_numba(gy: Array, x: Array, d: Array, before: int, after: int, a: float, b: float) -> Array:
    """Parallel over images, or over pixels in channels-last memory."""
    x, gy, d = alike(x, gy, d)
    gx, kind = empty(x.shape, x.dtype, is_channels_last(x)), x.dtype.type
    with parallel():
        _backward(threads(), flat(gy), flat(x), flat(d), before, after, kind(a), kind(b), flat(gx), _view(x))
    return gx


# --------------------------------------------------------------------------------------------------------------- cuda


def forward_cuda(x: Array, before: int, after: int, a: float, b: float, k: float) -> tuple[Array, Array]:
    """A thread for each value: `local_response.cu`. y and d have the memory order of x."""
    x = dense(x)
    y, d = (empty_beside(x, x.shape, is_channels_last(x)) for _ in range(2))
    numbers = before, after, float(a), float(b), float(k)
    launch(_FILE, f"forward<{scalar(x)}>", x.size, x, y, d, x.size, *_view(x)[1:], *numbers)
    return y, d


def backward_cuda(gy: Array, x: Array, d: Array, before: int, after: int, a: float, b: float) -> Array:
    """A thread for each value."""
    x, gy, d = alike(x, gy, d)
    gx = empty_beside(x, x.shape, is_channels_last(x))
    args = x.size, *_view(x)[1:], before, after, float(a), float(b)
    launch(_FILE, f"backward<{scalar(x)}>", x.size, gy, x, d, gx, *args)
    return gx


FORWARD = Table(
    "local_response_norm",
    {
        ("window", "python"): forward_python,
        ("window", "numpy"): forward_numpy,
        ("window", "numba"): forward_numba,
        ("window", "cuda"): forward_cuda,
    },
)
BACKWARD = Table(
    "local_response_norm backward",
    {
        ("window", "python"): backward_python,
        ("window", "numpy"): backward_numpy,
        ("window", "numba"): backward_numba,
        ("window", "cuda"): backward_cuda,
    },
)
