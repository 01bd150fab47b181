"""Steps that the tape records: gradients flow through them to all that they are computed from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, optim
from minicnn.autograd import gradcheck

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"maximize": True}),
    ("AdamW", {"weight_decay": 0.1}),
    ("Adamax", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"weight_decay": 0.1}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {"weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Rprop", {}),
    ("ASGD", {"lambd": 0.1, "t0": 1}),
]
NAMES = [f"{name}-{'-'.join(options)}" for name, options in CASES]


def values(shape: tuple[int, ...], seed: int, requires_grad: bool = True) -> Tensor:
    found = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return minicnn.tensor(found, requires_grad=requires_grad)


def steps(name: str, options: dict[str, Any], start: Tensor, gradients: list[Tensor]) -> tuple[Tensor, ...]:
    """The parameter after the steps, and those parts of the state that carry gradients."""
    p = start.clone()
    optimizer = getattr(optim, name)([p], **options)
    for gradient in gradients:
        p.grad = gradient
        optimizer.step()
    return (p, *[part for part in optimizer.state[p].values() if isinstance(part, Tensor) and part.requires_grad])


@pytest.mark.parametrize("shape", [(2, 3), (), (0,)], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_the_gradient_of_steps(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    def run(p: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
        return steps(name, {"lr": 0.1, "differentiable": True, **options}, p, list(gradients))

    assert gradcheck(run, (values(shape, 0), values(shape, 1), values(shape, 2)))


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_a_recorded_step_computes_the_same(name: str, options: dict[str, Any]) -> None:
    results = []
    for differentiable in (False, True):
        start = values((2, 3), 0, requires_grad=False)
        gradients = [values((2, 3), seed, requires_grad=False) for seed in (1, 2, 3)]
        results.append(steps(name, {"lr": 0.1, "differentiable": differentiable, **options}, start, gradients)[0])
    np.testing.assert_allclose(
        results[0].tolist(), results[1].tolist(), rtol=1e-7
    )  # NAdam's product of mu is of float32


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop"])
def test_the_gradient_of_the_rate(name: str) -> None:
    def run(lr: Tensor, weight_decay: Tensor) -> Tensor:
        options = {"lr": lr, "weight_decay": weight_decay, "differentiable": True}
        return steps(name, options, values((3,), 0), [values((3,), 1, False), values((3,), 2, False)])[0]

    lr, weight_decay = (minicnn.tensor(x, dtype=minicnn.float64, requires_grad=True) for x in (0.1, 0.2))
    assert gradcheck(run, (lr, weight_decay))


def test_the_gradient_of_adams_betas() -> None:
    def run(beta1: Tensor, beta2: Tensor) -> Tensor:
        options = {"betas": (beta1, beta2), "differentiable": True}
        return steps("Adam", options, values((3,), 0), [values((3,), 1, False), values((3,), 2, False)])[0]

    assert gradcheck(run, tuple(minicnn.tensor(x, dtype=minicnn.float64, requires_grad=True) for x in (0.5, 0.7)))


@pytest.mark.parametrize("name", ["Rprop", "ASGD"])
def test_a_rate_in_the_state_has_no_gradient(name: str) -> None:
    lr = minicnn.tensor(0.1, requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"lr\.detach"):
        steps(name, {"lr": lr, "differentiable": True}, values((3,), 0), [values((3,), 1)])


def test_a_rate_is_learned_through_a_step_of_training() -> None:
    w, lr = minicnn.tensor([1.0, -2.0], requires_grad=True), minicnn.tensor(0.1, requires_grad=True)
    p = w.clone()
    optimizer = optim.SGD([p], lr=lr, differentiable=True)
    (p.grad,) = minicnn.autograd.grad((p.exp()).sum(), p, create_graph=True)
    optimizer.step()
    p.sum().backward()
    assert lr.grad is not None and lr.grad.item() == pytest.approx(-np.exp([1.0, -2.0]).sum(), rel=1e-6)
