"""Where the memory, the parameters and the multiplications of a net are."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.comparisons import memory
from ..nn import Module
from .style import BLUE, GREY, ORANGE, drawing, heading, percent, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEN = "#009E73"
PANELS = (("values", "Values kept", BLUE), ("weights", "Weights", ORANGE), ("MACs", "MACs", GREEN))
MOST_ROWS = 60


def costs(
    model: Module | str = "vgg16",
    input_size: Sequence[int] | None = None,
    *,
    depth: int | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Figure:
    """Bars for every layer: values of the output, weights, and multiply-accumulates, for one image.

    In VGG-16 "the memory is early and the parameters are late": half of the values are outputs of the first two
    convolutions, and nine tenths of the weights are in the linear layers.

    Args:
        model: the name of a model, or a net on the meta device.
        input_size: (C, H, W); by default the one of the registry, for a name.
        depth: add up the layers inside modules this deep: 1 gives one bar for each stage of a ResNet. By default every
            layer has its bar, or, of a net with more than 60 of them, the deepest level with fewer.
        out: a .png, .svg or .pdf to write.

    Raises:
        ValueError: there is no such model, or no size is given for a net.

    >>> figure = minicnn.visualize.costs("lenet5")
    >>> len(figure.axes)
    3
    """
    table = memory(model, input_size)
    rows = [(str(row[0]), row[1], [int(n) for n in row[2:]]) for row in table.rows[:-1]]
    if depth is None and len(rows) > MOST_ROWS:
        depth = next((d for d in (4, 3, 2) if len(_added(rows, d)) <= MOST_ROWS), 1)
    if depth is not None:
        rows = _added(rows, depth)
    totals = [sum(row[2][i] for row in rows) for i in range(3)]
    name = model if isinstance(model, str) else type(model).__name__
    with drawing(10.5, 1.5 + 0.25 * len(rows), out) as figure:
        heading(figure, f"{name}: what each layer keeps, has and computes")
        panels = figure.subplots(1, 3, sharey=True)
        for i, (axes, (_, title, colour)) in enumerate(zip(panels, PANELS, strict=True)):
            _bars(axes, [row[2][i] for row in rows], totals[i], colour)
            axes.set_title(f"{title}: {_number(totals[i])}")
        labels = [f"{label}  {size_of(shape) if shape else ''}".strip() for label, shape, _ in rows]
        panels[0].set_yticks(range(len(rows)), labels, fontsize=8.5)
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        note = f"{_number(4 * totals[0])}B in float32 for the values, {_number(4 * totals[1])}B for the weights"
        figure.supxlabel(f"Share of the whole net. {note}.", fontsize=9, color=GREY)
    return figure


def _added(rows: list[tuple[str, Any, list[int]]], depth: int) -> list[tuple[str, Any, list[int]]]:
    """Rows of modules `depth` names deep, in the order of their first layer; the shape is that of the last one."""
    found: dict[str, tuple[Any, list[int]]] = {}
    for label, shape, numbers in rows:
        parts = label.partition(" ")[0].split(".")
        key = ".".join(parts[:depth]) if len(parts) > depth else label
        _, before = found.get(key, (None, [0, 0, 0]))
        found[key] = shape, [a + b for a, b in zip(before, numbers, strict=True)]
    return [(key, shape, numbers) for key, (shape, numbers) in found.items()]


def _bars(axes: Any, values: list[int], total: int, colour: str) -> None:
    """Horizontal bars of shares, with the number at those that are seen."""
    shares = [value / total if total else 0.0 for value in values]
    widest = max(shares) or 1.0
    axes.barh(range(len(values)), shares, 0.72, color=colour)
    for i, (value, share) in enumerate(zip(values, shares, strict=True)):
        if value:
            axes.text(share + widest * 0.02, i, f"{_number(value)}", va="center", fontsize=8)
    axes.set_xlim(0, widest * 1.22)
    axes.xaxis.set_major_formatter(lambda share, _: percent(share, 0))
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)


def _number(value: float) -> str:
    """1728 -> "1.7 k"; 3211264 -> "3.2 M"."""
    if value < 1000:
        return f"{value:,.0f} "[: -1 if value == math.floor(value) else None]
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}\N{NO-BREAK SPACE}{letter}"
    return str(value)
