"""`minicnn models`: the table of the nets that there are."""

from __future__ import annotations

import argparse
import csv
import difflib
import json
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from .arguments import Commands, UsageError, command
from .console import DONE

SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "year": lambda row: row.year,
    "params": lambda row: row.params,
    "macs": lambda row: row.macs,
    "top1": lambda row: (row.top1 is None, -(row.top1 or 0)),  # the best first
}
HEADS = ("model", "year", "input", "classes", "parameters", "MACs (millions)", "top-1 (%)")


class Row(NamedTuple):
    """A model: its name, and what the registry has about it."""

    name: str
    year: int
    input: str
    classes: int
    params: int
    macs: int
    top1: float | None


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "models", models)
    one.add_argument(
        "pattern",
        nargs="?",
        default="*",
        metavar="PATTERN",
        help="a part of the names, or a pattern such as 'resnet*_v1'",
    )
    one.add_argument(
        "--sort", choices=SORTS, help="ascending, or for top1 the best first (default: families by their year)"
    )
    one.add_argument("--format", choices=FORMATS, default="text", help="default: text")


def models(options: argparse.Namespace) -> int:
    """List the nets: year, input, classes, parameters, multiply-accumulates (MACs), published top-1 accuracy."""
    from ..models.registry import MODELS

    names = matching(options.pattern, MODELS)
    rows = []
    for name in names:
        entry = MODELS[name]
        size = "x".join(map(str, entry.input_size))
        rows.append(Row(name, entry.year, size, entry.num_classes, entry.params, entry.macs, entry.top1))
    if options.sort:
        rows.sort(key=SORTS[options.sort])
    FORMATS[options.format](rows)
    return DONE


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern fits, or that contain it if it has no *, ? or [; case does not matter.

    Raises:
        UsageError: there is none; the message has similar names.
    """
    known, small = list(names), pattern.lower()
    shell = any(sign in small for sign in "*?[")
    found = [name for name in known if (fnmatchcase(name, small) if shell else small in name)]
    if not found:
        near = difflib.get_close_matches(small.strip("*?"), known, 3, 0.5)
        hint = f"; similar ones are {', '.join(near)}" if near else ""
        raise UsageError(f"no model fits {pattern!r}{hint}; `minicnn models` lists all {len(known)}")
    return found


def _cells(row: Row) -> list[str]:
    """A row as text."""
    top1 = "" if row.top1 is None else f"{row.top1:.2f}"
    numbers = f"{row.params:,}", f"{row.macs / 1e6:,.2f}"
    return [row.name, str(row.year), row.input, str(row.classes), *numbers, top1]


def _text(rows: list[Row]) -> None:
    table = [list(HEADS), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        print("  ".join(padded).rstrip())


def _markdown(rows: list[Row]) -> None:
    for cells in (list(HEADS), ["---", *["---:"] * (len(HEADS) - 1)], *map(_cells, rows)):
        print(f"| {' | '.join(cells)} |")


def _csv(rows: list[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)


def _json(rows: list[Row]) -> None:
    print(json.dumps([row._asdict() for row in rows], indent=2))


FORMATS = {"text": _text, "csv": _csv, "json": _json, "markdown": _markdown}
