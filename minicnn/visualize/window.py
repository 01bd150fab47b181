"""A convolution at one place, as tables of numbers in colour: a window and its output, a pixel and all outputs that use
it, a weight and all pixels under it; and the window that slides over the image, as an animation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

from ..explain import ConvTrace, Sum
from .animation import animate, check_gif
from .style import INK, PALE, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
Cell = Sequence[int]

SIGNED = "RdBu_r"  # red above 0, blue below, white at 0
NUMBERS = 14  # a table of more rows or columns shows its colours only
CHANNELS = 3  # as many channels, or filters, are drawn


def window(
    trace: ConvTrace, *, cell: Cell | None = None, grad_cell: Cell | None = None, weight_cell: Cell | None = None,
    out: Out = None,
) -> Figure:  # fmt: skip
    """Draw where one number of a convolution comes from: all factors are marked in the arrays that they are in.

    Args:
        trace: of `minicnn.explain.conv_trace` or `conv_transpose_trace`.
        cell: an output (n, o, i, j); or
        grad_cell: the gradient of an input (n, c, p, q); or
        weight_cell: the gradient of a weight (o, c, a, b).
        out: a file.

    Raises:
        ValueError: not exactly one place is given.
        CellError: there is no such place.
    """
    given = [
        (of, place)
        for of, place in (
            (trace.output, cell), (trace.input_gradient, grad_cell), (trace.weight_gradient, weight_cell),
        )
        if place is not None
    ]  # fmt: skip
    if len(given) != 1:
        raise ValueError(f"window: give one of cell, grad_cell and weight_cell, got {len(given)} of them")
    of, place = given[0]
    found = of(*place)
    panels = [*_factors(trace, found), _result(trace, found)]
    with drawing(3.1 * len(panels), 3.6, out) as figure:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            table(axes, *panel)
        figure.suptitle(f"{found.name}: {found.result()}", x=0.02, ha="left", fontsize=11)
    return figure


class Panel(NamedTuple):
    """A plane of an array: its name, its numbers, and the places in it that are marked."""

    name: str
    values: Array
    marks: list[tuple[int, int]]


def _factors(trace: ConvTrace, found: Sum) -> list[Panel]:
    """A panel for each plane of each factor, up to `CHANNELS` of them, with the places that are used."""
    panels = []
    arrays = {"x": trace.x, "w": trace.w, "gy": trace.gy}
    for factor in (found.left, found.right):
        cells = factor.cells[factor.inside]
        planes = sorted({(int(a), int(b)) for a, b in cells[:, :2]})
        for a, b in planes[:CHANNELS]:
            used = [(int(p), int(q)) for m, k, p, q in cells if (m, k) == (a, b)]
            panels.append(Panel(f"{factor.name}[{a}, {b}]", arrays[factor.name][a, b], used))
    return panels


def _result(trace: ConvTrace, found: Sum) -> Panel:
    """The plane of the array that the number is in, and its place there."""
    a, b, i, j = found.place
    array: Array = {"y": trace.y, "gx": trace.gx, "gw": trace.gw}[found.of]
    return Panel(f"{found.of}[{a}, {b}]", array[a, b], [(i, j)])


def table(axes: Any, title: str, values: Array, marks: Iterable[tuple[int, int]], shown: Array | None = None) -> None:
    """Draw numbers as a table in colour, white at 0; `marks` are framed, cells that are not `shown` are empty."""
    from matplotlib.patches import Rectangle

    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    limit = float(np.abs(finite).max(initial=0)) or 1.0
    drawn = values if shown is None else np.where(shown, values, np.nan)
    axes.imshow(drawn, cmap=SIGNED, vmin=-2 * limit, vmax=2 * limit)
    height, width = values.shape
    if max(height, width) <= NUMBERS:
        size = min(11.0, 90 / max(height, width))
        for i, j in np.ndindex(height, width):
            if shown is None or shown[i, j]:
                axes.text(j, i, _text(float(values[i, j])), ha="center", va="center", fontsize=size, color=INK)
    axes.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(height + 1) - 0.5, minor=True)
    if max(height, width) <= NUMBERS:
        axes.grid(which="minor", color=PALE, linewidth=0.8)
    axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE)
    for i, j in sorted(set(marks)):
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=2.5))
    axes.set_title(title, fontsize=11)


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1000 else f"{value:.2g}"


def sliding(trace: ConvTrace, out: str | os.PathLike[str], *, n: int = 0, o: int = 0, seconds: float = 0.6) -> None:
    """Write an animation: the window slides over an image, and the output is filled in.

    Args:
        trace: of `minicnn.explain.conv_trace`, not transposed.
        out: a file that ends in .gif.
        n, o: the image and the output channel. Of several input channels, the first is drawn.
        seconds: of a step.

    Raises:
        ValueError: `out` is no .gif, the trace is of a transposed convolution, or there are more than 400 outputs.
        CellError: there is no such image or channel.
    """
    check_gif("sliding", out)
    if trace.transposed:
        raise ValueError("sliding: takes the trace of a convolution; a transposed one has no window that slides over x")
    height, width = trace.y.shape[2:]
    if height * width > 400:
        raise ValueError(f"sliding: an animation of {height * width} steps is too long; give a smaller image")
    animate((_position(trace, n, o, i, j) for i, j in np.ndindex(height, width)), out, seconds)


def _position(trace: ConvTrace, n: int, o: int, i: int, j: int) -> Figure:
    """One picture of the animation: the window of an output, and the outputs up to it."""
    from matplotlib.figure import Figure

    height, width = trace.y.shape[2:]
    found = trace.output(n, o, i, j)
    shown = np.arange(height * width).reshape(height, width) <= i * width + j
    figure = Figure(figsize=(9, 3.6), dpi=80, layout="constrained")
    first, second, third = figure.subplots(1, 3)
    cells = found.left.cells[found.left.inside]
    marks = [(int(p), int(q)) for m, c, p, q in cells if c == cells[0, 1]] if len(cells) else []
    table(first, f"x[{n}, {found.left.cells[0, 1]}]", trace.x[n, found.left.cells[0, 1]], marks)
    table(second, f"w[{o}, 0]", trace.w[o, 0], [])
    table(third, f"y[{n}, {o}]", trace.y[n, o], [(i, j)], shown)
    figure.suptitle(f"{found.name}: {found.result()}", x=0.02, ha="left", fontsize=11)
    return figure
