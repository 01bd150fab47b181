"""Boxes in frames: each frame is around its boxes and nothing else, and edges run through no box that is not theirs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from minicnn.visualize.layers import Link, layered
from minicnn.visualize.nested import Nested, Rectangle, nested


def of_box(found: Nested, sizes: list[tuple[float, float]], i: int) -> Rectangle:
    (x, y), (w, h) = found.centres[i], sizes[i]
    return Rectangle(x - w / 2, y - h / 2, w, h)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def inside(a: Rectangle, b: Rectangle) -> bool:
    e = 1e-9
    right, below = a.x + a.width <= b.x + b.width + e, a.y + a.height <= b.y + b.height + e
    return a.x >= b.x - e and a.y >= b.y - e and right and below


def check(found: Nested, sizes: list[tuple[float, float]], frames: list[list[str]], links: list[Link]) -> None:
    """All that must hold for every drawing."""
    boxes = [of_box(found, sizes, i) for i in range(len(sizes))]
    whole = Rectangle(0, 0, found.width, found.height)
    assert set(found.frames) == {frame for around in frames for frame in around}
    for i, box in enumerate(boxes):
        assert inside(box, whole)
        assert not any(overlap(box, other) for other in boxes[i + 1 :])
        for frame, place in found.frames.items():
            assert inside(place, whole)
            assert inside(box, place) if frame in frames[i] else not overlap(box, place)
    for around in frames:
        for outer, inner in pairwise(around):
            assert inside(found.frames[inner], found.frames[outer])
    for link, path in zip(links, found.paths, strict=True):
        (x0, y0), (x1, y1) = path[0], path[-1]
        source, target = boxes[link.source], boxes[link.target]
        assert source.x <= x0 <= source.x + source.width and y0 == pytest.approx(source.y + source.height)
        assert target.x < x1 < target.x + target.width and y1 == pytest.approx(target.y)
        assert len(path) % 2 == 0 and all(b[1] >= a[1] - 1e-9 for a, b in pairwise(path)), "it runs down"
        for (xa, ya), (xb, yb) in list(pairwise(path))[::2]:
            assert xa == pytest.approx(xb), "straight past a rank"
            for i, box in enumerate(boxes):
                if i not in (link.source, link.target):
                    assert not (box.x < xa < box.x + box.width and ya < box.y + box.height and yb > box.y), "past boxes"


def test_a_block_with_a_shortcut() -> None:
    frames = [[], ["net", "block", "a"], ["net", "block", "a"], ["net", "block"], ["net", "block"], ["net"], []]
    sizes = [(1.0, 0.4), (0.8, 0.5), (1.2, 0.4), (1.0, 0.4), (0.6, 0.4), (1.0, 0.3), (0.7, 0.3)]
    links = [Link(0, 2), Link(1, 2), Link(2, 3), Link(3, 4), Link(0, 4), Link(4, 5), Link(5, 6)]
    found = nested(sizes, frames, links, {"a": 3.0})
    check(found, sizes, frames, links)
    assert found.frames["a"].width >= 3.0 and list(found.frames)[:2] == ["net", "block"]
    assert found.centres[0][1] < found.centres[2][1] < found.centres[4][1] < found.centres[6][1]


def test_links_with_one_tensor_share_a_port_and_others_do_not() -> None:
    frames, sizes = [[], [], ["f"], ["f"], []], [(0.5, 0.3)] * 5
    links = [Link(0, 2, "t"), Link(0, 3, "t"), Link(1, 3, "u"), Link(2, 4, "v"), Link(3, 4, "w")]
    found = nested(sizes, frames, links, {})
    check(found, sizes, frames, links)
    top = found.frames["f"].y

    def entry(path: list[tuple[float, float]]) -> float:
        return next(x for x, y in path if y >= top - 1e-9)

    a, b, c = (entry(path) for path in found.paths[:3])
    assert a == pytest.approx(b) and a != pytest.approx(c)


@pytest.mark.parametrize("seed", range(12))
def test_any_graph(seed: int) -> None:
    """Random graphs whose frames are stretches of the order, as calls of modules are."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(4, 16))
    frames: list[list[str]] = [[] for _ in range(count)]
    for depth in range(3):
        start, end = sorted(draw.integers(1, count, 2).tolist())
        for i in range(start, end + 1 if end < count - 1 else end):
            if len(frames[i]) == depth and (depth == 0 or frames[start] == frames[i]):
                frames[i] = [*frames[i], f"{seed}.{depth}"]
    sizes = [(float(w), float(h)) for w, h in draw.uniform(0.3, 1.5, (count, 2))]
    pairs = {(int(draw.integers(0, i)), i) for i in range(1, count) for _ in range(2)}
    links = [Link(a, b, a) for a, b in sorted(pairs)]
    check(nested(sizes, frames, links, {}), sizes, frames, links)


def test_boxes_in_the_first_and_the_last_rank() -> None:
    sizes = [(1.0, 1.0)] * 5
    links = [Link(1, 2), Link(2, 3), Link(0, 3), Link(1, 4)]
    free, kept = layered(sizes, links), layered(sizes, links, first=[0], last=[4])
    rows = [[round(y, 6) for _, y in found.centres] for found in (free, kept)]
    assert rows[0][0] == rows[0][2] == rows[0][4], "just above its target, just below its source"
    assert rows[1][0] == rows[1][1] and rows[1][4] == rows[1][3]
