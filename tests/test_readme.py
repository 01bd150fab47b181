"""The README tells the truth: its code runs, its links lead somewhere, its set-up is two commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import minicnn

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "kernels" / "README.md"]


def test_the_set_up_is_two_commands() -> None:
    lines = [line for line in PAGES[0].read_text(encoding="utf-8").splitlines() if line.startswith("python3 -m venv ")]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/minicnn train",
        'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/pytest',
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_the_fifteen_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 20
    minicnn.manual_seed(0)
    names: dict[str, object] = {}
    exec(code[1], names)
    assert "61,706" in capsys.readouterr().out
    assert names["loss"].item() < 2.2  # it has begun to learn: log(10) = 2.30 is guessing
