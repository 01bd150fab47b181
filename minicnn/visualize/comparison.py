"""A figure of the speed of the algorithms of convolution."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING

from .style import GREY, ORANGE, TIMES, drawing, heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..bench.compare import Comparison

PASSES = {"forward": "Forward", "gx": "Gradient of x", "gw": "Gradient of w"}


def algorithms(comparison: Comparison, *, out: str | os.PathLike[str] | None = None) -> Figure:
    """GFLOP/s of every algorithm and backend as bars, one panel for each pass; the choice of `auto` is in colour.

    The rate is the number of operations of the definition divided by the time: a longer bar is faster. Rows that were
    not measured are left out.

    Args:
        comparison: the result of `minicnn.compare_algorithms`.
        out: a .png, .svg or .pdf to write.

    >>> found = minicnn.compare_algorithms((1, 4, 8, 8), (4, 4, 3, 3), seconds=0.01, backends=["numpy"], backward=False)
    >>> figure = minicnn.visualize.algorithms(found)
    """
    timed = [row for row in comparison.rows if row.gflops is not None]
    passes = [which for which in PASSES if any(row.which == which for row in timed)]
    if not passes:
        raise ValueError("algorithms: nothing in this comparison was measured")
    bars = list(dict.fromkeys((row.algorithm, row.backend) for row in timed))
    widest = max(row.gflops or 0.0 for row in timed)
    width = 3.2 + 2.6 * len(passes)
    title = re.sub(r"(?<=[0-9])x(?=[0-9])", TIMES, f"conv2d {comparison.title}").replace("->", "\N{RIGHTWARDS ARROW}")
    title = re.sub(r"(?<=[a-z]) (?=[0-9])", "\N{NO-BREAK SPACE}", title)  # "padding 1" stays in one line
    lines = textwrap.wrap(title, int(width * 9))  # characters in an inch
    with drawing(width, 1.4 + 0.22 * len(lines) + 0.34 * len(bars), out) as figure:
        heading(figure, "\n".join(lines))
        panels = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
        for which, axes in zip(passes, panels, strict=True):
            for row in timed:
                if row.which == which:
                    at = bars.index((row.algorithm, row.backend))
                    axes.barh(at, row.gflops, 0.7, color=ORANGE if row.auto else GREY)
                    axes.text(
                        (row.gflops or 0.0) + widest * 0.02, at, _short(row.gflops or 0.0), va="center", fontsize=9
                    )
            axes.set_title(PASSES[which])
            axes.set_xlim(0, widest * 1.25)
            axes.set_xlabel("GFLOP/s")
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(bars)), [", ".join(filter(None, bar)) for bar in bars])
        panels[0].invert_yaxis()
        figure.supxlabel(f"{comparison.on}; in colour: the choice of auto", fontsize=9, color=GREY)
    return figure


def _short(rate: float) -> str:
    """Two or three digits."""
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}" if rate >= 1 else f"{rate:.1g}"
