"""Recording a tape leaves nothing behind: gradients, hooks, statistics, random numbers."""

from __future__ import annotations

import pytest
from tapes import gradient, leaf, named

import minicnn
from minicnn import nn
from minicnn.explain import recorded
from minicnn.utils.checkpoint import checkpoint


def test_nothing_is_left_behind() -> None:
    a, b = leaf(2.0, 1.0), leaf(3.0, 4.0)
    d = a * b
    d.retain_grad()
    before = a.grad = minicnn.tensor([1.0, 1.0])
    after: list[minicnn.Tensor] = []
    a.register_post_accumulate_grad_hook(after.append)
    loss = (d * d).sum()
    for _ in range(2):
        tape = recorded(loss, names={"d": d})
        assert a.grad is before and before.tolist() == [1, 1] and b.grad is None and d.grad is None and not after
        assert gradient(tape, "d") is not None
    loss.backward()
    assert d.grad is not None and d.grad.tolist() == [12, 8]
    assert a.grad.tolist() == [37, 33] and b.grad is not None and b.grad.tolist() == [24, 8] and after == [a]


def test_the_net_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    x = minicnn.randn(4, 3)
    minicnn.manual_seed(5)
    expected = minicnn.rand(3).tolist()
    minicnn.manual_seed(5)
    recorded(lambda: net(x).sum(), net)
    assert minicnn.rand(3).tolist() == expected
    assert net[0].running_mean.tolist() == [0, 0, 0] and int(net[0].num_batches_tracked) == 0 and net.training


def test_checkpoints_add_to_no_gradient() -> None:
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), minicnn.randn(2, 3, requires_grad=True)
    kept = net[0].weight.grad = minicnn.ones(4, 3)
    tape = recorded(lambda: checkpoint(net, x, use_reentrant=False).sum(), net)
    assert net[0].weight.grad is kept and (kept.array == 1).all() and net[2].weight.grad is None and x.grad is None
    assert gradient(tape, "x") is not None and gradient(tape, "0.weight") is not None and not tape.notes


class Clipped(nn.Module):
    """w^2 x, whose forward first writes into w; w is 2 and -3 before."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(minicnn.tensor([2.0, -3.0]))

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        with minicnn.no_grad():
            self.w.clamp_(-1, 1)
        return (self.w * self.w * x).sum()


def test_what_a_run_writes_into_its_parameters_stays_for_the_backward_pass() -> None:
    net = Clipped()
    tape = recorded(lambda: net(minicnn.ones(2)), net)
    assert named(tape, "w").numbers.values.tolist() == [1, -1]  # type: ignore[union-attr]
    assert gradient(tape, "w").tolist() == [2, -2] and net.w.tolist() == [2, -3]


@pytest.mark.parametrize("as_function", [True, False])
def test_checkpoints_leave_statistics_and_hooks_alone(as_function: bool) -> None:
    inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    net, x = nn.Sequential(inner), minicnn.randn(5, 3, requires_grad=True)
    told: list[minicnn.Tensor] = []
    inner[0].weight.register_post_accumulate_grad_hook(told.append)
    loss = checkpoint(inner, x, use_reentrant=False).sum()
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    again = lambda: checkpoint(inner, x, use_reentrant=False).sum()  # noqa: E731
    tape = recorded(again if as_function else loss, net, names={"x": x})
    assert {name: value.tolist() for name, value in net.state_dict().items()} == before and not told
    assert gradient(tape, "x") is not None and inner[0].weight.grad is None
    loss.backward()
    assert told == [inner[0].weight] and int(inner[1].num_batches_tracked) == 2


def test_a_checkpoint_that_uses_a_tensor_of_the_same_tape() -> None:
    """What the function takes from outside is part of the tape, and gets all of its gradient."""
    w, x = leaf(3.0), leaf(5.0)
    doubled = w * 2
    loss = checkpoint(lambda value: value * doubled, x, use_reentrant=False) + doubled
    tape = recorded(loss, names={"w": w, "x": x})
    assert w.grad is None and x.grad is None and [o.name for o in tape.steps] == ["Add", "Mul", "Mul"]
    assert gradient(tape, "x") == 6 and gradient(tape, "w") == 12
    loss.backward()
    assert w.grad is not None and float(w.grad) == 12


def test_parameters_that_are_frozen_after_the_run() -> None:
    net = nn.Linear(2, 1)
    loss = net(minicnn.tensor([[3.0, 4.0]])).sum()
    net.requires_grad_(False)
    net.bias.requires_grad_(True)
    tape = recorded(loss, net)
    assert tape.error is None and gradient(tape, "bias") == 1
    assert next(leaf for leaf in tape.leaves if leaf.name == "weight").value.gradient is None
    assert not net.weight.requires_grad and net.weight.grad is None
    loss.backward()
    assert net.weight.grad is None and net.bias.grad.tolist() == [1]
