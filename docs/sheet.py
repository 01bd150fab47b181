"""What the scripts that draw the pictures of explanation/ have in common: cells, words, arrows, and a small file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.visualize.style import GREY, MINUS, ORANGE, drawing

PICTURES = Path(__file__).parent / "images" / "kernels"
SKY, PEACH, SUN, MINT, LILAC = "#CCE3F0", "#F7D5BE", "#FBE9B0", "#CBEADD", "#E6D5E8"
DOT, STAR, T = "\N{MIDDLE DOT}", "\N{STAR OPERATOR}", "\N{MODIFIER LETTER CAPITAL T}"


def number(value: Any) -> str:
    """As short as it can be, with a true minus sign."""
    if np.iscomplexobj(value):
        real, imaginary = number(value.real), number(abs(value.imag))
        sign = "+" if value.imag > 0 else MINUS
        return real if not value.imag else f"{real}{sign}{imaginary if imaginary != '1' else ''}i"
    return f"{value + 0.0:g}".replace("-", MINUS)


class Sheet:
    """A figure in the units of its cells, y down."""

    def __init__(self, axes: Any, width: float, height: float) -> None:
        self.axes = axes
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        axes.axis("off")

    def cells(
        self, x: float, y: float, values: Any, fill: Any = None, size: float = 1.0, write: bool = True, **style: Any
    ) -> None:
        """A matrix; `fill` is a colour, or a function of (row, column) that gives one or None."""
        from matplotlib.patches import Rectangle

        for (i, j), value in np.ndenumerate(values):
            colour = (fill(i, j) if callable(fill) else fill) or "white"
            place = x + j * size, y + i * size
            self.axes.add_patch(Rectangle(place, size, size, fc=colour, ec=GREY, lw=0.7))
            if write:
                words = value if isinstance(value, str) else number(value)
                self.words(place[0] + size / 2, place[1] + size / 2, words, **{"fontsize": 9, **style})

    def frame(self, x: float, y: float, width: float, height: float, colour: str = ORANGE, **style: Any) -> None:
        """A rectangle without a filling."""
        from matplotlib.patches import Rectangle

        given = {"fill": False, "ec": colour, "lw": 2.2, "zorder": 3, **style}
        self.axes.add_patch(Rectangle((x, y), width, height, **given))

    def words(self, x: float, y: float, text: str, **style: Any) -> None:
        """Words around a place."""
        self.axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 10, **style})

    def title(self, x: float, y: float, text: str, **style: Any) -> None:
        """Words from a place on to the right."""
        self.words(x, y, text, **{"ha": "left", **style})

    def arrow(self, x0: float, y0: float, x1: float, y1: float, colour: str = GREY, **style: Any) -> None:
        """An arrow from one place to another."""
        given = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0, **style}
        self.axes.annotate("", (x1, y1), (x0, y0), arrowprops=given)


def inside(rows: tuple[int, int], columns: tuple[int, int], colour: str, other: Any = None) -> Callable[..., Any]:
    """A filling: one colour in a block of cells, given by its first rows and columns and those after its end."""
    return lambda i, j: colour if rows[0] <= i < rows[1] and columns[0] <= j < columns[1] else other


def save(function: Callable[[Any], None], wide: float, high: float, out: Path) -> Path:
    """Draw a figure of so many inches to a .png in few colours, so that the file is small."""
    from PIL import Image

    content = io.BytesIO()
    with drawing(wide, high) as figure:
        function(figure)
        figure.savefig(content, format="png", dpi=120)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.open(content).convert("RGB").quantize(128).save(out, optimize=True)
    return out
