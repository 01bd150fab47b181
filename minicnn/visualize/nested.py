"""A layered drawing of boxes in frames, where a frame is drawn around its boxes and frames, and nothing else is in it.

A frame is laid out like a drawing of its own, from inside to outside; for the drawing around it, it is one box. An edge
that crosses frames is put together from pieces. Inside a frame it begins or ends at a port: a point in the first or
last rank, at the same place on the border as the piece outside.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .layers import Gaps, Layout, Link, Point, layered


class Rectangle(NamedTuple):
    """Where a frame is: its left upper corner, and its size."""

    x: float
    y: float
    width: float
    height: float


class Nested(NamedTuple):
    """Where things are; x to the right and y down.

    Attributes:
        centres: of the boxes.
        paths: for each link, its points, straight and bent in turn, as in `layers.Layout`.
        frames: each frame, outer ones before those inside them.
        width, height: of the drawing.
    """

    centres: list[Point]
    paths: list[list[Point]]
    frames: dict[Hashable, Rectangle]
    width: float
    height: float


@dataclass(eq=False)
class _Level:
    """A frame, or the whole drawing, with what is directly in it.

    Attributes:
        frame: None for the whole drawing.
        items: boxes by number, and frames.
        entering, leaving: the places of the ports in the layout, by the source and tensor of the links through them.
    """

    frame: Hashable
    parent: _Level | None
    items: list[int | _Level] = field(default_factory=list)
    layout: Layout = field(init=False)
    number: dict[int | _Level, int] = field(default_factory=dict)
    pieces: dict[tuple[Hashable, Hashable], int] = field(default_factory=dict)
    entering: dict[Hashable, int] = field(default_factory=dict)
    leaving: dict[Hashable, int] = field(default_factory=dict)
    at: Point = (0.0, 0.0)


PADDING, HEAD = 0.1, 0.2  # inside a frame; for its title
TOP, BOTTOM = 0.16, 0.06  # between the ports and the first and last boxes, if nothing else is in the rank of the ports


def nested(
    sizes: Sequence[Point],
    frames: Sequence[Sequence[Hashable]],
    links: Sequence[Link],
    titles: dict[Hashable, float],
    gaps: Gaps | None = None,
) -> Nested:
    """Lay out boxes in frames; links go from lower to higher numbers, also if each frame is seen as one box.

    Args:
        sizes: the (width, height) of the boxes.
        frames: for each box, the frames around it, from outside to inside.
        links: between the boxes. They arrive side by side along a box.
        titles: the width of the title of each frame.
        gaps: distances.
    """
    gaps = gaps or Gaps()
    root = _Level(None, None)
    levels: dict[Hashable, _Level] = {}
    home: list[_Level] = []
    for box, around in enumerate(frames):
        level = root
        for frame in around:
            if frame not in levels:
                levels[frame] = _Level(frame, level)
                level.items.append(levels[frame])
            level = levels[frame]
        level.items.append(box)
        home.append(level)
    _sort(root)
    _lay_out(root, sizes, [_Route.of(link, home) for link in links], titles, gaps)
    centres: list[Point] = [(0.0, 0.0)] * len(sizes)
    found: dict[Hashable, Rectangle] = {}
    _place(root, (0.0, 0.0), sizes, titles, centres, found)
    paths = [_path(_Route.of(link, home)) for link in links]
    return Nested(centres, paths, found, root.layout.width, root.layout.height)


class _Route(NamedTuple):
    """The way of a link: out of frames, across the level that has both ends, into frames.

    Attributes:
        link: the link.
        up: the items that it leaves, from the source to what is directly in `top`.
        down: the items that it enters, from the target to what is directly in `top`.
        top: the innermost level around both ends.
    """

    link: Link
    up: list[int | _Level]
    down: list[int | _Level]
    top: _Level

    @staticmethod
    def of(link: Link, home: Sequence[_Level]) -> _Route:
        """The way of a link between boxes with these levels."""

        def around(box: int) -> list[_Level]:
            levels = [home[box]]
            while levels[-1].parent is not None:
                levels.append(levels[-1].parent)
            return levels

        first, second = around(link.source), around(link.target)
        top = next(level for level in first if level in second)
        up: list[int | _Level] = [link.source, *first[: first.index(top)]]
        down: list[int | _Level] = [link.target, *second[: second.index(top)]]
        return _Route(link, up, down, top)

    @property
    def port(self) -> Hashable:
        """Links with the same source and tensor pass through the same port."""
        return self.link.source, self.link.tensor


def _sort(level: _Level) -> int:
    """Put the items in the order of their last boxes, which no link goes against; return the last box."""
    last = {item: _sort(item) if isinstance(item, _Level) else item for item in level.items}
    level.items.sort(key=lambda item: last[item])
    return max(last.values())


def _lay_out(
    level: _Level, sizes: Sequence[Point], routes: list[_Route], titles: dict[Hashable, float], gaps: Gaps
) -> None:
    """Lay out a level, those inside first."""
    inside = [item for item in level.items if isinstance(item, _Level)]
    for one in inside:
        through = [r for r in routes if one in r.up or one in r.down or _within(r.top, one)]
        _lay_out(one, sizes, through, titles, gaps)
    entering = list(dict.fromkeys(r.port for r in routes if level in r.down))
    leaving = list(dict.fromkeys(r.port for r in routes if level in r.up))
    level.entering = {port: i for i, port in enumerate(entering)}
    level.number = {item: len(entering) + i for i, item in enumerate(level.items)}
    level.leaving = {port: len(entering) + len(level.items) + i for i, port in enumerate(leaving)}
    outer = [sizes[item] if isinstance(item, int) else _size(item, titles) for item in level.items]
    links: list[Link] = []
    for r in routes:
        if r.top is level:
            ends = level.number[r.up[-1]], level.number[r.down[-1]]
        elif level in r.up:
            ends = level.number[r.up[r.up.index(level) - 1]], level.leaving[r.port]
        elif level in r.down:
            ends = level.entering[r.port], level.number[r.down[r.down.index(level) - 1]]
        else:
            continue
        level.pieces.setdefault((r.link, r.port), len(links))
        links.append(Link(*ends, r.port))
    ports = [(0.0, 0.0)]
    level.layout = layered(
        ports * len(entering) + outer + ports * len(leaving), links, gaps,
        wide=list(level.number.values()), first=list(level.entering.values()), last=list(level.leaving.values()),
    )  # fmt: skip
    level.layout = _trimmed(level, [size for _, size in outer], gaps)


def _trimmed(level: _Level, heights: list[float], gaps: Gaps) -> Layout:
    """The layout of a level without most of the space between the ports and the boxes."""
    layout, boxes = level.layout, list(level.number.values())
    edges = [(layout.centres[i][1] - h / 2, layout.centres[i][1] + h / 2) for i, h in zip(boxes, heights, strict=True)]
    up, down = min(top for top, _ in edges), max(bottom for _, bottom in edges)
    cut = max(0.0, up - TOP) if level.entering else 0.0
    end = min(layout.height, down + BOTTOM) if level.leaving else layout.height

    def moved(y: float) -> float:
        return max(0.0, min(y, end) - cut)

    centres = [(x, moved(y)) for x, y in layout.centres]
    paths = [[(x, moved(y)) for x, y in path] for path in layout.paths]
    return Layout(centres, paths, layout.width, end - cut)


def _within(level: _Level | None, outer: _Level) -> bool:
    while level is not None and level is not outer:
        level = level.parent
    return level is outer


def _size(level: _Level, titles: dict[Hashable, float]) -> Point:
    """The size of a frame."""
    width = max(level.layout.width, titles.get(level.frame, 0.0))
    return width + 2 * PADDING, level.layout.height + HEAD + PADDING


def _place(
    level: _Level, at: Point, sizes: Sequence[Point], titles: dict[Hashable, float], centres: list[Point],
    frames: dict[Hashable, Rectangle],
) -> None:  # fmt: skip
    """Find where the boxes and frames of a level are, whose layout begins at `at`."""
    level.at = at
    for item, number in level.number.items():
        x, y = level.layout.centres[number]
        centre = x + at[0], y + at[1]
        if isinstance(item, int):
            centres[item] = centre
            continue
        width, height = _size(item, titles)
        corner = centre[0] - width / 2, centre[1] - height / 2
        frames[item.frame] = Rectangle(*corner, width, height)
        start = centre[0] - item.layout.width / 2, corner[1] + HEAD
        _place(item, start, sizes, titles, centres, frames)


def _path(route: _Route) -> list[Point]:
    """The pieces of a way as one."""

    def piece(level: _Level) -> list[Point]:
        points = level.layout.paths[level.pieces[route.link, route.port]]
        return [(x + level.at[0], y + level.at[1]) for x, y in points]

    def port(level: _Level, ports: dict[Hashable, int]) -> float:
        return level.at[0] + level.layout.centres[ports[route.port]][0]

    left = [level for level in route.up if isinstance(level, _Level)]
    entered = [level for level in reversed(route.down) if isinstance(level, _Level)]
    way = [*left, route.top, *entered]
    path: list[Point] = []
    for i, level in enumerate(way):
        points = piece(level)
        if 0 < i <= len(left):  # it begins at the port of a frame
            x = port(way[i - 1], way[i - 1].leaving)
            points[:2] = [(x, y) for _, y in points[:2]]
        if len(left) <= i < len(way) - 1:  # it ends at one
            x = port(way[i + 1], way[i + 1].entering)
            points[-2:] = [(x, y) for _, y in points[-2:]]
        path += points
    return path
