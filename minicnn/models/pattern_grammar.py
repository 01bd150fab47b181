"""The language of one line for convolutional nets: text to layers, with errors that point at the place.

    net    = piece, then more of "-" piece        "->" and "," separate too, as slides have them
    piece  = layer or "(" net ")", then "*" count to repeat it, and "?" if it can be left out; also [ ] and { }
    count  = a number, or a letter whose value is given with the text
    layer  = name, kernel size, "-" width, options: CONV3x3-64s2p1

What each layer is, `pattern.py` knows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import NamedTuple

# What may follow a name: K a kernel size, W a width, P a probability, and the letters of options.
NAMES = {
    "CONV": "KWspdg", "POOL": "Ksp", "MAXPOOL": "Ksp", "AVGPOOL": "Ksp", "GAP": "", "FC": "W", "BN": "", "LRN": "",
    "DROPOUT": "P", "RELU": "", "TANH": "", "SIGMOID": "", "LEAKYRELU": "", "ELU": "", "GELU": "", "SILU": "",
    "FLATTEN": "", "INPUT": "", "SOFTMAX": "",
}  # fmt: skip
OPTIONS = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
MOST_LAYERS, MOST_BRACKETS = 10_000, 50
CLOSING = {"(": ")", "[": "]", "{": "}"}
LAYER = re.compile(
    r"([A-Za-z]+)(\d+\.?\d*|\.\d+)?(?:[x\u00d7](\d+))?((?:[a-z]\d+)*)(?:-(\d+|CLASSES\b))?((?:[a-z]\d+)*)", re.I
)
SEPARATOR = re.compile(r"\s*(->|-|,)\s*")


class PatternError(ValueError):
    """A text that is no net. The message shows the text and points at the place.

    Attributes:
        text: the whole text.
        position: the index of the character at fault.

    >>> minicnn.models.conv_net("CONV-POOL-POOL-POOL-FC", (1, 4, 4))
    Traceback (most recent call last):
        ...
    minicnn.models.pattern_grammar.PatternError: conv_net: POOL does not fit the shape here, (32, 1, 1): ...
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        self.text, self.position = text, position
        super().__init__(f"{problem}\n    {text}\n    {' ' * position}^ character {position + 1}")


class Layer(NamedTuple):
    """One layer of the text; None stands for what the text leaves out.

    Attributes:
        name: in capitals.
        kernel: height and width.
        width: channels or outputs; "CLASSES" for the number of classes.
        options: values by letter.
        share: the probability of dropout.
        position, source: where it starts in the text, and what is there.
    """

    name: str
    kernel: tuple[int, int] | None
    width: int | str | None
    options: dict[str, int]
    share: float | None
    position: int
    source: str


class Group(NamedTuple):
    """A part in brackets, or a layer: how often it is there, a number or a letter, and whether it can be left out."""

    body: list[Node]
    times: int | str
    optional: bool
    position: int


Node = Layer | Group


class Parser:
    """Recursive descent through one text: `Parser(text).parse()` is the list of its pieces."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"conv_net: the net is a text: '(CONV-RELU-POOL)*2-SOFTMAX', got a {type(text).__name__}")
        self.text = re.sub(r"\s", " ", text)
        self.at = 0

    def parse(self) -> list[Node]:
        """Read the whole text."""
        nodes = self.chain(0)
        if self.at < len(self.text):
            found = self.text[self.at]
            problem = f"{found!r} closes nothing" if found in ")]}" else f"{found!r} does not continue the net"
            raise self.error(f"{problem}; after a piece come '-', '*', '?', or the end")
        return nodes

    def error(self, problem: str, position: int | None = None) -> PatternError:
        """An error at a position, else at the present one."""
        return PatternError(self.text, self.at if position is None else position, f"conv_net: {problem}")

    def chain(self, depth: int) -> list[Node]:
        """piece, then more of "-" piece."""
        nodes = [self.piece(depth)]
        while separator := SEPARATOR.match(self.text, self.at):
            self.at = separator.end()
            nodes.append(self.piece(depth))
        self.skip()
        return nodes

    def piece(self, depth: int) -> Node:
        """A layer or brackets, with what follows it: "*" count, "?"."""
        self.skip()
        start = self.at
        opening = self.text[start : start + 1]
        body: list[Node] = self.brackets(opening, depth) if opening in CLOSING else [self.layer()]
        count: int | str = 1
        repeated = optional = False
        while (mark := self.text[self.at : self.at + 1]) in ("*", "?") and mark:
            if repeated if mark == "*" else optional:
                raise self.error(f"a second {mark!r} at one piece; put brackets around the first")
            self.at += 1
            if mark == "*":
                count, repeated = self.count(), True
            else:
                optional = True
        plain = len(body) == 1 and not repeated and not optional
        return body[0] if plain else Group(body, count, optional, start)

    def brackets(self, opening: str, depth: int) -> list[Node]:
        """The net in brackets."""
        start = self.at
        if depth >= MOST_BRACKETS:
            raise self.error(f"more than {MOST_BRACKETS} brackets inside each other")
        self.at += 1
        body = self.chain(depth + 1)
        if self.text[self.at : self.at + 1] != CLOSING[opening]:
            found = repr(self.text[self.at]) if self.at < len(self.text) else "the end of the text"
            raise self.error(f"{opening!r} at character {start + 1} needs its {CLOSING[opening]!r}, found {found}")
        self.at += 1
        return body

    def count(self) -> int | str:
        """A number, or one letter."""
        found = re.compile(r"\s*(\d+|[A-Za-z])(?![A-Za-z0-9])").match(self.text, self.at)
        if not found:
            raise self.error("after '*' comes a number, or a letter whose value is given: conv_net(..., N=2)")
        self.at = found.end()
        return int(found[1]) if found[1].isdecimal() else found[1].upper()

    def layer(self) -> Layer:
        """A name with its sizes."""
        start = self.at
        found = LAYER.match(self.text, start)
        if not found:
            missing = repr(self.text[start]) if start < len(self.text) else "the end of the text"
            raise self.error(f"a layer or brackets must be here, found {missing}; the layers are {', '.join(NAMES)}")
        name = found[1].upper()
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            if name[:-1] in NAMES and name[-1].lower() in OPTIONS:
                hint = f"write the kernel size before its options: {name[:-1]}3{found[1][-1].lower()}{found[2] or 2}. "
            raise self.error(f"there is no layer {found[1]!r}: {hint}The layers are {', '.join(NAMES)}")
        self.at = found.end()
        takes, number, other = NAMES[name], found[2], found[3]
        if (number and not {"K", "P"} & set(takes)) or (found[5] and "W" not in takes):
            raise self.error(f"{name} takes no {'size' if number else 'width'}: {found[0]!r}", start)
        if "P" in takes and (other or not 0 <= float(number or 0.5) < 1):
            raise self.error(f"{name} takes a probability from 0 to below 1: {name}0.5, got {found[0]!r}", start)
        kernel = None
        if "K" in takes and number:
            if not number.isdecimal() or min(int(number), int(other or number)) < 1:
                raise self.error(f"a kernel size is a positive whole number, got {found[0]!r}", start)
            kernel = int(number), int(other or number)
        if found[5] == "0":
            raise self.error(f"a width is a positive whole number, got {found[0]!r}", start)
        width = "CLASSES" if (found[5] or "").upper() == "CLASSES" else int(found[5]) if found[5] else None
        share = float(number or 0.5) if "P" in takes else None
        return Layer(name, kernel, width, self.options(found[4] + found[6], takes, start), share, start, found[0])

    def options(self, text: str, takes: str, start: int) -> dict[str, int]:
        """Letters with numbers: s2p1."""
        pairs = re.findall(r"([a-z])(\d+)", text, re.I)
        for letter, _ in pairs:
            if letter.lower() not in takes:
                known = ", ".join(f"{key} ({word})" for key, word in OPTIONS.items() if key in takes) or "none"
                raise self.error(f"this layer has no option {letter!r}; its options: {known}", start)
        return {letter.lower(): int(number) for letter, number in pairs}

    def skip(self) -> None:
        """Pass over spaces."""
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1


def letters(nodes: list[Node]) -> set[str]:
    """The letters that count something."""
    groups = [node for node in nodes if isinstance(node, Group)]
    return {g.times for g in groups if isinstance(g.times, str)}.union(*(letters(g.body) for g in groups))


def expand(text: str, nodes: list[Node], counts: Mapping[str, int], optional: bool) -> list[Layer]:
    """The layers one after another, with the values of the letters; parts with "?" are there if `optional` is true."""
    layers: list[Layer] = []
    for node in nodes:
        if isinstance(node, Layer):
            layers.append(node)
        elif optional or not node.optional:
            if isinstance(node.times, str) and node.times not in counts:
                problem = f"conv_net: {node.times} has no value; give it: conv_net(..., {node.times}=2)"
                raise PatternError(text, node.position, problem)
            count = counts[node.times] if isinstance(node.times, str) else node.times
            body = expand(text, node.body, counts, optional)
            if len(layers) + count * len(body) > MOST_LAYERS:
                problem = f"conv_net: more than {MOST_LAYERS:,} layers; use smaller counts"
                raise PatternError(text, node.position, problem)
            layers += count * body
    return layers
