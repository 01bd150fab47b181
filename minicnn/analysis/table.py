"""A small table: rows as data, and the same as text or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import category


@dataclass
class Table:
    """What a comparison returns. `print` shows it; `table["name of a row", "name of a column"]` is one value.

    Attributes:
        title: what is compared.
        columns: the names of the columns; the first one is that of the rows' names.
        rows: one list of values per row, its name first; None where a column does not apply.
        notes: sentences below the table.
    """

    title: str
    columns: list[str]
    rows: list[list[Any]]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"Table: {len(row)} values {row} for {len(self.columns)} columns {self.columns}")

    def __getitem__(self, place: tuple[str, str]) -> Any:
        row, column = place
        for names, name in ((self.names, row), (self.columns, column)):
            if name not in names:
                raise KeyError(f"this table has no {name!r}; there are: {', '.join(names)}")
        return self.rows[self.names.index(row)][self.columns.index(column)]

    @property
    def names(self) -> list[str]:
        """The names of the rows."""
        return [str(row[0]) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        """All values of one column, from top to bottom."""
        return [self[row, name] for row in self.names]

    def __str__(self) -> str:
        cells = [self.columns, *([_shown(value) for value in row] for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]

        def line(texts: Sequence[str]) -> str:
            first, *others = (f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
            return "  ".join([f"{first.strip():<{widths[0]}}", *others]).rstrip()

        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        return "\n".join([self.title, rule, line(cells[0]), rule, *map(line, cells[1:]), rule, *self.notes])

    def markdown(self) -> str:
        """The table in GitHub's Markdown, numbers to the right."""
        escaped = r"\|"
        head = [f"| {' | '.join(self.columns)} |", f"|---|{'---:|' * (len(self.columns) - 1)}"]
        body = [f"| {' | '.join(_shown(value).replace('|', escaped) for value in row)} |" for row in self.rows]
        notes = ["", *self.notes] if self.notes else []
        return "\n".join([f"**{self.title}**", "", *head, *body, *notes])


def printable(text: str) -> str:
    """Return a text on one line: new lines and other control characters as escape sequences."""
    controls = ("Cc", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if category(c) in controls else c for c in text)


def _shown(value: Any) -> str:
    """12345 -> "12,345"; (64, 8, 8) -> "64x8x8"; 7.891 -> "7.89"; None -> ""."""
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
