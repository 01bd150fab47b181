"""The images of a group, copied side by side for loops over all of them at once, and results copied back to y.

`at`, `to` and `into` are offsets into flat memory. The distances in this memory, in a group of S images:

    x   |<------------- plane: a channel ------------->|        y   |<------- pitch: an output ------->|
        |<-- line: a row -->|                          |            |                                  |
        +-----+-----+- - - -+-----+-----+- - - -+- - - +            +-----+-----+- - - -+-----+- - - - +
        |pixel|pixel|       |pixel|     |       |      |            |pixel|pixel|       |pixel|        |
        +-----+-----+- - - -+-----+-----+- - - -+- - - +            +-----+-----+- - - -+-----+- - - - +
        |<tap>|  S numbers, one of each image                       |<spot>|

In channels-last memory, with images as lanes, all channels of a pixel come before the next pixel: plane < tap.
"""

from __future__ import annotations

from typing import Any

from ...arrays import Array, U
from ...runtime import njit
from ...transpose import matrix
from .groups import GroupSizes


@njit()
def lay(x: Array, n0: int, size: Any, c0: int, c1: int, stage: Array, to: Array, start: Any, p: GroupSizes) -> None:
    """As `fill`, but by transposing, for S = LANES images, as many as a vector has lanes.

    One channel of all images (in channels-last memory all channels) is a matrix of S rows; its transpose has S numbers
    for each pixel. Short rows with padding between them are copied to `stage` first.
    """
    c, h, w = size
    run, step = w * c if p.channels_last else w, c * h * w
    first, plane = start
    for k in range(1 if p.channels_last else c1 - c0):
        at, to0 = n0 * step + (0 if p.channels_last else (c0 + k) * h * w), first + k * plane
        if run * p.s == p.line:
            matrix(x, at, step, p.s, h * run, to, to0, p.s)
        elif run >= p.s:
            for q in range(h):
                matrix(x, at + q * run, step, p.s, run, to, to0 + q * p.line, p.s)
        else:
            matrix(x, at, step, p.s, h * run, stage, 0, p.s)
            for q in range(h):
                source, into = U(q * run * p.s), U(to0 + q * p.line)
                for e in range(U(run * p.s)):
                    to[into + e] = stage[source + e]


@njit()
def fill(x: Array, n0: int, n1: int, size: Any, c0: int, c1: int, to: Array, start: Any, p: GroupSizes) -> None:
    """Copy channels c0..c1-1 of images n0, n0 + 1, ... side by side; from image n1 on, write zeros.

    x has images of `size` (C, H, W); `start` has the offset of the first pixel and the distance between channels.
    """
    c, h, w = size
    step, first, plane = U(c if p.channels_last else 1), start[0], start[1]
    for row in range((c1 - c0) * h):  # in the order of memory: a row of all images, then the next row
        k, q = (row % (c1 - c0), row // (c1 - c0)) if p.channels_last else (row // h, row % h)
        for i in range(p.s):
            n = n0 + i
            at = U(((n * h + q) * w) * c + c0 + k if p.channels_last else ((n * c + c0 + k) * h + q) * w)
            into = U(first + k * plane + q * p.line + i)
            if n >= n1:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = 0
            elif step == U(1) and p.s == 1:
                for j in range(U(w)):
                    to[into + j] = x[at + j]
            else:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = x[at + j * step]


@njit()
def group(
    x: Array, n0: int, n1: int, size: Any, c0: int, c1: int, stage: Array, to: Array, start: Any, p: GroupSizes
) -> None:
    """Call `lay` or `fill`, as the sizes of the group need."""
    if p.wide == 1:
        lay(x, n0, size, c0, c1, stage, to, start, p)
    else:
        fill(x, n0, n1, size, c0, c1, to, start, p)


@njit()
def take(acc: Array, n0: int, n1: int, o0: int, i: int, y: Array, p: GroupSizes) -> None:
    """Copy row i of outputs o0, o0 + 1, ... of images n0, n0 + 1, ... n1 - 1 of the group to y."""
    for o in range(o0, min(o0 + p.outputs, p.o)):
        for k in range(min(p.s, n1 - n0)):
            at = U((o - o0) * p.pitch + k)
            if p.channels_last:
                into = U((((n0 + k) * p.oh + i) * p.ow) * p.o + o)
                for j in range(U(p.ow)):
                    y[into + j * U(p.o)] = acc[at + j * U(p.s)]
            else:
                into = U((((n0 + k) * p.o + o) * p.oh + i) * p.ow)
                for j in range(U(p.ow)):
                    y[into + j] = acc[at + j * U(p.s)]
