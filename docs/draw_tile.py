"""Draw the picture of the tile in gpu.md: how a block of threads computes a convolution as a matrix product.

    python docs/draw_tile.py

Which thread copies and computes what is not written here. `device/tile.cuh` says it: a small kernel that includes it
runs on the CPU and writes down the numbers of the threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.visualize.style import BLUE, GREY, INK, ORANGE, PALE, TIMES, drawing
from minicnn_kernels import cuda
from minicnn_kernels.emulated import cupy

PICTURE = Path(__file__).parent / "images" / "tile.png"
HIGH = 4  # R of tile.cuh
THREAD = 100  # the one whose numbers are marked
WARP = 32

CODE = """
#include "threads.cuh"
#include "tile.cuh"

struct Operand {  // the number at each place is that of the thread that reads it
  typedef long long Line;
  typedef long long Term;
  bool by_term;
  __device__ Line line(long long i) const { return i; }
  __device__ Term term(long long k) const { return k; }
  __device__ float at(Line, Term) const { return threadIdx.x; }
};

__global__ void constants(int* to) { to[0] = THREADS, to[1] = COLUMNS, to[2] = STEP; }

template <int E> __global__ void copied(bool by_term, float* to) {
  __shared__ float tile[STEP][16 * E + 4];
  __shared__ long long terms[STEP];
  if (threadIdx.x < STEP) terms[threadIdx.x] = threadIdx.x;
  __syncthreads();
  Operand operand = {by_term};
  Share<float, Operand, E> share(operand, 0);
  share.read(terms, STEP);
  share.write(tile);
  __syncthreads();
  for (int e = threadIdx.x; e < STEP * 16 * E; e += THREADS) to[e] = tile[e / (16 * E)][e % (16 * E)];
}

template <int R> __global__ void computed(float* to) {
  float sums[R][4];
  for (int r = 0; r < R; r++)
    for (int c = 0; c < 4; c++) sums[r][c] = threadIdx.x;
  Axis rows = {16 * R, 1, COLUMNS, 0, 0}, columns = {COLUMNS, 1, 1, 0, 0};
  Tiles tiles = {16 * R, COLUMNS, 0, 1, 0, 0};
  write_tile<float, R>(to, rows, columns, tiles, 0, 0, sums);
}
"""


class Tile(NamedTuple):
    """What the kernel does.

    Attributes:
        threads: of a block.
        step: terms that are in shared memory at a time.
        copied_left: (step, rows), the thread that copies each number of the left operand in a step.
        copied_right: (step, columns), the same for the right operand.
        computed: (rows, columns), the thread that computes each number of the tile.
    """

    threads: int
    step: int
    copied_left: Any
    copied_right: Any
    computed: Any


def tile() -> Tile:
    """Ask the code of `device/tile.cuh`, by running it."""
    names = ("constants", "copied<4>", f"copied<{HIGH}>", f"computed<{HIGH}>")
    module = cupy.RawModule(
        code=cuda.declarations() + CODE, options=cuda.options(), name_expressions=tuple(dict.fromkeys(names))
    )
    numbers = np.zeros(3, np.int32)
    module.get_function("constants")((1,), (1,), (numbers,))
    threads, columns, step = numbers.tolist()
    left, right = np.full((step, 16 * HIGH), -1, np.float32), np.full((step, columns), -1, np.float32)
    to = np.full((16 * HIGH, columns), -1, np.float32)
    module.get_function(f"copied<{HIGH}>")((1,), (threads,), (np.bool_(True), left))  # weights: terms are neighbours
    module.get_function("copied<4>")((1,), (threads,), (np.bool_(False), right))  # pixels: columns are neighbours
    module.get_function(f"computed<{HIGH}>")((1,), (threads,), (to,))
    return Tile(threads, step, left.astype(int), right.astype(int), to.astype(int))


# ------------------------------------------------------------------------------------------------------------ picture

GAP, STEPS, NOW = 7, 3, 1  # between matrices; the steps that are drawn; the one that is in shared memory
FILTER, WIDTH = 3, 12  # of the convolution that serves as example: 3x3 filters, and images 12 pixels wide
AMBER = "#F5C242"


def draw(found: Tile, out: Path) -> None:
    """The picture."""
    from matplotlib.patches import Rectangle

    rows, columns = found.computed.shape
    terms = STEPS * found.step
    with drawing(10.4, 7.4, out) as figure:
        axes = figure.subplots()
        axes.set(xlim=(-terms - GAP - 4, columns + 55), ylim=(rows + 7, -terms - GAP - 5), aspect="equal")
        axes.axis("off")

        def box(x: float, y: float, width: float, height: float, **style: Any) -> None:
            axes.add_patch(Rectangle((x, y), width, height, **{"fill": False, "lw": 0.8, "ec": GREY, **style}))

        def words(x: float, y: float, text: str, **style: Any) -> None:
            axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 9, **style})

        # the sums of the tile: a warp is grey or white
        y0 = -terms - GAP
        shown = np.where(found.computed // WARP % 2, 0.0, 1.0)
        axes.imshow(shown, cmap="Greys", vmin=0, vmax=9, extent=(0, columns, rows, 0))
        for edge in range(0, columns + 1, 4):
            axes.plot([edge, edge], [0, rows], color=PALE, lw=0.5)
        for edge in range(0, rows + 1, HIGH):
            axes.plot([0, columns], [edge, edge], color=PALE, lw=0.5)
        box(0, 0, columns, rows)
        # the operands, with the step that is in shared memory
        left = -terms - GAP
        box(left, 0, terms, rows)
        box(0, y0, columns, terms)
        box(left + NOW * found.step, 0, found.step, rows, fill=True, fc=BLUE, alpha=0.16, ec="none")
        box(0, y0 + NOW * found.step, columns, found.step, fill=True, fc=BLUE, alpha=0.16, ec="none")
        # one thread: what it copies (dots), multiplies (amber) and computes (orange)
        own = np.argwhere(found.computed == THREAD)
        top, first = own.min(0)
        high, wide = own.max(0) - own.min(0) + 1
        box(left + NOW * found.step, top, found.step, high, fill=True, fc=AMBER, ec="none")
        box(first, y0 + NOW * found.step, wide, found.step, fill=True, fc=AMBER, ec="none")
        box(first, top, wide, high, fill=True, fc=ORANGE, ec="none")
        for term, line in np.argwhere(found.copied_left == THREAD):
            axes.plot(left + NOW * found.step + term + 0.5, line + 0.5, ".", color=INK, ms=4)
        for term, line in np.argwhere(found.copied_right == THREAD):
            axes.plot(line + 0.5, y0 + NOW * found.step + term + 0.5, ".", color=INK, ms=4)
        words(left + terms / 2, rows + 3, f"w: {rows} filters {TIMES} terms (c, a, b)")
        words(columns / 2, rows + 3, f"y: {rows} channels {TIMES} {columns} pixels, a tile")
        words(columns / 2, y0 - 3, f"col: terms {TIMES} {columns} windows of x; never written")
        _example(found, box, words, left, y0)
        at = float(y0 + 2)
        for colour, text in _legend(found, own.shape[0]):
            if colour == INK:
                axes.plot(columns + 6.5, at, ".", color=INK, ms=4)
            elif colour:
                box(columns + 5, at - 1.5, 3, 3, fill=True, fc=colour, ec="none", alpha=0.16 if colour == BLUE else 1)
            words(columns + 11, at - 1.8, text, ha="left", va="top", linespacing=1.35)
            at += 3.3 * text.count("\n") + 7


def _example(found: Tile, box: Any, words: Any, left: float, top: float) -> None:
    """What lines and terms are for a 3x3 convolution: the pixels of y, and the cells of the filter."""
    columns, cell = found.computed.shape[1], 2.2
    count = -(-columns // WIDTH)
    for pixel in range(count * WIDTH):
        x, y = left + pixel % WIDTH * cell, top + pixel // WIDTH * cell
        box(x, y, cell, cell, fill=pixel < columns, fc=PALE, ec="white" if pixel < columns else PALE)
    words(left, top + count * cell + 2.2, f"the {columns} columns: pixels (i, j) of y", ha="left")
    below, size, across = top + count * cell + 7, FILTER**2, 3.0
    span = range(NOW * found.step, (NOW + 1) * found.step)
    for number, channel in enumerate(range(span[0] // size, span[-1] // size + 1)):
        x0 = left + number * 13.5
        for cells in range(size):
            inside = channel * size + cells in span
            x, y = x0 + cells % FILTER * across, below + cells // FILTER * across
            box(x, y, across, across, fill=inside, fc="#D6E6F2", ec="white" if inside else PALE)
        words(x0 + FILTER * across / 2, below + FILTER * across + 1.8, f"c = {channel}")
    words(left, below + FILTER * across + 5.6, f"the {found.step} terms of this step: cells (c, a, b)", ha="left")


def _legend(found: Tile, own: int) -> Iterator[tuple[str | None, str]]:
    """A colour and its words, from shared memory to the sums."""
    rows, columns = found.computed.shape
    copied, products = found.step * (rows + columns), rows * columns * found.step
    high = wide = int(own**0.5)
    yield (
        BLUE,
        (
            f"in shared memory: one step of {found.step} terms,\n{copied:,} numbers for {products:,} products.\n"
            f"So memory is read once for {products // copied} products;\nin direct.cu, twice for each."
        ),
    )
    each = copied // found.threads
    yield INK, f"thread {THREAD} copies {each} of them. Its\nneighbours copy its neighbours in memory."
    yield (
        AMBER,
        (
            f"for each term it takes {high} + {wide} numbers to\nregisters, for {own} products: shared memory\n"
            f"is read once for {own // (high + wide)} products."
        ),
    )
    yield ORANGE, f"its {high} {TIMES} {wide} sums stay in registers."
    yield (
        None,
        (
            f"{found.threads} threads are {found.threads // WARP} warps of {WARP}, shaded in\nturn: each computes "
            f"{WARP * own // columns} rows of the tile."
        ),
    )


if __name__ == "__main__":
    draw(tile(), PICTURE)
