"""Nets that were trained under the same conditions: their curves, their speed, and what chance does."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..train.comparison import Compared, Comparison
from .style import COLOURS, GREY, drawing, heading, percentages

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compared(found: Comparison, *, title: str = "", out: str | os.PathLike[str] | None = None) -> Figure:
    """Validation accuracy against epochs and against time, the mean of the seeds with a band from the lowest to the
    highest, and the test accuracy of each seed with the mean.

    Args:
        found: what `train.compare` returned; at most eight entries.
        title: of the whole figure.
        out: a file to write.

    Raises:
        ValueError: there are no finished trainings, or too many entries.
    """
    from matplotlib.ticker import MaxNLocator

    names = found.names
    if not 0 < len(names) <= len(COLOURS):
        raise ValueError(
            f"compared: 1 to {len(COLOURS)} entries with finished trainings can be drawn, got {len(names)}"
        )
    with drawing(13.5, 4.2, out) as figure:
        heading(figure, title or "Compared under the same conditions")
        by_epoch, by_time, tests = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
        for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
            rows = found.of(name)
            _band(by_epoch, rows, colour, time=False)
            _band(by_time, rows, colour, time=True)
            values = [100 * row.test_top1 for row in rows if not row.diverged]
            tests.plot([number] * len(values), values, "o", color=colour, alpha=0.6, markersize=6)
            if values:
                tests.plot([number - 0.25, number + 0.25], [statistics.fmean(values)] * 2, color=colour)
        for axes, label in ((by_epoch, "epoch"), (by_time, "seconds of training")):
            axes.set_title("Validation accuracy (%)")
            axes.set_xlabel(label)
            percentages(axes)
        by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True))
        tests.set_title("Test accuracy (%)")
        shown = [f"{name}\n(diverged)" if any(row.diverged for row in found.of(name)) else name for name in names]
        long = max(map(len, names)) > 10 or len(names) > 4
        tests.set_xticks(range(len(names)), shown, rotation=30 if long else 0, ha="right" if long else "center")
        tests.set_xlim(-0.6, len(names) - 0.4)
        for axes in (by_epoch, by_time, tests):
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        if by_epoch.lines:
            by_epoch.legend(loc="lower right", frameon=False, fontsize=9)
        else:
            for axes in (by_epoch, by_time):
                axes.text(0.5, 0.5, "no images were held out", ha="center", color=GREY, transform=axes.transAxes)
        figure.supxlabel(
            "Lines: means over the seeds. Bands: from the lowest to the highest. Dots: one training each.",
            fontsize=9, color=GREY,
        )  # fmt: skip
    return figure


def _band(axes: Any, rows: Sequence[Compared], colour: str, *, time: bool) -> None:
    """The mean of the validation accuracies, and their band, up to the last epoch that all seeds have finished."""
    epochs = [
        [point for point in points if math.isfinite(point[1])] for points in zip(*(r.curve for r in rows), strict=False)
    ]
    epochs = [points for points in epochs if points]
    if not epochs:
        return
    places = [statistics.fmean(p[2] for p in points) if time else place for place, points in enumerate(epochs, 1)]
    accuracies = [[100 * point[1] for point in points] for points in epochs]
    style: dict[str, Any] = {"marker": "o", "markersize": 4} if len(epochs) < 4 else {}
    axes.plot(places, [statistics.fmean(values) for values in accuracies], color=colour, label=rows[0].name, **style)
    if len(rows) > 1:
        low, high = [min(values) for values in accuracies], [max(values) for values in accuracies]
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        if len(places) == 1:  # a band of no width cannot be seen
            axes.plot(places * 2, [low[0], high[0]], color=colour, alpha=0.3, linewidth=4)
