"""The boxes of a drawing of a tape: an operation each, or a whole module as one, and the tensors between them.

Since a call of a module is one stretch of time, modules that are one box make no circle: whatever is outside ran before
the call or after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from .tape import Contribution, Frame, Leaf, Operation, Tape, Value


@dataclass(eq=False)
class Box:
    """One box.

    Attributes:
        kind: "operation", "module", a kind of `Leaf`, or "result" for the end.
        title: what it is: the operation, the module, or the name of a leaf, which is short inside its own module.
        frames: the calls of modules around it.
        operations: the operation, or those of the module.
        leaves: the leaf, or the parameters and buffers inside the module.
        values: the tensors that leave it, if something uses them; of the result, the tensor itself.
    """

    kind: str
    title: str
    frames: tuple[Frame, ...] = ()
    operations: list[Operation] = field(default_factory=list, repr=False)
    leaves: list[Leaf] = field(default_factory=list, repr=False)
    values: list[Value] = field(default_factory=list, repr=False)

    @property
    def steps(self) -> list[int]:
        """When the backward pass is in it, in order; not necessarily in a row."""
        return sorted(o.step for o in self.operations if o.step is not None)

    @property
    def within(self) -> str:
        """The dotted name of the innermost module around it, or its class for a net; "" outside of modules."""
        return (self.frames[-1].name or self.frames[-1].kind) if self.frames else ""

    @property
    def error(self) -> str:
        """Why the backward pass ended in it; else ""."""
        return next((o.error for o in self.operations if o.error), "")


class Link(NamedTuple):
    """A tensor between two boxes, and the gradients that came back along it: two if the box uses the tensor twice."""

    source: Box
    target: Box
    value: Value
    contributions: list[Contribution]


class Drawn(NamedTuple):
    """What is drawn: boxes, leaves first and then in the order of the forward pass, and links."""

    boxes: list[Box]
    links: list[Link]


def collapsed(tape: Tape, depth: int | None = None, constants: bool = True) -> Drawn:
    """Return the boxes and links of a tape.

    Args:
        tape: of `recorded`.
        depth: calls of modules that are this deep inside others are one box: 0 is the whole net, 1 its parts. None:
            every operation is a box.
        constants: show tensors that get no gradient.

    Raises:
        ValueError: depth is negative.
    """
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ValueError(f"graph: depth must be 0 (the whole net), a positive number, or None, got {depth!r}")
    home: dict[Operation, Box] = {}
    inner: dict[Frame, Box] = {}
    for operation in tape.operations:
        frames = operation.frames
        if depth is None or len(frames) <= depth:
            home[operation] = Box("operation", operation.name, frames)
        else:
            frame = frames[depth]
            home[operation] = inner.setdefault(frame, Box("module", frame.title, frames[:depth]))
        home[operation].operations.append(operation)
    of_leaf = _leaves(tape, home, constants)
    end = Box("result", tape.result.name or "result", values=[tape.result])
    links = _links(tape, home, of_leaf, end)
    outside = [box for box in of_leaf.values() if not box.operations]
    for link in links:
        if link.source.operations and all(value is not link.value for value in link.source.values):
            link.source.values.append(link.value)
    return Drawn(list(dict.fromkeys([*outside, *home.values(), end])), links)


def _leaves(tape: Tape, home: dict[Operation, Box], constants: bool) -> dict[Leaf, Box]:
    """The boxes of leaves; those inside a module that is one box have that box."""
    users: dict[Leaf, list[Box]] = {leaf: [] for leaf in tape.leaves}
    for operation in tape.operations:
        for one in operation.inputs:
            if isinstance(one.value.maker, Leaf):
                users[one.value.maker].append(home[operation])
    found: dict[Leaf, Box] = {}
    for leaf, boxes in users.items():
        of_module = leaf.kind in ("parameter", "frozen", "buffer") or (bool(leaf.source) and not leaf.name)
        if of_module and boxes and boxes[0].kind == "module" and all(box is boxes[0] for box in boxes):
            boxes[0].leaves.append(leaf)
            found[leaf] = boxes[0]
        elif constants or leaf.kind in ("parameter", "input"):
            frames = _common([box.frames for box in boxes]) if of_module and boxes else ()
            outer = frames[-1].name + "." if frames else ""
            title = leaf.name.removeprefix(outer) or leaf.source or leaf.kind
            found[leaf] = Box(leaf.kind, title, frames, leaves=[leaf], values=[leaf.value])
    return found


def _common(chains: Sequence[tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """The frames around all."""
    same = takewhile(lambda frames: all(frame is frames[0] for frame in frames), zip(*chains, strict=False))
    return tuple(frames[0] for frames in same)


def _links(tape: Tape, home: dict[Operation, Box], of_leaf: dict[Leaf, Box], end: Box) -> list[Link]:
    """The tensors between different boxes, each once."""
    used: dict[tuple[Box, Box, Value], None] = {}
    for operation in tape.operations:
        for one in operation.inputs:
            if (source := _box_of(one.value, home, of_leaf)) is not None and source is not home[operation]:
                used[source, home[operation], one.value] = None
    sent: dict[tuple[Box, Value], list[Contribution]] = {}
    for value in tape.values:
        for c in value.contributions:
            if c.by is not None:
                sent.setdefault((home[c.by], value), []).append(c)
    links = [Link(s, t, value, sent.get((t, value), [])) for s, t, value in used]
    source = _box_of(tape.result, home, of_leaf)
    assert source is not None  # a result is no constant
    return [*links, Link(source, end, tape.result, [c for c in tape.result.contributions if c.by is None])]


def _box_of(value: Value, home: dict[Operation, Box], of_leaf: dict[Leaf, Box]) -> Box | None:
    return of_leaf.get(value.maker) if isinstance(value.maker, Leaf) else home[value.maker]
