"""Containers: sequences, lists and dicts of modules and parameters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import minicnn
from minicnn import nn


def kinds(modules: Any) -> list[str]:
    return [type(module).__name__ for module in modules]


def test_sequential_is_used_as_a_list() -> None:
    row = nn.Sequential(nn.ReLU(), nn.Tanh())
    assert row.append(nn.Sigmoid()).insert(1, nn.Flatten()).extend([nn.Identity()]) is row
    assert kinds(row) == ["ReLU", "Flatten", "Tanh", "Sigmoid", "Identity"]
    assert list(row._modules) == ["0", "1", "2", "3", "4"]
    assert kinds([row.pop(1), row[-1]]) == ["Flatten", "Identity"]
    row[0] = nn.Softmax(1)
    del row[1:3]
    assert kinds(row) == ["Softmax", "Identity"]
    assert list(row._modules) == ["0", "1"]
    assert len(row) == 2


def test_sequential_arithmetic() -> None:
    a, b = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh(), nn.Sigmoid())
    assert kinds(a + b) == ["ReLU", "Tanh", "Sigmoid"]
    assert kinds(b * 2) == kinds(2 * b) == ["Tanh", "Sigmoid"] * 2
    assert (b * 2)[0] is (b * 2)[2] is b[0]
    a += b
    a *= 2
    assert len(a) == 6
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        a * 0
    with pytest.raises(ValueError, match="only objects of Sequential class"):
        a + nn.ModuleList()
    with pytest.raises(TypeError, match="unsupported operand"):
        a * 1.5


def test_sequential_with_names() -> None:
    row = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 1, 1), act=nn.ReLU()))
    assert list(row.state_dict()) == ["conv.weight", "conv.bias"]
    assert row.act is row[1]
    assert list(row[1:]._modules) == ["act"]
    assert row(minicnn.ones(1, 1, 2, 2)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda row: row[2], IndexError, "index 2 is out of range"),
        (lambda row: row[0.5], TypeError, "float"),
        (lambda row: row.insert(5, nn.ReLU()), IndexError, "Index out of range: 5"),
        (lambda row: row.insert(0, 3), AssertionError, "module should be of type"),
        (lambda row: row.append(3), TypeError, "not a Module subclass"),
        (lambda row: row.extend(3), TypeError, "with an iterable, but got int"),
        (lambda row: nn.ModuleList([nn.ReLU()])(1), NotImplementedError, "ModuleList"),
        (lambda row: nn.ModuleDict(3), TypeError, "iterable of key/value pairs, but got int"),
        (lambda row: nn.ModuleDict([3]), TypeError, "element #0 should be Iterable"),
        (lambda row: nn.ModuleDict([("a",)]), ValueError, "element #0 has length 1; 2 is required"),
        (lambda row: nn.ModuleDict({"keys": nn.ReLU()}), KeyError, "attribute 'keys' already exists"),
        (lambda row: nn.ParameterList(minicnn.ones(2)), TypeError, "with an iterable, but got Tensor"),
        (lambda row: nn.ParameterList()(1), RuntimeError, "should not be called"),
        (lambda row: nn.ParameterDict()(1), RuntimeError, "should not be called"),
        (lambda row: nn.ParameterDict({3: minicnn.ones(1)}), TypeError, "not a string"),
        (lambda row: nn.ParameterDict().popitem(), KeyError, "empty"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(nn.Sequential(nn.ReLU(), nn.Tanh()))


def test_module_list_registers() -> None:
    held = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    held += [nn.ReLU()]
    held.insert(0, nn.Tanh())
    assert kinds(held) == ["Tanh", "Linear", "Linear", "Linear", "ReLU"]
    assert next(iter(held.state_dict())) == "1.weight"
    assert type(held[1:3]) is nn.ModuleList
    assert kinds(held + nn.Sequential(nn.Flatten()))[-1] == "Flatten"
    held.extend(held)
    assert len(held) == 10
    del held[-1]
    assert kinds(reversed(list(held)))[0] == "Linear"


def test_module_list_shows_equal_neighbours_once() -> None:
    block = nn.Sequential(nn.Linear(1, 2))
    assert repr(nn.ModuleList([block, block, nn.ReLU(), block])) == (
        "ModuleList(\n"
        "  (0-1): 2 x Sequential(\n"
        "    (0): Linear(in_features=1, out_features=2, bias=True)\n"
        "  )\n"
        "  (2): ReLU()\n"
        "  (3): Sequential(\n"
        "    (0): Linear(in_features=1, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict_keeps_the_order() -> None:
    held = nn.ModuleDict([["b", nn.ReLU()], ("a", nn.Tanh())])
    held.update({"z": nn.Flatten(), "b": nn.Sigmoid()})
    held["c"] = nn.ReLU()
    assert list(held) == list(held.keys()) == ["b", "a", "z", "c"]
    assert kinds(held.values())[0] == "Sigmoid"
    assert "a" in held
    assert type(held.pop("a")) is nn.Tanh
    del held["z"]
    assert [name for name, _ in held.items()] == ["b", "c"]
    held.clear()
    assert len(held) == 0


def test_parameter_list_makes_parameters() -> None:
    held = nn.ParameterList([minicnn.ones(2), nn.Parameter(minicnn.ones(1, 2), requires_grad=False), "x"])
    held += [minicnn.zeros(3)]
    assert [type(value).__name__ for value in held] == ["Parameter", "Parameter", "str", "Parameter"]
    assert [name for name, _ in held.named_parameters()] == ["0", "1", "3"]
    assert len(held[1:]) == 3
    held[-1] = minicnn.ones(1)
    assert held[3].shape == (1,)
    assert repr(held[:3]) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [minicnn.float32 of size 2]\n"
        "    (1): Parameter containing: [minicnn.float32 of size 1x2]\n"
        "    (2): Object of type: str\n"
        ")"
    )


def test_parameter_dict_is_used_as_a_dict() -> None:
    held = nn.ParameterDict({"z": minicnn.ones(2), "a": minicnn.ones(1)})
    assert list(held) == ["a", "z"]  # a plain dict is sorted, as in PyTorch
    held.setdefault("m", minicnn.ones(4))
    assert held.setdefault("m", None) is held["m"]
    joined = held | nn.ParameterDict([("o", minicnn.ones(1))])
    assert list(joined) == ["a", "z", "m", "o"]
    assert list(held) == ["a", "z", "m"]
    assert held.get("no", 3) == 3
    assert held.popitem()[0] == "m"
    assert held.pop("a").shape == (1,)
    assert [name for name, _ in held.named_parameters()] == ["z"]
    assert next(reversed(joined)) == "o"
    shown = repr(held).replace("minicnn.cuda.", "minicnn.")
    assert shown == "ParameterDict(  (z): Parameter containing: [minicnn.FloatTensor of size 2])"
    held |= joined
    assert dict(held.items()).keys() == {"z", "a", "m", "o"}
    held.clear()
    assert not list(held.parameters())


def test_container_is_deprecated() -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        assert list(nn.Container(a=nn.ReLU())._modules) == ["a"]
