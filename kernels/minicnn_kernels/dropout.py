"""Dropout: elements are kept or dropped at random, and what is drawn for the forward pass is drawn again for backward.

    y = scale x + shift    where x is kept         kept: word j of the sequence `key` >= p 2^32
    y =     0 x + low      where x is dropped      j = i // (the number of elements that share a decision)

    x, y         of one shape, of any rank; i counts the elements along the axes, the last one fastest
    axes         all elements with the same position along the first `axes` axes share a decision: x.ndim for each
                 element its own, 2 for the channels of images, 1 for whole images, 0 for one decision in all
    key          a number of 64 bits, which names a sequence of random words of 32 bits (`philox.py`)
    p            how probable it is that an element is dropped; rounded up to a multiple of 2^-32

    DROPOUT(x, axes, key, p, scale, shift, low) -> y
    gx = DROPOUT(gy, axes, key, p, scale, -0.0, -0.0)

Plain dropout has shift = low = -0.0, which changes no number in a sum, not even -0.0. A dropped NaN or Inf gives NaN.
The decisions depend on the key alone: they are the same for every memory order and thread count, on every row, on a GPU
and on the CPU. So no mask is kept for the backward pass. The result has the memory order of a dense x.

N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arrays import Array
from .cuda import launch_each, scalar
from .dispatch import Table
from .layout import dense, empty, empty_beside, flat, is_channels_last
from .philox import W, four_words, halves, word, word_python, words_numpy
from .runtime import njit, parallel, prange, threads

_FILE = "dropout.cu"
_FEW = 1 << 12  # for an array of fewer values, waking threads costs more than it saves


def _least(p: float) -> int:
    """The least word of those that keep an element; 2^32, more than any word, if p is 1."""
    return math.ceil(p * 2**32)


def dropout_python(x: Array, axes: int, key: int, p: float, scale: float, shift: float, low: float) -> Array:
    """The definition."""
    y, together = np.empty(x.shape, x.dtype), math.prod(x.shape[axes:])
    for i, place in enumerate(np.ndindex(x.shape)):
        kept = word_python(i // together, key) >= _least(p)
        y[place] = float(x[place]) * (scale if kept else 0.0) + (shift if kept else low)
    return y


def dropout_numpy(x: Array, axes: int, key: int, p: float, scale: float, shift: float, low: float) -> Array:
    """Whole arrays."""
    kept = words_numpy(math.prod(x.shape[:axes]), key, x) >= _least(p)
    kept = kept.reshape(x.shape[:axes] + (1,) * (x.ndim - axes))
    kind = x.dtype.type
    y: Array = np.multiply(x, np.where(kept, kind(scale), kind(0)), out=np.empty_like(x))
    if shift or low:
        y += np.where(kept, kind(shift), kind(low))
    return y


# -------------------------------------------------------------------------------------------------------------- numba


class Memory(NamedTuple):
    """How elements lie in memory, `channels` side by side: element (n, c, p) is at (n * pixels + p) * channels + c.

    C order has one channel and one image. `together` elements in a row along the axes share a decision.
    """

    channels: int
    pixels: int
    together: int


def _memory(x: Array, axes: int) -> Memory:
    """That of a dense array."""
    together = math.prod(x.shape[axes:])
    return Memory(x.shape[1], x.shape[2] * x.shape[3], together) if is_channels_last(x) else Memory(1, x.size, together)


@njit()
def _neighbours_share(
    t: Any, shares: int, x: Array, y: Array, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    # C order, a decision for each element: a counter gives the words of four neighbours
    nothing, fours = x.dtype.type(0), x.size // 4
    for counter in range(W(t * fours // shares), W((t + 1) * fours // shares)):
        w0, w1, w2, w3 = four_words(counter, k0, k1)
        i0 = W(4) * counter
        i1, i2, i3 = i0 + W(1), i0 + W(2), i0 + W(3)
        y[i0] = x[i0] * (scale if w0 >= least else nothing) + (shift if w0 >= least else low)
        y[i1] = x[i1] * (scale if w1 >= least else nothing) + (shift if w1 >= least else low)
        y[i2] = x[i2] * (scale if w2 >= least else nothing) + (shift if w2 >= least else low)
        y[i3] = x[i3] * (scale if w3 >= least else nothing) + (shift if w3 >= least else low)
    if t == shares - 1:
        for i in range(W(4 * fours), W(x.size)):
            kept = word(i, k0, k1) >= least
            y[i] = x[i] * (scale if kept else nothing) + (shift if kept else low)


@njit()
def _runs_share(
    t: Any, shares: int, x: Array, y: Array, m: Memory, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    # C order, a decision for `together` neighbours; a share may begin and end within such a run
    i0, i1 = t * x.size // shares, (t + 1) * x.size // shares
    while i0 < i1:
        decision = i0 // m.together
        end = min(i1, (decision + 1) * m.together)
        kept = word(W(decision), k0, k1) >= least
        a, b = scale if kept else x.dtype.type(0), shift if kept else low
        values, to = x[i0:end], y[i0:end]
        for i in range(values.size):
            to[i] = values[i] * a + b
        i0 = end


@njit()
def _pixels_share(
    t: Any, shares: int, x: Array, y: Array, m: Memory, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    # channels last, a decision for each element, pixels a multiple of 4: a counter gives the words of four neighbouring
    # pixels in one channel, and channels lie side by side
    nothing, channels, fours = x.dtype.type(0), W(m.channels), m.pixels // 4
    tasks = x.size // (4 * m.channels)
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):  # four pixels
        i0 = W(task * 4 * m.channels)
        i1, i2, i3 = i0 + channels, i0 + W(2) * channels, i0 + W(3) * channels
        first = W(task // fours * m.channels * fours + task % fours)
        for c in range(channels):
            w0, w1, w2, w3 = four_words(first + c * W(fours), k0, k1)
            y[i0 + c] = x[i0 + c] * (scale if w0 >= least else nothing) + (shift if w0 >= least else low)
            y[i1 + c] = x[i1 + c] * (scale if w1 >= least else nothing) + (shift if w1 >= least else low)
            y[i2 + c] = x[i2 + c] * (scale if w2 >= least else nothing) + (shift if w2 >= least else low)
            y[i3 + c] = x[i3 + c] * (scale if w3 >= least else nothing) + (shift if w3 >= least else low)


@njit()
def _rows_share(
    t: Any, shares: int, x: Array, y: Array, m: Memory, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    # channels last, everything else: the decisions of all channels at a pixel, drawn again where they change. From one
    # channel to the next, the number of the decision grows by `step`, since `together` divides `pixels` or is a
    # multiple of it.
    channels, together = m.channels, m.together
    step, beside = W(m.pixels // together if together <= m.pixels else 0), min(together, m.pixels)
    a, b, tasks = np.empty(channels, x.dtype), np.empty(channels, x.dtype), x.size // channels
    before = -1
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):  # a pixel
        if task // beside != before:
            before = task // beside
            n, p = task // m.pixels, task % m.pixels
            first = W(n * channels * m.pixels // together + (p // together if together <= m.pixels else 0))
            for c in range(W(channels)):
                kept = word(first + c * step, k0, k1) >= least
                a[c], b[c] = scale if kept else x.dtype.type(0), shift if kept else low
        values, to = x[task * channels : (task + 1) * channels], y[task * channels : (task + 1) * channels]
        for c in range(channels):
            to[c] = values[c] * a[c] + b[c]


@njit()
def _share(
    t: Any, shares: int, x: Array, y: Array, m: Memory, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    if m.channels == 1 and m.together == 1:
        _neighbours_share(t, shares, x, y, k0, k1, least, scale, shift, low)
    elif m.channels == 1:
        _runs_share(t, shares, x, y, m, k0, k1, least, scale, shift, low)
    elif m.together == 1 and m.pixels % 4 == 0:
        _pixels_share(t, shares, x, y, m, k0, k1, least, scale, shift, low)
    else:
        _rows_share(t, shares, x, y, m, k0, k1, least, scale, shift, low)


@njit(parallel=True)
def _dropout(
    shares: int, x: Array, y: Array, m: Memory, k0: Any, k1: Any, least: Any, scale: Any, shift: Any, low: Any
) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, x, y, m, k0, k1, least, scale, shift, low)


def dropout_numba(x: Array, axes: int, key: int, p: float, scale: float, shift: float, low: float) -> Array:
    """Parallel over runs of memory."""
    x = dense(x)
    y, kind = empty(x.shape, x.dtype, is_channels_last(x)), x.dtype.type
    if not x.size:
        return y
    words = (W(word) for word in (*halves(key), _least(p)))
    args = (flat(x), flat(y), _memory(x, axes), *words, kind(scale), kind(shift), kind(low))
    if x.size < _FEW:
        _dropout(1, *args)
        return y
    with parallel():
        _dropout(threads(), *args)
    return y


# --------------------------------------------------------------------------------------------------------------- cuda


def dropout_cuda(x: Array, axes: int, key: int, p: float, scale: float, shift: float, low: float) -> Array:
    """A thread for four values: `dropout.cu`."""
    x = dense(x)
    y, m = empty_beside(x, x.shape, is_channels_last(x)), _memory(x, axes)
    alone = m.together == 1 and (m.channels == 1 or m.pixels % 4 == 0)
    numbers = (np.uint64(key), _least(p), float(scale), float(shift), float(low))
    kernel = f"{'neighbours' if alone else 'places'}<{scalar(x)}>"
    launch_each(_FILE, kernel, x.size, x, y, x.size, m.channels, m.pixels, *(() if alone else (m.together,)), *numbers)
    return y


DROPOUT = Table(
    "dropout",
    {
        ("counter", "python"): dropout_python,
        ("counter", "numpy"): dropout_numpy,
        ("counter", "numba"): dropout_numba,
        ("counter", "cuda"): dropout_cuda,
    },
)
