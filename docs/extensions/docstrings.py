"""Docstrings as they are written here, made reStructuredText for Sphinx.

Here `one backtick` is code, an indented block is code, an equation or a table, lists have a mark (-, * or a number) and
tables bars; no other sign has a meaning: a*b is a product. Sections (`Args:`, `Raises:` ...) are left for
`sphinx.ext.napoleon`, which runs after this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

SECTIONS = {"Args", "Attributes", "Returns", "Raises", "Yields", "Example", "Examples", "Note", "Warning"}
ITEMISED = {"Args", "Attributes", "Raises"}  # in these, `name: words`
_NAMED = re.compile(r"[^:`]+?: ")
_SECTION = re.compile(r"(\w+):$")
_ITEM = re.compile(r"(-|\*|\d+\.) ")
_CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
_START = re.compile(  # what reStructuredText takes for the mark of a list, a field, a directive or a heading
    r"^(?=\(?\w{1,4}[.)](?: |$)|:[^:\s][^:]*:(?: |$)|\.\.(?: |$)|__ |([^\w\s])\1{2,}\s*$)"
)
_ROW = re.compile(r"\|.*\|$")

Linker = Callable[[str], str | None]


def indent_of(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip())


def escaped(text: str) -> str:
    """Text without marks: every sign means itself."""
    text = re.sub(r"([\\*|`])", r"\\\1", text)
    text = re.sub(r"(?<=[^\W_])_+(?!\w)|(?<=[\])}|])_", lambda found: found[0].replace("_", r"\_"), text)
    return re.sub(r"::(?=\s|$)", r":\:", text)


def inline(text: str, link: Linker) -> str:
    """A paragraph: code in backticks, all else plain."""
    parts, end = [], 0
    for found in _CODE.finditer(text):
        parts.append(escaped(text[end : found.start()]))
        code = " ".join((found[1] or found[2]).split())
        target = link(code)
        left, right = text[: found.start()][-1:], text[found.end() :][:1]
        before = "" if not left or left.isspace() or left in "([{'\"-/" else "\\ "
        after = "" if not right or right.isspace() or right in ".,:;!?)]}'\"-/" else "\\ "
        parts.append(f"{before}:py:obj:`{code} <{target}>`{after}" if target else f"{before}``{code}``{after}")
        end = found.end()
    parts.append(escaped(text[end:]))
    lines = "".join(parts).split("\n")
    return "\n".join(_START.sub(r"\\", line) for line in lines)


def rst(lines: list[str], link: Linker = lambda code: None) -> list[str]:
    """The docstring as reStructuredText."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            out.append("")
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end].strip():  # a run of lines without an empty one
            end += 1
        if line.startswith(">>>"):
            out += ["", *lines[at:end], ""]
            at = end
        elif all(_ROW.match(row) for row in lines[at:end]):
            out += _table(lines[at:end], link)
            at = end
        elif (found := _SECTION.match(line)) and found[1] in SECTIONS:
            end = at + 1
            while end < len(lines) and (not lines[end].strip() or indent_of(lines[end])):
                end += 1
            out += ["", line, *_section(lines[at + 1 : end], found[1], link), ""]
            at = end
        elif indent_of(line) >= 2 and not _in_list(out):
            end = at
            while end < len(lines) and (not lines[end].strip() or indent_of(lines[end]) >= 2):
                end += 1
            out += _literal(lines[at:end])
            at = end
        else:
            at = _paragraph(lines, at, end, out, link)
    return out


def _in_list(out: list[str]) -> bool:
    """Whether the last lines are an item of a list."""
    for line in reversed(out):
        if line.strip() and not line.startswith(" "):
            return bool(_ITEM.match(line))
    return False


def _paragraph(lines: list[str], start: int, end: int, out: list[str], link: Linker) -> int:
    """Lines up to an empty one, or to a block that is indented below them; the number of the next line."""
    is_list = bool(_ITEM.match(lines[start].lstrip()))
    stop = start + 1
    while stop < end and (is_list or indent_of(lines[stop]) < 2) and not lines[stop].startswith(">>>"):
        if (found := _SECTION.match(lines[stop])) and found[1] in SECTIONS:
            break
        stop += 1
    if is_list:
        out += _list(lines[start:stop], link)
    else:
        out += inline("\n".join(lines[start:stop]), link).split("\n")
    return stop


def _list(lines: list[str], link: Linker) -> list[str]:
    """A list, whose items may have lists. The lines of an item after its mark are indented further than the mark."""
    space = " " * indent_of(lines[0])
    starts = [i for i, line in enumerate(lines) if indent_of(line) <= len(space) and _ITEM.match(line.lstrip())]
    out = [""]
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        found = _ITEM.match(lines[start].lstrip())
        mark = found[0] if found else ""
        text = [lines[start].strip().removeprefix(mark), *lines[start + 1 : stop]]
        inner = next((i for i in range(1, len(text)) if _ITEM.match(text[i].lstrip())), len(text))
        words = inline("\n".join(line.strip() for line in text[:inner]), link).split("\n")
        out += [space + mark + words[0], *(space + " " * len(mark) + word for word in words[1:])]
        if text[inner:]:
            least = indent_of(text[inner])
            deeper = _list([line[min(least, indent_of(line)) :] for line in text[inner:]], link)
            out += [*((space + " " * len(mark) + line).rstrip() for line in deeper), ""]
    return out


def _table(rows: list[str], link: Linker) -> list[str]:
    """A table: the cells of a row stand between bars; the second row, of dashes, ends the head."""
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    head = len(cells) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in cells[1])
    out = ["", ".. list-table::", *["   :header-rows: 1"] * head, ""]
    for row in cells[:1] + cells[2:] if head else cells:
        out += [
            f"   {'-' if i else '* -'} {inline(cell, link)}".replace("   - ", "     - ") for i, cell in enumerate(row)
        ]
    return [*out, ""]


def _literal(lines: list[str]) -> list[str]:
    """A block of code, or of an equation."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    least = min(indent_of(line) for line in lines if line.strip())
    if any(line.strip().startswith(">>>") for line in lines):
        return ["", *(line[least:] for line in lines), ""]
    return ["", ".. code-block:: none", "", *("    " + line[least:] for line in lines), ""]


def _section(lines: list[str], title: str, link: Linker) -> list[str]:
    """The items of a section, `name: words`, or its words; each as a docstring of its own."""
    least = min((indent_of(line) for line in lines if line.strip()), default=0)
    lines = [line[least:] for line in lines]
    starts = [0]
    if title in ITEMISED:
        starts += [i for i, line in enumerate(lines) if i and line.strip() and not indent_of(line)]
    out: list[str] = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        found = _NAMED.match(lines[start]) if title in ITEMISED else None
        name = found[0] if found else ""
        rest = [line[min(4, indent_of(line)) :] if found else line for line in lines[start + 1 : stop]]
        body = rst([lines[start].removeprefix(name), *rest], link)
        while body and not body[0]:
            body = body[1:]
        inside = " " * 4 if found else ""
        text = [escaped(name) + body[0] if body else escaped(name), *(inside + line for line in body[1:])]
        out += [(" " * least + line).rstrip() for line in text]
    return out
