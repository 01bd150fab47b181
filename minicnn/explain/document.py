"""An explanation as words, tables of numbers and sums; shown as text in a terminal, and as HTML in a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minicnn_kernels.arrays import Array

from .sums import Sum, columns, number

PADDING = "\N{MIDDLE DOT}"


class Grid(NamedTuple):
    """A table of numbers, such as a window of an image.

    Attributes:
        name: above it.
        rows: the numbers as text.
        marked: the cells (row, column) that stand out.
    """

    name: str
    rows: list[list[str]]
    marked: frozenset[tuple[int, int]] = frozenset()


Row = list[Grid | str]  # grids side by side, and the signs between them
Block = str | Row | Sum


def grid(name: str, values: Array, inside: Array | None = None, marked: Iterable[tuple[int, int]] = ()) -> Grid:
    """The grid of an array (H, W); cells that are not `inside` are padding, a dot."""
    rows = [
        [number(v) if inside is None or inside[i, j] else PADDING for j, v in enumerate(row)]
        for i, row in enumerate(values.tolist())
    ]
    return Grid(name, rows, frozenset(marked))


@dataclass
class Section:
    """One number, and where it comes from.

    Attributes:
        sum: the number as a sum of products.
        blocks: words, rows of grids, and the sum itself where its terms are shown one by one.
    """

    sum: Sum
    blocks: list[Block]


@dataclass
class Explanation:
    """What `explain` returns. `print` shows it as text, a notebook as tables.

    Attributes:
        title: the layer.
        sections: a section for each cell that was asked for.
        trace: of the layer: all arrays of the forward and backward pass, with axes of batches of images.
    """

    title: str
    sections: list[Section]
    trace: Any = field(repr=False)

    @property
    def sums(self) -> list[Sum]:
        """The sums of all sections, in order; each has its terms as arrays."""
        return [section.sum for section in self.sections]

    def __str__(self) -> str:
        lines = [self.title]
        for section in self.sections:
            lines += ["", section.sum.name, "-" * len(section.sum.name)]
            for block in section.blocks:
                lines += ["", *text_of(block)]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<h3>{html.escape(self.title)}</h3>"]
        for section in self.sections:
            parts.append(f"<h4>{html.escape(section.sum.name)}</h4>")
            parts += [html_of(block) for block in section.blocks]
        return f'<div style="font-family: sans-serif">{"".join(parts)}</div>'


def text_of(block: Block) -> Iterator[str]:
    """The lines of a block, as text."""
    if isinstance(block, Sum):
        yield from (f"    {line}" for line in block.lines())
    elif isinstance(block, str):
        yield from textwrap.wrap(block, 100)
    else:
        yield from (f"    {line}" for line in _beside(block))


def _beside(row: Row) -> list[str]:
    """Grids side by side; a sign stands in the middle of the rows."""
    height = max((len(part.rows) for part in row if isinstance(part, Grid)), default=0)
    lines = [""] * (height + 1)
    for part in row:
        added = _grid_lines(part, height) if isinstance(part, Grid) else _sign_lines(part, height)
        width = max(map(len, added))
        lines = [before + more.ljust(width) for before, more in zip(lines, added, strict=True)]
    return lines


def _grid_lines(part: Grid, height: int) -> list[str]:
    cells = [
        [f"[{text}]" if (i, j) in part.marked else f" {text} " for j, text in enumerate(row)]
        for i, row in enumerate(part.rows)
    ]
    lines = ["".join(row) for row in columns(cells, right=True)]
    return [part.name, *lines, *[""] * (height - len(lines))]


def _sign_lines(sign: str, height: int) -> list[str]:
    middle = (height - 1) // 2
    return ["", *[f"   {sign}   " if i == middle else "" for i in range(height)]]


_TABLE = "border-collapse: collapse; display: inline-table; vertical-align: middle; margin: 4px"
_CELL = "border: 1px solid #ccc; padding: 2px 6px; text-align: right"


def html_of(block: Block) -> str:
    """A block as HTML."""
    if isinstance(block, Sum):
        return f"<pre>{html.escape(chr(10).join(block.lines()))}</pre>"
    if isinstance(block, str):
        return f"<p>{html.escape(block)}</p>"
    parts = []
    for part in block:
        if isinstance(part, str):
            parts.append(f"<span>&nbsp;{html.escape(part)}&nbsp;</span>")
            continue
        body = "".join(
            f"<tr>{''.join(_html_cell(text, (i, j) in part.marked) for j, text in enumerate(row))}</tr>"
            for i, row in enumerate(part.rows)
        )
        parts.append(f'<table style="{_TABLE}"><caption>{html.escape(part.name)}</caption>{body}</table>')
    return f"<div>{''.join(parts)}</div>"


def _html_cell(text: str, marked: bool) -> str:
    style = _CELL + ("; background: #f5c242" if marked else "")
    return f'<td style="{style}">{html.escape(text)}</td>'


def listed(values: Sequence[float] | Array, most: int = 16) -> str:
    """Numbers in brackets; only the first of them if there are many."""
    texts = [number(v) for v in values[:most]]
    more = f" ... {len(values)} numbers" if len(values) > most else ""
    return f"[{' '.join(texts)}{more}]"
