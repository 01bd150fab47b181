"""Checkpointing: the same results and gradients, with the inner activations computed twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import gradcheck
from minicnn.utils.checkpoint import checkpoint, checkpoint_sequential


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

    y = checkpoint(inner, minicnn.ones(3, requires_grad=True))
    assert calls == [False]
    y.sum().backward()
    assert calls == [False, True]
    with minicnn.no_grad():
        assert not checkpoint(inner, minicnn.ones(3, requires_grad=True)).requires_grad


def test_several_arguments_and_results() -> None:
    def inner(a: Any, n: int, *, b: Any) -> Any:
        return a * b * n, (a - b).tanh(), a.detach()

    a, b = (minicnn.tensor(np.random.default_rng(s).standard_normal((2, 3)), requires_grad=True) for s in (0, 1))
    assert gradcheck(lambda a, b: checkpoint(inner, a, 3, b=b)[:2], (a, b))
    y, _, constant = checkpoint(inner, a, 3, b=b)
    y.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 3 * b.detach().numpy())
    assert constant.tolist() == a.tolist()


def test_tensors_from_outside_get_their_gradients() -> None:
    w = minicnn.tensor([2.0], requires_grad=True)
    outside = w * 3
    x = minicnn.ones(1, requires_grad=True)
    (checkpoint(lambda t: t * outside, x) + outside).backward()
    assert (x.grad.item(), w.grad.item()) == (6, 6)


def test_on_the_meta_device() -> None:
    model = net().to("meta")
    x = minicnn.ones(2, 2, 4, 5, dtype=minicnn.float64, device="meta", requires_grad=True)
    assert checkpoint(model, x).shape == (2, 2, 4, 5)


def test_errors() -> None:
    x = minicnn.ones(1, requires_grad=True)
    with pytest.raises(TypeError, match="tuple of tensors, got dict"):
        checkpoint(lambda t: {"y": t}, x)
    with pytest.raises(NotImplementedError, match="context_fn"):
        checkpoint(lambda t: t, x, context_fn=print)
