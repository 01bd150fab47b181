"""Winograd's transforms, compiled: one-dimensional transforms over long runs of memory, and tiles in and out.

A one-dimensional transform makes a few numbers of a few numbers. Here it does so for `count` of them side by side, with
loops over flat memory and unsigned offsets (`im2col/columns.py` says why). A two-dimensional transform is a
one-dimensional one along the columns and then along the rows. To make both of them long loops, the pixels of a strip of
neighbouring tiles are sorted by their place in the tile,

    scratch[a, r, j, c] = pixel in row a and column j*m + r of the strip, channel c

so that for each place (a, r) the pixel of tile j is next to that of tile j + 1. The last two columns of an input tile
are the first two of its neighbour: r = 0 and 1 of j + 1.

Constants are converted to the type of the arrays (`f(4)`): an int times a float32 would be a float64.
"""

from __future__ import annotations

from ...arrays import Array, U
from ...runtime import FAST, njit

# ------------------------------------------------------------------------------------------- one-dimensional transforms
# dst[to + k*out + c] = (matrix @ v)[k] with v[i] = src[at + i*step + c], for c < count


@njit(fastmath=FAST)
def _input_2(src: Array, at: int, step: int, wrap: int, dst: Array, to: int, out: int, count: int) -> None:
    s0, s1, s2, s3 = U(at), U(at + step), U(at + wrap), U(at + wrap + step)
    d0, d1, d2, d3 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out)
    for c in range(U(count)):
        v0, v1, v2, v3 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c]
        dst[d0 + c] = v0 - v2
        dst[d1 + c] = v1 + v2
        dst[d2 + c] = v2 - v1
        dst[d3 + c] = v1 - v3


@njit(fastmath=FAST)
def _input_4(src: Array, at: int, step: int, wrap: int, dst: Array, to: int, out: int, count: int) -> None:
    f = src.dtype.type
    s0, s1, s2, s3, s4, s5 = U(at), U(at + step), U(at + 2 * step), U(at + 3 * step), U(at + wrap), U(at + wrap + step)
    d0, d1, d2, d3, d4, d5 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out), U(to + 4 * out), U(to + 5 * out)
    for c in range(U(count)):
        v0, v1, v2, v3, v4, v5 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c], src[s4 + c], src[s5 + c]
        even, odd = v4 - f(9 / 4) * v2, v3 - f(9 / 4) * v1
        even2, odd2 = v4 - f(9 / 16) * v2, v3 - f(9 / 16) * v1
        dst[d0 + c] = f(81 / 64) * v0 - f(45 / 16) * v2 + v4
        dst[d1 + c] = even + f(3 / 4) * odd
        dst[d2 + c] = even - f(3 / 4) * odd
        dst[d3 + c] = even2 + f(3 / 2) * odd2
        dst[d4 + c] = even2 - f(3 / 2) * odd2
        dst[d5 + c] = f(81 / 64) * v1 - f(45 / 16) * v3 + v5


@njit()
def _input(m: int, src: Array, at: int, step: int, wrap: int, dst: Array, to: int, out: int, count: int) -> None:
    """B^T: m + 2 numbers to m + 2; numbers m and m + 1 begin at `wrap`."""
    if m == 4:
        _input_4(src, at, step, wrap, dst, to, out, count)
    else:
        _input_2(src, at, step, wrap, dst, to, out, count)


@njit(fastmath=FAST)
def _output_2(src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    s0, s1, s2, s3 = U(at), U(at + step), U(at + 2 * step), U(at + 3 * step)
    d0, d1 = U(to), U(to + out)
    for c in range(U(count)):
        v0, v1, v2, v3 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c]
        dst[d0 + c] = v0 + v1 + v2
        dst[d1 + c] = v1 - v2 - v3


@njit(fastmath=FAST)
def _output_4(src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    f = src.dtype.type
    s0, s1, s2 = U(at), U(at + step), U(at + 2 * step)
    s3, s4, s5 = U(at + 3 * step), U(at + 4 * step), U(at + 5 * step)
    d0, d1, d2, d3 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out)
    for c in range(U(count)):
        v0, v1, v2, v3, v4, v5 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c], src[s4 + c], src[s5 + c]
        even, odd, even2, odd2 = v1 + v2, v1 - v2, v3 + v4, v3 - v4
        dst[d0 + c] = v0 + even + even2
        dst[d1 + c] = f(3 / 4) * odd + f(3 / 2) * odd2
        dst[d2 + c] = f(9 / 16) * even + f(9 / 4) * even2
        dst[d3 + c] = f(27 / 64) * odd + f(27 / 8) * odd2 + v5


@njit()
def _output(m: int, src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    """A^T: m + 2 numbers to m."""
    if m == 4:
        _output_4(src, at, step, dst, to, out, count)
    else:
        _output_2(src, at, step, dst, to, out, count)


@njit(fastmath=FAST)
def _upstream_2(src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    s0, s1 = U(at), U(at + step)
    d0, d1, d2, d3 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out)
    for c in range(U(count)):
        v0, v1 = src[s0 + c], src[s1 + c]
        dst[d0 + c] = v0
        dst[d1 + c] = v0 + v1
        dst[d2 + c] = v0 - v1
        dst[d3 + c] = -v1


@njit(fastmath=FAST)
def _upstream_4(src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    f = src.dtype.type
    s0, s1, s2, s3 = U(at), U(at + step), U(at + 2 * step), U(at + 3 * step)
    d0, d1, d2, d3, d4, d5 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out), U(to + 4 * out), U(to + 5 * out)
    for c in range(U(count)):
        v0, v1, v2, v3 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c]
        even, odd = v0 + f(9 / 16) * v2, f(3 / 4) * v1 + f(27 / 64) * v3
        even2, odd2 = v0 + f(9 / 4) * v2, f(3 / 2) * v1 + f(27 / 8) * v3
        dst[d0 + c] = v0
        dst[d1 + c] = even + odd
        dst[d2 + c] = even - odd
        dst[d3 + c] = even2 + odd2
        dst[d4 + c] = even2 - odd2
        dst[d5 + c] = v3


@njit()
def _upstream(m: int, src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    """A: m numbers to m + 2."""
    if m == 4:
        _upstream_4(src, at, step, dst, to, out, count)
    else:
        _upstream_2(src, at, step, dst, to, out, count)


@njit(fastmath=FAST)
def weight(m: int, src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    """G: 3 numbers to m + 2."""
    f = src.dtype.type
    s0, s1, s2 = U(at), U(at + step), U(at + 2 * step)
    d0, d1, d2, d3, d4, d5 = U(to), U(to + out), U(to + 2 * out), U(to + 3 * out), U(to + 4 * out), U(to + 5 * out)
    if m == 4:
        for c in range(U(count)):
            v0, v1, v2 = src[s0 + c], src[s1 + c], src[s2 + c]
            even, odd = f(-128 / 243) * v0 - f(8 / 27) * v2, f(32 / 81) * v1
            even2, odd2 = f(32 / 243) * v0 + f(8 / 27) * v2, f(16 / 81) * v1
            dst[d0 + c] = f(64 / 81) * v0
            dst[d1 + c] = even - odd
            dst[d2 + c] = even + odd
            dst[d3 + c] = even2 + odd2
            dst[d4 + c] = even2 - odd2
            dst[d5 + c] = v2
    else:
        for c in range(U(count)):
            v0, v1, v2 = src[s0 + c], src[s1 + c], src[s2 + c]
            even, odd = f(1 / 2) * (v0 + v2), f(1 / 2) * v1
            dst[d0 + c] = v0
            dst[d1 + c] = even + odd
            dst[d2 + c] = even - odd
            dst[d3 + c] = v2


@njit(fastmath=FAST)
def weight_gradient(m: int, src: Array, at: int, step: int, dst: Array, to: int, out: int, count: int) -> None:
    """G^T: m + 2 numbers to 3."""
    f = src.dtype.type
    s0, s1, s2 = U(at), U(at + step), U(at + 2 * step)
    s3, s4, s5 = U(at + 3 * step), U(at + 4 * step), U(at + 5 * step)
    d0, d1, d2 = U(to), U(to + out), U(to + 2 * out)
    if m == 4:
        for c in range(U(count)):
            v0, v1, v2, v3, v4, v5 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c], src[s4 + c], src[s5 + c]
            even, even2 = v1 + v2, v3 + v4
            dst[d0 + c] = f(64 / 81) * v0 - f(128 / 243) * even + f(32 / 243) * even2
            dst[d1 + c] = f(32 / 81) * (v2 - v1) + f(16 / 81) * (v3 - v4)
            dst[d2 + c] = f(8 / 27) * (even2 - even) + v5
    else:
        for c in range(U(count)):
            v0, v1, v2, v3 = src[s0 + c], src[s1 + c], src[s2 + c], src[s3 + c]
            even, odd = f(1 / 2) * (v1 + v2), f(1 / 2) * (v1 - v2)
            dst[d0 + c] = v0 + even
            dst[d1 + c] = odd
            dst[d2 + c] = even + v3


# ------------------------------------------------------------------------------------------------------- tiles in, out


@njit()
def _gather(
    images: Array, size: tuple[int, int, int], channels_last: bool, n: int, first: int, count: int, p: int, q: int,
    rows: int, m: int, tiles: int, extra: int, scratch: Array,
) -> None:  # fmt: skip
    """Copy rows p.. and columns q.. of image n to scratch (rows, m, tiles + (extra > 0), count), zero outside.

    Copies channels first .. first + count of an image of `size` = (C, H, W), and tiles*m + extra columns.
    """
    c_all, height, width = size
    columns, lane = tiles * m + extra, tiles + (1 if extra > 0 else 0)
    for a in range(rows):
        start = a * m * lane * count
        k0, k1 = min(columns, max(0, -q)), min(columns, max(0, width - q))  # the columns inside the image
        if p + a < 0 or p + a >= height:
            k0 = k1 = columns
        for k in range(k0):
            _zero(scratch, start + (k % m * lane + k // m) * count, count)
        for k in range(k1, columns):
            _zero(scratch, start + (k % m * lane + k // m) * count, count)
        if k0 == columns:
            continue
        for r in range(m):
            j0, j1 = (k0 - r + m - 1) // m, (k1 - r + m - 1) // m  # the tiles whose column r is inside
            to = start + (r * lane + j0) * count
            if channels_last:
                run = ((n * height + p + a) * width + q + j0 * m + r) * c_all + first
                _copy(images, run, m * c_all, scratch, to, count, j1 - j0, count)
            else:
                run = ((n * c_all + first) * height + p + a) * width + q + j0 * m + r
                _transpose(images, run, m, height * width, scratch, to, count, 1, j1 - j0, count)


@njit()
def _zero(dst: Array, to: int, count: int) -> None:
    start = U(to)
    for c in range(U(count)):
        dst[start + c] = 0


@njit()
def _copy(src: Array, at: int, step: int, dst: Array, to: int, out: int, runs: int, count: int) -> None:
    """Copy `runs` runs of `count` numbers each."""
    for j in range(runs):
        s, d = U(at + j * step), U(to + j * out)
        for c in range(U(count)):
            dst[d + c] = src[s + c]


@njit()
def _transpose(
    src: Array, at: int, i_step: int, c_step: int, dst: Array, to: int, i_out: int, c_out: int, runs: int, count: int
) -> None:
    """dst[i*i_out + c*c_out] = src[i*i_step + c*c_step]; the pixels are the inner loop, since they are near in NCHW."""
    step, out = U(i_step), U(i_out)
    for c in range(count):
        s, d = U(at + c * c_step), U(to + c * c_out)
        for i in range(U(runs)):
            dst[d + i * out] = src[s + i * step]


@njit()
def place(at: int, end: int, grid: tuple[int, int], most: int) -> tuple[int, int, int, int]:
    """Image, row and column of tile `at`, and how many tiles follow side by side: before `end`, and at most `most`."""
    row, j = at // grid[1], at % grid[1]
    return row // grid[0], row % grid[0], j, min(min(most, end - at), grid[1] - j)


@njit()
def input_strip(
    m: int, x: Array, size: tuple[int, int, int], channels_last: bool, n: int, first: int, count: int, p: int, q: int,
    tiles: int, v: Array, at: int, step: int, scratch: Array,
) -> None:  # fmt: skip
    """B^T d B of `tiles` tiles side by side, the first at pixel (p, q), written to v[at + e*step + (j*count + c)]."""
    a, row = m + 2, m * (tiles + 1) * count
    half = scratch[a * row :]
    _gather(x, size, channels_last, n, first, count, p, q, a, m, tiles, 2, scratch)
    _input(m, scratch, 0, row, m * row, half, 0, row, row)
    for i in range(a):
        to = at + i * a * step
        _input(m, half, i * row, (tiles + 1) * count, count, v, to, step, tiles * count)


@njit()
def upstream_strip(
    m: int, gy: Array, size: tuple[int, int, int], channels_last: bool, n: int, first: int, count: int, p: int, q: int,
    tiles: int, v: Array, at: int, step: int, gb: Array, scratch: Array,
) -> None:  # fmt: skip
    """A d A^T of tiles of gy, as in `input_strip`; adds the pixels to gb."""
    a, row = m + 2, m * tiles * count
    half = scratch[m * row :]
    _gather(gy, size, channels_last, n, first, count, p, q, m, m, tiles, 0, scratch)
    for pixel in range(m * m * tiles):
        at_pixel = U(pixel * count)
        for c in range(U(count)):
            gb[c] += scratch[at_pixel + c]
    _upstream(m, scratch, 0, row, half, 0, row, row)
    for i in range(a):
        _upstream(m, half, i * row, tiles * count, v, at + i * a * step, step, tiles * count)


@njit()
def output_strip(
    m: int, v: Array, at: int, step: int, tiles: int, count: int, bias: Array, y: Array, size: tuple[int, int, int],
    channels_last: bool, n: int, first: int, p: int, q: int, scratch: Array,
) -> None:  # fmt: skip
    """A^T v A + bias of `tiles` tiles, written to pixels (p, q).. of image n, channels first .. first + count."""
    a, row = m + 2, m * tiles * count
    done = scratch[a * row :]
    for i in range(a):
        _output(m, v, at + i * a * step, step, scratch, i * row, tiles * count, tiles * count)
    _output(m, scratch, 0, row, done, 0, row, row)
    for pixel in range(m * m * tiles):
        cell = U(pixel * count)
        for c in range(U(count)):
            done[cell + c] += bias[U(first) + c]
    c_all, height, width = size
    columns = min(tiles * m, width - q)
    for i in range(min(m, height - p)):
        for r in range(min(m, columns)):
            run, runs = (i * m + r) * tiles * count, (columns - r + m - 1) // m
            if channels_last:
                to = ((n * height + p + i) * width + q + r) * c_all + first
                _copy(done, run, count, y, to, m * c_all, runs, count)
            else:
                to = ((n * c_all + first) * height + p + i) * width + q + r
                _transpose(done, run, count, 1, y, to, m, height * width, runs, count)
