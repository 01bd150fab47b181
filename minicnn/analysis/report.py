"""A summary as text, Markdown, CSV, JSON and HTML."""

from __future__ import annotations

import csv as tables
import html as markup
import io
import json as notation
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .table import printable

if TYPE_CHECKING:
    from .summary import Layer, Summary

MIB = 2**20
# Functions that only move numbers: shown if everything is.
_MOVES = {"permute", "slice", "expand", "split", "unbind", "clone", "to", "overwritten", "identity"}


class Column(NamedTuple):
    """A column: its title, its name in CSV, the value, and how it is shown."""

    title: str
    name: str
    value: Callable[[Layer], Any]
    always: bool = False  # also shown with verbose=1
    left: bool = False


def _field(layer: Layer, attribute: str) -> str:
    if layer.field is None or (attribute != "size" and len(layer.output) < 2):
        return ""
    a, b = (f"{x:g}" for x in getattr(layer.field, attribute))
    return (a if a == b else f"{a}x{b}") + ("+" if attribute == "size" and layer.field.context else "")


COLUMNS = [
    Column("Param #", "parameters", lambda layer: layer.parameters, always=True),
    Column("MACs", "macs", lambda layer: layer.macs, always=True),
    Column("FLOPs", "flops", lambda layer: layer.flops),
    Column("Output B", "output_bytes", lambda layer: layer.output_bytes),
    Column("Kept B", "saved_bytes", lambda layer: layer.saved_bytes),
    Column("im2col B", "im2col_bytes", lambda layer: layer.im2col_bytes),
    Column("Field", "field_size", lambda layer: _field(layer, "size"), always=True),
    Column("Jump", "field_stride", lambda layer: _field(layer, "stride"), always=True),
    Column("Offset", "field_offset", lambda layer: _field(layer, "offset")),
    Column("Size of the output", "arithmetic", lambda layer: layer.arithmetic, always=True, left=True),
]


def shown(value: Any) -> str:
    """Return a value for people: 1,234."""
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def _rows(summary: Summary) -> list[Layer]:
    """Return the rows that the table shows."""
    limit = summary.depth
    return [
        layer
        for layer in summary.layers
        if (limit is None or layer.depth <= limit)
        and (summary.verbose > 1 or not (layer.function and layer.kind in _MOVES))
    ]


def _title(layer: Layer) -> str:
    """Return the last part of the name, and the class; a function has only its name."""
    marks = ["again"] if layer.again else ["shared"] if layer.shared else []
    own = printable(layer.name.rpartition(".")[2])
    if layer.function or not own:
        return ", ".join([layer.kind, *marks])
    return f"{own} ({', '.join([layer.kind, *marks])})"


def _shape(layer: Layer, batch: int) -> str:
    if not layer.outputs:
        return "error" if layer.failed else ""
    return str([] if layer.scalar else [batch, *layer.output]) + (
        f" and {len(layer.outputs) - 1} more" if len(layer.outputs) > 1 else ""
    )


def _cells(summary: Summary, columns: list[Column]) -> list[list[str]]:
    rows = []
    for layer in _rows(summary):
        cells = [shown(c.value(layer)) for c in columns]
        rows.append(["  " * layer.depth + _title(layer), _shape(layer, summary.batch_size), *cells])
    return rows


def text(summary: Summary) -> str:
    """Return the table for a terminal, and the totals."""
    columns = [c for c in COLUMNS if c.always or summary.verbose > 1]
    head = ["Layer (type)", "Output Shape", *[c.title for c in columns]]
    cells = _cells(summary, columns)
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    left = [True, False, *[c.left for c in columns]]

    def line(row: list[str]) -> str:
        parts = [f"{c:<{w}}" if at_left else f"{c:>{w}}" for c, w, at_left in zip(row, widths, left, strict=True)]
        return "  ".join(parts).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    heavy = rule.replace("-", "=")
    lines = [rule, line(head), heavy, *map(line, cells), heavy]
    if summary.error:
        return "\n".join([*lines, f"The run ended here: {summary.error}"])
    for number, group in enumerate(totals(summary)):
        lines += [rule] if number else []
        lines += [f"{name}: {value}" for name, value in group]
    if any(layer.field is not None for layer in _rows(summary)):
        lines += [
            rule,
            "Field: receptive field in pixels; +: and a summary of the whole map. Jump: from one to the next.",
        ]
    return "\n".join([*lines, rule])


def totals(summary: Summary) -> list[list[tuple[str, str]]]:
    """Return the totals in three groups: parameters, arithmetic, memory."""
    batch = max(summary.batch_size, 1)
    unused = [f"{printable(name)} ({shown(count)} parameters)" for name, count in summary.unused.items()]

    def mib(count: int | None) -> str:
        return "-" if count is None else f"{count / MIB:.2f}"

    return [
        [
            ("Total params", shown(summary.total_params)),
            ("Trainable params", shown(summary.trainable_params)),
            ("Non-trainable params", shown(summary.total_params - summary.trainable_params)),
            *([("Not used in evaluation", ", ".join(unused))] if unused else []),
        ],
        [
            ("Total MACs", f"{shown(summary.total_macs)} an image (convolutions and linear layers, without biases)"),
            ("Total FLOPs", f"{shown(summary.total_flops)} an image (2 a MAC, 1 a bias, activation or comparison)"),
        ],
        [
            ("Input size (MiB)", mib(summary.input_bytes * batch)),
            ("Layer outputs (MiB)", mib(summary.output_bytes * batch)),
            ("Kept for backward (MiB)", mib(None if summary.saved_bytes is None else summary.saved_bytes * batch)),
            ("Largest im2col matrix (MiB)", mib(summary.im2col_bytes)),
            ("Params size (MiB)", mib(summary.param_bytes)),
        ],
    ]


def markdown(summary: Summary) -> str:
    """Return a table of GitHub's Markdown with all columns, and the totals as a list."""
    head = ["Layer (type)", "Output shape", *[c.title for c in COLUMNS]]
    align = ["---", "---:", *["---" if c.left else "---:" for c in COLUMNS]]

    def line(row: list[str]) -> str:
        safe = [_safe(cell) for cell in row]
        return f"| {' | '.join(safe)} |"

    lines = [line(head), f"| {' | '.join(align)} |", *map(line, _cells(summary, COLUMNS)), ""]
    if summary.error:
        return "\n".join([*lines, _safe(f"The run ended here: {summary.error}")]) + "\n"
    lines += [f"- {name}: {_safe(value)}" for group in totals(summary) for name, value in group]
    return "\n".join(lines) + "\n"


def _safe(cell: str) -> str:
    """Return text that Markdown shows as it is; leading spaces become fixed ones."""
    bare = cell.lstrip(" ")
    indent = "&emsp;" * ((len(cell) - len(bare)) // 2)
    for mark in "\\|*_<>`":
        bare = bare.replace(mark, f"\\{mark}")
    return indent + bare


def records(summary: Summary) -> list[dict[str, Any]]:
    """Return the rows as dictionaries of numbers and texts."""
    return [
        {
            "name": layer.name,
            "type": layer.kind,
            "depth": layer.depth,
            "function": layer.function,
            "shared": layer.shared,
            "again": layer.again,
            "input_shape": layer.inputs[0] if layer.inputs else None,
            "output_shape": layer.output if layer.outputs else None,
            "trainable": layer.trainable,
            **{c.name: c.value(layer) for c in COLUMNS},
        }
        for layer in _rows(summary)
    ]


def csv(summary: Summary) -> str:
    """Return a row for each layer; shapes are written as 16x10x10."""
    file = io.StringIO()
    rows = records(summary)
    writer = tables.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "x".join(map(str, v)) if isinstance(v, tuple) else v for k, v in row.items()})
    return file.getvalue()


_TOTALS = ("total_params", "trainable_params", "total_macs", "total_flops", "param_bytes", "input_bytes",
           "output_bytes", "saved_bytes", "im2col_bytes")  # fmt: skip


def json(summary: Summary) -> str:
    """Return the totals, for one image, and the layers."""
    found = {
        "model": summary.model,
        "inputs": summary.inputs,
        **{name: getattr(summary, name) for name in _TOTALS},
        "unused": summary.unused,
        "error": summary.error,
        "layers": records(summary),
    }
    return notation.dumps(found, indent=2)


_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #222 }
th, td { padding: 2px 10px; text-align: right; white-space: nowrap }
td:first-child, th:first-child, .left { text-align: left }
tr:nth-child(even) td { background: #f4f6f8 }
.container td { font-weight: 600 }
.function td:first-child { font-style: italic }
.failed td, .error { color: #a00 }
dl { display: grid; grid-template-columns: max-content auto; gap: 2px 16px }
dd { margin: 0 }
"""


def html(summary: Summary) -> str:
    """Return a web page that needs no other file."""
    esc = markup.escape
    heads = "".join(
        f'<th class="left">{esc(t)}</th>' if left else f"<th>{esc(t)}</th>"
        for t, left in [("Layer (type)", True), ("Output shape", False), *[(c.title, c.left) for c in COLUMNS]]
    )
    lines = []
    for layer, cells in zip(_rows(summary), _cells(summary, COLUMNS), strict=True):
        kinds = [k for k, on in (("function", layer.function), ("failed", layer.failed)) if on]
        kinds += [] if layer.leaf else ["container"]
        first = f'<td style="padding-left: {layer.depth * 1.5 + 0.5}em">{esc(cells[0].strip())}</td>'
        rest = [
            f'<td class="left">{esc(cell)}</td>' if i and COLUMNS[i - 1].left else f"<td>{esc(cell)}</td>"
            for i, cell in enumerate(cells[1:])
        ]
        lines.append(f'<tr class="{" ".join(kinds)}">{first}{"".join(rest)}</tr>')
    if summary.error:
        end = f'<p class="error">The run ended here: {esc(summary.error)}</p>'
    else:
        pairs = [pair for group in totals(summary) for pair in group]
        end = "<dl>" + "".join(f"<dt>{esc(n)}</dt><dd>{esc(v)}</dd>" for n, v in pairs) + "</dl>"
    title = esc(f"{summary.model} for {' and '.join('x'.join(map(str, s)) for s in summary.inputs)}")
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
            f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>",
            *lines,
            f"</tbody>\n</table>\n{end}\n</body>\n</html>\n",
        ]
    )


FORMATS: dict[str, Callable[[Summary], str]] = {
    "text": text,
    "markdown": markdown,
    "csv": csv,
    "json": json,
    "html": html,
}
