"""Containers in both libraries: what they hold after the operations of lists and dicts, and how they print."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def row(lib: Any, *kinds: str) -> Any:
    """A Sequential of activations."""
    return lib.nn.Sequential(*(getattr(lib.nn, kind)() for kind in kinds))


def sequential_edited(lib: Any) -> Any:
    nn, model = lib.nn, row(lib, "ReLU", "Tanh")
    same = model.insert(1, nn.Sigmoid()) is model
    model.insert(-1, nn.Identity()).append(nn.Softplus()).extend([nn.ReLU()])
    taken = model.pop(0)
    del model[1]
    model[0] = nn.Flatten()
    return same, repr(model), repr(taken), len(model), repr(model.pop(slice(1, 3))), repr(model)


def sequential_multiplied(lib: Any) -> Any:
    model = row(lib, "ReLU", "Tanh")
    model *= 2
    model += row(lib, "Sigmoid")
    return repr(model), repr(model * 2), repr(3 * row(lib, "ReLU")), model[0] is model[2], repr(model + model[:1])


def sequential_without(lib: Any, index: Any) -> Any:
    model = row(lib, "ReLU", "Tanh", "Sigmoid", "Identity")
    del model[index]
    return repr(model), list(model._modules)


def list_edited(lib: Any) -> Any:
    nn = lib.nn
    held = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    held.append(nn.ReLU()).extend([nn.Sigmoid()])
    held += [nn.ReLU()]
    held.insert(1, nn.Flatten())
    held[0] = nn.Identity()
    del held[2]
    taken = held.pop(1)
    return repr(held), repr(taken), repr(held[1:]), repr(held + held[:1]), len(held), repr(held[-1]), dir(held)[-1]


def repeated(lib: Any) -> Any:
    """A list with equal neighbours, some of several lines."""
    block = lambda: lib.nn.Sequential(lib.nn.Linear(1, 2), lib.nn.ReLU())  # noqa: E731
    return repr(lib.nn.Sequential(lib.nn.ModuleList([block(), block(), lib.nn.ReLU(), block()]), lib.nn.ModuleList()))


def dict_edited(lib: Any) -> Any:
    nn = lib.nn
    held = nn.ModuleDict([["a", nn.ReLU()], ("b", nn.Tanh())])
    held["c"] = nn.Sigmoid()
    held.update({"z": nn.ReLU(), "y": nn.ReLU()})
    held.update(nn.ModuleDict({"w": nn.Flatten()}))
    taken = held.pop("a")
    del held["b"]
    names = [type(module).__name__ for module in held.values()]
    found = repr(held), repr(taken), list(held), list(held.keys()), "c" in held, len(held), dict(held.items()), names
    held.clear()
    return *found, repr(held)


def parameters_listed(lib: Any) -> Any:
    nn = lib.nn
    held = nn.ParameterList([lib.ones(2), nn.Parameter(lib.ones(1, 2))])
    held.append("x").extend([lib.ones(1)])
    held += [lib.ones(3, dtype=lib.float64)]
    held[0] = lib.ones(5)
    names = [name for name, _ in held.named_parameters()]
    return repr(held), len(held), [type(v).__name__ for v in held], names, repr(held[1:3]), held[-1], repr(held[::2])


def parameters_named(lib: Any) -> Any:
    nn = lib.nn
    held = nn.ParameterDict({"z": lib.ones(2), "a": nn.Parameter(lib.ones(1))})
    held["m"] = 3
    held.setdefault("d", lib.ones(1))
    held.setdefault("d", lib.ones(7))
    held.update([("k", lib.ones(1))])
    joined, copied = held | nn.ParameterDict({"o": lib.ones(1)}), held.copy()
    last, removed = held.popitem()[0], held.pop("z")
    copied.clear()
    names = [name for name, _ in held.named_parameters()]
    return (
        repr(held), list(held), list(held.keys()), last, removed, list(joined), list(reversed(held)), len(copied),
        names, held.get("no", 5), held.get("a"), list(held.fromkeys(["a", "b"])), "a" in held, dict(held.items()),
    )  # fmt: skip


SCENARIOS: dict[str, Scenario] = {
    "Sequential: edited": sequential_edited,
    "Sequential: multiplied": sequential_multiplied,
    "Sequential: without one": lambda lib: sequential_without(lib, -2),
    "Sequential: without a slice": lambda lib: sequential_without(lib, slice(None, None, 2)),
    "Sequential: times 0": lambda lib: row(lib, "ReLU") * 0,
    "Sequential: times 1.5": lambda lib: row(lib, "ReLU") * 1.5,
    "Sequential: plus 3": lambda lib: row(lib, "ReLU") + 3,
    "Sequential: of 3": lambda lib: lib.nn.Sequential(3),
    "Sequential: with None": lambda lib: repr(lib.nn.Sequential(lib.nn.ReLU(), None)),
    "Sequential: index": lambda lib: (repr(row(lib, "ReLU", "Tanh")[-1]), repr(row(lib, "ReLU", "Tanh")[True])),
    "Sequential: beyond": lambda lib: row(lib, "ReLU")[1],
    "Sequential: index 0.5": lambda lib: row(lib, "ReLU")[0.5],
    "Sequential: inserted beyond": lambda lib: row(lib, "ReLU").insert(5, lib.nn.ReLU()),
    "Sequential: inserted 3": lambda lib: row(lib, "ReLU").insert(0, 3),
    "Sequential: named, a slice": lambda lib: repr(
        lib.nn.Sequential(OrderedDict(x=lib.nn.ReLU(), y=lib.nn.Tanh(), z=lib.nn.ReLU()))[1:]
    ),
    "Sequential: dir": lambda lib: [name for name in dir(row(lib, "ReLU")) if name.isdigit()],
    "Sequential: forward": lambda lib: row(lib, "ReLU", "Tanh")(lib.tensor([-1.0, 0.5], dtype=lib.float64)),
    "ModuleList: edited": list_edited,
    "ModuleList: repeated": repeated,
    "ModuleList: extended by 3": lambda lib: lib.nn.ModuleList().extend(3),
    "ModuleList: called": lambda lib: lib.nn.ModuleList()(1),
    "ModuleList: beyond": lambda lib: lib.nn.ModuleList()[0],
    "ModuleDict: edited": dict_edited,
    "ModuleDict: of 3": lambda lib: lib.nn.ModuleDict(3),
    "ModuleDict: of singles": lambda lib: lib.nn.ModuleDict([["a"]]),
    "ModuleDict: of ints": lambda lib: lib.nn.ModuleDict([("a", 3)]),
    "ModuleDict: taken name": lambda lib: lib.nn.ModuleDict({"items": lib.nn.ReLU()}),
    "ModuleDict: dot": lambda lib: lib.nn.ModuleDict({"a.b": lib.nn.ReLU()}),
    "ModuleDict: none": lambda lib: lib.nn.ModuleDict()["q"],
    "ParameterList: edited": parameters_listed,
    "ParameterList: empty": lambda lib: repr(lib.nn.ParameterList()),
    "ParameterList: called": lambda lib: lib.nn.ParameterList()(1),
    "ParameterList: of a tensor": lambda lib: lib.nn.ParameterList(lib.ones(2)),
    "ParameterDict: edited": parameters_named,
    "ParameterDict: called": lambda lib: lib.nn.ParameterDict()(1),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
