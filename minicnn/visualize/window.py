"""A layer at one place, as tables of numbers in colour: a window and its output, a pixel and all outputs that use it, a
weight and all pixels under it; and the window that slides over the image, as an animation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

from ..explain import BatchNormTrace, ConvTrace, Explanation, Factor, LinearTrace, PoolTrace, Sum
from .animation import animate, check_gif
from .style import INK, PALE, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trace = ConvTrace | PoolTrace | LinearTrace | BatchNormTrace
Out = str | os.PathLike[str] | None
Cell = Sequence[int]
Places = list[tuple[int, int]]

SIGNED = "RdBu_r"  # red above 0, blue below, white at 0
NUMBERS = 14  # a table of more rows or columns shows its colours only
CHANNELS = 3  # as many channels, or filters, are drawn


def window(
    what: Trace | Explanation, *, cell: Cell | None = None, grad_cell: Cell | None = None,
    weight_cell: Cell | None = None, out: Out = None,
) -> Figure:  # fmt: skip
    """Draw where a number of a layer comes from: all factors are framed, in the arrays that they are in.

        window(explain(nn.MaxPool2d(2), x, cell=(0, 0, 1, 1)))
        window(conv_trace(x, w, stride=2), grad_cell=(0, 0, 1, 1))

    Args:
        what: of `minicnn.explain.explain`: each of its sums is a row; or a trace, with one place in it:
        cell: an output (n, o, i, j); or
        grad_cell: the gradient of an input (n, c, p, q); or
        weight_cell: the gradient of a weight (o, c, a, b).
        out: a file.

    Raises:
        ValueError: a trace with not exactly one place, or an explanation with one.
        TypeError: `what` is neither, or a pooling's with a `weight_cell`.
        CellError: there is no such place.

    >>> from minicnn.explain import conv_trace
    >>> trace = conv_trace(minicnn.arange(9.0).reshape(1, 1, 3, 3), minicnn.ones(1, 1, 2, 2))
    >>> figure = minicnn.visualize.window(trace, cell=(0, 0, 1, 0))
    >>> len(figure.axes)
    3
    """
    places = {"output": cell, "input_gradient": grad_cell, "weight_gradient": weight_cell}
    given = {name: place for name, place in places.items() if place is not None}
    if isinstance(what, Explanation):
        if given:
            raise ValueError("window: an explanation has its places; give cell, grad_cell and weight_cell to explain()")
        trace, sums = what.trace, what.sums
    else:
        if not isinstance(what, Trace):
            raise TypeError(f"window: takes a trace or an explanation of minicnn.explain, got {type(what).__name__}")
        if len(given) != 1:
            raise ValueError(f"window: give one of cell, grad_cell and weight_cell, got {len(given)} of them")
        if isinstance(what, PoolTrace) and weight_cell is not None:
            raise TypeError("window: a pooling has no weights, so it has no weight_cell")
        ((name, place),) = given.items()
        trace, sums = what, [getattr(what, name)(*place)]
    rows = [_panels(trace, found) for found in sums]
    with drawing(3.1 * max(map(len, rows)), 3.6 * len(rows), out) as figure:
        parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0] if len(rows) > 1 else [figure]
        for part, found, panels in zip(parts, sums, rows, strict=True):
            for axes, panel in zip(part.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
                table(axes, panel.name, panel.values, panel.marks)
                _frame(axes, panel.around)
            part.suptitle(_heading(found), x=0.02, ha="left", fontsize=11)
    return figure


class Panel(NamedTuple):
    """A plane of an array: its name, its numbers, the places in it that are marked, and those of the whole window."""

    name: str
    values: Array
    marks: Places
    around: Places = []  # noqa: RUF012, it is not changed


def _panels(trace: Trace, found: Sum) -> list[Panel]:
    """What meets in a sum, plane by plane, and the plane of its result."""
    panels = [panel for factor in (found.left, found.right) for panel in _factor(trace, factor)]
    if isinstance(trace, BatchNormTrace) and found.of == "gx":  # mean and variance carry every value of the channel
        panels = [panel for name in ("gy", "xhat") for panel in _planes(name, getattr(trace, name), [found.place])]
    if isinstance(trace, PoolTrace) and found.of == "y":
        n, c, i, j = found.place
        rows, columns = ([int(k) for k in line if k >= 0] for line in (trace.rows[i], trace.columns[j]))
        panels = [Panel(f"x[{n}, {c}]", trace.x[n, c], panels[0].marks, [(p, q) for p in rows for q in columns])]
    return [*panels, *_planes(found.of, getattr(trace, found.of), [found.place])]


def _factor(trace: Trace, factor: Factor) -> list[Panel]:
    """The planes that a factor of the terms is in; none for constants, such as 1/9."""
    cells = [tuple(map(int, cell)) for cell in factor.cells[factor.inside]]
    return _planes(factor.name, getattr(trace, factor.name), cells) if factor.cells.shape[1] else []


def _planes(name: str, array: Array, cells: list[tuple[int, ...]]) -> list[Panel]:
    """A panel for each plane, the last two axes, with a cell; up to `CHANNELS` of them."""
    if array.ndim == 1:
        return [Panel(name, array[None], [(0, cell[0]) for cell in cells])]
    planes = sorted({cell[:-2] for cell in cells})
    return [
        Panel(
            f"{name}{list(plane) or ''}", array[plane],
            [(cell[-2], cell[-1]) for cell in cells if cell[:-2] == plane],
        )
        for plane in planes[:CHANNELS]
    ]  # fmt: skip


def _heading(found: Sum) -> str:
    """The name and the sum; a single factor of all terms, such as 1/9, is named."""
    names = {factor.name for factor in (found.left, found.right) if not factor.cells.shape[1]} - {"1"}
    return f"{found.name}: {found.result()}" + "".join(f"; factor {name}" for name in sorted(names) if "/" in name)


def _frame(axes: Any, places: Places) -> None:
    """A thin frame round each cell of a window."""
    from matplotlib.patches import Rectangle

    for i, j in sorted(set(places)):
        axes.add_patch(
            Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.5, linestyle="--", zorder=3)
        )


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
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=2.5, zorder=4))
    axes.set_title(title, fontsize=11)


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1000 else f"{value:.2g}"


def sliding(
    trace: ConvTrace | PoolTrace, out: str | os.PathLike[str], *, n: int = 0, o: int = 0, seconds: float = 0.6
) -> None:
    """Write an animation: the window slides over an image, and the output is filled in.

    Args:
        trace: of `minicnn.explain.conv_trace`, not transposed; or of a pooling: `explain(nn.MaxPool2d(2), x).trace`.
        out: a file that ends in .gif.
        n, o: the image and the output channel. Of several input channels, the first is drawn.
        seconds: of a step.

    Raises:
        ValueError: `out` is no .gif, the trace is of a transposed convolution, or there are more than 400 outputs.
        TypeError: it is of a layer without windows.
        CellError: there is no such image or channel.

    >>> import tempfile
    >>> from minicnn.explain import conv_trace
    >>> trace = conv_trace(minicnn.rand(1, 1, 3, 3), minicnn.rand(1, 1, 2, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     minicnn.visualize.sliding(trace, folder + "/conv.gif")
    """
    check_gif("sliding", out)
    if not isinstance(trace, (ConvTrace, PoolTrace)):
        raise TypeError(f"sliding: takes the trace of a convolution or a pooling, got {type(trace).__name__}")
    if isinstance(trace, ConvTrace) and trace.transposed:
        raise ValueError("sliding: takes the trace of a convolution; a transposed one has no window that slides over x")
    height, width = trace.y.shape[2:]
    if height * width > 400:
        raise ValueError(f"sliding: an animation of {height * width} steps is too long; give a smaller image")
    animate((_position(trace, n, o, i, j) for i, j in np.ndindex(height, width)), out, seconds)


def _position(trace: ConvTrace | PoolTrace, n: int, o: int, i: int, j: int) -> Figure:
    """One picture of the animation: the window of an output, and the outputs up to it."""
    from matplotlib.figure import Figure

    found = trace.output(n, o, i, j)
    panels = _panels(trace, found)
    if isinstance(trace, ConvTrace):
        first = found.left.cells[0, 1]  # also where the whole window is padding
        marks = [panel.marks for panel in panels if panel.name == f"x[{n}, {first}]"]
        image = Panel(f"x[{n}, {first}]", trace.x[n, first], *(marks or [[]]))
        panels = [image, Panel(f"w[{o}, 0]", trace.w[o, 0], []), panels[-1]]
    height, width = trace.y.shape[2:]
    done = np.arange(height * width).reshape(height, width) <= i * width + j
    figure = Figure(figsize=(3 * len(panels), 3.6), dpi=80, layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        table(axes, panel.name, panel.values, panel.marks, done if panel is panels[-1] else None)
        _frame(axes, panel.around)
    figure.suptitle(_heading(found), x=0.02, ha="left", fontsize=11)
    return figure
