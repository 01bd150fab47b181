"""SGD against its update rule, written out; groups, state, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim


def rule(p, gradients, lr, momentum, dampening, weight_decay, nesterov, maximize):
    """The documented update, step by step, in plain NumPy."""
    b = None
    for g in gradients:
        g = (-g if maximize else g) + weight_decay * p
        if momentum:
            b = g.copy() if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p = p - lr * g
    return p


@pytest.mark.parametrize(
    ("momentum", "dampening", "weight_decay", "nesterov", "maximize"),
    [case for case in itertools.product([0, 0.9], [0, 0.3], [0, 0.01], [False, True], [False, True])
     if not (case[3] and (case[0] == 0 or case[1] > 0))],
)  # fmt: skip
def test_update_rule(momentum, dampening, weight_decay, nesterov, maximize) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal((3, 4)), rng.standard_normal((20, 3, 4))
    p = nn.Parameter(start.copy())
    optimiser = optim.SGD([p], 0.1, momentum, dampening, weight_decay, nesterov, maximize=maximize)
    for g in gradients:
        p.grad = minicnn.Tensor(g.copy())
        optimiser.step()
    expected = rule(start, gradients, 0.1, momentum, dampening, weight_decay, nesterov, maximize)
    np.testing.assert_allclose(p.array, expected, rtol=1e-12)


def test_groups_have_their_own_options() -> None:
    a, b, c = (nn.Parameter(np.ones(1)) for _ in range(3))
    optimiser = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimiser.add_param_group({"params": [c], "lr": 0})
    for p in (a, b, c):
        p.grad = minicnn.Tensor(np.ones(1))
    optimiser.step()
    assert [p.item() for p in (a, b, c)] == pytest.approx([0.9, 0.5, 1])


def test_parameters_without_a_gradient_stay() -> None:
    p = nn.Parameter(np.ones(1))
    optim.SGD([p], 0.1, weight_decay=1).step()
    assert p.item() == 1


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    p = nn.Parameter(np.ones(2))
    loss = (p * p).sum()
    p.grad = minicnn.Tensor(np.ones(2))
    optim.SGD([p], 0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_the_state_continues() -> None:
    def run(steps: int, optimiser: optim.SGD, p: nn.Parameter, first: int) -> None:
        for i in range(first, first + steps):
            p.grad = minicnn.Tensor(np.full(2, float(i)))
            optimiser.step()

    p = nn.Parameter(np.ones(2))
    one = optim.SGD([p], 0.1, momentum=0.9)
    run(6, one, p, 0)
    q = nn.Parameter(np.ones(2))
    first = optim.SGD([q], 0.1, momentum=0.9)
    run(3, first, q, 0)
    second = optim.SGD([q], 0.5, momentum=0.1)
    second.load_state_dict(first.state_dict())
    run(3, second, q, 3)
    assert np.array_equal(p.array, q.array)
    with pytest.raises(ValueError, match="groups of"):
        optim.SGD([q, p], 0.1).load_state_dict(first.state_dict())


def test_bad_calls() -> None:
    p = nn.Parameter(np.ones(1))
    for call, error, text in [
        (lambda: optim.SGD([], 0.1), ValueError, "empty parameter list"),
        (lambda: optim.SGD(p, 0.1), TypeError, "iterable of tensors"),
        (lambda: optim.SGD([p, p], 0.1), ValueError, "more than one group or twice"),
        (lambda: optim.SGD([p * 2], 0.1), ValueError, "can only optimise leaf tensors"),
        (lambda: optim.SGD([p], -1), ValueError, "lr must not be negative, got -1"),
        (lambda: optim.SGD([p], float("nan")), ValueError, "lr must not be negative"),
        (lambda: optim.SGD([p], 0.1, nesterov=True), ValueError, "needs a momentum"),
        (
            lambda: optim.SGD([{"params": [p], "learning_rate": 1}], 0.1),
            ValueError,
            r"unknown options \['learning_rate'\]",
        ),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_closure() -> None:
    p = nn.Parameter(np.ones(1))
    optimiser = optim.SGD([p], 0.1)

    def closure() -> minicnn.Tensor:
        optimiser.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with minicnn.no_grad():
        assert optimiser.step(closure).item() == 1
    assert p.item() == pytest.approx(0.8)
