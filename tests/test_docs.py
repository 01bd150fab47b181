"""The table of names in docs/pytorch.md: what it lists is there, and what is there it lists."""

from __future__ import annotations

import inspect
import re
from functools import reduce
from pathlib import Path

import pytest

import minicnn
import minicnn.nn.functional as F

TEXT = (Path(__file__).parents[1] / "docs" / "pytorch.md").read_text(encoding="utf-8")


def listed(title: str) -> set[str]:
    """The names in the table of a section, or in the row of a table that begins with the title."""
    section = re.search(rf"^### {re.escape(title)}$(.*?)(?=^##)", TEXT, re.M | re.S)
    rows = section[1] if section else next(line for line in TEXT.splitlines() if line.startswith(f"| {title} |"))
    cells = [line.split("|")[2] for line in rows.splitlines() if line.count("|") == 3]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("title", "place"),
    [
        ("`minicnn`", "minicnn"),
        ("`minicnn.nn.functional`", "minicnn.nn.functional"),
        ("`minicnn.nn`", "minicnn.nn"),
        ("`nn.init`", "minicnn.nn.init"),
        ("`nn.utils`", "minicnn.nn.utils"),
        ("`optim`", "minicnn.optim"),
        ("`optim.lr_scheduler`", "minicnn.optim.lr_scheduler"),
        ("`optim.swa_utils`", "minicnn.optim.swa_utils"),
        ("`autograd`", "minicnn.autograd"),
        ("`linalg`", "minicnn.linalg"),
        ("`nn.grad`", "minicnn.nn.grad"),
        ("`utils.data`", "minicnn.utils.data"),
        ("`transforms`", "minicnn.transforms"),
        ("`transforms.functional`", "minicnn.transforms.functional"),
        ("files and settings", "minicnn"),
    ],
)
def test_what_is_listed_is_there(title: str, place: str) -> None:
    module = reduce(getattr, place.split(".")[1:], minicnn)
    names = listed(title)
    assert names
    assert not {name for name in names if not hasattr(module, name)}


def test_what_is_there_is_listed() -> None:
    functions = {name for name, value in vars(F).items() if inspect.isfunction(value) and not name.startswith("_")}
    missing = functions - listed("`minicnn.nn.functional`")
    assert not missing, f"the table of minicnn.nn.functional in docs/pytorch.md lacks {sorted(missing)}"
    modules = {
        name
        for name, value in vars(minicnn.nn).items()
        if inspect.isclass(value) and issubclass(value, minicnn.nn.Module) and not name.startswith("_")
    }
    missing = modules - listed("`minicnn.nn`")
    assert not missing, f"the table of minicnn.nn in docs/pytorch.md lacks {sorted(missing)}"


def test_the_substitution_is_the_one_that_is_tested() -> None:
    from programs import __doc__ as text

    command = re.search(r"sed -E 's/.*?/g'", text)
    assert command and command[0] in TEXT


def test_every_public_module_has_a_part_of_the_reference(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "docs" / "extensions"))
    import names
    import reference

    for place in names.PLACES:
        assert reference.part_of(place) in reference.PARTS
    assert reference.part_of("minicnn.nn.utils.prune") == "Layers"
    assert reference.part_of("minicnn.cuda.amp") == "Names of PyTorch that do little here"
    with pytest.raises(ValueError, match=r"minicnn\.nowhere is in no part"):
        reference.part_of("minicnn.nowhere")
