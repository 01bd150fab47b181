"""Figures, files, animations and notebooks of a drawn tape."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path as FilePath

import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image
from tapes import formula, leaf, odd_graph, residual

import minicnn
from minicnn.visualize import graph
from minicnn.visualize.diagram import curve
from minicnn.visualize.graph_figure import backwards
from minicnn.visualize.graph_words import edge_label, lines


def test_the_figure_shows_all_words() -> None:
    for found in (residual(), odd_graph(), formula().at(2)):
        texts = [text.get_text() for text in found.figure().axes[0].texts]
        for box in found.drawn.boxes:
            assert {line.text for line in lines(box, found.look)} <= set(texts)
        assert {frame.title for box in found.drawn.boxes for frame in box.frames} <= set(texts)
        assert {edge_label(link, found.look) for link in found.drawn.links} - {""} <= set(texts)


def test_what_is_wrong_has_a_frame_in_orange() -> None:
    x = leaf(0.0)
    figure = graph(lambda: (x * 1).sqrt() * minicnn.zeros(())).figure()
    frames = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyBboxPatch"]
    titles = [box.title for box in graph(lambda: (x * 1).sqrt() * minicnn.zeros(())).drawn.boxes]
    wrong = [title for title, p in zip(titles, frames, strict=True) if p.get_linewidth() > 2]
    assert titles == ["x", "constant", "Mul", "Sqrt", "Mul", "result"] and wrong == ["x", "Mul"]


def test_a_path_backwards() -> None:
    vertices, codes = curve([(0, 0), (0, 1), (2, 3), (2, 3)])
    there, back = Path(vertices, codes), Path(*backwards(vertices, codes))
    points = [path.to_polygons(closed_only=False)[0] for path in (there, back)]
    assert codes == [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3]
    np.testing.assert_allclose(points[0], points[1][::-1], atol=1e-6)


def test_words_are_inside_their_boxes_at_any_moment() -> None:
    a = leaf(1.5)

    def function() -> minicnn.Tensor:
        y = a * 1.25
        for k in range(6):
            y = y + a * (k + 0.125)
        return y

    found = graph(function)
    boxes = found.drawn.boxes
    for step in (None, 0, 4, found.steps):
        figure = found.at(step).figure()
        figure.canvas.draw()
        axes = figure.axes[0]
        frames = [p.get_window_extent() for p in axes.patches if type(p).__name__ == "FancyBboxPatch"]
        assert len(frames) == len(boxes)
        for text in axes.texts:
            box = text.get_window_extent()
            x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            for frame in frames:
                if frame.contains(x, y):
                    assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1


def test_all_steps_are_drawn_at_the_same_places() -> None:
    found = formula()
    figures = [found.at(step).figure() for step in range(found.steps + 1)]
    assert len({tuple(figure.get_size_inches()) for figure in figures}) == 1
    places = [
        {t.get_text(): t.get_position()[0] for t in figure.axes[0].texts if len(t.get_text()) == 1}
        for figure in figures
    ]
    assert places[0]["a"] == places[3]["a"] != places[0]["b"]
    titles = [figure.axes[0].texts[0].get_text() for figure in figures]
    assert titles[0] == "Step 0 of 3: the backward pass starts at the result."
    assert titles[3] == "Step 3 of 3: Mul receives 2 and sends -6 and 4."
    in_orange = [sum(p.get_linewidth() == 2.0 for p in figure.axes[0].patches) for figure in figures]
    assert in_orange == [1, 2, 2, 2], "the edges along which a gradient flows in this step"


def test_files(tmp_path: FilePath) -> None:
    found = residual(depth=1, title="A net")
    for ending in ("svg", "png", "pdf", "txt", "mmd", "dot", "gif"):
        found.save(tmp_path / "new" / f"net.{ending}")
    folder = tmp_path / "new"
    assert (folder / "net.txt").read_text(encoding="utf-8") == f"{found}\n"
    assert (folder / "net.mmd").read_text(encoding="utf-8") == found.mermaid()
    assert (folder / "net.dot").read_text(encoding="utf-8") == found.dot()
    ElementTree.parse(folder / "net.svg")
    with Image.open(folder / "net.png") as image:
        assert min(image.size) > 300 and np.asarray(image.convert("L")).std() > 5
    with Image.open(folder / "net.gif") as image:
        assert image.n_frames == found.steps + 1  # type: ignore[attr-defined]
    graph(found.tape, out=tmp_path / "whole.svg", step=2)
    assert "Step 2 of 7" in graph(found.tape, step=2).figure().axes[0].texts[0].get_text()


def test_in_a_notebook() -> None:
    found = formula()
    root = ElementTree.fromstring(found.svg())
    assert root.tag.endswith("svg") and found.svg() == found.svg()
    html = found._repr_html_()
    assert html.startswith("<div") and "<svg" in html
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert found._repr_mimebundle_(include=["text/plain"]) == {"text/plain": str(found)} and repr(found) == str(found)
    x = leaf(1.0)
    y = x
    for _ in range(80):
        y = y * 1
    large = graph(y)._repr_html_()
    assert large.startswith("<pre>") and "<svg" not in large


def test_large_graphs() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(700):
        y = y * 1
    found = graph(y, values=False)
    assert len(str(found).splitlines()) > 700
    with pytest.raises(ValueError, match="a drawing of 702 boxes cannot be read; give a depth"):
        found.figure()
    with pytest.raises(ValueError, match="an animation of 700 steps is too long"):
        found.save("a.gif")
