"""docs/architectures.md: its table is that of the registry, its pictures are there and can be drawn again."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import minicnn
from minicnn.models.registry import CLASSES, MODELS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "architectures.md").read_text(encoding="utf-8")
LINKED = re.findall(r"!\[([^\]]+)\]\(images/architectures/(\w+)\.png\)", TEXT)


def script() -> ModuleType:
    """The script that draws."""
    name = "draw_architectures"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


DRAW = script()


def test_every_picture_is_there_and_described() -> None:
    names = [name for _, name in LINKED]
    assert sorted(names) == sorted(DRAW.DRAWINGS), "the page and the script name the same pictures, each once"
    for words, name in LINKED:
        file = DOCS / "images" / "architectures" / f"{name}.png"
        assert file.is_file(), f"run: python docs/draw_architectures.py {name}"
        assert file.stat().st_size < 150_000
        assert len(words) > 15


def test_every_family_has_a_section() -> None:
    sections = re.findall(r"^### (.+)$", TEXT, re.M)
    assert sorted(sections) == sorted({one.title for one in DRAW.FAMILIES})
    written = {file for one in DRAW.FAMILIES for file in one.files}
    assert written == {entry.file for entry in MODELS.values()} | set(CLASSES)


def test_the_table_is_that_of_the_registry() -> None:
    rows = {row[3].strip(): row for row in (line.split("|") for line in TEXT.splitlines()) if len(row) == 10}
    for one in DRAW.FAMILIES:
        if one.model:
            row, entry = rows[f"`{one.model}`"], MODELS[one.model]
            assert (row[5].strip(), row[6].strip()) == (f"{entry.params:,}", f"{entry.macs:,}")
            assert str(entry.year) in row[2] and one.url in row[2] and one.new in row[8]
            anchor = re.search(r"\[(.+)\]\(#(.+)\)", row[1])
            assert anchor and anchor[1] == one.title
            assert anchor[2] == re.sub(r"[^\w-]", "", anchor[1].lower().replace(" ", "-"))


SMALL = {"lenet5", "alexnet_two_towers", "vgg16", "resnet50", "mobilenet_v1", "squeezenet1_0", "alphago", "mlp"}
NETS = [one.model for one in DRAW.FAMILIES if one.model]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in SMALL else [pytest.mark.slow]) for n in NETS])
def test_receptive_fields_in_the_table(name: str) -> None:
    (row,) = (line.split("|") for line in TEXT.splitlines() if f"| `{name}` |" in line)
    assert row[7].strip() == DRAW.field_of(name)


@pytest.mark.slow
def test_the_table_as_a_whole() -> None:
    assert f"{DRAW.BEGIN}\n{DRAW.table()}\n{DRAW.END}" in TEXT, "run: python docs/draw_architectures.py"


def test_comparisons_and_models_that_the_text_names_exist() -> None:
    from minicnn.analysis import comparisons

    assert all(hasattr(comparisons, name) for name in re.findall(r"comparisons\.(\w+)", TEXT))
    assert set(re.findall(r"models\.(\w+)`", TEXT)) <= set(minicnn.models.__all__)
    named = re.findall(r"minicnn (?:summary|train|plot net) (\w+)", TEXT) + re.findall(r"`(\w+net\w*_?\w*)`", TEXT)
    assert set(named) - {"conv_net"} <= set(MODELS)


@pytest.mark.parametrize("name", ["mobilenet_block", "ilsvrc"])
def test_pictures_are_drawn(name: str, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(DRAW.draw(name, tmp_path)) as drawn, Image.open(DRAW.PICTURES / f"{name}.png") as kept:
        assert drawn.size == kept.size  # the net and the text are the same


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in DRAW.DRAWINGS if not n.endswith("field")])
def test_all_pictures_are_drawn(name: str, tmp_path: Path) -> None:
    assert DRAW.draw(name, tmp_path).stat().st_size > 1000
