"""The pages in docs/how-to: their programs run and print what stands below them; their commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pages
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "how-to"
PAGES = sorted(path for path in FOLDER.glob("*.md"))
SLOW: set[str] = set()


def texts() -> list[object]:
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else []) for path in PAGES
    ]


@pytest.mark.cpu_only("shows CPU tensors")
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # of weights that are meant to diverge
@pytest.mark.parametrize("page", texts())
def test_programs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MINICNN_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    pages.run(page.read_text(encoding="utf-8"), page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_links(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in pages.commands(text):
        pages.parse(command)
    assert not pages.broken_links(page)
    assert len(re.findall(r"^# ", pages.BLOCK.sub("", text), re.M)) == 1 and text.startswith("# ")


def test_the_table_lists_all_pages() -> None:
    listed = re.findall(r"^\| .*\]\((\w+\.md)\)", (FOLDER / "index.md").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == [path.name for path in PAGES if path.name != "index.md"]
