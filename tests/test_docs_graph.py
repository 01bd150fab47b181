"""The page docs/graph.md: its programs print what stands below them, and its pictures are there."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn.visualize import TapeGraph, graph

PAGE = Path(__file__).parents[1] / "docs" / "graph.md"
TEXT = PAGE.read_text(encoding="utf-8")


def check(printed: str, expected: str) -> None:
    """Compare words, and numbers as far as processors agree on them."""
    for found, wanted in zip(words(printed), words(expected), strict=True):
        if re.fullmatch(NUMBER, wanted):
            assert float(found) == pytest.approx(float(wanted), rel=0.02), (found, wanted)
        else:
            assert found == wanted


NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def words(text: str) -> list[str]:
    """Numbers, and what is between them; without the lines below the heads of tables, and without spaces."""
    text = re.sub(r"^-+$", "", text, flags=re.M)
    return [word for part in re.split(f"({NUMBER})", text) for word in part.split()]


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share their variables, as in a notebook."""
    monkeypatch.chdir(tmp_path)
    variables: dict[str, Any] = {}
    checked = 0
    for program, rest in re.findall(r"^```python\n(.*?)^```\n(.*?)(?=^```python|\Z)", TEXT, re.M | re.S):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, variables)
        if expected := re.match(r"\n```\n(.*?)^```", rest, re.M | re.S):
            assert printed.getvalue() == expected[1]
            checked += 1
    assert checked == 3
    for name in ("twice.gif", "lenet.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_the_chart_in_mermaid() -> None:
    a, b, c = [minicnn.tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0)]
    found = graph(lambda: (a * b + c) * a)
    assert isinstance(found, TapeGraph) and f"```mermaid\n{found.mermaid()}```" in TEXT


def test_pictures_are_there() -> None:
    paths = re.findall(r"(?:\]\(|src=\")([^)\"]+\.(?:png|gif))", TEXT)
    assert len(paths) == 4 and all((PAGE.parent / path).is_file() for path in paths)


def test_links_are_right() -> None:
    links = re.findall(r"\]\(([^)#]+\.py)\)", TEXT)
    assert links and all((PAGE.parent / link).resolve().is_file() for link in links)
