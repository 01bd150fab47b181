"""Several settings, each trained with several seeds, in one picture."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..train.trials import Trials
from .style import COLOURS, GREY, drawing, heading, percentages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
TITLES = {
    "train_loss": "Training loss", "val_loss": "{} loss",
    "train_top1": "Training accuracy (%)", "val_top1": "{} accuracy (%)",
}  # fmt: skip


def trials(
    found: Mapping[str, Trials], what: Sequence[str] = ("train_loss", "val_top1"), *, title: str = "",
    judged: str = "validation", out: Out = None,
) -> Figure:  # fmt: skip
    """A curve for each setting, the mean over its seeds, with a band from the worst to the best seed.

    A setting of which a seed diverged is drawn as far as all of them came, and ends in a cross.

    Args:
        found: what `train.train_with_seeds` returned, by the names of the settings; at most eight.
        what: fields of `train.Epoch`, a panel for each: "train_loss", "val_loss", "train_top1", "val_top1".
        title: of the whole figure.
        judged: the name of the set that was evaluated after each epoch, such as "test".
        out: a file to write.

    Raises:
        ValueError: there are no settings or too many, a field is unknown, or nothing was finished.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    if not 0 < len(found) <= len(COLOURS):
        raise ValueError(f"trials: 1 to {len(COLOURS)} settings can be drawn, got {len(found)}")
    if unknown := [name for name in what if name not in TITLES]:
        raise ValueError(f"trials: {unknown[0]!r} is not one of {', '.join(TITLES)}")
    if not what or not any(min(map(len, one.histories), default=0) for one in found.values()):
        raise ValueError("trials: there is no finished epoch to draw")
    with drawing(4.9 * len(what) + 1.6, 4.0, out) as figure:
        if title:
            heading(figure, title)
        panels = figure.subplots(1, len(what), squeeze=False)[0]
        for axes, field in zip(panels, what, strict=True):
            scale = 100 if field.endswith("top1") else 1
            for one, colour in zip(found.values(), COLOURS, strict=False):
                _draw(axes, one, field, scale, colour)
            axes.set_title(TITLES[field].format(judged.capitalize()))
            axes.set_xlabel("epoch")
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if scale == 100:
                percentages(axes)
        names = [f"{name} (diverged)" if any(one.diverged) else name for name, one in found.items()]
        keys = [Line2D([], [], color=colour) for colour in COLOURS[: len(found)]]  # also of settings without a curve
        figure.legend(keys, names, loc="outside right center", frameon=False, fontsize=10)
        if any(len(one.seeds) > 1 for one in found.values()):
            figure.supxlabel(
                "Lines: means over the seeds. Bands: from the lowest to the highest.", fontsize=9, color=GREY
            )
    return figure


def _draw(axes: Any, one: Trials, field: str, scale: float, colour: str) -> None:
    rows = [[scale * getattr(row, field) for row in rows] for rows in zip(*one.histories, strict=False)]
    rows = [values for values in rows if all(map(math.isfinite, values))]
    if not rows:
        return
    epochs = range(1, len(rows) + 1)
    means = [sum(values) / len(values) for values in rows]
    style: dict[str, Any] = {"marker": "o", "markersize": 4} if len(rows) < 4 else {}
    axes.plot(epochs, means, color=colour, **style)
    if len(one.seeds) > 1:
        axes.fill_between(epochs, [min(v) for v in rows], [max(v) for v in rows], color=colour, alpha=0.15, linewidth=0)
    if any(one.diverged):
        axes.plot([len(rows)], means[-1:], "x", color=colour, markersize=9, markeredgewidth=2)
