"""The bias and its gradient, gb = the sum of gy over images and pixels, for all algorithms.

A run of pixels is `count` pixels from number p0 on. They are counted through the whole batch in NHWC memory
(`channels_last`), and through image n in NCHW memory.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..geometry import Conv
from ..runtime import FAST, njit
from ..sums import total


def sum_of_pixels(gy: Array) -> Array:
    """gb (O,) of gy (N, O, OH, OW), for algorithms without a loop over gy that could compute gb on the way."""
    return total(gy, (0, 2, 3)).reshape(-1)


@njit()
def fill_bias(y: Array, b: Array, n: int, p0: int, count: int, g: Conv, channels_last: bool) -> None:
    """Write the bias to the pixels of a run of y; the matrix product is then added to it."""
    u = np.uintp
    if channels_last:
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
def add_bias(gy: Array, gb: Array, n: int, p0: int, count: int, o0: int, o1: int, g: Conv, channels_last: bool) -> None:
    """Add a run of gy of channels o0..o1 to gb."""
    u = np.uintp
    if channels_last:
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
