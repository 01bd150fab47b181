"""What is to do around the products: the bias, its gradient, partial sums, and a look at what came out.

A run of pixels is `count` from the p0-th on: in NHWC memory (`last`) of the whole batch, in NCHW memory of picture n.
Each share of a kernel adds up its own tasks; then the shares are added up, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..geometry import Conv
from ..layout import Array, empty, flat, is_channels_last
from ..runtime import FAST, njit, prange, threads
from ..sums import total


def sum_of_pixels(gy: Array) -> Array:
    """gb (O,) of gy (N, O, OH, OW), for where no kernel goes over gy anyway."""
    return total(gy, (0, 2, 3)).reshape(-1)


def checked(gw: Array, exact: Callable[[], Any]) -> Any:
    """gw, or by the definition if it is not finite: for algorithms that multiply an Inf or NaN by zeros, or by numbers
    that should cancel, which makes NaN of what does not see it.
    """
    with np.errstate(all="ignore"):
        return gw if math.isfinite(np.add.reduce(gw, None)) else exact()


@njit()
def fill_bias(y: Array, b: Array, n: int, p0: int, count: int, g: Conv, last: bool) -> None:
    """The bias, at the pixels of a run of y; the product is added to it."""
    u = np.uintp
    if last:
        for p in range(p0, p0 + count):
            to = u(p * g.o)
            for o in range(u(g.o)):
                y[to + o] = b[o]
    else:
        for o in range(g.o):
            to = u((n * g.o + o) * g.oh * g.ow + p0)
            for p in range(u(count)):
                y[to + p] = b[o]


@njit(fastmath=FAST)
def add_bias(gy: Array, gb: Array, n: int, p0: int, count: int, o0: int, o1: int, g: Conv, last: bool) -> None:
    """Add a run of gy of channels o0..o1 to gb."""
    u = np.uintp
    if last:
        for p in range(p0, p0 + count):
            at = u(p * g.o)
            for o in range(u(o0), u(o1)):
                gb[o] += gy[at + o]
    else:
        for o in range(o0, o1):
            at, total = u((n * g.o + o) * g.oh * g.ow + p0), gb.dtype.type(0)
            for p in range(u(count)):
                total += gy[at + p]
            gb[o] += total


@njit()
def _add_up_share(t: Any, chunks: int, sums: Array, gw: Array, gb: Array, channels: int) -> None:
    u = np.uintp
    size, cells = gw.size // max(1, gb.size), gw.size // max(1, gb.size * channels)
    for o in range(t * gb.size // chunks, (t + 1) * gb.size // chunks):
        for s in range(sums.shape[0]):
            for k in range(cells):
                to, step, at = u(o * size + k), u(cells), u(o * size + k * channels)
                if s == 0:
                    for c in range(u(channels)):
                        gw[to + c * step] = sums[s, at + c]
                else:
                    for c in range(u(channels)):
                        gw[to + c * step] += sums[s, at + c]
            up = sums[s, gw.size + o]
            gb[o] = up if s == 0 else gb[o] + up


@njit(parallel=True)
def _add_up(chunks: int, sums: Array, gw: Array, gb: Array, channels: int) -> None:
    for t in prange(chunks):
        _add_up_share(np.intp(t), chunks, sums, gw, gb, channels)


def add_up(sums: Array, g: Conv, channels: int) -> tuple[Array, Array]:
    """(gw, gb) from the sums of the shares, inside `with parallel():`.

    Each row of `sums` is gw as (O, cells, channels), then gb (O,); the result has (O, channels, cells).
    """
    gw, gb = empty(g.w_shape, sums.dtype), empty((g.o,), sums.dtype)
    _add_up(threads() if gw.size > 1 << 14 else 1, sums, gw.reshape(-1), gb, channels)
    return gw, gb


@njit()
def _channels_inside_share(t: Any, chunks: int, w: Array, out: Array, outputs: int, channels: int) -> None:
    u = np.uintp
    size, cells = w.size // outputs, w.size // (outputs * channels)
    for o in range(t * outputs // chunks, (t + 1) * outputs // chunks):
        for k in range(cells):
            at, step, to = u(o * size + k), u(cells), u(o * size + k * channels)
            for c in range(u(channels)):
                out[to + c] = w[at + c * step]


@njit(parallel=True)
def _channels_inside(chunks: int, w: Array, out: Array, outputs: int, channels: int) -> None:
    for t in prange(chunks):
        _channels_inside_share(np.intp(t), chunks, w, out, outputs, channels)


def channels_inside(w: Array, g: Conv) -> Array:
    """w (O, C/G, KH, KW) -> (O, KH, KW, C/G), flat; inside `with parallel():`."""
    if is_channels_last(w):
        return flat(w)
    w, channels = np.ascontiguousarray(w).reshape(-1), g.c // g.groups
    if channels == 1 or g.kh * g.kw == 1:
        return w
    out = empty((w.size,), w.dtype)
    _channels_inside(threads() if w.size > 1 << 14 else 1, w, out, g.o, channels)
    return out
