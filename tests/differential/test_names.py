"""Every public name of PyTorch is here, or raises an error that says what to use; and signatures agree."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import minicnn
import minicnn.nn.functional

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

PLACES = {
    "minicnn": (minicnn, torch),
    "minicnn.nn": (minicnn.nn, torch.nn),
    "minicnn.nn.functional": (minicnn.nn.functional, torch.nn.functional),
    "minicnn.nn.init": (minicnn.nn.init, torch.nn.init),
    "minicnn.optim": (minicnn.optim, torch.optim),
    "minicnn.optim.lr_scheduler": (minicnn.optim.lr_scheduler, torch.optim.lr_scheduler),
    "Tensor": (minicnn.Tensor, torch.Tensor),
}


def public(place: Any) -> list[str]:
    return [
        name
        for name in dir(place)
        if not name.startswith("_") and not inspect.ismodule(getattr(place, name, None)) and name != "annotations"
    ]


@pytest.mark.parametrize("place", PLACES)
def test_unknown_names_say_what_to_use(place: str) -> None:
    ours, theirs = PLACES[place]
    missing = [name for name in public(theirs) if not hasattr(ours, name)]
    instance = minicnn.zeros(1) if place == "Tensor" else ours
    for name in missing:
        with pytest.raises(AttributeError, match=rf"'{name}'.*([Ii]nstead: |[Uu]se )"):
            getattr(instance, name)
    found = len(public(theirs)) - len(missing)
    print(f"{place}: {found} of {len(public(theirs))} of PyTorch's public names")


# The lazy modules take what their finished classes take, without the number of inputs.
LAZY = [name for name in public(torch.nn) if name.startswith("Lazy")]


def arguments(function: Any) -> list[inspect.Parameter] | None:
    """The parameters that may be given by position or name; None where Python does not know them."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    found = [p for p in signature.parameters.values() if p.name not in ("self",)]
    return None if all(p.kind in kinds for p in found) else [p for p in found if p.kind not in kinds]


COMPARED = [
    pytest.param(place, name, id=f"{place}.{name}")
    for place in (
        "minicnn.nn",
        "minicnn.nn.functional",
        "minicnn.nn.init",
        "minicnn.optim",
        "minicnn.optim.lr_scheduler",
    )
    for name in public(PLACES[place][1])
    if name not in (*LAZY, "SyncBatchNorm")
    and hasattr(PLACES[place][0], name)
    and arguments(getattr(PLACES[place][1], name)) is not None
]


@pytest.mark.parametrize(("place", "name"), COMPARED)
def test_signatures_agree(place: str, name: str) -> None:
    """PyTorch's parameters in PyTorch's order with PyTorch's defaults; ours may have more, by keyword."""
    ours, theirs = (getattr(lib, name) for lib in PLACES[place])
    own = arguments(ours)
    assert own is not None, f"{name} takes anything"
    mine = {p.name: p for p in own}
    expected = list(arguments(theirs) or [])
    for p in expected:
        assert p.name in mine, f"{name}: no parameter {p.name}"
        a, b = mine[p.name].default, p.default
        same = a is b or a == b or str(a).replace("minicnn", "torch") == str(b)
        assert same, f"{name}: {p.name}={a!r}, PyTorch {b!r}"
    positional = [p.name for p in expected if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    found = [p.name for p in own if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD][: len(positional)]
    assert found == positional, f"{name}: order {found}, PyTorch {positional}"
