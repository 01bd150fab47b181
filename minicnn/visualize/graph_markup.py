"""A tape in the languages of two programs that draw graphs: Mermaid (https://mermaid.js.org), which GitHub shows, and
DOT (https://graphviz.org). Names may contain anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..explain.collapsed import Box, Drawn
from ..explain.tape import Frame
from .diagram import COLOURS
from .graph_words import Look, arrived, edge_label, lines, reached
from .style import GREY, ORANGE, TIMES

GROUPS = {
    "operation": "norm", "module": "block", "parameter": "linear", "input": "conv", "frozen": "shape",
    "buffer": "shape", "constant": "shape", "result": "join",
}  # fmt: skip


def fill_and_edge(kind: str) -> tuple[str, str]:
    """The two colours of a kind of box, as in block diagrams."""
    return COLOURS[GROUPS[kind]]


def mermaid(drawn: Drawn, look: Look) -> str:
    """A flowchart in Mermaid's language: data flow down, and at the arrows are the gradients that come back."""
    name = {box: f"n{i}" for i, box in enumerate(drawn.boxes)}
    out = ["flowchart TB"]

    def write(box: Box, indent: str) -> None:
        text = "<br/>".join(_entities(line.text) for line in lines(box, look))
        open_, close = ("[", "]") if box.operations else ("([", "])")
        out.append(f'{indent}{name[box]}{open_}"{text}"{close}:::{_class(box, look)}')

    def begin(frame: Frame, number: int, indent: str) -> None:
        out.append(f'{indent}subgraph f{number}["{_entities(frame.title)}"]')

    _walk(drawn, write, begin, lambda indent: out.append(f"{indent}end"))
    for i, link in enumerate(drawn.links):
        label = edge_label(link, look)
        middle = f'-->|"{_entities(label)}"|' if label else "-->"
        out.append(f"    {name[link.source]} {middle} {name[link.target]}")
        if look.step is not None and arrived(link, look.step):
            out.append(f"    linkStyle {i} stroke:{ORANGE}")
    for kind in dict.fromkeys(box.kind for box in drawn.boxes):
        fill, edge = fill_and_edge(kind)
        out.append(f"    classDef {kind} fill:{fill},stroke:{edge},color:#222")
    out.append(f"    classDef now fill:#fff,stroke:{ORANGE},stroke-width:3px,color:#222")
    out.append(f"    classDef waiting fill:#fff,stroke:{GREY},stroke-dasharray:4,color:{GREY}")
    return "\n".join(out) + "\n"


def _class(box: Box, look: Look) -> str:
    if look.step is None:
        return box.kind
    return "now" if look.step in box.steps else box.kind if reached(box, look.step) else "waiting"


def _entities(text: str) -> str:
    """Text for a quoted label of Mermaid: what could be read as markup becomes a numbered entity."""
    text = re.sub(rf"[^\w .,:()=/+{TIMES}-]", lambda found: f"#{ord(found[0])};", text)
    return re.sub(r"^([-+]|\d+\.)(?= )", lambda found: "".join(f"#{ord(c)};" for c in found[0]), text)  # no list


def dot(drawn: Drawn, look: Look) -> str:
    """A directed graph in the DOT language: `dot -Tsvg` draws it."""
    name = {box: f"n{i}" for i, box in enumerate(drawn.boxes)}
    out = [
        "digraph tape {",
        '    graph [rankdir=TB, fontname="Helvetica", fontsize=10];',
        '    node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=10];',
        f'    edge [fontname="Helvetica", fontsize=9, fontcolor="{ORANGE}", color="{GREY}"];',
    ]

    def write(box: Box, indent: str) -> None:
        text = "\\n".join(_escaped(line.text) for line in lines(box, look))
        fill, edge = fill_and_edge(box.kind)
        now = look.step is not None and look.step in box.steps
        edge, width = (ORANGE, 3) if now else (edge, 1)
        if look.step is not None and not reached(box, look.step):
            fill, edge = "#FFFFFF", GREY
        colours = f'fillcolor="{fill}", color="{edge}", penwidth={width}'
        out.append(f'{indent}{name[box]} [label="{text}", {colours}];')

    def begin(frame: Frame, number: int, indent: str) -> None:
        out.append(f"{indent}subgraph cluster_{number} {{")
        out.append(f'{indent}    label="{_escaped(frame.title)}"; color="{GREY}";')

    _walk(drawn, write, begin, lambda indent: out.append(f"{indent}}}"))
    for link in drawn.links:
        text = _escaped(edge_label(link, look))
        colour = f', color="{ORANGE}"' if look.step is not None and arrived(link, look.step) else ""
        out.append(f'    {name[link.source]} -> {name[link.target]} [label="{text}"{colour}];')
    return "\n".join([*out, "}"]) + "\n"


def _escaped(text: str) -> str:
    """Text for a quoted string of DOT, where a backslash begins an escape and control characters have no place."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _walk(
    drawn: Drawn, write: Callable[[Box, str], None], begin: Callable[[Frame, int, str], None],
    end: Callable[[str], None],
) -> None:  # fmt: skip
    """Write the boxes inside their frames; each frame is opened once."""
    inside: dict[Frame | None, list[Box | Frame]] = {None: []}
    for box in drawn.boxes:
        for outer, frame in zip((None, *box.frames), box.frames, strict=False):
            if frame not in inside:
                inside[frame] = []
                inside[outer].append(frame)
        inside[box.frames[-1] if box.frames else None].append(box)
    numbers: Iterator[int] = iter(range(len(inside)))

    def level(frame: Frame | None, indent: str) -> None:
        for item in inside[frame]:
            if isinstance(item, Box):
                write(item, indent)
            else:
                begin(item, next(numbers), indent)
                level(item, indent + "    ")
                end(indent)

    level(None, "    ")
