"""Tapes, and what is in them, for several tests."""

from __future__ import annotations

from typing import Any

import minicnn
from minicnn import nn
from minicnn.explain import Numbers, Tape
from minicnn.explain.tape import Value
from minicnn.visualize import TapeGraph, graph

ODD = 'a "b" [c] {d} <e> #f; `g` \\n \\ h|i (ü\N{SNOWMAN}) % & $x_1$'


def leaf(*values: float) -> minicnn.Tensor:
    return minicnn.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True)


def named(tape: Tape, name: str) -> Value:
    """The tensor of a name."""
    return next(value for value in tape.values if value.name == name)


def number(numbers: Numbers | None) -> float:
    assert numbers is not None and numbers.values is not None
    return float(numbers.values)


def gradient(tape: Tape, name: str) -> Any:
    """The values of its gradient, if they are few."""
    found = named(tape, name).gradient
    return None if found is None else found.values


def formula() -> TapeGraph:
    a, b, c = leaf(2.0), leaf(-3.0), leaf(10.0)
    return graph(lambda: (a * b + c) * a)


class Residual(nn.Module):
    """x + relu(a(x)), with a layer that is called once."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu = nn.Linear(2, 2, bias=False), nn.ReLU()

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        return x + self.relu(self.a(x))


def residual(**options: Any) -> TapeGraph:
    net = nn.Sequential(Residual(), Residual())
    for module in (net[0].a, net[1].a):
        module.weight.data.fill_(1.0)
    x = minicnn.tensor([[1.0, 2.0]], requires_grad=True)
    return graph(lambda: net(x).sum(), net, **options)


def odd_graph() -> TapeGraph:
    """Names that mean something in every language."""
    net = nn.ModuleDict({ODD.replace(".", ""): Residual(), "- 1 end": Residual()})
    x = minicnn.ones(1, 2, requires_grad=True)

    def run() -> minicnn.Tensor:
        y = x
        for module in net.values():
            y = module(y)
        return y.sum()

    return graph(run, net, names={ODD: x, "subgraph\nend": x})
