"""`minicnn docs`: opens the pages that are built, and says how to build them."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from minicnn import cli
from minicnn.cli import docs


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like that of a checkout, as the current one; this code is installed elsewhere."""
    for name in ("docs/build.py", "minicnn/version.py", "below/there"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(docs, "__file__", str(tmp_path / "elsewhere" / "minicnn" / "cli" / "docs.py"))
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def test_opens_what_is_built(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = checkout / "build" / "docs" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<html>")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) is None)
    assert cli.main(["docs", "--path"]) == 0 and not opened
    assert cli.main(["docs"]) == 0 and opened == [page.as_uri()]
    assert capsys.readouterr().out == f"{page}\n" * 2
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert cli.main(["docs"]) == 1
    assert "open this file" in capsys.readouterr().err


def test_says_how_to_build(checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["docs"]) == 1
    said = capsys.readouterr().err
    assert "not built" in said and str(checkout) in said and "minicnn docs --build" in said
    monkeypatch.setattr(docs.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["docs", "--build"]) == 1
    assert ".[docs]" in capsys.readouterr().err
    monkeypatch.chdir(checkout.anchor)
    assert cli.main(["docs", "--build"]) == 1
    assert "in a checkout of minicnn" in capsys.readouterr().err


def test_a_build_that_fails(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs.importlib.util, "find_spec", lambda name: True)
    (checkout / "docs" / "build.py").write_text("raise SystemExit(2)")
    assert cli.main(["docs", "--build"]) == 1
    assert "could not be built" in capsys.readouterr().err
    made = """
import pathlib
page = pathlib.Path(__file__).parents[1] / "build" / "docs" / "html" / "index.html"
page.parent.mkdir(parents=True)
page.touch()
"""
    (checkout / "docs" / "build.py").write_text(made)
    assert cli.main(["docs", "--build", "--path"]) == 0
