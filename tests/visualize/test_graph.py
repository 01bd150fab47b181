"""The drawn tape: words, table, Mermaid, DOT, figure and animation say what the tape says, for any name."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image

import minicnn
from minicnn import nn
from minicnn.explain import recorded
from minicnn.explain.collapsed import Drawn
from minicnn.nn import functional as F
from minicnn.visualize import TapeGraph, graph
from minicnn.visualize.diagram import curve
from minicnn.visualize.graph_figure import backwards
from minicnn.visualize.graph_words import Look, edge_label, lines

ODD = 'a "b" [c] {d} <e> #f; `g` \\n \\ h|i (ü\N{SNOWMAN}) % & $x_1$'


def leaf(*values: float) -> minicnn.Tensor:
    return minicnn.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True)


def formula() -> TapeGraph:
    a, b, c = leaf(2.0), leaf(-3.0), leaf(10.0)
    return graph(lambda: (a * b + c) * a)


class Residual(nn.Module):
    """x + relu(a(x)), with a layer that is called once."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu = nn.Linear(2, 2, bias=False), nn.ReLU()

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        return x + self.relu(self.a(x))


def residual(**options: Any) -> TapeGraph:
    net = nn.Sequential(Residual(), Residual())
    for module in (net[0].a, net[1].a):
        module.weight.data.fill_(1.0)
    x = minicnn.tensor([[1.0, 2.0]], requires_grad=True)
    return graph(lambda: net(x).sum(), net, **options)


def words(drawn: Drawn, title: str, look: Look | None = None) -> list[str]:
    """The lines of the first box with a title."""
    box = next(box for box in drawn.boxes if box.title == title)
    return [line.text for line in lines(box, look or Look())][1:]


# ------------------------------------------------------------------------------------------------------------ words


def test_the_boxes_of_a_formula() -> None:
    found = formula()
    assert [box.title for box in found.drawn.boxes] == ["a", "b", "c", "Mul", "Add", "Mul", "result"]
    assert words(found.drawn, "a") == ["2", "gradient 4 + (-6) = -2"]
    assert words(found.drawn, "Mul") == ["step 3", "saved 2, -3", "-6", "gradient 2"]
    assert words(found.drawn, "result") == ["8", "the gradient starts as 1"]
    labels = {(link.source.title, link.target.title): edge_label(link, Look()) for link in found.drawn.links}
    assert labels["a", "Mul"] == "4" and labels["Add", "Mul"] == "2" and labels["Mul", "result"] == "1"


def test_the_boxes_after_a_step() -> None:
    found = formula()
    assert words(found.drawn, "a", Look(step=0)) == ["2"]
    assert words(found.drawn, "a", Look(step=1)) == ["2", "gradient 4 + ..."]
    assert words(found.drawn, "Add", Look(step=1)) == ["step 2", "4", "gradient 2"]
    assert words(found.drawn, "b", Look(step=2)) == ["-3"]
    assert words(found.drawn, "a", Look(values=False, gradients=False)) == []


def test_the_words_of_larger_tensors_and_hooks() -> None:
    x = minicnn.ones(2, 3, requires_grad=True)
    x.register_hook(lambda g: g * 2)
    found = graph((x * 2).sum(), names={"x": x})
    assert words(found.drawn, "x") == [
        "2\N{MULTIPLICATION SIGN}3", "mean 1, std 0", "gradient norm 4.9, after a hook norm 9.8, mean 4, std 0",
    ]  # fmt: skip


def test_several_results_are_numbered() -> None:
    p = leaf(1.0, 2.0)

    def both() -> minicnn.Tensor:
        first, second = p.unbind()
        return first * second

    assert words(graph(both).drawn, "Unbind")[1:] == ["0 = 1", "0: gradient 2", "1 = 2", "1: gradient 1"]


# ------------------------------------------------------------------------------------------------------------ depth


def test_modules_as_boxes() -> None:
    found = residual(depth=1)
    boxes = {box.title: box for box in found.drawn.boxes}
    assert list(boxes) == ["x", "0: Residual", "1: Residual", "Sum", "result"]
    first = boxes["0: Residual"]
    assert first.kind == "module" and [o.name for o in first.operations] == ["Linear", "Relu", "Add"]
    assert [leaf.name for leaf in first.leaves] == ["0.a.weight"] and first.steps == [5, 6, 7]
    assert [edge_label(link, Look()) for link in found.drawn.links] == [
        "[[3 3]] + [[6 6]]",
        "[[1 1]] + [[2 2]]",
        "[[1 1]]",
        "1",
    ]
    assert words(found.drawn, "0: Residual")[0] == "steps 5 to 7, 3 operations, 4 parameters, 1\N{MULTIPLICATION SIGN}2"
    assert "gradient of its parameters: norm 9.49" in words(found.drawn, "0: Residual")
    assert [box.title for box in residual(depth=0).drawn.boxes] == ["x", "Sequential", "Sum", "result"]


def test_frames_without_a_depth() -> None:
    boxes = {box.title: box for box in residual().drawn.boxes}
    assert [frame.title for frame in boxes["weight"].frames] == ["Sequential", "1: Residual", "1.a: Linear"]
    assert boxes["x"].frames == () and boxes["Add"].within == "1"


def test_a_parameter_of_two_modules_is_between_them() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    net[2].weight = net[0].weight
    found = graph(lambda: net(minicnn.ones(1, 2)).sum(), net, depth=1)
    (shared,) = [box for box in found.drawn.boxes if box.kind == "parameter"]
    assert shared.title == "0.weight" and [frame.kind for frame in shared.frames] == ["Sequential"]
    assert [link.target.title for link in found.drawn.links if link.source is shared] == ["0: Linear", "2: Linear"]


def test_constants_may_be_left_out() -> None:
    w = leaf(1.0)
    assert "constant" in [box.kind for box in graph(lambda: w * minicnn.ones(())).drawn.boxes]
    found = graph(lambda: w * minicnn.ones(()), constants=False)
    assert [box.kind for box in found.drawn.boxes] == ["input", "operation", "result"]


# ------------------------------------------------------------------------------------------------------------ table


def test_the_table() -> None:
    assert (
        str(formula())
        == """\
3 operations from 3 inputs to the result

step  operation  saved  result  value  gradient  sends to
---------------------------------------------------------
1     Mul        4, 2   scalar  8      1         Add (2): 2
                                                 a: 4 (1 of 2)
2     Add               scalar  4      2         Mul (3): 2
                                                 c: 2
3     Mul        2, -3  scalar  -6     2         a: + (-6) = -2
                                                 b: 4

leaf  kind   shape   value  gradient       from step
----------------------------------------------------
a     input  scalar  2      4 + (-6) = -2  1, 3
b     input  scalar  -3     4              3
c     input  scalar  10     2              2"""
    )


def test_the_table_after_a_step_and_of_modules() -> None:
    text = str(formula().at(1))
    assert text.startswith("3 operations from 3 inputs to the result; after step 1 of 3 of the backward pass")
    assert "4 + ..." in text and "Mul (3)" not in text
    text = str(residual(depth=1))
    row = next(line for line in text.splitlines() if "1: Residual" in line)
    assert row.split()[:4] == ["2-4", "1:", "Residual", "Sequential"] and "0 (5-7): [[1 1]] (1 of 2)" in row
    assert "0 (5-7): + [[2 2]] = [[3 3]]" in text and "1 parameter inside: norm 9.49" in text


def test_the_table_counts_the_terms_of_a_sum() -> None:
    a = leaf(2.0)
    text = str(graph(lambda: a * 3 + a * 5 + a))
    assert [line.split("a: ")[1] for line in text.splitlines() if "a: " in line] == [
        "1 (1 of 3)",
        "+ 5 (2 of 3)",
        "+ 3 = 9",
    ]


def test_the_table_says_what_is_wrong() -> None:
    x = leaf(4.0, 0.0)
    text = str(graph((x.sqrt() * 0).sum()))
    assert "1 NaN of 2; what arrives is finite" in text.replace("\n", " ") and "?: the tape does not keep" in text
    loss = (x * x).sum()
    loss.backward()
    text = str(graph(loss))
    assert "failed, see below" in text and "freed" in text and "Step 2, Mul: the backward pass ended here." in text


# ---------------------------------------------------------------------------------------------- Mermaid and DOT, parsed


def odd_graph() -> TapeGraph:
    """Names that mean something in every language."""
    net = nn.ModuleDict({ODD.replace(".", ""): Residual(), "- 1 end": Residual()})
    x = minicnn.ones(1, 2, requires_grad=True)

    def run() -> minicnn.Tensor:
        y = x
        for module in net.values():
            y = module(y)
        return y.sum()

    return graph(run, net, names={ODD: x, "subgraph\nend": x})


def parsed_mermaid(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]], list[str]]:
    """The labels of the nodes, the edges with their labels, and the titles of the frames. Strict: no other line."""
    first, *rest = text.splitlines()
    assert first == "flowchart TB"
    nodes, edges, frames, open_, classes = {}, [], [], 0, set()
    label = r'"([^"`<>\[\]{}|\\&]*(?:<br/>[^"`<>\[\]{}|\\&]*)*)"'
    for line in rest:
        line = line.strip()
        if found := re.fullmatch(rf"(n\d+)(?:\[{label}\]|\(\[{label}\]\)):::(\w+)", line):
            assert found[1] not in nodes
            nodes[found[1]] = decoded(found[2] if found[2] is not None else found[3])
            classes.add(found[4])
        elif found := re.fullmatch(rf"(n\d+) -->(?:\|{label}\|)? (n\d+)", line):
            edges.append((found[1], found[3], decoded(found[2] or "")))
        elif found := re.fullmatch(rf"subgraph f\d+\[{label}\]", line):
            frames.append(decoded(found[1]))
            open_ += 1
        elif line == "end":
            open_ -= 1
            assert open_ >= 0
        elif found := re.fullmatch(r"classDef (\w+) [\w:#,;-]+", line):
            classes.discard(found[1])
        else:
            assert re.fullmatch(r"linkStyle \d+ stroke:#\w+", line), line
    assert open_ == 0 and not classes and all({a, b} <= set(nodes) for a, b, _ in edges)
    return nodes, edges, frames


def decoded(label: str) -> str:
    for part in label.split("<br/>"):
        assert not re.match(r"([-+*]|\d+\.) ", part), "Mermaid takes it for a list"
        assert "#" not in re.sub(r"#\d+;", "", part)
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label.replace("<br/>", "\n"))


def parsed_dot(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]], list[str]]:
    """The same of DOT, by its grammar: https://graphviz.org/doc/info/lang.html."""
    tokens = re.findall(r'"(?:[^"\\\n]|\\.)*"|->|[{}\[\]=,;]|[\w.]+|\S', text)
    assert "".join(tokens).replace(" ", "") == re.sub(r"\s", "", text)
    at = 0

    def take(expected: str | None = None) -> str:
        nonlocal at
        token = tokens[at]
        assert expected is None or token == expected, (token, expected)
        assert re.fullmatch(r'"(?:[^"\\]|\\.)*"|->|[{}\[\]=,;]|[A-Za-z_]\w*|-?(?:\.\d+|\d+(?:\.\d*)?)', token), token
        at += 1
        return token

    def attributes() -> dict[str, str]:
        found = {}
        take("[")
        while tokens[at] != "]":
            key = take()
            take("=")
            found[key] = take()
            if tokens[at] == ",":
                take(",")
        take("]")
        return found

    nodes: dict[str, str] = {}
    edges: list[tuple[str, str, str]] = []
    frames: list[str] = []

    def plain(quoted: str) -> str:
        return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), quoted[1:-1])

    def statements() -> None:
        take("{")
        while tokens[at] != "}":
            word = take()
            if word == "subgraph":
                assert take().startswith("cluster_")
                statements()
                continue
            if tokens[at] == "=":
                take("=")
                value = take()
                if word == "label":
                    frames.append(plain(value))
            elif tokens[at] == "->":
                take("->")
                target = take()
                edges.append((word, target, plain(attributes()["label"])))
            elif word in ("graph", "node", "edge"):
                attributes()
            else:
                assert word not in nodes
                nodes[word] = plain(attributes()["label"])
            take(";")
        take("}")

    take("digraph")
    take()
    statements()
    assert at == len(tokens) and all({a, b} <= set(nodes) for a, b, _ in edges)
    return nodes, edges, frames


def expected(found: TapeGraph) -> tuple[list[str], list[tuple[str, str, str]], set[str]]:
    names = {box: f"n{i}" for i, box in enumerate(found.drawn.boxes)}
    texts = ["\n".join(line.text for line in lines(box, found.look)) for box in found.drawn.boxes]
    edges = [(names[one.source], names[one.target], edge_label(one, found.look)) for one in found.drawn.links]
    return texts, edges, {frame.title for box in found.drawn.boxes for frame in box.frames}


GRAPHS = {"formula": formula, "step": lambda: formula().at(2), "modules": residual, "odd": odd_graph}


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_mermaid(make: Any) -> None:
    found = make()
    texts, edges, frames = expected(found)
    nodes, links, titles = parsed_mermaid(found.mermaid())
    assert [nodes[f"n{i}"] for i in range(len(nodes))] == texts and links == edges
    assert set(titles) == frames and len(titles) == len(frames)


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_dot(make: Any) -> None:
    found = make()
    texts, edges, frames = expected(found)
    nodes, links, titles = parsed_dot(found.dot())
    assert [nodes[f"n{i}"] for i in range(len(nodes))] == texts and links == edges
    assert set(titles) == frames and len(titles) == len(frames)


# ----------------------------------------------------------------------------------------------------- figures, files


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


def test_a_residual_net_by_its_blocks() -> None:
    net, x, y = minicnn.models.resnet20(), minicnn.randn(1, 3, 32, 32), minicnn.tensor([3])
    found = graph(lambda: F.cross_entropy(net(x), y), net, depth=2)
    blocks = [box for box in found.drawn.boxes if box.title.endswith("BasicBlock")]
    assert len(blocks) == 9 and {len(box.operations) for box in blocks} == {7, 9}
    assert sorted(step for box in found.drawn.boxes for step in box.steps) == list(range(1, found.steps + 1))
    found.figure()
    later = graph(F.cross_entropy(net(x), y), net, depth=2)
    assert [box.title for box in later.drawn.boxes if "BasicBlock" in box.title] == [box.title for box in blocks]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: formula().at(9), ValueError, "step must be a whole number from 0 to 3, got 9"),
        (lambda: formula().at(True), ValueError, "step must be a whole number"),
        (lambda: graph(leaf(1.0) * 2, gradients=False, step=1), ValueError, "no backward pass was followed"),
        (lambda: graph(leaf(1.0) * 2, depth=-1), ValueError, "depth must be 0"),
        (lambda: formula().save("a.xyz"), ValueError, r"must end in one of.*for a graph also \.txt"),
        (lambda: formula().animate("a.png"), ValueError, r"must end in \.gif"),
        (lambda: graph(recorded(leaf(1.0) * 2), grad=minicnn.ones(())), TypeError, "grad has no effect"),
        (lambda: graph(minicnn.ones(2)), RuntimeError, "graph: the tensor does not require a gradient"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
