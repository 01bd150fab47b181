"""The weights in the order that channels-last memory wants, and their gradient: put together, and looked at.

Each share of a kernel adds up its own tasks; then the sums of the shares are added up, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..geometry import Conv
from ..layout import empty, flat, is_channels_last
from ..runtime import njit, prange, threads


def checked(gw: Array, exact: Callable[[], Any]) -> Any:
    """gw, or by the definition if it is not finite: for algorithms that multiply an Inf or NaN by zeros, or by numbers
    that should cancel, which makes NaN of what does not see it.
    """
    with np.errstate(all="ignore"):
        return gw if math.isfinite(np.add.reduce(gw, None)) else exact()


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
