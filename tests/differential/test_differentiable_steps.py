"""Gradients through the steps of an optimiser, against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minicnn

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}), ("Adam", {"amsgrad": True}), ("AdamW", {}),
    ("Adamax", {}), ("NAdam", {}), ("RAdam", {}), ("Adagrad", {}), ("Adadelta", {}), ("RMSprop", {"momentum": 0.9}),
    ("Rprop", {}), ("ASGD", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])
def test_gradients_of_two_steps(name: str, options: dict[str, Any]) -> None:
    start, *given = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))
    found = []
    for library in (minicnn, torch):
        leaf, *gradients = [library.tensor(values, requires_grad=True) for values in (start, *given)]
        p = leaf.clone()
        optimizer = getattr(library.optim, name)([p], lr=0.1, differentiable=True, **options)
        for gradient in gradients:
            p.grad = gradient
            optimizer.step()
        (p**3).sum().backward()
        found.append([p.tolist(), *[x.grad.tolist() for x in (leaf, *gradients)]])
    np.testing.assert_allclose(*found, rtol=1e-6)
