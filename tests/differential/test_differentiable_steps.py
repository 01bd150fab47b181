"""Gradients through a step of an optimiser, against PyTorch's.

One step: of two, PyTorch refuses the gradient of some optimisers, whose state it changes in place, and in the first
step of SGD with momentum it detaches the momentum from the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"weight_decay": 0.1}), ("Adam", {"amsgrad": True}), ("AdamW", {}),
    ("Adamax", {}), ("NAdam", {}), ("RAdam", {}), ("Adagrad", {}), ("Adadelta", {}), ("RMSprop", {"momentum": 0.9}),
    ("Rprop", {}), ("ASGD", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])
def test_gradients_of_a_step(name: str, options: dict[str, Any]) -> None:
    start, given = np.random.default_rng(0).uniform(0.5, 1.5, (2, 4))
    found = []
    for library in (minicnn, torch):
        leaf, gradient = [library.tensor(values, requires_grad=True) for values in (start, given)]
        p = leaf.clone()
        optimizer = getattr(library.optim, name)([p], lr=0.1, differentiable=True, **options)
        p.grad = gradient
        optimizer.step()
        (p**3).sum().backward()
        of_gradient = np.zeros(4) if gradient.grad is None else gradient.grad.tolist()  # Rprop's sign has none
        found.append([p.tolist(), leaf.grad.tolist(), of_gradient])
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-7)  # PyTorch counts steps in float32
