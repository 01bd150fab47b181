"""Pages of the documentation that are run: their programs, what these print, their commands and their links.

A page is Markdown. Its blocks ```python run in order, and share their variables, as in a notebook. A plain block right
below one is what it prints: words are compared, numbers as far as processors agree on them, and "..." stands for
anything. If this ends with a line such as "ValueError: text", the program stops there with this error.
Blocks ```py are not run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minicnn.cli import program
from minicnn.cli.arguments import UsageError

NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
ERROR = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Warning)): ", re.M)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(text: str) -> Iterator[tuple[str, str, str | None]]:
    """The blocks of a page: the language, the text, and a plain block below it, with at most an empty line between."""
    found = list(BLOCK.finditer(text))
    for one, after in zip(found, [*found, None][1:], strict=True):
        below = after and not after[1] and not text[one.end() : after.start()].strip()
        if one[1] or not one[2]:
            yield one[1], one[2], after[2] if below and after else None


def run(text: str, page: str = "page", rel: float = 0.02, all_shown: bool = False) -> dict[str, Any]:
    """Run the programs of a page here, in this folder, and compare what they print; return their variables.

    With `all_shown`, a program whose words the page does not show may print nothing.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    for language, code, expected in blocks(text):
        if language != "python":
            continue
        printed = io.StringIO()
        where = f"{page}, line {text[: text.index(code)].count(chr(10)) + 1}"
        failure = ""
        program_ = compile("\n" * text[: text.index(code)].count("\n") + code, page, "exec")
        with contextlib.redirect_stdout(printed):
            try:
                exec(program_, space)
            except Exception as error:
                if expected is None or not ERROR.search(expected):
                    raise
                failure = f"{type(error).__name__}: {error}"
        if expected is None:
            assert not (all_shown and printed.getvalue()), f"{where} prints\n{printed.getvalue()}"
            continue
        assert not ERROR.match(expected.strip().splitlines()[-1]) or failure, f"{where}: no error"
        compare(printed.getvalue() + failure, expected, where, rel)
    return space


def compare(found: str, expected: str, where: str, rel: float) -> None:
    """Compare printed text with what a page says it is.

    Spaces and line ends do not count, nor lines of dashes, whose length follows from the numbers.
    """
    found, expected = (re.sub(r"^[- ]*-{3}[- ]*$", "", text, flags=re.M) for text in (found, expected))
    pattern, numbers = [], []
    for word in re.findall(rf"\.\.\.|{NUMBER}|[^\s\d.,-]+|\S", expected):
        if word == "...":
            pattern.append(r".*?")
        elif re.fullmatch(NUMBER, word):
            pattern.append(f"({NUMBER})")
            numbers.append(word)
        else:
            pattern.append(re.escape(word))
    match = re.fullmatch(r"\s*" + r"\s*".join(pattern) + r"\s*", found, re.S)
    assert match, f"{where} prints\n{found}\nand not\n{expected}"
    for one, wanted in zip(match.groups(), numbers, strict=True):
        one, wanted = one.replace(",", ""), wanted.replace(",", "")
        assert float(one) == pytest.approx(float(wanted), rel=rel, abs=1e-12), f"{where} prints\n{found}"


def commands(text: str) -> list[str]:
    """The lines that begin with `minicnn`, in blocks of the shell and in the text between backquotes."""
    lines = [line for language, code, _ in blocks(text) if language in ("sh", "bash") for line in code.splitlines()]
    prose = BLOCK.sub("", text)
    found = [line.partition("#")[0].strip() for line in lines] + re.findall(r"`(minicnn [^`]+)`", prose)
    return [command for command in found if re.match(r"minicnn( |$)", command)]


def parse(command: str) -> argparse.Namespace:
    """What the parser of the program makes of a command. In `minicnn eval` alone, only the name is looked at.

    Raises:
        UsageError: there is no such command or option, or an argument is missing.
    """
    words = shlex.split(command)[1:]
    try:
        return program._parser().parse_args(words)
    except UsageError as error:
        if "are required" not in str(error) or any(word.startswith("-") for word in words):
            raise
        with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit, match="0"):
            program._parser().parse_args([*words, "--help"])
        return argparse.Namespace()


def broken_links(page: Path) -> list[str]:
    """The links of a page to files that are not there, and to headings that its target does not have."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and heading not in headings(file)):
            broken.append(target)
    return broken


def headings(file: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", file.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
