"""The weights in the order that loops over channels-last memory need, and their gradient: added up, and checked.

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
    """gw, or the result of `exact` if gw is not finite.

    For algorithms that multiply an Inf or NaN by zeros, or by numbers that should cancel: there, sums that do not see
    it become NaN as well. On a GPU the program waits for the answer.
    """
    with np.errstate(all="ignore"):
        return gw if math.isfinite(np.add.reduce(gw, None)) else exact()


@njit()
def _add_up_share(t: Any, shares: int, sums: Array, gw: Array, gb: Array, channels: int) -> None:
    u = np.uintp
    size, cells = gw.size // max(1, gb.size), gw.size // max(1, gb.size * channels)
    for o in range(t * gb.size // shares, (t + 1) * gb.size // shares):
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
def _add_up(shares: int, sums: Array, gw: Array, gb: Array, channels: int) -> None:
    for t in prange(shares):
        _add_up_share(np.intp(t), shares, sums, gw, gb, channels)


def add_up(sums: Array, g: Conv, channels: int) -> tuple[Array, Array]:
    """(gw, gb) from the sums of the shares, inside `with parallel():`.

    Each row of `sums` is gw as (O, cells, channels), then gb (O,); the result has (O, channels, cells).
    """
    gw, gb = empty(g.w_shape, sums.dtype), empty((g.o,), sums.dtype)
    _add_up(threads() if gw.size > 1 << 14 else 1, sums, gw.reshape(-1), gb, channels)
    return gw, gb


@njit()
def _channels_inside_share(t: Any, shares: int, w: Array, out: Array, outputs: int, channels: int) -> None:
    u = np.uintp
    size, cells = w.size // outputs, w.size // (outputs * channels)
    for o in range(t * outputs // shares, (t + 1) * outputs // shares):
        for k in range(cells):
            at, step, to = u(o * size + k), u(cells), u(o * size + k * channels)
            for c in range(u(channels)):
                out[to + c] = w[at + c * step]


@njit(parallel=True)
def _channels_inside(shares: int, w: Array, out: Array, outputs: int, channels: int) -> None:
    for t in prange(shares):
        _channels_inside_share(np.intp(t), shares, w, out, outputs, channels)


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
