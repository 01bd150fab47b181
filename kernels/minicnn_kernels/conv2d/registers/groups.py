"""Which images form a group and are computed together, and the sizes of groups and tiles.

A task is a group of S images and a block of its outputs, as many as a tile has. There are three kinds of groups:

- if rows of NCHW memory are at least as long as a vector, a single image; its results are written to y directly;
- else, in a batch with enough images for all threads, as many images as a vector has lanes. A vector has one pixel of
  each image, loads are aligned, and no result of a tile is thrown away. The images are transposed before and after;
- in a small batch, and for the rest of a share of a large batch, any number of images. Rows of pixels are cut into
  vectors at arbitrary places, and are copied to y one by one.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from ...geometry import Conv
from ...llvm import filled_up
from .tile import BYTES, vectors_of

RUN = 512  # about the least number of values in a row of a group of any S: 8 rows of float32 are 16 KB
GROUP = 100_000  # the most numbers in the images of a group: 400 KB of float32
SUMMED = 2000  # about how many numbers of gy are summed at once for each output


class GroupSizes(NamedTuple):
    """The sizes of a group and of its tiles; `side_by_side.py` has a drawing of the distances."""

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
    s: int  # images in a group
    tap: int  # distance from pixel to pixel of x
    line: int  # distance from row to row of x
    plane: int  # distance from channel to channel of x
    outputs: int  # outputs in a tile
    vectors: int  # vectors of each output in a tile
    wide: int  # pixels of a row in a vector; 0: any number, across the ends of rows
    spot: int  # distance from pixel to pixel of y
    pitch: int  # distance from output to output of y
    summed: int  # outputs whose sums for gw are made at once
    gap: int  # distance from output to output of gy
    rows: int  # rows of gy that are summed at once
    images: int  # numbers in the scratch memory for the images of a group, and for reads beyond them
    results: int  # numbers in the scratch memory for results
    channels_last: bool


def _block(count: int, *sizes: int) -> int:
    """The first of the block sizes with which the last block is the fullest."""
    return min(sizes, key=lambda size: -(-count // size) * size)


@functools.lru_cache(maxsize=256)
def group_sizes(
    g: Conv, shares: int, channels_last: bool, itemsize: int, sums: bool = False
) -> tuple[GroupSizes, GroupSizes]:
    """The sizes of whole groups, and of the group for the rest of a share; `sums`: for gw."""
    lanes, size = BYTES // itemsize, g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    tall = g.oh >= vectors_of(_block(g.o, 8, 6, 4)) // 2  # as high as the tiles of `image`
    fewest, most = g.n // shares, -(-g.n // shares)
    direct = tall and not channels_last and g.ow >= lanes
    if (sums or (tall and not direct)) and together(g, shares, lanes, sums):
        rest = max(1, fewest % lanes, most % lanes)
        return _sizes(g, lanes, 1, channels_last, itemsize), _sizes(g, rest, 0, channels_last, itemsize)
    if direct:
        whole = _sizes(g, 1, lanes, channels_last, itemsize)
        return whole, whole
    s = min(max(1, min(most, GROUP // size)), -(-RUN // g.ow))
    whole = _sizes(g, -(-most // -(-most // s)), 0, channels_last, itemsize)  # all groups of about the same size
    return whole, whole


def together(g: Conv, shares: int, lanes: int, sums: bool = False) -> bool:
    """Whether each share has enough images for the lanes of a vector, and these images fit the cache."""
    size = g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    results = min(4, g.o) * g.oh * g.w if sums else g.o * g.oh * g.ow
    return g.n // shares >= lanes and lanes * (size + results) <= 2 * GROUP


def _sizes(g: Conv, s: int, wide: int, channels_last: bool, itemsize: int) -> GroupSizes:
    """The sizes of groups of s images; `wide`: pixels of a row in a vector."""
    hp, wp, lanes = g.h + 2 * g.ph, g.w + 2 * g.pw, BYTES // itemsize
    outputs, summed = _block(g.o, 8, 6, 4), _block(g.o, 4, 3)
    vectors = vectors_of(outputs)
    if wide == 1 and channels_last:  # (HP, WP, C, S) and (OH, OW, O, S)
        tap, line, plane, spot, pitch = g.c * s, wp * g.c * s, s, g.o * s, s
    else:  # (C, HP, WP, S) and (O, OH, OW, S), or rows of them
        tap, line, plane, spot, pitch = s, wp * s, hp * wp * s, s, g.oh * g.ow * s
    if outputs == 6 and wide == 0 and 0 < g.ow * s % (4 * lanes) <= 2 * lanes:
        vectors = 2  # so the last tile of a row is fuller
    reach = filled_up(g.ow * s, vectors * lanes)
    images = max(g.c * plane, hp * line) + g.kh * line + g.kw * tap + reach
    results = max(g.o * g.oh * g.ow, g.h * g.w * (g.c if channels_last else 1)) * s if wide == 1 else outputs * reach
    return GroupSizes(
        g.n, g.c, g.h, g.w, g.o, g.kh, g.kw, g.ph, g.pw, g.oh, g.ow, s, tap, line, plane, outputs, vectors, wide, spot,
        pitch if wide else reach, summed, filled_up(g.oh * line, lanes) + lanes, max(1, SUMMED // (g.ow * s)), images,
        results, channels_last,
    )  # fmt: skip
