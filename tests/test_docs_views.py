"""docs/views.md: the names in its table exist, each view is in it, and its pictures are there and small."""

from __future__ import annotations

import re
from pathlib import Path

from minicnn import explain, visualize
from minicnn.cli import plot
from minicnn.visualize.views import ATTRIBUTIONS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "views.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1:-1] for line in TEXT.splitlines() if line.startswith("| ")][1:]


def names(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def test_the_names_in_the_table_exist() -> None:
    assert len(ROWS) >= 9
    for computed, _, drawn in ROWS:
        assert names(drawn) and all(hasattr(visualize, name) for name in names(drawn)), drawn
        assert all(hasattr(explain, name) for name in names(computed)), computed


def test_every_view_is_named() -> None:
    listed = {name for row in ROWS for name in names(row[2])}
    assert set(plot.VIEWS) - set(ATTRIBUTIONS) - {"changed"} == listed and "minicnn plot changed RUN" in TEXT


def test_pictures_are_there_and_small() -> None:
    linked = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", TEXT)
    assert len(linked) == len(set(linked)) and linked
    assert {f"images/views/{path.name}" for path in (DOCS / "images" / "views").iterdir()} == set(linked)
    assert all((DOCS / path).stat().st_size < 150_000 for path in linked)
