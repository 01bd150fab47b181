"""A drawn tape in Mermaid and DOT, read again by strict parsers: the same boxes, links and frames, for any name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tapes import formula, odd_graph, residual

from minicnn.visualize import TapeGraph
from minicnn.visualize.graph_words import edge_label, lines


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
