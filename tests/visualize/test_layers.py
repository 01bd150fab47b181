"""The layout of graphs: nothing overlaps, edges run through no box, chains are straight."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.visualize.diagram import curve
from minicnn.visualize.layers import Gaps, Layout, Link, layered

Sizes = list[tuple[float, float]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sizes, list[Link]]:
    """Boxes of many sizes, each but the first with one to three sources."""
    count = draw(st.integers(1, 12))
    sizes = [(draw(st.floats(0.2, 3)), draw(st.floats(0.2, 1))) for _ in range(count)]
    links = []
    for target in range(1, count):
        for source in draw(st.sets(st.integers(0, target - 1), min_size=1, max_size=3)):
            links.append(Link(source, target, draw(st.integers(0, 1))))
    return sizes, links


def points_of(path: list[tuple[float, float]]) -> np.ndarray:
    """Points along the drawn curve."""
    vertices, codes = curve(path)
    found = [np.array([vertices[0]])]
    i, t = 1, np.linspace(0, 1, 20)[:, None]
    while i < len(vertices):
        a = np.array(vertices[i - 1])
        if codes[i] == 4:  # a cubic curve: three more points
            b, c, d = (np.array(v) for v in vertices[i : i + 3])
            found.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
            i += 3
        else:
            found.append(a + t * (np.array(vertices[i]) - a))
            i += 1
    return np.concatenate(found)


def check(sizes: Sizes, links: list[Link], layout: Layout) -> None:
    corners = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(layout.centres, sizes, strict=True)
    ]
    for i, a in enumerate(corners):
        assert a[0] >= -1e-9 and a[2] <= layout.width + 1e-9 and a[1] >= -1e-9 and a[3] <= layout.height + 1e-9
        for b in corners[:i]:
            assert min(a[2], b[2]) - max(a[0], b[0]) < 1e-9 or min(a[3], b[3]) - max(a[1], b[1]) < 1e-9, "boxes overlap"
    for link, path in zip(links, layout.paths, strict=True):
        (sx, sy), (tx, ty) = layout.centres[link.source], layout.centres[link.target]
        assert path[0] == pytest.approx((sx, sy + sizes[link.source][1] / 2))
        assert (
            path[-1][1] == pytest.approx(ty - sizes[link.target][1] / 2)
            and abs(path[-1][0] - tx) <= sizes[link.target][0] / 2
        )
        along = points_of(path)
        for corner in corners:
            inside = (
                (along[:, 0] > corner[0] + 1e-6) & (along[:, 0] < corner[2] - 1e-6)
                & (along[:, 1] > corner[1] + 1e-6) & (along[:, 1] < corner[3] - 1e-6)
            )  # fmt: skip
            assert not inside.any(), f"{link} runs through the box at {corner}"
        assert all(b[1] >= a[1] - 1e-9 for a, b in pairwise(path)), "an edge goes up"


@given(graphs())
def test_nothing_overlaps(graph: tuple[Sizes, list[Link]]) -> None:
    sizes, links = graph
    check(sizes, links, layered(sizes, links))


def test_a_chain_is_straight_and_a_shortcut_passes_it() -> None:
    sizes = [(1.0, 0.4), (2.0, 0.4), (0.5, 0.4), (1.5, 0.4), (0.3, 0.3)]
    links = [Link(0, 1), Link(1, 2), Link(2, 3), Link(3, 4), Link(0, 4)]
    layout = layered(sizes, links)
    check(sizes, links, layout)
    assert np.ptp([x for x, _ in layout.centres]) < 0.01
    beside = [x for x, _ in layout.paths[-1][2:-2]]
    assert np.ptp(beside) < 1e-9 and beside[0] >= layout.centres[1][0] + 1.0 + Gaps().edges - 1e-9


def test_branches_are_side_by_side_under_their_source() -> None:
    sizes = [(1.0, 0.4)] + [(0.8, 0.4)] * 4 + [(2.0, 0.3)]
    links = [Link(0, i) for i in range(1, 5)] + [Link(i, 5) for i in range(1, 5)]
    layout = layered(sizes, links, wide=[5])
    check(sizes, links, layout)
    xs = [layout.centres[i][0] for i in range(1, 5)]
    assert xs == sorted(xs) and len({y for _, y in layout.centres[1:5]}) == 1
    assert layout.centres[0][0] == pytest.approx(np.mean(xs), abs=0.01) == layout.centres[5][0]
    ends = [path[-1][0] for path in layout.paths[4:]]
    assert np.diff(ends) == pytest.approx([0.5] * 3)  # side by side along the bar


def test_edges_of_one_tensor_share_a_trunk() -> None:
    sizes = [(1.0, 0.4)] * 5
    chain = [Link(i, i + 1) for i in range(4)]
    layout = layered(sizes, [*chain, Link(0, 3), Link(0, 4)])
    short, long = layout.paths[-2:]
    assert long[: len(short) - 2] == short[:-2]
    apart = layered(sizes, [*chain, Link(0, 3, "a"), Link(0, 4, "b")])
    assert apart.width > layout.width


def test_links_must_go_down() -> None:
    with pytest.raises(ValueError, match="from a lower to a higher number of 2 boxes"):
        layered([(1, 1), (1, 1)], [Link(1, 0)])
