"""An observer is told of a backward pass: each node, what arrives and what it returns, in the order of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.autograd.observe import Observer, observers


class Steps(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, list[float | None]]] = []

    def arrived(self, node: Any, gradients: Sequence[Any]) -> None:
        self.told.append(("arrived", node.title, [None if g is None else float(np.sum(g)) for g in gradients]))

    def returned(self, node: Any, gradients: Sequence[Any]) -> None:
        self.told.append(("returned", node.title, [None if g is None else float(np.sum(g)) for g in gradients]))


def test_the_steps_of_a_backward_pass() -> None:
    a, b = minicnn.tensor(2.0, requires_grad=True), minicnn.tensor(5.0)
    y = a * b + a
    with Steps() as steps:
        y.backward()
    assert steps.told == [
        ("arrived", "Add", [1]), ("returned", "Add", [1, 1]), ("arrived", "Mul", [1]), ("returned", "Mul", [5, None]),
    ]  # fmt: skip
    assert a.grad is not None and a.grad.item() == 6 and not observers


def test_what_arrives_is_complete_and_after_the_hooks() -> None:
    a = minicnn.tensor(2.0, requires_grad=True)
    b = a * 3
    b.register_hook(lambda g: g * 10)
    with Steps() as steps:
        minicnn.autograd.grad(b * 4 + b, a)
    assert ("arrived", "Mul", [50]) in steps.told and steps.told[-1] == ("returned", "Mul", [150, None])


def test_a_result_without_a_gradient_and_a_node_that_fails() -> None:
    a = minicnn.tensor([1.0, 2.0], requires_grad=True)
    first, _ = a.unbind()
    y = first * first
    y.backward()
    with Steps() as steps, pytest.raises(RuntimeError, match="freed"):
        y.backward()
    assert steps.told == [("arrived", "Mul", [1])], "it returned nothing"
    with Steps() as steps:
        a.unbind()[1].backward()
    assert steps.told == [("arrived", "Unbind", [None, 1]), ("returned", "Unbind", [1, None])]
