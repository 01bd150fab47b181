"""Draw the pictures of the pages in explanation/convolution: python docs/draw_kernels.py [NAME ...]

All numbers come from the kernels. The pages have one example, `X` and `W`, so that their numbers can be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sheet import DOT, MINT, PEACH, PICTURES, SKY, STAR, SUN, Sheet, T, inside, number, save

from minicnn.visualize.style import BLUE, GREY, INK, ORANGE, PALE, TIMES
from minicnn_kernels import conv2d, geometry
from minicnn_kernels.conv2d import depthwise, direct, fft, implicit, registers, winograd
from minicnn_kernels.conv2d.im2col import columns

X = np.array([[1.0, 2, 0, 1], [0, 1, 3, 1], [2, 1, 0, 0], [1, 0, 1, 2]]).reshape(1, 1, 4, 4)
W = np.array([[1.0, 0, -1], [2, 1, 0], [0, 1, -1]]).reshape(1, 1, 3, 3)
GY = np.array([[1.0, 2], [0, -1]]).reshape(1, 1, 2, 2)


def example() -> Any:
    """The geometry of the example."""
    return geometry.conv2d(X.shape, W.shape)


def gradients(figure: Any) -> None:
    """index.md: y, gx and gw are all convolutions."""
    sheet, g = Sheet(figure.subplots(), 28, 15.2), example()
    y = conv2d.FORWARD(X, W, None, g, algorithm="direct", backend="python")
    gx, gw, _ = conv2d.BACKWARD(GY, X, W, g, (True, True, False), algorithm="direct", backend="python")
    turned, up = winograd.turned(W, g), np.pad(GY[0, 0], 2)

    def equation(x: float, parts: list[Any], names: list[str], size: int) -> None:
        for part, name, sign in zip(parts, names, ["", STAR, "="], strict=True):
            x += 1.1 if sign else 0
            sheet.words(x - 0.5, top + size / 2 + 0.1, sign, fontsize=16)
            high, wide = part[0].shape
            down = top + (size - high) / 2
            sheet.cells(x, down, *part)
            sheet.words(x + wide / 2, down - 0.55, name)
            x += wide

    top = 1.9
    sheet.title(0.2, 0.5, "Forward: the filter slides over the image", fontweight="bold")
    window = inside((0, 3), (1, 4), SKY)
    equation(
        0.3, [(X[0, 0], window), (W[0, 0], SKY), (y[0, 0], inside((0, 1), (1, 2), SKY))],
        ["x (4x4)", "w (3x3)", "y (2x2)"], 4,
    )  # fmt: skip
    sheet.title(15.2, 0.5, "Weights: gy slides over the image", fontweight="bold")
    equation(
        15.4, [(X[0, 0], inside((1, 3), (0, 2), PEACH)), (GY[0, 0], PEACH), (gw[0, 0], inside((1, 2), (0, 1), PEACH))],
        ["x (4x4)", "gy (2x2)", "gw (3x3)"], 4,
    )  # fmt: skip
    top = 9.0
    sheet.title(0.2, 7.5, "Input: the turned filter slides over gy, with 2 rings of zeros", fontweight="bold")

    def padding(i: int, j: int) -> str | None:
        ring = not (2 <= i < 4 and 2 <= j < 4)
        return MINT if 1 <= i < 4 and 2 <= j < 5 else PALE if ring else None

    equation(
        0.3, [(up, padding), (turned[0, 0], MINT), (gx[0, 0], inside((1, 2), (2, 3), MINT))],
        ["gy, padded (6x6)", "w, turned (3x3)", "gx (4x4)"], 6,
    )  # fmt: skip
    words = "Each coloured result is the sum of the\nproducts of a coloured window and filter."
    sheet.title(17.3, 12, words, color=GREY, linespacing=1.4)


def definition(figure: Any) -> None:
    """direct.md: one output, at the border."""
    sheet, g = Sheet(figure.subplots(), 27, 8.4), geometry.conv2d(X.shape, W.shape, padding=1)
    y = direct.forward_python(X, W, None, g)[0, 0]
    i, j = 3, 3  # the output that is shown
    products = list(direct._window(g, 0, i, j))
    used = {(p, q) for *_, p, q in products}
    cells = {(a, b) for _, a, b, *_ in products}
    padded = np.full((6, 6), "", object)
    padded[1:5, 1:5] = [[number(v) for v in row] for row in X[0, 0]]

    def fill(i: int, j: int) -> str | None:
        outside = not (1 <= i < 5 and 1 <= j < 5)
        return SKY if (i - 1, j - 1) in used else PALE if outside else None

    sheet.words(3.3, 0.7, "x, with padding PH = PW = 1")
    sheet.cells(0.3, 1.6, padded, fill)
    sheet.frame(0.3 + j, 1.6 + i, 3, 3)
    sheet.words(9.2, 0.7, "w")
    sheet.cells(7.7, 1.6, W[0, 0], lambda a, b: SKY if (a, b) in cells else None)
    sheet.words(9.2, 5.3, "cells that fall into the\npadding are left out", fontsize=9, color=GREY)
    sheet.title(12, 0.7, f"the products of y[{i}, {j}]")
    total = 0.0
    for line, (_, a, b, _, p, q) in enumerate(products):
        total += W[0, 0, a, b] * X[0, 0, p, q]
        text = f"w[{a}, {b}] {DOT} x[{p}, {q}]  =  {number(W[0, 0, a, b])} {DOT} {number(X[0, 0, p, q])}"
        sheet.title(12, 1.9 + 0.95 * line, text, family="DejaVu Sans Mono", fontsize=9)
    assert total == y[i, j]
    sheet.title(12, 2.45 + 0.95 * len(products), f"sum  =  {number(total)}", fontweight="bold")
    sheet.words(24.3, 0.7, "y")
    sheet.cells(22.3, 1.6, y, inside((i, i + 1), (j, j + 1), PEACH))
    sheet.frame(22.3 + j, 1.6 + i, 1, 1)
    sheet.axes.plot([15, 25.8], [6.25, 6.25], color=GREY, lw=1.4)
    sheet.arrow(25.8, 6.25, 25.8, 5.7)


def im2col(figure: Any) -> None:
    """im2col.md: windows become columns."""
    sheet, g = Sheet(figure.subplots(), 21.5, 12.6), example()
    col, y = columns.im2col(X, g)[0, 0], direct.forward_python(X, W, None, g)
    one, pixel = 1, (1, 1)  # the window and the pixel that are marked
    marked = {(k, window) for k, window, _, p, q in columns.cells_python(0, g) if (p, q) == pixel}
    i, j = one // g.ow, one % g.ow

    def of_x(p: int, q: int) -> str | None:
        return PEACH if (p, q) == pixel else SKY if i <= p < i + 3 and j <= q < j + 3 else None

    sheet.words(2.5, 0.7, "x")
    sheet.cells(0.5, 1.3, X[0, 0], of_x)
    sheet.frame(0.5 + j, 1.3 + i, 3, 3, BLUE)
    sheet.words(2.5, 5.9, f"a window, (i, j) = ({i}, {j})", color=BLUE)
    sheet.words(2.5, 6.7, f"a pixel, (p, q) = {pixel}", color=ORANGE)
    sheet.title(14.2, 0.7, "col:  K = KH*KW rows,  OH*OW columns")

    def of_col(k: int, window: int) -> str | None:
        return PEACH if (k, window) in marked else SKY if window == one else None

    sheet.cells(12.2, 1.3, col, of_col)
    sheet.frame(12.2 + one, 1.3, 1, 9, BLUE)
    for k in range(9):
        sheet.title(16.5, 1.8 + k, f"cell ({k // 3}, {k % 3})", fontsize=9, color=GREY)
    sheet.axes.plot([4.6, 12.2 + one + 0.5], [0.25, 0.25], color=BLUE, lw=1.4)
    sheet.axes.plot([4.6, 4.6], [1.25, 0.25], color=BLUE, lw=1.4)
    sheet.arrow(12.2 + one + 0.5, 0.25, 12.2 + one + 0.5, 1.25, BLUE)
    sheet.words(5.5, 10.6, "w, flat: (O, K)")
    sheet.cells(1.0, 11.1, W.reshape(1, 9))
    sheet.words(11.1, 11.6, f"{TIMES} col  =", fontsize=11)
    sheet.cells(12.2, 11.1, y.reshape(1, 4), inside((0, 1), (one, one + 1), SKY))
    sheet.title(16.5, 11.6, "y: (O, OH*OW)")
    sheet.words(5.3, 7.9, f"The pixel stands at {len(marked)} places of col:", color=ORANGE)
    sheet.words(5.3, 8.7, "col2im adds these places up again.", color=ORANGE)


def implicit_gemm(figure: Any) -> None:
    """implicit.md: windows overlap in memory; the phases of gx."""
    g = geometry.conv2d((1, 2, 3, 5), (1, 2, 3, 3))
    p = implicit._forward_pass(g)
    sheet = Sheet(figure.subplots(), 29, 13.5)
    line = np.arange(g.w * g.c)
    pixels = implicit._placed(np.arange(30.0).reshape(1, 3, 5, 2).transpose(0, 3, 1, 2), p)
    runs = implicit._windows(pixels, 0, p)[0, 0].astype(int)
    names = [f"{'ab'[e % 2]}{e // 2}" for e in line]
    colours = [SKY, SUN, PEACH]
    sheet.title(0.3, 0.5, "A row of x in channels-last memory: channels a and b of five pixels", fontweight="bold")
    sheet.cells(0.3, 1.2, np.array(names)[None], None, 1.1)
    for j, run in enumerate(runs):
        y = 2.75 + 0.75 * j
        sheet.frame(0.3 + 1.1 * run[0], y, 1.1 * len(run), 0.5, GREY, fill=True, fc=colours[j], lw=0.7)
        sheet.words(0.3 + 1.1 * (run[0] + len(run) / 2), y + 0.26, f"row of window j = {j}", fontsize=8)
    step = runs[1, 0] - runs[0, 0]
    sheet.title(0.3, 5.7, f"The same as a matrix: each row begins SW*C = {step} numbers after the", fontweight="bold")
    sheet.title(0.3, 6.4, f"one before, so a number is in up to {np.bincount(runs.ravel()).max()} rows, in memory once",
                fontweight="bold")  # fmt: skip
    sheet.cells(0.3, 7.1, np.array(names)[runs], lambda i, _: colours[i], 1.1)
    sheet.title(7.2, 8.2, f"{runs.size} numbers to a matrix", color=GREY)
    sheet.title(7.2, 9.0, f"product, {runs.max() - runs.min() + 1} in memory", color=GREY)
    # the phases
    h = geometry.conv2d((1, 1, 7, 7), (1, 1, 3, 3), stride=2, padding=1)
    count, phase = np.zeros((7, 7), int), np.zeros((7, 7), int)
    for number_, (w, q) in enumerate(implicit._phases(np.zeros((1, 1, 3, 3)), h)):
        count[q.i0 :: q.di, q.j0 :: q.dj] = w.shape[0] * w.shape[1]
        phase[q.i0 :: q.di, q.j0 :: q.dj] = number_
    left = 18.5
    sheet.title(left - 0.5, 0.5, "gx with stride 2: four phases", fontweight="bold")
    shades = [SKY, PEACH, SUN, MINT]
    sheet.cells(left, 1.2, count, lambda i, j: shades[phase[i, j]], 1.1)
    sheet.title(left - 0.5, 9.7, "In a pixel: how many cells of the 3x3 filter", color=GREY)
    sheet.title(left - 0.5, 10.4, "reach it. Pixels of a colour have the same", color=GREY)
    sheet.title(left - 0.5, 11.1, "cells, so gx of a colour is a convolution of", color=GREY)
    sheet.title(left - 0.5, 11.8, "gy with stride 1 and a smaller filter.", color=GREY)
    sheet.title(left - 0.5, 12.5, "No product with a zero is computed.", color=GREY)


def register_tiles(figure: Any) -> None:
    """registers.md: a tap is a shift; a tile in registers."""
    sheet, g = Sheet(figure.subplots(), 29, 12.9), example()
    flat = registers._flat_planes(X, g)[0, 0]
    y, wide = direct.forward_python(X, W, None, g)[0, 0], g.w + 2 * g.pw
    taps = [(0, 0), (1, 0), (2, 1)]
    colours = [SKY, SUN, PEACH]
    sheet.title(0.3, 0.5, "A tap of the filter is a shift of the flat image", fontweight="bold")
    sheet.title(0.3, 1.35, "x, row after row (WP = 4)", color=GREY, fontsize=9)
    sheet.cells(0.3, 1.8, flat[None])
    length = registers._length(g)
    for line, (a, b) in enumerate(taps):
        shift = registers._shift(g, a, b)
        at = 3.3 + 0.95 * line
        sheet.frame(0.3 + shift, at, length, 0.6, GREY, fill=True, fc=colours[line], lw=0.7)
        words = f"tap ({a}, {b}): w = {number(W[0, 0, a, b])}, shift {a}*WP + {b} = {shift}"
        if shift < 6:
            sheet.title(0.5 + shift + length, at + 0.32, words, fontsize=9)
        else:
            sheet.words(0.1 + shift, at + 0.32, words, fontsize=9, ha="right")
    sheet.title(0.3, 6.6, f"+ {9 - len(taps)} more taps: y is the sum of the 9 shifted vectors, each times its weight",
                color=GREY, fontsize=9)  # fmt: skip
    whole = np.full((1, length), "", object)
    for i, j in np.ndindex(g.oh, g.ow):
        whole[0, i * wide + j] = number(y[i, j])
    used = [whole[0, e] != "" for e in range(length)]
    sheet.cells(0.3, 7.3, whole, lambda _, e: MINT if used[e] else PALE)
    sheet.title(0.6 + length, 7.8, "grey: would see two rows; left out", fontsize=9, color=GREY)
    sheet.title(0.3, 9.5, "e = i*WP + j; every tap reads x[e + shift].", fontsize=9)
    # a tile
    outputs, vectors = 6, 4
    left, top = 20.3, 4.3
    sheet.title(18.2, 0.5, "A tile: sums that stay in registers", fontweight="bold")
    sheet.title(left, 1.35, "4 vectors of x (loads)", color=BLUE, fontsize=9)
    sheet.cells(left, 1.8, np.full((1, vectors), "x"), SKY, 1.7, fontsize=10)
    weights = np.array([[f"w{o}"] for o in range(outputs)])
    sheet.cells(18.3, top, weights, PEACH, 1.15)
    sheet.cells(left, top, np.full((outputs, 1), ""), MINT, 1.15, False)
    for i, j in np.ndindex(outputs, vectors):
        sheet.frame(left + 1.7 * j, top + 1.15 * i, 1.7, 1.15, GREY, fill=True, fc=MINT, lw=0.7, zorder=2)
        sheet.words(left + 1.7 * (j + 0.5), top + 1.15 * (i + 0.5), "+=", fontsize=9, zorder=4)
    sheet.title(18.2, 11.8, f"One tap of one channel: {vectors} + {outputs} loads,", fontsize=9)
    sheet.title(18.2, 12.5, f"{vectors * outputs} multiply-adds of a whole vector each.", fontsize=9)
    sheet.words(17.7, 7.8, "6 weights (loads)", rotation=90, color=ORANGE, fontsize=9)


def winograd_tile(figure: Any) -> None:
    """winograd.md: F(2x2, 3x3) with the numbers of the example, and how tiles overlap."""
    sheet = Sheet(figure.subplots(), 33, 13.6)
    bt, gm, at = winograd.MATRICES[2]
    d, w = X[0, 0], W[0, 0]
    v, u = bt @ d @ bt.T, gm @ w @ gm.T
    m = u * v
    y = at @ m @ at.T
    assert np.array_equal(y, direct.forward_python(X, W, None, example())[0, 0])
    top, small = 1.6, {"fontsize": 7.5}
    for x, down, name, values, fill in (
        (0.3, top, "d: 4x4 pixels", d, SKY), (7.3, top, f"V = B{T} d B", v, SKY),
        (0.8, top + 6.5, "g: the filter", w, SUN), (7.3, top + 6.0, f"U = G g G{T}", u, SUN),
        (15.2, top + 3, "M: 16 products", m, PEACH), (23.2, top + 4, f"y = A{T} M A", y, MINT),
    ):  # fmt: skip
        sheet.words(x + values.shape[1] / 2, down - 0.6, name)
        sheet.cells(x, down, values, fill, **small)
    sheet.arrow(4.6, top + 2, 7.0, top + 2)
    sheet.arrow(4.2, top + 8, 7.0, top + 8)
    sheet.arrow(11.5, top + 2, 15, top + 4.5)
    sheet.arrow(11.5, top + 8, 15, top + 5.5)
    sheet.arrow(19.4, top + 5, 23, top + 5)
    sheet.words(12.9, top + 5, f"cell by cell\n{TIMES}", fontsize=9)
    sheet.words(21.2, top + 4.2, "sums and\ndifferences", fontsize=8, color=GREY)
    sheet.title(0.3, 13.1, "Only the 16 orange cells are products of pixels with weights; by the definition there are "
                f"{4 * 9}.", fontsize=9)  # fmt: skip
    # tiles of F(4x4, 3x3) over an image of 10 x 10
    left, cell = 27.0, 0.5
    sheet.title(left - 0.4, 0.9, "input tiles overlap by 2:")
    sheet.cells(left, 1.6, np.full((10, 10), "", object), None, cell, False)
    for i, j, colour in ((0, 0, BLUE), (0, 1, ORANGE), (1, 0, GREY), (1, 1, INK)):
        sheet.frame(
            left + 4 * j * cell + 0.06, 1.6 + 4 * i * cell + 0.06, 6 * cell - 0.12, 6 * cell - 0.12, colour, lw=1.8
        )
    sheet.title(left - 0.4, 7.5, "output tiles do not:")
    sheet.cells(left + 0.5, 8.2, np.full((8, 8), "", object), None, cell, False)
    for i, j, colour in ((0, 0, BLUE), (0, 1, ORANGE), (1, 0, GREY), (1, 1, INK)):
        sheet.frame(left + 0.56 + 4 * j * cell, 8.26 + 4 * i * cell, 4 * cell - 0.12, 4 * cell - 0.12, colour, lw=1.8)
    sheet.title(left - 0.4, 12.8, "F(4x4, 3x3)", fontsize=9, color=GREY)


def fft_circle(figure: Any) -> None:
    """fft.md: the circle, and the cost for larger filters."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    g = geometry.conv2d((1, 1, 6, 6), (1, 1, 3, 3), padding=1)
    points = fft.circle(g)[0]
    begins = fft._places(g, fft.circle(g))[0]
    angle = np.pi / 2 - 2 * np.pi * np.arange(points) / points
    left.set(xlim=(-1.75, 1.75), ylim=(-2.0, 1.75), aspect="equal")
    left.axis("off")
    round_ = np.linspace(0, 2 * np.pi, 200)
    left.plot(np.cos(round_), np.sin(round_), color=PALE, lw=1.5, zorder=1)
    for t, turn in enumerate(angle):
        pixel = t < g.h
        left.plot(np.cos(turn), np.sin(turn), "o", ms=25, mfc=SKY if pixel else "white", mec=GREY, zorder=2)
        left.text(np.cos(turn), np.sin(turn), f"x{t}" if pixel else "0", ha="center", va="center", fontsize=10)
    for window, colour, radius in ((0, ORANGE, 1.32), (g.oh - 1, BLUE, 1.52)):
        at = begins[window] + np.linspace(-0.2, g.kh - 1 + 0.2, 50)
        turn = np.pi / 2 - 2 * np.pi * at / points
        left.plot(radius * np.cos(turn), radius * np.sin(turn), color=colour, lw=5)
    left.text(0, 0.25, f"F = {points} points", ha="center", fontsize=10)
    for line, words in enumerate((f"H = {g.h}", f"PH = {g.ph}", f"KH = {g.kh}")):
        left.text(0, -0.05 - 0.25 * line, words, ha="center", fontsize=9, color=GREY)
    for down, colour, words in (
        (-1.68, ORANGE, f"first window: from point {begins[0]} over 0 to 1"),
        (-1.88, BLUE, f"last window: from point {begins[-1]} to point {points - 1}"),
    ):
        left.text(0, down, words, ha="center", fontsize=9, color=colour)
    left.set_title("The padding is the gap in the circle")
    sizes = range(3, 32, 2)
    geometries = [geometry.conv2d((16, 32, 64, 64), (32, 32, k, k), padding=k // 2) for k in sizes]
    for name, module, colour in (("definition", direct, ORANGE), ("fft", fft, BLUE)):
        right.plot(sizes, [module.multiplications(h) / 1e9 for h in geometries], color=colour, marker="o", ms=4)
        right.text(25, module.multiplications(geometries[-4]) / 1e9 / 1.3, name, color=colour, va="top")
    h = geometries[0]
    right.plot(3, winograd.multiplications(h) / 1e9, "D", color=INK)
    right.text(3.7, winograd.multiplications(h) / 1e9, "winograd", va="center", fontsize=9)
    right.set(yscale="log", xlabel="side of the filter", ylabel="multiplications, in thousand millions")
    marks = [0.1, 0.3, 1, 3, 10, 30, 100]
    right.set_yticks(marks, [f"{mark:g}" for mark in marks])
    right.minorticks_off()
    right.set_title("16 images 64x64, 32 channels to 32")


def pointwise_matrix(figure: Any) -> None:
    """pointwise.md: x is the matrix already."""
    sheet = Sheet(figure.subplots(), 30, 9.6)
    x = np.arange(1.0, 13).reshape(1, 2, 3, 2).transpose(0, 3, 1, 2)  # (1, 2, 2, 3), channels last
    w = np.array([[1.0, 0], [0, 1], [1, -1]]).reshape(3, 2, 1, 1)
    g = geometry.conv2d(x.shape, w.shape)
    y = conv2d.FORWARD(x, w, None, g, algorithm="pointwise", backend="python")
    colours = [SKY, SUN]
    for c in range(2):
        sheet.cells(0.4, 1.7 + 3.4 * c, x[0, c], colours[c])
        sheet.frame(1.4, 1.7 + 3.4 * c, 1, 1)
        sheet.words(1.9, 1.2 + 3.4 * c, f"x, channel {c}", fontsize=9)
    sheet.words(1.9, 8.2, "a pixel (orange)\nhas C = 2 numbers", fontsize=9, color=GREY)
    sheet.title(5.2, 1.2, "in channels-last memory", fontsize=9)
    memory = x.transpose(0, 2, 3, 1).reshape(1, 12)
    sheet.cells(5.2, 1.7, memory, lambda _, e: colours[e % 2], 0.8, fontsize=8)
    sheet.frame(5.2 + 1.6, 1.7, 1.6, 0.8)
    sheet.arrow(8, 2.8, 8, 3.6)
    sheet.title(8.4, 3.2, "the same memory, 2 numbers a row", fontsize=9, color=GREY)
    sheet.cells(7, 3.7, memory.reshape(6, 2), lambda _, c: colours[c], 0.9)
    sheet.frame(7, 4.6, 1.8, 0.9)
    sheet.words(6, 6.4, "x\n(P, C)", fontsize=9)
    sheet.words(10, 6.4, TIMES, fontsize=14)
    sheet.cells(11, 5.3, w[:, :, 0, 0].T, PALE, 0.9)
    sheet.words(12.35, 7.6, "w transposed (C, O)", fontsize=9)
    sheet.words(14.6, 6.4, "=", fontsize=14)
    sheet.cells(15.6, 3.7, y[0].transpose(1, 2, 0).reshape(6, 3), lambda i, _: PEACH if i == 1 else None, 0.9)
    sheet.words(19.2, 6.4, "y\n(P, O)", fontsize=9)
    sheet.arrow(20.5, 6.4, 22.3, 6.4)
    for o in range(3):
        sheet.cells(23, 1.7 + 2.6 * o, y[0, o], lambda i, j: PEACH if (i, j) == (0, 1) else None, 0.9)
        sheet.title(26, 2.6 + 2.6 * o, f"y, channel {o}", fontsize=9)


def depthwise_connections(figure: Any) -> None:
    """depthwise.md: who sees whom, and the cells of windows at the border."""
    sheet = Sheet(figure.subplots(), 30, 11.0)
    c = o = 8
    for number_, groups in enumerate((1, 2, 8)):
        g = geometry.conv2d((1, c, 28, 28), (o, c // groups, 3, 3), padding=1, groups=groups)
        x0, cg, og = 0.8 + 6.6 * number_, c // groups, o // groups
        seen = np.full((o, c), "", object)
        sheet.cells(x0, 2.0, seen, lambda i, j, cg=cg, og=og: BLUE if i // og == j // cg else None, 0.6, False)
        name = (
            "one group: dense" if groups == 1 else f"{groups} groups" + (": depthwise" if depthwise.supports(g) else "")
        )
        sheet.words(x0 + 2.4, 1.4, name, fontweight="bold", fontsize=10)
        sheet.words(x0 + 2.4, 8.2, f"{np.prod(g.w_shape):,} weights", fontsize=9)
        sheet.words(x0 + 2.4, 8.9, f"{direct.multiplications(g):,} products", fontsize=9)
    sheet.words(0.3, 4.4, "output channel", rotation=90, fontsize=9)
    sheet.words(3.2, 7.25, "input channel", fontsize=9)
    sheet.title(0.3, 0.5, "Which output channel sees which input channel (8 to 8, 3x3, image 28x28)")
    left, side, shades = 21.5, 1.05, {4: PEACH, 6: SUN, 9: SKY}
    g = geometry.conv2d((1, 1, 6, 6), (1, 1, 3, 3), padding=1)
    used = direct.forward_python(np.ones(g.x_shape), np.ones(g.w_shape), None, g)[0, 0].astype(int)
    sheet.title(left, 0.5, "Filter cells inside the image", fontsize=10)
    sheet.title(left, 1.2, "(3x3, padding 1, for each output pixel)", fontsize=9)
    sheet.cells(left, 2.0, used, lambda i, j: shades[int(used[i, j])], side)
    sheet.title(left, 9.1, "Always a rectangle of cells: the same loops,", fontsize=9)
    sheet.title(left, 9.8, "in pieces of rows with the same rectangle.", fontsize=9)


DRAWINGS: dict[str, tuple[Callable[[Any], None], float, float]] = {
    "gradients": (gradients, 10, 5.6),
    "direct": (definition, 10, 3.2),
    "im2col": (im2col, 10, 6.0),
    "implicit": (implicit_gemm, 11, 5.2),
    "registers": (register_tiles, 11, 5.1),
    "winograd": (winograd_tile, 11.5, 4.9),
    "fft": (fft_circle, 10, 4.3),
    "pointwise": (pointwise_matrix, 11, 3.7),
    "depthwise": (depthwise_connections, 11, 4.1),
}


def draw(name: str, folder: Path = PICTURES) -> Path:
    """One picture."""
    return save(*DRAWINGS[name], folder / f"{name}.png")


if __name__ == "__main__":
    for picture in sys.argv[1:] or DRAWINGS:
        print(draw(picture))
