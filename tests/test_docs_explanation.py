"""docs/explanation: programs print what stands below them, links lead somewhere, pictures are drawn again."""

from __future__ import annotations

import gc
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pages
import pytest
from test_house import LAYERS

from minicnn_kernels import conv2d, geometry
from minicnn_kernels.runtime import have_numba

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "explanation").rglob("*.md"))
NAMES = [str(page.relative_to(DOCS / "explanation")) for page in PAGES]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}


def script(name: str) -> ModuleType:
    """A script that draws, or what they share."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


script("sheet")
SCRIPTS = [script("draw_kernels"), script("draw_explanation")]
DRAWN = {name: one for one in SCRIPTS for name in one.DRAWINGS}


def test_every_algorithm_has_a_page() -> None:
    assert {f"convolution/{name}.md" for name in conv2d.FORWARD.algorithms} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_one_title(page: Path) -> None:
    titles = re.findall(r"^# .+$", pages.BLOCK.sub("", TEXTS[page]), re.M)
    assert len(titles) == 1 and TEXTS[page].startswith(titles[0])


@pytest.mark.skipif(not have_numba(), reason="some pages show what Numba runs")
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_programs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        pages.run(TEXTS[page], page.name, rel=1e-4, all_shown=True)
    finally:
        gc.enable()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links(page: Path) -> None:
    assert not pages.broken_links(page)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_functions_that_a_page_sends_to_are_there(page: Path) -> None:
    """Names in the last section are in one of the files that it links to."""
    _, _, section = TEXTS[page].partition("## Where to read\n")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", section)
    files = [path for link in links if (path := (page.parent / link).resolve()).suffix in (".py", ".cu")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for name in re.findall(r"(?<!\[)`(?:\w+\.)*(\w+)`", section):
        assert re.search(rf"\b{name}\b", source), f"{name} is in none of the files"


# ------------------------------------------------------------------------------------------------------------ pictures


def test_pictures_are_those_of_the_scripts() -> None:
    linked = [
        (words, (page.parent / path).resolve())
        for page, text in TEXTS.items()
        for words, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    ]
    folder = DOCS / "images" / "kernels"
    assert all(len(words) > 15 for words, _ in linked)
    assert {path for _, path in linked} == {folder / f"{name}.png" for name in DRAWN} == set(folder.iterdir())
    assert all(path.stat().st_size < 150_000 for _, path in linked)


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_are_drawn(name: str, tmp_path: Path) -> None:
    """A picture looks like the one that is kept, up to the versions of Matplotlib."""
    from PIL import Image

    with (
        Image.open(DRAWN[name].draw(name, tmp_path)) as drawn,
        Image.open(DRAWN[name].PICTURES / f"{name}.png") as kept,
    ):
        assert drawn.size == kept.size
        difference = np.abs(np.subtract(drawn.convert("RGB"), kept.convert("RGB"), dtype=float)).mean()
    assert difference < 0.5, f"run: python docs/{DRAWN[name].__name__}.py {name}"


def test_the_layers_are_those_of_the_house() -> None:
    drawn = [names.split(", ") for names, _ in reversed(DRAWN["layers"].LAYERS)]
    assert len(drawn) == len(LAYERS)
    for names, layer in zip(drawn, LAYERS, strict=True):
        full = {name if name == "minicnn_kernels" else f"minicnn.{name}" for name in names}
        assert full <= set(layer)
        parts = {name for name in set(layer) - full if name.count(".") == 1}
        assert parts <= {"minicnn.version", "minicnn.__main__"}


# --------------------------------------------------------------------------------------------------------------- costs

COSTS = TEXTS[DOCS / "explanation" / "convolution" / "index.md"].split(SCRIPTS[1].BEGIN)[1].split(SCRIPTS[1].END)[0]


def cells(which: int) -> dict[tuple[str, str], str]:
    """One of the two tables: (algorithm, layer) -> what stands there."""
    lines = [line for line in COSTS.splitlines() if line.startswith("|")]
    lines = lines[which * len(lines) // 2 :][: len(lines) // 2]
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    names = [re.findall(r"\[(\w+)\]", row[0])[0] for row in rows]
    return {
        (name, layer): cell
        for name, row in zip(names, rows, strict=True)
        for layer, cell in zip(head[1:], row[1:], strict=True)
    }


def test_multiplications_in_the_table() -> None:
    found = cells(0)
    assert len(found) == len(conv2d.FORWARD.algorithms) * len(SCRIPTS[1].GEOMETRIES)
    for (algorithm, layer), cell in found.items():
        x, w, options = SCRIPTS[1].GEOMETRIES[layer]
        g = geometry.conv2d(x, w, **options)
        able = conv2d.FORWARD.supports(algorithm, (None, None, None, g))
        count = getattr(getattr(conv2d, algorithm), "multiplications", conv2d.direct.multiplications)(g)
        expected = f"{count:,}" if able else ""
        assert cell.strip("*") == expected
        assert cell.startswith("**") == (conv2d.rule(g, "", False, np.float32) == algorithm)
        assert bool(cells(1)[algorithm, layer]) == able


@pytest.mark.slow
@pytest.mark.skipif(not have_numba(), reason="it is the memory of Numba's kernels")
@pytest.mark.parametrize("layer", SCRIPTS[1].GEOMETRIES)
def test_memory_in_the_table(layer: str) -> None:
    """Compiled kernels have blocks that depend on the vectors of the processor."""
    shown = cells(1)
    for row in SCRIPTS[1].measured(layer):
        numba, numpy = map(float, re.findall(r"[\d.]+", shown[row.algorithm, layer]))
        expected = numba if row.backend == "numba" else numpy
        assert row.workspace / 2**20 == pytest.approx(expected, rel=0.3 if row.backend == "numba" else 0.05, abs=0.1)
