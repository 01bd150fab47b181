"""Activation functions: value, slope, and where they are saturated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..explain.activations import activation_curve
from ..tensor import Tensor
from .style import BLUE, GREY, INK, MINUS, ORANGE, PALE, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FUNCTIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "hardswish")
COLUMNS = 4
TALLEST = 3.0  # of the vertical axis, so that what is near 0 is seen


def activation_functions(
    functions: Sequence[str | Callable[[Tensor], Tensor]] = FUNCTIONS, *, low: float = -5.0, high: float = 5.0,
    out: str | os.PathLike[str] | None = None,
) -> Figure:  # fmt: skip
    """Draw functions (blue) and their slopes (orange, dashed), computed by the operations and the tape.

    Where the slope is below 5 % of its largest value, the background is grey: there the gradient almost vanishes. Under
    each title: the least and the largest value on the range, and the mean output for standard normal inputs. If this
    mean is 0, the function is zero-centred.

    Args:
        functions: names of `minicnn.nn.functional`, or functions of a tensor.
        low, high: the range of x.
        out: a file.

    Raises:
        ValueError: there are no functions, or an error of `minicnn.explain.activation_curve`.

    >>> figure = minicnn.visualize.activation_functions(["relu", "tanh"])
    >>> len(figure.axes)
    2
    """
    if not functions:
        raise ValueError("activation_functions: there are no functions to draw")
    from matplotlib.ticker import MaxNLocator

    found = [activation_curve(one, low, high) for one in functions]
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    with drawing(max(2.6 * columns, 3.6), 2.7 * rows + (0.4 if columns > 2 else 0.9), out) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, curve in zip(grid, found, strict=False):
            for a, b in curve.spans():
                axes.axvspan(a, b, color=PALE, linewidth=0, zorder=0)
            axes.axhline(0, color=GREY, linewidth=0.8)
            axes.axvline(0, color=GREY, linewidth=0.8)
            axes.plot(curve.x, curve.slope, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.6)
            axes.plot(curve.x, curve.y, color=BLUE)
            low_y, high_y = min(curve.y.min(), curve.slope.min(), 0.0), max(curve.y.max(), curve.slope.max(), 0.0)
            margin = 0.06 * (min(high_y, TALLEST) - max(low_y, -TALLEST))
            axes.set_ylim(max(low_y, -TALLEST) - margin, min(high_y, TALLEST) + margin)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            centred = "zero-centred" if curve.zero_centred else f"mean {_signed(curve.mean)}"
            about = f"{_signed(curve.y.min())} to {_signed(curve.y.max())}, {centred}"
            axes.set_title(curve.name.replace("_", " "), fontsize=12, pad=18)
            axes.text(0, 1.03, about, transform=axes.transAxes, fontsize=8.5, color=INK, va="bottom")
        for axes in grid[len(found) :]:
            axes.set_visible(False)
        _legend(figure, 3 if columns > 2 else 1)
    return figure


def _signed(value: float) -> str:
    """-0.278 -> "-0.28" with a real minus sign."""
    text = f"{value:.2f}"
    return text.replace("-", "") if float(text) == 0 else text.replace("-", MINUS)


def _legend(figure: Figure, columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Line2D([], [], color=BLUE, label="f(x)"),
        Line2D([], [], color=ORANGE, linestyle=(0, (4, 2)), label="slope f\N{PRIME}(x)"),
        Patch(color=PALE, label="saturated: slope below 5 % of its largest"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
