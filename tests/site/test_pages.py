"""The built site: every link leads somewhere, nothing comes from elsewhere, every public name is there."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids.update(value for name, value in found.items() if name in ("id", "name"))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and "stylesheet" in found.get("rel", ""):
            self.loaded.append(found["href"])
        if "problematic" in found.get("class", "") or "system-message" in found.get("class", ""):
            self.problems.append(str(found))


@cache
def read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    files = sorted(site.rglob("*.html"))
    assert len(files) > 500
    for file in files:
        yield file, read(file)


def test_every_link_leads_somewhere(site: Path) -> None:
    broken = []
    for file, page in pages(site):
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            target = (file.parent / unquote(to.path)).resolve() if to.path else file
            there = target.is_file()
            if there and to.fragment and target.suffix == ".html":
                there = unquote(to.fragment) in read(target).ids
            if not there:
                broken.append(f"{file.relative_to(site)}: {link}")
    assert not broken, "\n".join(broken[:30])


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for file, page in pages(site):
        for link in page.loaded:
            to = urlsplit(link)
            assert to.scheme in ("", "data") and not to.netloc, f"{file}: {link}"
            assert to.scheme == "data" or (file.parent / unquote(to.path)).is_file(), f"{file}: {link}"
        assert not page.problems, file


def test_the_inventory_has_every_public_name(site: Path) -> None:
    content = (site / "objects.inv").read_bytes()
    listed = zlib.decompress(content.split(b"\n", 4)[4]).decode().splitlines()
    names = {line.split(" ", 1)[0] for line in listed}
    missing = [
        full
        for one in importlib.import_module("names").public()
        for full in (one.full, *one.others)
        if full not in names
    ]
    assert not missing


@pytest.mark.parametrize(
    "page", ["index", "notebooks/02_convolution_arithmetic", "reference/minicnn/nn/conv", "search"]
)
def test_pages_that_readers_begin_with(site: Path, page: str) -> None:
    assert (site / f"{page}.html").is_file()


def test_notebooks_have_their_pictures(site: Path) -> None:
    notebooks = sorted((site / "notebooks").glob("[0-9]*.html"))
    assert notebooks
    for file in notebooks:
        assert [link for link in read(file).loaded if "_images" in link], file
