"""The block diagram of a net or of a block, drawn from the modules themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.explanation import explained
from ..analysis.trace import trace
from ..device import Device
from ..models import get_model
from ..models.registry import MODELS
from ..nn import Module
from .boxes import Box, boxes, links
from .layers import Gaps, Layout, Point, layered
from .style import GREY, INK, TIMES, drawing, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# fill and edge by kind, from the colours of style.py: M. Okabe, K. Ito, "Color universal design", 2008
COLOURS = {
    "conv": ("#CCE3F0", "#0072B2"),
    "depthwise": ("#DDF1FB", "#56B4E9"),
    "linear": ("#CCECE3", "#009E73"),
    "pool": ("#F7DFCC", "#D55E00"),
    "block": ("#F5E4EE", "#CC79A7"),
    "join": ("#FFFFFF", INK),
    "norm": ("#EEEEEE", GREY),
    "activation": ("#EEEEEE", GREY),
    "shape": ("#FFFFFF", GREY),
    "function": ("#FFFFFF", GREY),
    "layer": ("#EEEEEE", GREY),
    "input": ("none", "none"),
    "output": ("none", "none"),
}
MARGIN, PADDING, CIRCLE = 0.12, 0.09, 0.24  # inches
GAPS = Gaps()


class Line(NamedTuple):
    """A line of text in a box."""

    text: str
    size: float
    colour: str = INK
    weight: str = "normal"


def diagram(
    model: Module | str,
    input_size: Sequence[int] | None = None,
    *,
    part: str = "",
    depth: int | None = None,
    whole: Iterable[str] = (),
    join: bool = True,
    repeats: bool = True,
    names: bool = False,
    title: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw a net, or a module in it, as boxes from top to bottom with the tensors between them.

    The net runs once on shapes alone; the boxes are its modules and functions as they were called, so that the picture
    cannot differ from the code. A box shows the kernel, channels and stride, what follows at once (batch norm, ReLU),
    and the shape of its output. Blue boxes are convolutions, green ones linear layers, orange ones poolings, rose ones
    whole modules; a circle adds or multiplies.

    Args:
        model: a net, or the name of one of `minicnn.models`, which is built without memory.
        input_size: (C, H, W); by default the one of the registry, for a name.
        part: the dotted name of the module to draw, such as "layer2.0"; "" for the whole net.
        depth: modules this deep inside `part` are one box: 1 shows a ResNet as its stages, 2 as its blocks.
        whole: classes of modules that are one box each, such as ["Bottleneck"].
        join: let norm, activation and dropout join the box of the layer before.
        repeats: draw equal boxes in a row once, with their number.
        names: write the dotted names of the modules, as in `named_modules`.
        title: above the drawing.
        out: a .png, .svg or .pdf to write.

    Raises:
        ValueError: there is no such model or module, or the net does not take this input.

    >>> figure = minicnn.visualize.diagram("lenet5")
    """
    net, size = _built(model, input_size)
    graph = trace(net, tuple(size), op="diagram")
    if (error := explained(graph)) is not None:
        raise ValueError(f"diagram: the net does not take images {size_of(size)}: {error}") from error
    found = boxes(graph, part=part, depth=depth, whole=whole, join=join, repeats=repeats)
    return draw_boxes(found, names=names, title=title, out=out)


def draw_boxes(
    found: list[Box], *, names: bool = False, title: str | None = None, out: str | os.PathLike[str] | None = None
) -> Figure:
    """Lay out and draw the boxes of `boxes.boxes`."""
    texts = [_lines(box, names) for box in found]
    sizes = [_size(box, lines) for box, lines in zip(found, texts, strict=True)]
    edges = links(found)
    bars = [i for i, box in enumerate(found) if box.group == "join" and len(box.title) > 1]
    layout = layered(sizes, edges, GAPS, bars)
    head = 0.32 if title else 0.0
    wide = max(layout.width, _width(Line(title or "", 11, INK, "bold"))) + 2 * MARGIN
    high = layout.height + 2 * MARGIN + head
    if max(wide, high) > 300:
        raise ValueError(
            f"diagram: the drawing would be {wide:.0f} x {high:.0f} inches ({len(found)} boxes); give a depth, such as "
            "depth=1, or a part"
        )
    with drawing(wide, high, out, layout=None) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        shift = (wide - layout.width) / 2, MARGIN + head
        if title:
            axes.text(MARGIN, MARGIN + head / 2 - 0.03, title, fontsize=11, fontweight="bold", va="center")
        for path in layout.paths:
            _draw_path(axes, path, shift)
        for i, box in enumerate(found):
            _draw_box(axes, box, texts[i], sizes[i], (layout.centres[i][0] + shift[0], layout.centres[i][1] + shift[1]))
    return figure


def _built(model: Module | str, input_size: Sequence[int] | None) -> tuple[Module, Sequence[int]]:
    """The net, and the size of its images."""
    if isinstance(model, Module):
        if input_size is None:
            raise ValueError("diagram: give the size of the images, such as input_size=(3, 224, 224)")
        return model, input_size
    with Device("meta"):
        net = get_model(model)
    return net, input_size or MODELS[model.lower()].input_size


# ------------------------------------------------------------------------------------------------------------ the boxes


def _lines(box: Box, names: bool) -> list[Line]:
    """The text of a box: the title, what joined it, and the name and shape."""
    if box.group == "join" and len(box.title) == 1:
        return [Line(box.title, 12, INK, "bold")]
    times = f" {TIMES} {box.count}" if box.count > 1 else ""
    plain = box.group in ("input", "output", "shape", "function")
    lines = [Line(box.title + times, 9, INK, "normal" if plain else "bold")]
    if box.tags:
        lines.append(Line(", ".join(box.tags), 8))
    below = [box.name.split(" ")[0]] if names and box.name and box.group not in ("join", "shape", "function") else []
    if box.shape is not None and box.group != "join":
        below.append(size_of(box.shape))
    if below:
        lines.append(Line("   ".join(below), 7.5, GREY))
    return lines


def _size(box: Box, lines: list[Line]) -> Point:
    """Width and height of a box in inches."""
    if box.group == "join" and len(box.title) == 1:
        return CIRCLE, CIRCLE
    width = max(_width(line) for line in lines) + 2 * PADDING
    if box.group == "join":
        width = max(width, 0.35 * len(box.sources) + 0.4)
    frame = 0.05 if box.group in ("input", "output") else PADDING
    return max(width, 0.9), sum(_height(line) for line in lines) + 2 * frame * 0.8


def _width(line: Line) -> float:
    """The width of a text in inches, from the font itself."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    if not line.text:
        return 0.0
    font = FontProperties(family="DejaVu Sans", size=line.size, weight=line.weight)  # type: ignore[arg-type,unused-ignore]
    return float(TextToPath().get_text_width_height_descent(line.text, font, False)[0]) / 72


def _height(line: Line) -> float:
    return line.size * 1.3 / 72


def _draw_box(axes: Any, box: Box, lines: list[Line], size: Point, centre: Point) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    fill, edge = COLOURS[box.group]
    (width, height), (x, y) = size, centre
    if box.group == "join" and len(box.title) == 1:
        axes.add_patch(Circle(centre, width / 2, facecolor=fill, edgecolor=edge, linewidth=1.0, zorder=3))
    else:
        rounding = 0.03 if box.group == "join" else 0.06
        corner = (x - width / 2, y - height / 2)
        style = f"round,pad=0,rounding_size={rounding}"
        if box.count > 1 or (box.group == "block" and box.title[:1].isdigit()):  # a pile of boxes
            for step in (0.07, 0.035):
                place = (corner[0] + step, corner[1] - step)
                axes.add_patch(
                    FancyBboxPatch(place, width, height, boxstyle=style, fc=fill, ec=edge, lw=0.8, zorder=2.5)
                )
        axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc=fill, ec=edge, lw=1.0, zorder=3))
    top = y - sum(_height(line) for line in lines) / 2
    for line in lines:
        middle = top + _height(line) / 2
        axes.text(
            x, middle, line.text, ha="center", va="center_baseline" if len(line.text) > 1 else "center",
            fontsize=line.size, color=line.colour, fontweight=line.weight, zorder=4,
        )  # fmt: skip
        top += _height(line)


def curve(path: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """The vertices and codes of a Matplotlib path: straight past the ranks, cubic curves with vertical ends between."""
    from matplotlib.path import Path

    vertices, codes = [path[0]], [int(Path.MOVETO)]
    for i, (a, b) in enumerate(pairwise(path)):
        if i % 2 == 0:
            if abs(b[1] - a[1]) > 1e-6:  # an arrow needs a last step with a direction
                vertices.append(b)
                codes.append(int(Path.LINETO))
        else:
            middle = (a[1] + b[1]) / 2
            vertices += [(a[0], middle), (b[0], middle), b]
            codes += [int(Path.CURVE4)] * 3
    return vertices, codes


def _draw_path(axes: Any, path: Sequence[Point], shift: Point) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = curve([(x + shift[0], y + shift[1]) for x, y in path])
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes), arrowstyle="-|>,head_width=0.25", mutation_scale=7, linewidth=1.0, color=GREY,
            shrinkA=0, shrinkB=0, capstyle="butt", joinstyle="round", zorder=2,
        )
    )  # fmt: skip


__all__ = ["Layout", "curve", "diagram", "draw_boxes"]
