"""The structure of a convolution: its matrix, the windows that fit, and how maps shrink."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..explain.connections import Connections
from ..explain.fitting import fitting, shrinkage
from .style import BLUE, GREY, INK, MINUS, ORANGE, PALE, TIMES, bare, drawing, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
# Nine colours for the weights of a 3x3 kernel: those of Okabe and Ito, and one grey.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#56B4E9", "#D55E00", "#BBBBBB", "#666666")
NUMBERS = 40  # columns of a matrix up to which its numbers are written
LARGEST = 256  # rows or columns that can be told apart


def local_connectivity(found: Connections, *, out: Out = None) -> Figure:
    """Draw the matrix by which a convolution multiplies an image; the same weight has the same colour everywhere.

    A row is an output, a column a pixel; white: no connection. Beside it are the weights.

    Args:
        found: of `minicnn.explain.connections`.
        out: a file.

    Raises:
        ValueError: the matrix has more than 256 rows or columns, which a picture cannot show.

    >>> from minicnn.explain import connections
    >>> figure = minicnn.visualize.local_connectivity(connections(minicnn.tensor([[[[1., 2.]]]]), (1, 1, 4)))
    """
    rows, columns = found.matrix.shape
    if max(rows, columns) > LARGEST:
        raise ValueError(
            f"local_connectivity: a matrix of {rows} x {columns} is too large for a picture; take a smaller image or "
            f"fewer channels, up to {LARGEST} x {LARGEST}"
        )
    count = found.w.size
    shades = _colors(count)
    planes = _planes(np.arange(count).reshape(found.w.shape))
    cell, large = min(0.36, 10 / columns, 7 / rows), min(0.45, 4 / max(planes.shape))
    width, height = columns * cell + 0.9, max(rows * cell, planes.shape[0] * large, 1.6) + 1.5
    beside = max(planes.shape[1] * large, 1.0)
    with drawing(width + beside + 0.5, height, out) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[beside, width])
        _cells(left, planes, shades, found.w.ravel(), written=large > 0.3)
        left.set_title("weights", fontsize=11, loc="center")
        _cells(right, found.weight, shades, found.w.ravel(), written=columns <= NUMBERS)
        right.set_xlabel(f"pixels of the image, {size_of(found.image)} = {columns}", fontsize=10)
        right.set_ylabel(f"outputs, {size_of(found.output)} = {rows}", fontsize=10)
        share = found.connected / found.matrix.size
        right.set_title(
            f"{count} different weights in {found.connected:,} connections ({share:.0%} of {found.matrix.size:,})",
            fontsize=11,
        )
    return figure


def _planes(numbers: Any) -> Any:
    """The planes of (O, C, KH, KW) in one table, a row a filter, with an empty line of -1 between them."""
    o, c, kh, kw = numbers.shape
    apart = np.pad(numbers, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-1)
    return apart.transpose(0, 2, 1, 3).reshape(o * (kh + 1), c * (kw + 1))[:-1, :-1]  # (O, KH + 1, C, KW + 1)


def _colors(count: int) -> list[Any]:
    if count <= len(COLORS):
        return list(COLORS[:count])
    from matplotlib import colormaps

    return [colormaps["viridis"](value) for value in np.linspace(0, 1, count)]


def _cells(axes: Any, which: Any, shades: list[Any], weights: Any, *, written: bool) -> None:
    """A table whose cells have the colours of their weights; -1 is empty."""
    from matplotlib.colors import ListedColormap

    shown = np.ma.masked_less(which, 0)
    axes.imshow(shown, cmap=ListedColormap(shades), vmin=-0.5, vmax=len(shades) - 0.5, aspect="equal")
    bare(axes, frame=True)
    height, width = which.shape
    if max(height, width) <= 64:
        axes.set_xticks(np.arange(width + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(height + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=PALE, linewidth=0.6)
        axes.tick_params(which="minor", length=0)
    if written:
        for (i, j), number in np.ndenumerate(which):
            if number >= 0:
                text = f"{weights[number]:.2g}".replace("-", MINUS)
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=_ink(shades[number]))


def _ink(color: Any) -> str:
    """White on a dark colour, else black."""
    from matplotlib.colors import to_rgb

    return "white" if float(np.dot(to_rgb(color), (0.299, 0.587, 0.114))) < 0.55 else INK


def strides(
    size: int = 7, kernel: int = 3, steps: Sequence[int] = (1, 2, 3), padding: int = 0, *, out: Out = None
) -> Figure:
    """Draw which windows fit into a row of pixels, for each stride: a bar a window, orange what is in no window.

    Args:
        size, kernel, padding: N, F and P.
        steps: the strides, a panel each.
        out: a file.

    Raises:
        ValueError: there are no strides.
        ShapeError: the window is larger than the padded image, or a number is out of range.

    >>> figure = minicnn.visualize.strides(size=7, kernel=3, steps=(1, 2, 3))
    >>> len(figure.axes)
    3
    """
    if not len(steps):
        raise ValueError("strides: give at least one stride")
    found = [fitting(size, kernel, step, padding) for step in steps]
    heights = [2.6 + 0.75 * len(one.starts) for one in found]
    pixels = size + 2 * padding
    with drawing(max(0.52 * pixels + 1.2, 6.0), 0.42 * sum(heights) + 0.2, out) as figure:
        panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, one, height in zip(panels, found, heights, strict=True):
            _windows(axes, one)
            axes.set_xlim(-padding - 0.1, size + padding + 0.1)
            axes.set_ylim(height - 1.3, -0.1)
            bare(axes)
            for spine in axes.spines.values():
                spine.set_visible(False)
            room = f"({one.size} + 2{TIMES}{one.padding} {MINUS} {one.kernel})"
            ends = f"{len(one.starts)} windows" if one.fits else "does not fit"
            axes.set_title(
                f"stride {one.stride}: {room} / {one.stride} + 1 = {one.exact:.4g}, {ends}", fontsize=10, pad=4
            )
    return figure


def _windows(axes: Any, one: Any) -> None:
    """The row of pixels, and below it a bar for each window."""
    from matplotlib.patches import Rectangle

    for p in range(-one.padding, one.size + one.padding):
        inside = 0 <= p < one.size
        color = ORANGE if p in one.unused else "white" if inside else PALE
        axes.add_patch(Rectangle((p, 0), 1, 0.9, facecolor=color, edgecolor=GREY, linewidth=0.8))
        text = str(p) if inside else "0"
        ink = "white" if p in one.unused else INK if inside else GREY
        axes.text(p + 0.5, 0.47, text, ha="center", va="center", fontsize=9, color=ink)
    for i, start in enumerate(one.starts):
        top = 1.15 + 0.75 * i
        axes.add_patch(Rectangle((start + 0.06, top), one.kernel - 0.12, 0.5, facecolor=BLUE, linewidth=0))
        axes.text(
            start + one.kernel / 2, top + 0.27, f"output {i}", ha="center", va="center", fontsize=8, color="white"
        )


def shrinking(size: int = 32, kernels: Sequence[int] = (3, 5, 7), layers: int = 8, *, out: Out = None) -> Figure:
    """Draw the side of the maps after each of several layers with stride 1: without padding, and with (F - 1) / 2.

    Args:
        size: of the image.
        kernels: F, a curve each; odd.
        layers: how many.
        out: a file.

    Raises:
        ValueError: there are no kernels, or one is even, which no padding on both sides can make up for.

    >>> figure = minicnn.visualize.shrinking(32, kernels=(5,), layers=4)
    >>> len(figure.axes)
    1
    """
    if not len(kernels) or any(k % 2 == 0 for k in kernels):
        raise ValueError(f"shrinking: kernels must be one or more odd numbers, got {tuple(kernels)}")
    with drawing(7, 4, out) as figure:
        axes = figure.subplots()
        same = [shrinkage(size, k, layers, k // 2) for k in kernels]
        axes.plot(range(layers + 1), same[0], color=BLUE, marker="o", markersize=5)
        axes.annotate(
            f"any of them, with padding (F {MINUS} 1) / 2", (layers, size), xytext=(0, 8),
            textcoords="offset points", ha="right", color=BLUE, fontweight="bold", fontsize=10,
        )  # fmt: skip
        for k, style in zip(kernels, ("-", "--", ":", "-.") * len(kernels), strict=False):
            sides = shrinkage(size, k, layers)
            axes.plot(range(len(sides)), sides, color=ORANGE, linestyle=style, marker="o", markersize=5)
            for depth, value in list(enumerate(sides))[1:]:
                axes.annotate(
                    str(value),
                    (depth, value),
                    xytext=(6, 2),
                    textcoords="offset points",
                    fontsize=8,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
                )
            end = f"{k}{TIMES}{k}" + ("" if len(sides) > layers else ", then no window fits")
            axes.annotate(
                end, (len(sides) - 1, sides[-1]), xytext=(18, 0), textcoords="offset points", va="center", color=ORANGE,
                fontweight="bold", fontsize=10,
            )  # fmt: skip
        axes.set_xlim(-0.2, 1.5 * layers)
        axes.set_ylim(0, size * 1.15)
        axes.set_xticks(range(layers + 1))
        axes.set_xlabel("layers")
        axes.set_ylabel("side of the map, pixels")
        axes.grid(axis="y")
        axes.set_title(f"Convolutions without padding use up an image of {size}{TIMES}{size}", fontsize=11)
    return figure
