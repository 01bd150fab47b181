"""Docstrings as they are written here, made reStructuredText for Sphinx.

Here `one backtick` is code, an indented block is code, an equation or a table, and no sign has a meaning: a*b is a
product. Sections (`Args:`, `Raises:` ...) are left for `sphinx.ext.napoleon`, which runs after this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

SECTIONS = {"Args", "Attributes", "Returns", "Raises", "Yields", "Example", "Examples", "Note", "Warning"}
_SECTION = re.compile(r"(\w+):$")
_ITEM = re.compile(r"(-|\*|\d+\.) ")
_CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
_ENUMERATOR = re.compile(r"^(\(?\w{1,4}[.)])(?= )")

Linker = Callable[[str], str | None]


def indent_of(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip())


def escaped(text: str) -> str:
    """Text without marks: every sign means itself."""
    text = re.sub(r"([\\*|])", r"\\\1", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    return text.replace("`", r"\`")


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
    return "\n".join(_ENUMERATOR.sub(lambda m: "\\" + m[1], line) for line in lines)


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
        elif (found := _SECTION.match(line)) and found[1] in SECTIONS:
            end = at + 1
            while end < len(lines) and (not lines[end].strip() or indent_of(lines[end])):
                end += 1
            out += ["", line, *_section(lines[at + 1 : end], link), ""]
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
    stop = start + 1
    is_list = bool(_ITEM.match(lines[start].lstrip()))
    while stop < end and (is_list or indent_of(lines[stop]) < 2) and not lines[stop].startswith(">>>"):
        stop += 1
    if is_list:
        items = re.split(r"\n(?=\s*(?:-|\*|\d+\.) )", "\n".join(lines[start:stop]))
        out.append("")
        for item in items:
            head = re.match(r"\s*(?:-|\*|\d+\.) ", item)
            mark = head[0] if head else ""
            text = inline(item[len(mark) :], link).split("\n")
            out += [mark.strip() + " " + text[0], *(" " * len(mark.strip()) + " " + rest.strip() for rest in text[1:])]
    else:
        out += inline("\n".join(lines[start:stop]), link).split("\n")
    return stop


def _literal(lines: list[str]) -> list[str]:
    """A block of code, or of an equation."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    least = min(indent_of(line) for line in lines if line.strip())
    if any(line.strip().startswith(">>>") for line in lines):
        return ["", *(line[least:] for line in lines), ""]
    return ["", ".. code-block:: none", "", *("    " + line[least:] for line in lines), ""]


def _section(lines: list[str], link: Linker) -> list[str]:
    """The items of a section, whose indentation has a meaning; blocks that are indented further are code."""
    text = inline("\n".join(lines), link)
    return text.split("\n")
