"""Checkpointing: the same results and gradients, with the inner activations computed twice."""

from __future__ import annotations

import weakref
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import gradcheck
from minicnn.autograd.engine import Node
from minicnn.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential, set_checkpoint_early_stop


def net() -> nn.Sequential:
    minicnn.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Dropout(0.4), nn.Conv2d(3, 2, 1), nn.Tanh(), nn.Conv2d(2, 2, 1)
    ).double()


def run(segments: int, trained: bool = True) -> list[Any]:
    model = net()
    x = minicnn.randn(2, 2, 4, 5, dtype=minicnn.float64).requires_grad_(trained)
    y = checkpoint_sequential(model, segments, x, use_reentrant=False) if segments else model(x)
    (y * y).sum().backward()
    after = minicnn.rand(1)
    gradients = [p.grad for p in (*model.parameters(), x) if p.requires_grad]
    return [t.detach().numpy() for t in (y, after, *gradients)]


@pytest.mark.parametrize("segments", [1, 2, 3, 6])
@pytest.mark.parametrize("trained", [True, False])
def test_numbers_are_the_same(segments: int, trained: bool) -> None:
    """Dropout draws the same numbers again, and later random numbers are the same, too."""
    for got, wanted in zip(run(segments, trained), run(0, trained), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_inner_record_is_made_in_the_backward_pass() -> None:
    calls: list[bool] = []

    def inner(x: Any) -> Any:
        calls.append(minicnn.is_grad_enabled())
        return x.tanh() * 2

    y = checkpoint(inner, minicnn.ones(3, requires_grad=True), use_reentrant=False)
    assert calls == [True]
    y.sum().backward()
    assert calls == [True, True]
    with minicnn.no_grad():
        assert not checkpoint(inner, minicnn.ones(3, requires_grad=True), use_reentrant=False).requires_grad


def test_several_arguments_and_results() -> None:
    def inner(a: Any, n: int, *, b: Any) -> Any:
        return a * b * n, (a - b).tanh(), a.detach()

    a, b = (minicnn.tensor(np.random.default_rng(s).standard_normal((2, 3)), requires_grad=True) for s in (0, 1))
    assert gradcheck(lambda a, b: checkpoint(inner, a, 3, b=b, use_reentrant=False)[:2], (a, b))
    y, _, constant = checkpoint(inner, a, 3, b=b, use_reentrant=False)
    y.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 3 * b.detach().numpy())
    assert constant.tolist() == a.tolist()


def test_tensors_from_outside_get_their_gradients() -> None:
    w = minicnn.tensor([2.0], requires_grad=True)
    outside = w * 3
    x = minicnn.ones(1, requires_grad=True)
    (checkpoint(lambda t: t * outside, x, use_reentrant=False) + outside).backward()
    assert (x.grad.item(), w.grad.item()) == (6, 6)


def test_on_the_meta_device() -> None:
    model = net().to("meta")
    x = minicnn.ones(2, 2, 4, 5, dtype=minicnn.float64, device="meta", requires_grad=True)
    assert checkpoint(model, x, use_reentrant=False).shape == (2, 2, 4, 5)


def test_errors() -> None:
    x = minicnn.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="context_fn"):
        checkpoint(lambda t: t, x, use_reentrant=True, context_fn=lambda: (nullcontext(), nullcontext()))
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda t: t, x, use_reentrant=False, determinism_check="all")
    with pytest.warns(UserWarning, match="use_reentrant"):
        checkpoint(lambda t: t, x)


def saved_bytes(y: Any) -> int:
    """Return the size of all arrays that the nodes behind a tensor have saved."""
    nodes, waiting = set(), [y.grad_fn]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node not in nodes:
            nodes.add(node)
            waiting += [edge[0] for edge in node.inputs if type(edge) is tuple]
    return sum(a.nbytes for node in nodes for a in node._saved or () if isinstance(a, np.ndarray))


def test_nothing_inside_is_saved() -> None:
    model, x = net(), minicnn.ones(2, 2, 4, 5, dtype=minicnn.float64, requires_grad=True)
    assert saved_bytes(model(x)) > 2000
    y = checkpoint(model, x, use_reentrant=False)
    assert saved_bytes(y) == 0
    kept = weakref.ref(y.grad_fn)
    del y
    assert kept() is None  # no cycle of references


def test_gradients_of_gradients_and_of_tensors_from_outside() -> None:
    x, w = (minicnn.tensor([v], dtype=minicnn.float64, requires_grad=True) for v in (0.7, 1.3))

    def inner(x: Any) -> Any:
        return (x * w).sin().exp()

    def once(x: Any) -> Any:
        return checkpoint(inner, x, use_reentrant=False)

    def twice(x: Any) -> Any:
        return checkpoint(once, x, use_reentrant=False)

    (wanted,) = minicnn.autograd.grad(inner(x), x, create_graph=True)
    expected = minicnn.autograd.grad(wanted, (x, w))
    for function in (once, twice):
        (found,) = minicnn.autograd.grad(function(x), x, create_graph=True)
        assert [g.item() for g in minicnn.autograd.grad(found, (x, w))] == [g.item() for g in expected]


@pytest.mark.parametrize("early", [True, False])
def test_early_stop_and_contexts(early: bool) -> None:
    did: list[str] = []

    def inner(x: Any) -> Any:
        y = x.exp()
        did.append("end")
        return {"y": [y + 1, len(did)]}

    @contextmanager
    def said(what: str) -> Any:
        did.append(what)
        yield

    x = minicnn.ones(2, requires_grad=True)
    with set_checkpoint_early_stop(early):
        y, number = checkpoint(inner, x, use_reentrant=False, context_fn=lambda: (said("one"), said("two")))["y"]
    assert number == 2
    y.sum().backward(retain_graph=True)
    assert did == ["one", "end", "two"] + ([] if early else ["end"])


def test_functions_that_do_something_else_the_second_time() -> None:
    def function(*runs: Any) -> Any:
        steps = iter(runs)
        return lambda x: next(steps)(x)

    x = minicnn.ones(1, requires_grad=True)

    def two(x: Any) -> Any:
        return x.sin().exp()

    def three(x: Any) -> Any:
        return x.sin().exp().sin()

    def wide(x: Any) -> Any:
        return x.sin() * minicnn.tensor([1.0, 2.0])

    with pytest.raises(CheckpointError, match="A different number of tensors was saved"):
        checkpoint(function(three, two), x, use_reentrant=False).backward()
    with pytest.raises(CheckpointError, match="trying to save more tensors during recomputation"):
        checkpoint(function(two, three), x, use_reentrant=False, early_stop=False).backward()
    with pytest.raises(CheckpointError, match=r"tensor 1 of 2 .* have different metadata|different metadata"):
        checkpoint(function(two, wide), x, use_reentrant=False).backward()
    checkpoint(function(two, three), x, use_reentrant=False).backward()
    assert x.grad is not None


def test_the_kernels_of_the_first_run_are_used_again() -> None:
    """In compiled runs two layers may be one function, which saves something else than the two."""
    model, x = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)), minicnn.randn(2, 2, 4, 4)
    with minicnn.use(backend="numpy"):
        y = checkpoint(model, x, use_reentrant=False)
    y.sum().backward()
    assert model[0].weight.grad is not None


def test_an_argument_that_was_changed_since() -> None:
    x = minicnn.ones(2, requires_grad=True)
    a = x * 2
    y = checkpoint(lambda a: a.exp(), a, use_reentrant=False)
    a.add_(1)
    with pytest.raises(RuntimeError, match="Checkpoint saved was changed in place"):
        y.sum().backward()
