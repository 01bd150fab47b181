"""A layered drawing of a graph: places for boxes from top to bottom, and paths for edges that run through no box.

The method of Sugiyama, in four steps:

1. rank: a node is one rank below the lowest of its sources, so that all edges point down;
2. a long edge gets a small invisible item in every rank that it passes. Edges of the same tensor share them: one trunk,
   with a branch to each target;
3. order: in each rank, items go to the mean place of their neighbours above, then below, and so on; the order with the
   fewest crossings stays;
4. place: sweeps down and up put items below or above their neighbours, as near as the order and the gaps allow.

K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981,
https://doi.org/10.1109/TSMC.1981.4308636.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]


class Link(NamedTuple):
    """An edge, from node `source` to node `target` by number; those of the same source and tensor share a trunk."""

    source: int
    target: int
    tensor: Hashable = None


class Layout(NamedTuple):
    """Where things are; x to the right and y down, in the unit of the sizes.

    Attributes:
        centres: of the boxes.
        paths: for each link, its points. Between the points 2i and 2i+1 the path is straight and vertical, past a rank;
            between 2i+1 and 2i+2 it bends, between two ranks.
        width, height: of the drawing.
    """

    centres: list[Point]
    paths: list[list[Point]]
    width: float
    height: float


class Gaps(NamedTuple):
    """Distances: between boxes, between a box and an edge that passes it, between ranks."""

    boxes: float = 0.25
    edges: float = 0.16
    ranks: float = 0.32


SWEEPS = 24


def layered(
    sizes: Sequence[Point],
    links: Sequence[Link],
    gaps: Gaps | None = None,
    wide: Collection[int] = (),
    first: Collection[int] = (),
    last: Collection[int] = (),
) -> Layout:
    """Lay out boxes of the given (width, height); links go from lower to higher numbers.

    Links arrive at the middle of a box; at those in `wide`, side by side along the box. Boxes in `first`, which no link
    may enter, stand in the first rank, and those in `last`, which no link may leave, in the last one.
    """
    gaps = gaps or Gaps()
    for link in links:
        if not 0 <= link.source < link.target < len(sizes):
            raise ValueError(f"layered: {link} must go from a lower to a higher number of {len(sizes)} boxes")
    net = _Ranked(len(sizes), links, first, last)
    rows = _ordered(net)
    x = _placed(net, rows, [w for w, _ in sizes], gaps)
    tops, heights = _rank_tops(net, rows, sizes, gaps)
    left = min(x[i] - net.width(i, sizes) / 2 for row in rows for i in row)
    right = max(x[i] + net.width(i, sizes) / 2 for row in rows for i in row)
    x = [value - left for value in x]
    centres = [(x[i], tops[net.rank[i]] + heights[net.rank[i]] / 2) for i in range(len(sizes))]

    def stops(items: list[int]) -> list[Point]:
        """The points where a path enters and leaves each rank; it begins and ends at boxes."""
        points: list[Point] = []
        for number, item in enumerate(items):
            top, bottom = tops[net.rank[item]], tops[net.rank[item]] + heights[net.rank[item]]
            if item < len(sizes):
                half = sizes[item][1] / 2
                top, bottom = (top, centres[item][1] - half) if number else (centres[item][1] + half, bottom)
            points += [(x[item], top), (x[item], bottom)]
        return points

    paths = [stops(way) for way in net.ways]
    for target in wide:
        arriving = sorted((net.ways[i][-2], i) for i, link in enumerate(links) if link.target == target)
        arriving.sort(key=lambda one: x[one[0]])
        for number, (_, i) in enumerate(arriving):
            port = x[target] + sizes[target][0] * ((number + 0.5) / len(arriving) - 0.5)
            paths[i][-2:] = [(port, y) for _, y in paths[i][-2:]]
    return Layout(centres, paths, right - left, tops[-1] + heights[-1])


class _Ranked:
    """Items (boxes first, then the invisible ones) with ranks, and segments between neighbouring ranks."""

    def __init__(
        self, count: int, links: Sequence[Link], first: Collection[int] = (), last: Collection[int] = ()
    ) -> None:
        self.count = count
        self.rank = [0] * count
        for link in sorted(links, key=lambda one: one.target):  # sources have lower numbers, so theirs are final
            self.rank[link.target] = max(self.rank[link.target], self.rank[link.source] + 1)
        targets = {link.target for link in links}
        for i in range(count - 1, -1, -1):  # what has no source is just above its first target
            below = [self.rank[link.target] for link in links if link.source == i]
            if i not in targets and i not in first and below:
                self.rank[i] = min(below) - 1
        for i in last:
            self.rank[i] = max(self.rank)
        trunks: dict[tuple[int, Hashable], list[int]] = {}
        self.ways: list[list[int]] = []
        self.segments: set[tuple[int, int]] = set()
        for link in links:
            trunk = trunks.setdefault((link.source, link.tensor), [])
            length = self.rank[link.target] - self.rank[link.source] - 1
            while len(trunk) < length:
                self.rank.append(self.rank[link.source] + len(trunk) + 1)
                trunk.append(len(self.rank) - 1)
            way = [link.source, *trunk[:length], link.target]
            self.ways.append(way)
            self.segments.update(pairwise(way))
        self.trunks = list(trunks.values())
        self.above: dict[int, list[int]] = {i: [] for i in range(len(self.rank))}
        self.below: dict[int, list[int]] = {i: [] for i in range(len(self.rank))}
        for a, b in sorted(self.segments):
            self.below[a].append(b)
            self.above[b].append(a)

    def width(self, item: int, sizes: Sequence[Point]) -> float:
        return sizes[item][0] if item < self.count else 0.0


def _ordered(net: _Ranked) -> list[list[int]]:
    """The items of each rank from left to right, with few crossings."""
    rows: list[list[int]] = [[] for _ in range(max(net.rank, default=0) + 1)]
    for item, rank in enumerate(net.rank):  # boxes first: shortcuts start on the right
        rows[rank].append(item)
    best, least = [list(row) for row in rows], _crossings(net, rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = net.above if down else net.below
        for row in rows[1:] if down else rows[-2::-1]:
            place = {item: i for other in rows for i, item in enumerate(other)}

            def mean(item: int, place: dict[int, int] = place, near: dict[int, list[int]] = neighbours) -> float:
                return sum(place[n] for n in near[item]) / len(near[item]) if near[item] else place[item]

            row.sort(key=mean)
        found = _crossings(net, rows)
        if found < least:
            best, least = [list(row) for row in rows], found
    return best


def _crossings(net: _Ranked, rows: list[list[int]]) -> int:
    """Pairs of segments that cross."""
    total = 0
    for row, below in pairwise(rows):
        place = {item: i for i, item in enumerate(below)}
        ends = [sorted(place[b] for b in net.below[item]) for item in row]
        for i, left in enumerate(ends):
            total += sum(a > b for right in ends[i + 1 :] for a in left for b in right)
    return total


def _placed(net: _Ranked, rows: list[list[int]], widths: list[float], gaps: Gaps) -> list[float]:
    """The horizontal places: sweeps down, to the items above, and up, to those below; each rank by least squares."""

    def pull(a: int, b: int) -> float:
        """Long edges are kept straight; where they meet a box they give way to the chain of boxes."""
        invisible = (a >= net.count) + (b >= net.count)
        return (1.0, 1e-4, 8.0)[invisible]

    def half(item: int) -> float:
        return widths[item] / 2 if item < net.count else 0.0

    def gap(a: int, b: int) -> float:
        return half(a) + half(b) + (gaps.boxes if a < net.count and b < net.count else gaps.edges)

    x = [0.0] * len(net.rank)
    for row in rows:
        offsets = [0.0]
        for a, b in pairwise(row):
            offsets.append(offsets[-1] + gap(a, b))
        for item, offset in zip(row, offsets, strict=True):
            x[item] = offset - offsets[-1] / 2
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            wanted, weights = [], []
            for item in row:
                near = net.above[item] if down else net.below[item]
                pulls = [pull(item, n) for n in near]
                total = sum(pulls)
                wanted.append(sum(p * x[n] for p, n in zip(pulls, near, strict=True)) / total if total else x[item])
                weights.append(1.0 if item < net.count else 1e-3)  # a box stays, an edge moves aside
            separations = [gap(a, b) for a, b in pairwise(row)]
            for item, place in zip(row, _separated(wanted, weights, separations), strict=True):
                x[item] = place
    for sign in (1, -1):
        _straighten(net, [row[::sign] for row in rows], x, gap, sign)
    return x


def _straighten(
    net: _Ranked, rows: list[list[int]], x: list[float], gap: Callable[[int, int], float], sign: int
) -> None:
    """Make the long edges beside all boxes straight lines: at the right with sign 1; rows and x mirrored with sign -1.

    A line is as near to the boxes as its neighbours on their side allow. Two lines that change sides stay as they are.
    """
    outside: dict[int, bool] = {}
    for row in rows:
        last = max((i for i, item in enumerate(row) if item < net.count), default=-1)
        outside |= {item: i > last for i, item in enumerate(row) if item >= net.count}
    lines = [trunk for trunk in net.trunks if trunk and all(outside[item] for item in trunk)]
    of = {item: number for number, trunk in enumerate(lines) for item in trunk}
    before = {b: a for row in rows for a, b in pairwise(row)}
    places = [float("-inf")] * len(lines)
    for _ in range(len(lines) + 1):
        changed = False
        for number, trunk in enumerate(lines):
            for item in trunk:
                a = before.get(item)
                inner = float("-inf") if a is None else places[of[a]] if a in of else sign * x[a]
                if a is not None and inner + gap(a, item) > places[number] + 1e-9:
                    places[number], changed = inner + gap(a, item), True
        if not changed:
            break
    else:
        return
    for trunk, place in zip(lines, places, strict=True):
        for item in trunk:
            x[item] = sign * place if place > float("-inf") else x[item]


def _separated(wanted: list[float], weights: list[float], gaps: list[float]) -> list[float]:
    """Places near the wanted ones, in their order and with the gaps between them: the least sum of weight * distance^2.

    Without the gaps (subtracted first) it is a monotone regression: neighbours in the wrong order move together.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    groups: list[tuple[float, float, int]] = []  # place, weight, members
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        groups.append((want - offset, weight, 1))
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (a, wa, na), (b, wb, nb) = groups[-2:]
            groups[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    places = [place for place, _, count in groups for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]


def _rank_tops(
    net: _Ranked, rows: list[list[int]], sizes: Sequence[Point], gaps: Gaps
) -> tuple[list[float], list[float]]:
    """The top and the height of each rank."""
    heights = [max((sizes[i][1] for i in row if i < net.count), default=0.0) for row in rows]
    tops = [0.0]
    for height in heights[:-1]:
        tops.append(tops[-1] + height + gaps.ranks)
    return tops, heights
