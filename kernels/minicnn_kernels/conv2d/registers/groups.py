"""Which images are taken together, as a group, and the sizes of all that is made of them.

A task is a group of S images and a block of outputs of it, as many as a tile has. There are three kinds of groups:

- where rows of NCHW memory are a vector or longer, an image by itself: its results go straight to y;
- else, in a batch with enough images for all threads, as many as a vector has lanes. A vector is one pixel of all of
  them, loads are aligned, and no result of a tile is thrown away. Going there and back is a transposition;
- of a small batch, and of what is left over of a share of a large one, any number. Rows of pixels are cut into vectors
  wherever these happen to end, and are copied to y one by one.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from ...geometry import Conv
from ...llvm import filled_up
from .tile import BYTES, vectors_of

RUN = 512  # numbers in a row of a group of any S, at least, about: 8 of these vectors of float32 are 16 KB
GROUP = 100_000  # numbers in the pictures of a group, at most: 400 KB
SUMMED = 2000  # numbers of gy and output that are summed at once, about


class GroupSizes(NamedTuple):
    """The sizes of a group and of its tiles; how far things lie apart is drawn in `side_by_side.py`."""

    n: int
    c: int
    h: int
    w: int
    o: int
    kh: int
    kw: int
    ph: int
    pw: int
    oh: int
    ow: int
    s: int  # pictures in a group
    tap: int  # from pixel to pixel of x
    line: int  # from row to row
    plane: int  # from channel to channel
    outputs: int  # of a tile
    vectors: int  # of each output in a tile
    wide: int  # pixels of a row that a vector holds, or 0 for any number, across the ends of rows
    spot: int  # from pixel to pixel of y
    pitch: int  # from output to output
    summed: int  # outputs whose sums for gw are made at once
    gap: int  # from output to output of gy
    rows: int  # rows of gy that are summed at once
    pictures: int  # numbers of scratch for the pictures of a group, with what vectors read beyond them
    results: int  # numbers of scratch for results
    channels_last: bool


def _block(count: int, *sizes: int) -> int:
    """The size of blocks that leaves least of the last one empty; of several the first."""
    return min(sizes, key=lambda size: -(-count // size) * size)


@functools.lru_cache(maxsize=256)
def group_sizes(
    g: Conv, chunks: int, channels_last: bool, itemsize: int, sums: bool = False
) -> tuple[GroupSizes, GroupSizes]:
    """The sizes of whole groups, and of what is left over of a share; `sums`: for gw."""
    lanes, size = BYTES // itemsize, g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    tall = g.oh >= vectors_of(_block(g.o, 8, 6, 4)) // 2  # as the tiles of `picture` are
    fewest, most = g.n // chunks, -(-g.n // chunks)
    direct = tall and not channels_last and g.ow >= lanes
    if (sums or (tall and not direct)) and together(g, chunks, lanes, sums):
        rest = max(1, fewest % lanes, most % lanes)
        return _sizes(g, lanes, 1, channels_last, itemsize), _sizes(g, rest, 0, channels_last, itemsize)
    if direct:
        whole = _sizes(g, 1, lanes, channels_last, itemsize)
        return whole, whole
    s = min(max(1, min(most, GROUP // size)), -(-RUN // g.ow))
    whole = _sizes(g, -(-most // -(-most // s)), 0, channels_last, itemsize)  # all groups of about the same size
    return whole, whole


def together(g: Conv, chunks: int, lanes: int, sums: bool = False) -> bool:
    """Whether each share has pictures enough for the lanes of a vector, and these are small enough for the cache."""
    size = g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    results = min(4, g.o) * g.oh * g.w if sums else g.o * g.oh * g.ow
    return g.n // chunks >= lanes and lanes * (size + results) <= 2 * GROUP


def _sizes(g: Conv, s: int, wide: int, channels_last: bool, itemsize: int) -> GroupSizes:
    """Of groups of s images; `wide`: pixels of a row that a vector holds."""
    hp, wp, lanes = g.h + 2 * g.ph, g.w + 2 * g.pw, BYTES // itemsize
    outputs, summed = _block(g.o, 8, 6, 4), _block(g.o, 4, 3)
    vectors = vectors_of(outputs)
    if wide == 1 and channels_last:  # (HP, WP, C, S) and (OH, OW, O, S)
        tap, line, plane, spot, pitch = g.c * s, wp * g.c * s, s, g.o * s, s
    else:  # (C, HP, WP, S) and (O, OH, OW, S), or rows of that
        tap, line, plane, spot, pitch = s, wp * s, hp * wp * s, s, g.oh * g.ow * s
    if outputs == 6 and wide == 0 and 0 < g.ow * s % (4 * lanes) <= 2 * lanes:
        vectors = 2  # less of the last tile of a row is left out
    reach = filled_up(g.ow * s, vectors * lanes)
    pictures = max(g.c * plane, hp * line) + g.kh * line + g.kw * tap + reach
    results = max(g.o * g.oh * g.ow, g.h * g.w * (g.c if channels_last else 1)) * s if wide == 1 else outputs * reach
    return GroupSizes(
        g.n, g.c, g.h, g.w, g.o, g.kh, g.kw, g.ph, g.pw, g.oh, g.ow, s, tap, line, plane, outputs, vectors, wide, spot,
        pitch if wide else reach, summed, filled_up(g.oh * line, lanes) + lanes, max(1, SUMMED // (g.ow * s)), pictures,
        results, channels_last,
    )  # fmt: skip
