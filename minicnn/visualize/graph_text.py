"""A tape as a table for the terminal, in the order of the backward pass: what arrives, and what is added where."""

from __future__ import annotations

import textwrap
from bisect import bisect_left
from collections.abc import Sequence

from ..explain.collapsed import Box, Drawn, Link
from ..explain.sums import columns
from ..explain.tape import Leaf, Tape, Value
from .graph_words import Look, gradient_of, parameters_gradient, ranges, reached, saved, term, value_of
from .style import size_of

WIDE = 118  # characters of a line of prose


def table(tape: Tape, drawn: Drawn, look: Look) -> str:
    """The text of a tape: a row for each box in backward order, then the leaves, then what is wrong."""
    count = f"{len(tape.operations)} operation{'s' if len(tape.operations) != 1 else ''}"
    out = [f"{count} from {_leaf_count(tape)} to {tape.result.name or 'the result'}"]
    if look.step is not None:
        out[0] += f"; after step {look.step} of {len(tape.steps)} of the backward pass"
    shown = [box for box in drawn.boxes if box.operations and (look.step is None or reached(box, look.step))]
    order = sorted(shown, key=lambda box: (not box.steps, box.steps[:1], -box.operations[0].number))
    entering: dict[Box, list[Link]] = {box: [] for box in drawn.boxes}
    for link in drawn.links:
        entering[link.target].append(link)
    rows = [row for box in order for row in _rows(box, entering[box], look)]
    if rows:
        out += ["", *_columns(*_used(_header(look), rows))]
    boxes = [box for box in drawn.boxes if box.leaves and not box.operations]
    if leaves := [_leaf_row(box.leaves[0], look) for box in boxes if look.step is None or reached(box, look.step)]:
        head = ["leaf", "kind", "shape", *["value"] * look.values, *["gradient", "from step"] * look.gradients]
        out += ["", *_columns(head, leaves)]
    if look.values and any(value.numbers is None for value in tape.values):
        out += ["", "?: the tape does not keep this value. Give a function that computes the loss, or names={...}."]
    remarks = [*(tape.findings if look.gradients and look.step is None else []), *tape.notes]
    for remark in remarks:
        out += ["", *textwrap.wrap(remark, WIDE)]
    return "\n".join(line.rstrip() for line in out)


def _leaf_count(tape: Tape) -> str:
    kinds = [leaf.kind for leaf in tape.leaves]
    words = {"parameter": "parameter", "input": "input", "frozen": "frozen parameter", "buffer": "buffer"}
    found = [(kinds.count(kind), word) for kind, word in (words | {"constant": "constant"}).items() if kind in kinds]
    return ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in found) or "nothing"


def _header(look: Look) -> list[str]:
    head = ["step", "operation", "in", *["saved"] * look.values, "result", *["value"] * look.values]
    return [*head, "gradient", "sends to"] if look.gradients else head


def _used(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A table without the columns in which nothing stands."""
    used = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return [head[i] for i in used], [[row[i] for i in used] for row in rows]


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["  ".join(row) for row in columns([head, *rows])]
    return [lines[0], "-" * len(lines[0].rstrip()), *lines[1:]]


def _rows(box: Box, entering: list[Link], look: Look) -> list[list[str]]:
    """The rows of a box: one, or as many as it has results, or as it sends gradients."""
    step = ranges(box.steps) if box.steps else "-"
    results = []
    for value in box.values:
        text = [size_of(value.shape) or "scalar"]
        if look.values:
            text.append(value_of(value) or "?")
        if look.gradients:
            text.append(gradient_of(value, look.step) or "-")
        results.append(text)
    sends = _sends(box, entering, look) if look.gradients else []
    if look.gradients and box.error:
        sends.append("failed, see below")
    kept = saved(box) if box.kind == "operation" else ""
    empty = [""] * (1 + look.values + look.gradients)
    rows = []
    for i in range(max(len(results), len(sends), 1)):
        first = [step, box.title, box.within, *[kept] * look.values] if i == 0 else [""] * (3 + look.values)
        row = [*first, *(results[i] if i < len(results) else empty)]
        rows.append([*row, sends[i] if i < len(sends) else ""] if look.gradients else row)
    return rows


def _sends(box: Box, entering: list[Link], look: Look) -> list[str]:
    """The gradients that a box sends, each with what it becomes there: "a: 2", "a: +3 = 5"."""
    found = [(c, link) for link in entering for c in link.contributions]
    found = [(c, link) for c, link in found if look.step is None or c.step <= look.step]
    texts = []
    for c, link in sorted(found, key=lambda pair: (pair[0].step, pair[0].argument)):
        place = bisect_left(link.value.contributions, c[::2], key=lambda one: one[::2])  # step and argument
        text = "" if c.gradient is None else c.gradient.brief()
        if len(link.value.contributions) > 1:
            text = f"+ {term(c)}" if place else text
            text += _sum_after(link.value, place)
        texts.append(f"{_place(link)}: {text}" if text else _place(link))
    if box.kind == "module" and (inside := parameters_gradient(box, look)):
        count = sum(leaf.kind == "parameter" for leaf in box.leaves)
        texts.append(f"{count} parameter{'s' if count > 1 else ''} inside: {inside}")
    return texts


def _sum_after(value: Value, place: int) -> str:
    """What a gradient has added up to after some of its terms: " = 5", or which of the terms this one is."""
    last = len(value.contributions) - 1
    if place == 0:
        return f" (1 of {last + 1})"
    total = value.gradient if place == last else None
    if total is None:
        return f" ({place + 1} of {last + 1})"
    return f" = {total.brief()}"


def _place(link: Link) -> str:
    """Where a gradient goes: the name of the tensor, or the box that made it, with its first step."""
    if link.value.name:
        return link.value.name
    box = link.source
    title = box.title.partition(":")[0] or box.title
    return f"{title} ({ranges(box.steps)})" if box.operations else box.title


def _leaf_row(leaf: Leaf, look: Look) -> list[str]:
    value = leaf.value
    row = [leaf.name or leaf.source or "-", leaf.kind, size_of(value.shape) or "scalar"]
    if look.values:
        row.append("?" if value.numbers is None else value.numbers.spread())
    if look.gradients:
        found, _ = value.until(look.step)
        row += [gradient_of(value, look.step) or "-", ranges(sorted({c.step for c in found}))]
    return row
