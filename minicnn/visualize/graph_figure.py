"""A tape as a figure: the data flows down, modules are frames, and the gradients that come back stand at the arrows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..explain.collapsed import Box, Drawn
from ..explain.tape import Frame
from .diagram import curve
from .graph_markup import fill_and_edge
from .graph_words import Line, Look, arrived, edge_label, lines, reached, wrong
from .layers import Gaps, Link, Point
from .nested import Nested, nested
from .style import BLUE, GREY, INK, ORANGE, PALE, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = {"title": 9.0, "note": 7.0, "value": 8.0, "gradient": 8.0, "error": 8.0}
INKS = {"title": INK, "note": GREY, "value": BLUE, "gradient": ORANGE, "error": ORANGE}
MARGIN, PADDING, BESIDE, LABEL, TITLE = 0.14, 0.08, 0.055, 7.0, 9.5  # inches; points
GAPS = Gaps(boxes=0.3, edges=0.22, ranks=0.4)
MOST_BOXES, MOST_INCHES = 600, 300


class Picture:
    """The places of the boxes of a tape, found once; `draw` draws any moment of the backward pass at these places.

    Raises:
        ValueError: there are too many boxes, or the drawing would be too large.
    """

    def __init__(self, drawn: Drawn, look: Look) -> None:
        if len(drawn.boxes) > MOST_BOXES:
            raise ValueError(
                f"graph: a drawing of {len(drawn.boxes)} boxes cannot be read; give a depth, such as depth=1 (with "
                "model=), or take the text, str(...)"
            )
        self.drawn = drawn
        last = look._replace(step=None)
        labels: dict[Box, list[float]] = {box: [] for box in drawn.boxes}
        for link in drawn.links:
            labels[link.target].append(BESIDE + _width(edge_label(link, last), LABEL) + 0.05)
        self.sizes = [_size(box, look, labels[box]) for box in drawn.boxes]
        number = {box: i for i, box in enumerate(drawn.boxes)}
        links = [Link(number[link.source], number[link.target], id(link.value)) for link in drawn.links]
        self.titles: dict[Hashable, float] = {
            frame: _width(frame.title, 7.5) for box in drawn.boxes for frame in box.frames
        }
        self.layout: Nested = nested(self.sizes, [box.frames for box in drawn.boxes], links, self.titles, GAPS)
        ends = [
            path[-1][0] + BESIDE + _width(edge_label(link, last), LABEL)
            for link, path in zip(drawn.links, self.layout.paths, strict=True)
        ]
        self.width = max(self.layout.width, *ends) + 2 * MARGIN
        self.height = self.layout.height + 2 * MARGIN
        if max(self.width, self.height) > MOST_INCHES:
            raise ValueError(
                f"graph: the drawing would be {self.width:.0f} x {self.height:.0f} inches ({len(drawn.boxes)} boxes); "
                "give a depth, such as depth=1 (with model=)"
            )

    def draw(self, look: Look, title: str | None = None, titles: Iterable[str] = (), out: Any = None) -> Figure:
        """Draw the tape at a moment; figures with the same `titles`, of which one is `title`, are equally large."""
        wide = max([self.width, *(_width(one, TITLE, True) + 2 * MARGIN for one in (title or "", *titles))])
        head = 0.34 if title else 0.0
        with drawing(wide, self.height + head, out, layout=None) as figure:
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            axes.set_xlim(0, wide)
            axes.set_ylim(self.height + head, 0)
            self.shift = MARGIN, MARGIN + head
            if title:
                axes.text(MARGIN, MARGIN + 0.1, title, fontsize=TITLE, fontweight="bold", va="center", parse_math=False)
            self._frames(axes)
            self._edges(axes, look)
            for i, box in enumerate(self.drawn.boxes):
                self._box(axes, i, box, look)
        return figure

    def _frames(self, axes: Any) -> None:
        from matplotlib.patches import FancyBboxPatch

        for i, (frame, place) in enumerate(self.layout.frames.items()):
            assert isinstance(frame, Frame)
            x, y = place.x + self.shift[0], place.y + self.shift[1]
            style = "round,pad=0,rounding_size=0.06"
            axes.add_patch(
                FancyBboxPatch(
                    (x, y), place.width, place.height, boxstyle=style, fc="#F7F7F7", ec="#BBBBBB", lw=0.8,
                    zorder=0.1 + i / 1e4,
                )
            )  # fmt: skip
            axes.text(
                x + place.width - 0.06, y + 0.105, frame.title, fontsize=7.5, color=GREY, va="center", ha="right",
                zorder=2.5, parse_math=False, bbox={"facecolor": "#F7F7F7", "edgecolor": "none", "pad": 0.3},
            )  # fmt: skip

    def _edges(self, axes: Any, look: Look) -> None:
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        for link, path in zip(self.drawn.links, self.layout.paths, strict=True):
            came = look.step is not None and bool(arrived(link, look.step))
            now = look.step is not None and any(c.step == look.step for c in link.contributions)
            vertices, codes = curve([(x + self.shift[0], y + self.shift[1]) for x, y in path])
            if now:  # the gradient goes against the data
                vertices, codes = backwards(vertices, codes)
            axes.add_patch(
                FancyArrowPatch(
                    path=Path(vertices, codes), arrowstyle="-|>,head_width=0.25", mutation_scale=7, shrinkA=0,
                    shrinkB=0, linewidth=2.0 if now else 1.0, color=ORANGE if came else GREY, capstyle="butt",
                    joinstyle="round", zorder=2 + 0.1 * now,
                )
            )  # fmt: skip
            if label := edge_label(link, look):
                x, y = path[-1][0] + self.shift[0], path[-1][1] + self.shift[1]
                axes.text(
                    x + BESIDE, y - 0.09, label, fontsize=LABEL, color=ORANGE, va="center", zorder=3,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
                )  # fmt: skip

    def _box(self, axes: Any, i: int, box: Box, look: Look) -> None:
        from matplotlib.patches import FancyBboxPatch

        (width, height), (x, y) = self.sizes[i], self.layout.centres[i]
        x, y = x + self.shift[0], y + self.shift[1]
        fill, edge = fill_and_edge(box.kind)
        waits = look.step is not None and not reached(box, look.step)
        now = look.step is not None and look.step in box.steps
        if waits:
            fill, edge = "#FFFFFF", PALE
        if now or ((box.error or wrong(box)) and not waits):
            edge = ORANGE
        rounding = 0.05 if box.operations else min(height / 2, 0.14)
        style = f"round,pad=0,rounding_size={rounding}"
        corner = x - width / 2, y - height / 2
        line = "--" if box.kind in ("constant", "buffer", "frozen") else "-"
        axes.add_patch(
            FancyBboxPatch(
                corner,
                width,
                height,
                boxstyle=style,
                fc=fill,
                ec=edge,
                lw=2.2 if edge == ORANGE else 1.0,
                ls=line,
                zorder=3.5,
            )
        )
        text = lines(box, look)
        top = y - sum(_height(one) for one in text) / 2
        for one in text:
            weight = "bold" if one.role == "title" and box.kind != "constant" else "normal"
            colour = GREY if waits and one.role == "title" else INKS[one.role]
            axes.text(
                x, top + _height(one) / 2, one.text, ha="center", va="center_baseline", fontsize=SIZES[one.role],
                color=colour, fontweight=weight, zorder=4, parse_math=False,
            )  # fmt: skip
            top += _height(one)


def backwards(vertices: list[Point], codes: list[int]) -> tuple[list[Point], list[int]]:
    """The same path of Matplotlib from its end to its start: lines and curves in the opposite order."""
    return vertices[::-1], [codes[0], *codes[:0:-1]]


def _size(box: Box, look: Look, labels: list[float]) -> Point:
    """The width and height of a box in inches, for its words at any moment.

    The labels of edges that arrive side by side have room above it.
    """
    moments = {None, *(c.step for value in box.values for c in value.contributions[:8])}
    texts = [lines(box, look._replace(step=step)) for step in moments]
    width = max(_width(one.text, SIZES[one.role], one.role == "title") for text in texts for one in text)
    above = len(labels) * max(labels) if len(labels) > 1 else 0.0
    return max(width + 2 * PADDING, above, 0.6), max(sum(map(_height, text)) for text in texts) + 2 * PADDING


def _height(line: Line) -> float:
    return SIZES[line.role] * 1.35 / 72


@lru_cache(maxsize=4096)
def _width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text in inches, from the font itself."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    if not text:
        return 0.0
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    return float(TextToPath().get_text_width_height_descent(text, font, False)[0]) / 72
