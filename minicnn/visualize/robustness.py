"""Accuracy against how much the images are changed, with an image at each level below."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..train.robustness import Robustness
from .style import COLOURS, GREY, drawing, heading, percentages, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 3  # panels side by side


def robustness(
    found: Mapping[str, Sequence[Robustness]], *, title: str = "", out: str | os.PathLike[str] | None = None
) -> Figure:
    """A panel for each probe: the accuracy of each net at each level, and what an image looks like there.

    The band is twice the standard error to each side: what other test images of the same kind could change.

    Args:
        found: what `train.robustness` returned, for each net by its name the same probes with the same levels.
        title: of the whole figure.
        out: a file to write.

    Raises:
        ValueError: there is nothing to draw, there are more than eight nets, or their probes differ.
    """
    probes = [[(one.probe, one.levels) for one in results] for results in found.values()]
    if not probes or not probes[0] or any(one != probes[0] for one in probes) or len(probes) > len(COLOURS):
        raise ValueError(f"robustness: 1 to {len(COLOURS)} nets with the same probes and levels can be drawn")
    columns = min(ACROSS, len(probes[0]))
    rows = -(-len(probes[0]) // columns)
    with drawing(4.4 * columns, 3.6 * rows + (0.4 if title else 0), out) as figure:
        if title:
            heading(figure, title)
        parts = figure.subfigures(rows, columns, squeeze=False, hspace=0.04, wspace=0.04).flat
        for number, part in zip(range(len(probes[0])), parts, strict=False):
            _panel(part, {name: results[number] for name, results in found.items()}, legend=number == 0)
    return figure


def _panel(part: Any, found: Mapping[str, Robustness], *, legend: bool) -> None:
    """One probe."""
    first = next(iter(found.values()))
    grid = part.add_gridspec(2, len(first.levels), height_ratios=(4, 1))
    axes = part.add_subplot(grid[0, :])
    places = range(len(first.levels))  # the levels as they are listed, under each other with the images
    for (name, one), colour in zip(found.items(), COLOURS, strict=False):
        values = [100 * top1 for top1 in one.top1]
        errors = [200 * error for error in one.errors]
        low, high = ([max(0, min(100, v + sign * e)) for v, e in zip(values, errors, strict=True)] for sign in (-1, 1))
        axes.plot(places, values, color=colour, marker="o", markersize=4, label=name)
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_title(f"{first.probe.capitalize()} ({first.unit})")
    axes.set_xticks(places, [f"{level:g}" for level in first.levels])
    axes.set_xlim(-0.5, len(first.levels) - 0.5)
    axes.set_ylim(0, 102)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    percentages(axes)
    axes.set_ylabel("Accuracy (%)", color=GREY, fontsize=9)
    if legend and len(found) > 1:
        axes.legend(frameon=False, fontsize=9, loc="lower left")
    for place, image in enumerate(first.examples):
        shown = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
        small = part.add_subplot(grid[1, place])
        drawn = show(small, shown)
        if shown.ndim == 2:
            drawn.set_clim(0, 1)  # so that a darker image looks darker
