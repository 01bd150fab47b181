"""Softmax along one axis, which turns numbers into probabilities, and its logarithm.

    softmax      y[k] = e^(x[k] - m) / s          m = max_k x[k],   s = sum_k e^(x[k] - m)
                 gx[k] = y[k] (gy[k] - sum_j gy[j] y[j])
    log_softmax  y[k] = x[k] - m - log s
                 gx[k] = gy[k] - e^y[k] sum_j gy[j]

    x, y, gx, gy   all of one shape, of rank 1 or more; k runs along `axis`, for each index of the other axes

Every forward is called as `forward(x, axis)` and every backward as `backward(gy, y, axis)`. If the largest value m were
not subtracted, e^x would overflow from x = 89 on in float32. With it, every exponent is at most 0 and s is at least 1.
The logarithm is not taken of y, which may have underflowed to 0. If the values along the axis contain a NaN or +Inf,
or are all -Inf, the result is NaN; else -Inf has probability 0. Sums are float64.

J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .activations.exponential import exp32
from .arrays import Array, xp
from .cuda import BLOCK, cut, launch, launch_blocks, scalar
from .dispatch import Table
from .layout import alike, dense, empty_beside, flat, is_channels_last
from .runtime import FAST, njit, parallel, prange, threads

# ------------------------------------------------------------------------------------------------------------- python


def _along(axis: int, f: Callable[..., list[float]], *arrays: Array) -> Array:
    """f of the lists of values along the axis, for each index of the other axes."""
    y = np.empty(arrays[0].shape, arrays[0].dtype)
    moved, *sources = (np.moveaxis(a, axis, -1) for a in (y, *arrays))
    for place in np.ndindex(moved.shape[:-1]) if y.size else ():
        moved[place] = f(*([float(v) for v in a[place]] for a in sources))
    return y


def _softmax(x: list[float]) -> list[float]:
    largest = max(x)
    powers = [math.exp(v - largest) for v in x]
    total = sum(powers)
    return [power / total for power in powers]


def _log_softmax(x: list[float]) -> list[float]:
    largest = max(x)
    log_sum = math.log(sum(math.exp(v - largest) for v in x))
    return [v - largest - log_sum for v in x]


def _softmax_backward(gy: list[float], y: list[float]) -> list[float]:
    total = sum(map(operator.mul, gy, y))
    return [p * (g - total) for g, p in zip(gy, y, strict=True)]


def _log_softmax_backward(gy: list[float], y: list[float]) -> list[float]:
    total = sum(gy)
    return [g - math.exp(v) * total for g, v in zip(gy, y, strict=True)]


def softmax_python(x: Array, axis: int) -> Array:
    """The definition."""
    return _along(axis, _softmax, x)


def log_softmax_python(x: Array, axis: int) -> Array:
    """The definition."""
    return _along(axis, _log_softmax, x)


def softmax_backward_python(gy: Array, y: Array, axis: int) -> Array:
    """The definition, from dy[j]/dx[k] = y[j] ([j = k] - y[k])."""
    return _along(axis, _softmax_backward, gy, y)


def log_softmax_backward_python(gy: Array, y: Array, axis: int) -> Array:
    """The definition, from dy[j]/dx[k] = [j = k] - e^y[k]."""
    return _along(axis, _log_softmax_backward, gy, y)


# -------------------------------------------------------------------------------------------------------------- numpy


def _shifted(x: Array, axis: int) -> Array:
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        return np.subtract(x, largest(x, axis), out=np.empty_like(x))


def largest(x: Array, axis: int) -> Array:
    """The largest value along an axis, which is kept with size 1; -Inf if there is none."""
    if x.size:
        return x.max(axis, keepdims=True)
    return xp(x).full((*x.shape[:axis], 1, *x.shape[axis:][1:]), -np.inf, x.dtype)


def softmax_numpy(x: Array, axis: int) -> Array:
    """Whole arrays."""
    y = _shifted(x, axis)
    np.exp(y, out=y)
    y /= y.sum(axis, np.float64, keepdims=True).astype(x.dtype)
    return y


def log_softmax_numpy(x: Array, axis: int) -> Array:
    """Whole arrays."""
    y = _shifted(x, axis)
    with np.errstate(divide="ignore"):  # an empty axis has the sum 0
        y -= np.log(np.exp(y).sum(axis, np.float64, keepdims=True)).astype(x.dtype)
    return y


def softmax_backward_numpy(gy: Array, y: Array, axis: int) -> Array:
    """Whole arrays."""
    return np.multiply(gy - (gy * y).sum(axis, np.float64, keepdims=True).astype(y.dtype), y, out=np.empty_like(y))


def log_softmax_backward_numpy(gy: Array, y: Array, axis: int) -> Array:
    """Whole arrays."""
    return np.subtract(gy, np.exp(y) * gy.sum(axis, np.float64, keepdims=True).astype(y.dtype), out=np.empty_like(y))


# -------------------------------------------------------------------------------------------------------------- numba
# Memory is (outer, K, inner) around the axis. A fibre is the K values along the axis; value k of fibre (o, i) is at
# (o K + k) inner + i. A share is some of the fibres. If inner is 1, a fibre is a run of memory, and the loops go along
# it. Else up to 64 neighbouring fibres are taken side by side, and the inner loops go across them. Both ways go along
# memory, so that the loops are vectorised. For float32, e^x is the polynomial of `activations/exponential.py`.

_WIDE = 64
_EXACT: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


def _fibres(x: Array, axis: int) -> tuple[int, int, int]:
    """(outer, K, inner) of dense memory around an axis."""
    order = sorted(range(x.ndim), key=lambda a: -x.strides[a]) if not x.flags.c_contiguous else list(range(x.ndim))
    sizes, at = [x.shape[a] for a in order], order.index(axis % x.ndim)
    return math.prod(sizes[:at]), sizes[at], math.prod(sizes[at + 1 :])


@njit(**_EXACT)
def _power(x: Array) -> None:
    # e^x for x <= 0, in place: with two arrays LLVM would have to check that they do not overlap
    if x.itemsize == 4:
        for i in range(x.size):
            x[i] = exp32(x[i])
    else:
        for i in range(x.size):
            x[i] = math.exp(x[i])


@njit(fastmath=FAST)
def _sum(x: Array) -> Any:
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath=FAST)
def _dot(x: Array, y: Array) -> Any:
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@njit(**_EXACT)
def _forward_share(t: Any, shares: int, log: bool, x: Array, y: Array, outer: int, count: int, inner: int) -> None:
    largest, totals, rest = np.empty(_WIDE, x.dtype), np.empty(_WIDE), np.empty(_WIDE, x.dtype)
    blocks = (inner + _WIDE - 1) // _WIDE
    for task in range(t * outer * blocks // shares, (t + 1) * outer * blocks // shares):
        i0 = task % blocks * _WIDE
        start, wide = task // blocks * count * inner + i0, min(_WIDE, inner - i0)
        size, runs = (count, 1) if inner == 1 else (wide, count)  # the length and the number of runs of memory
        largest[:], totals[:] = -np.inf, 0
        for k in range(runs):
            values = x[start + k * inner : start + k * inner + size]
            for i in range(size):
                at = 0 if inner == 1 else i
                largest[at] = largest[at] if values[i] <= largest[at] else values[i]
        for k in range(runs):
            a, b = start + k * inner, start + k * inner + size
            values, to = x[a:b], y[a:b]
            for i in range(size):
                to[i] = values[i] - (largest[0] if inner == 1 else largest[i])
            _power(to)
            if inner == 1:
                totals[0] = _sum(to)
            else:
                for i in range(size):
                    totals[i] += to[i]
        for i in range(wide):
            rest[i] = math.log(totals[i]) if log else 1 / totals[i]
        for k in range(runs):
            a, b = start + k * inner, start + k * inner + size
            values, to = x[a:b], y[a:b]
            for i in range(size):
                m, r = (largest[0], rest[0]) if inner == 1 else (largest[i], rest[i])
                to[i] = values[i] - m - r if log else to[i] * r


@njit(parallel=True)
def _forward(shares: int, log: bool, x: Array, y: Array, outer: int, count: int, inner: int) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, log, x, y, outer, count, inner)


def _forward_numba(log: bool, x: Array, axis: int) -> Array:
    x = dense(x)
    y = np.empty_like(x)
    if x.size:
        with parallel():
            _forward(threads(), log, flat(x), flat(y), *_fibres(x, axis))
    return y


def softmax_numba(x: Array, axis: int) -> Array:
    """The loops of the python row, parallel over fibres."""
    return _forward_numba(False, x, axis)


def log_softmax_numba(x: Array, axis: int) -> Array:
    """As softmax."""
    return _forward_numba(True, x, axis)


@njit(**_EXACT)
def _backward_share(
    t: Any, shares: int, log: bool, gy: Array, y: Array, gx: Array, outer: int, count: int, inner: int
) -> None:
    totals = np.empty(_WIDE)
    blocks = (inner + _WIDE - 1) // _WIDE
    for task in range(t * outer * blocks // shares, (t + 1) * outer * blocks // shares):
        i0 = task % blocks * _WIDE
        start, wide = task // blocks * count * inner + i0, min(_WIDE, inner - i0)
        size, runs = (count, 1) if inner == 1 else (wide, count)
        totals[:] = 0
        for k in range(runs):
            a, b = start + k * inner, start + k * inner + size
            if inner == 1:
                totals[0] = _sum(gy[a:b]) if log else _dot(gy[a:b], y[a:b])
            else:
                ups, values = gy[a:b], y[a:b]
                for i in range(wide):
                    totals[i] += ups[i] if log else ups[i] * values[i]
        for k in range(runs):
            a, b = start + k * inner, start + k * inner + size
            ups, values, to = gy[a:b], y[a:b], gx[a:b]
            if log:
                to[:] = values
                _power(to)
            for i in range(size):
                total = totals[0] if inner == 1 else totals[i]
                to[i] = ups[i] - to[i] * total if log else values[i] * (ups[i] - total)


@njit(parallel=True)
def _backward(
    shares: int, log: bool, gy: Array, y: Array, gx: Array, outer: int, count: int, inner: int
) -> None:  # fmt: skip
    for t in prange(shares):
        _backward_share(np.intp(t), shares, log, gy, y, gx, outer, count, inner)


def _backward_numba(log: bool, gy: Array, y: Array, axis: int) -> Array:
    y, gy = alike(y, gy)
    gx = np.empty_like(y)
    if y.size:
        with parallel():
            _backward(threads(), log, flat(gy), flat(y), flat(gx), *_fibres(y, axis))
    return gx


def softmax_backward_numba(gy: Array, y: Array, axis: int) -> Array:
    """Parallel over fibres."""
    return _backward_numba(False, gy, y, axis)


def log_softmax_backward_numba(gy: Array, y: Array, axis: int) -> Array:
    """As softmax."""
    return _backward_numba(True, gy, y, axis)


# --------------------------------------------------------------------------------------------------------------- cuda

_FILE = "softmax.cu"


def _launch(kernel: str, axis: int, given: tuple[Array, ...], result: Array, *, logarithm: bool) -> None:
    """A warp for each fibre that is a run of memory, else a thread; for few long fibres, blocks: `cut` says when."""
    if not result.size:
        return
    outer, count, inner = _fibres(result, axis)
    shared = cut(outer, count, inner)
    if shared is None:
        lanes = 32 if inner == 1 else 1
        args = *given, result, outer * inner, count, inner, np.int32(lanes), logarithm
        launch(_FILE, f"{kernel}<{scalar(result)}>", outer * inner * lanes, *args)
        return

    width, *grid = shared
    sizes = count, inner, np.int32(width)

    def run(stage: str, arrays: tuple[Array, ...], *more: bool) -> None:
        launch_blocks(_FILE, f"{kernel}_{stage}<{scalar(result)}>", grid, (BLOCK,), *arrays, *sizes, *more)

    if shared.parts == 1:
        run("together", (*given, result), logarithm)
    elif kernel == "forward":
        partial = empty_beside(result, (outer * inner, shared.parts, 2), dtype=np.float64)
        run("parts", (*given, partial))
        run("rest", (*given, partial, result), logarithm)
    else:
        partial = empty_beside(result, (outer * inner, shared.parts), dtype=np.float64)
        run("parts", (*given, partial), logarithm)
        run("rest", (*given, partial, result), logarithm)


def _forward_cuda(logarithm: bool, x: Array, axis: int) -> Array:
    x = dense(x)
    y = empty_beside(x, x.shape, is_channels_last(x))
    _launch("forward", axis, (x,), y, logarithm=logarithm)
    return y


def softmax_cuda(x: Array, axis: int) -> Array:
    """`softmax.cu`."""
    return _forward_cuda(False, x, axis)


def log_softmax_cuda(x: Array, axis: int) -> Array:
    """As softmax."""
    return _forward_cuda(True, x, axis)


def _backward_cuda(logarithm: bool, gy: Array, y: Array, axis: int) -> Array:
    y, gy = alike(y, gy)
    gx = empty_beside(y, y.shape, is_channels_last(y))
    _launch("backward", axis, (gy, y), gx, logarithm=logarithm)
    return gx


def softmax_backward_cuda(gy: Array, y: Array, axis: int) -> Array:
    """`softmax.cu`."""
    return _backward_cuda(False, gy, y, axis)


def log_softmax_backward_cuda(gy: Array, y: Array, axis: int) -> Array:
    """As softmax."""
    return _backward_cuda(True, gy, y, axis)


# ------------------------------------------------------------------------------------------------------------- tables


SOFTMAX = Table(
    "softmax",
    {
        ("axis", "python"): softmax_python,
        ("axis", "numpy"): softmax_numpy,
        ("axis", "numba"): softmax_numba,
        ("axis", "cuda"): softmax_cuda,
    },
)
SOFTMAX_BACKWARD = Table(
    "softmax backward",
    {
        ("axis", "python"): softmax_backward_python,
        ("axis", "numpy"): softmax_backward_numpy,
        ("axis", "numba"): softmax_backward_numba,
        ("axis", "cuda"): softmax_backward_cuda,
    },
)
LOG_SOFTMAX = Table(
    "log_softmax",
    {
        ("axis", "python"): log_softmax_python,
        ("axis", "numpy"): log_softmax_numpy,
        ("axis", "numba"): log_softmax_numba,
        ("axis", "cuda"): log_softmax_cuda,
    },
)
LOG_SOFTMAX_BACKWARD = Table(
    "log_softmax backward",
    {
        ("axis", "python"): log_softmax_backward_python,
        ("axis", "numpy"): log_softmax_backward_numpy,
        ("axis", "numba"): log_softmax_backward_numba,
        ("axis", "cuda"): log_softmax_backward_cuda,
    },
)
