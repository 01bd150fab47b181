"""Every public name of PyTorch is here, or raises an error that says what to use; and signatures agree."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

import minicnn
import minicnn.nn.functional
from minicnn.compat.missing import lookup

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


# Where programs look names up or import them from.
ASKED = [
    "torch", "torch.Tensor", "torch.amp", "torch.autograd", "torch.backends", "torch.cuda", "torch.fx", "torch.hub",
    "torch.jit", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.nn.grad", "torch.nn.init",
    "torch.nn.parallel", "torch.nn.utils", "torch.optim", "torch.optim.lr_scheduler", "torch.optim.swa_utils",
    "torch.accelerator", "torch.distributed", "torch.distributions", "torch.nn.utils.prune", "torch.random",
    "torch.testing", "torch.utils", "torch.utils.checkpoint", "torch.utils.data",
]  # fmt: skip


def offered(place: Any) -> list[str]:
    """The names without an underscore that are PyTorch's own: not what its file imports from elsewhere."""

    def own(name: str, value: Any) -> bool:
        if inspect.ismodule(value):
            return value.__name__.startswith("torch.")
        home = getattr(value, "__module__", None) or "torch"
        return not isinstance(home, str) or home.startswith("torch")

    names = {name for name in dir(place) if not name.startswith("_") and own(name, getattr(place, name, None))}
    return sorted((names | set(getattr(place, "__all__", ()))) - {"TYPE_CHECKING", "inf"})


@pytest.mark.parametrize("place", ASKED)
@pytest.mark.filterwarnings("ignore")
def test_a_missing_name_has_an_answer_of_its_own(place: str) -> None:
    """A row of the tables, or a thing of the same name in NumPy or elsewhere in minicnn: never a name like it."""
    theirs = torch.Tensor if place == "torch.Tensor" else importlib.import_module(place)
    where = place.replace("torch", "minicnn", 1)
    ours = minicnn.Tensor if place == "torch.Tensor" else importlib.import_module(where)
    missing = [name for name in offered(theirs) if not hasattr(ours, name)]
    guessed = {}
    for name in missing:
        with pytest.raises(AttributeError) as caught:
            getattr(minicnn.zeros(1) if place == "torch.Tensor" else ours, name)
        text = str(caught.value).split(": ", 1)[1]
        if lookup._row("Tensor" if place == "torch.Tensor" else where, name) is None:
            certain = re.search(
                rf"it is minicnn\.|numpy\.(linalg\.)?{name} on|\b{name.removesuffix('_')}(\(\.\.\.\))?$", text
            )
            if not certain or "?" in text:
                guessed[name] = text
    assert not guessed
    print(f"{place}: {len(missing)} of PyTorch's {len(offered(theirs))} names are missing")


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
        if inspect.isfunction(a) and inspect.isfunction(b):  # such as nn.functional.relu of either library
            same = a.__name__ == b.__name__
        assert same, f"{name}: {p.name}={a!r}, PyTorch {b!r}"
    positional = [p.name for p in expected if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    found = [p.name for p in own if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD][: len(positional)]
    assert found == positional, f"{name}: order {found}, PyTorch {positional}"
