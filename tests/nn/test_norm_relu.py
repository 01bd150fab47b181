"""Batch norm and ReLU in sequence: one function if nothing can differ, else two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F
from minicnn.ops import batchnorm

SHAPES = {nn.BatchNorm1d: (6, 3, 4), nn.BatchNorm2d: (4, 3, 5, 2), nn.BatchNorm3d: (2, 3, 2, 3, 2)}


def random(*shape: int, seed: int = 0, **options: Any) -> minicnn.Tensor:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) + np.float32(0.5)
    return minicnn.tensor(values, **options)


def normed(cls: type, relu: nn.Module | None, training: bool) -> nn.Sequential:
    norm = cls(3)
    with minicnn.no_grad():
        norm.weight.copy_(random(3, seed=1))
        norm.bias.copy_(random(3, seed=2))
        norm.running_mean.copy_(random(3, seed=3))
    return nn.Sequential(norm, *([relu] if relu else [])).train(training)


def results(net: Callable[[Any], Any], norm: Any, x: minicnn.Tensor) -> list[Any]:
    x = x.detach().clone().requires_grad_()
    y = net(x * 1)
    (y * random(*y.shape, seed=5)).sum().backward()
    found = [y.detach(), x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
    return [t.numpy().copy() for t in found] + [norm.num_batches_tracked.item()]


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows by one element at each call of `batch_norm_relu`."""
    seen: list[bool] = []
    from minicnn.nn import fused as layers

    def counted(*args: Any, **options: Any) -> Any:
        seen.append(True)
        return batchnorm.batch_norm_relu(*args, **options)

    monkeypatch.setattr(layers, "batch_norm_relu", counted)
    return seen


@pytest.mark.cpu_only("is about two layers that run as one, which they do on the CPU only")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("cls", SHAPES)
def test_the_same_as_one_after_the_other(cls: type, inplace: bool, training: bool, fused: list[bool]) -> None:
    x = random(*SHAPES[cls])
    for memory in [x, *([x.contiguous(memory_format=minicnn.channels_last)] if x.ndim == 4 else [])]:
        together, apart = (normed(cls, nn.ReLU(inplace), training) for _ in range(2))
        apart[1].register_forward_hook(lambda *_: None)
        expected = results(apart, apart[0], memory)
        assert not fused
        got = results(together, together[0], memory)
        assert len(fused) == 1
        fused.clear()
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1] == 0, expected[1] == 0)


def test_large_ones_have_the_same_bits() -> None:
    x = random(8, 20, 33, 31).contiguous(memory_format=minicnn.channels_last)
    for memory in (x, x.contiguous()):
        y = F.relu(F.batch_norm(memory, None, None, training=True))
        np.testing.assert_array_equal(F.batch_norm_relu(memory, None, None, training=True).numpy(), y.numpy())


@pytest.mark.cpu_only("is about two layers that run as one, which they do on the CPU only")
def test_separate_where_something_could_differ(fused: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    x = random(4, 3, 5, 2)

    class MyReLU(nn.ReLU):
        pass

    class MyNorm(nn.BatchNorm2d):
        pass

    for net in (
        nn.Sequential(nn.BatchNorm2d(3), MyReLU()),
        nn.Sequential(MyNorm(3), nn.ReLU()),
        nn.Sequential(nn.BatchNorm2d(3), nn.Identity(), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU6()),
    ):
        net(x)
    for place in (0, 1):
        for kind in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"):
            net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
            getattr(net[place], f"register_{kind}")(lambda *_: None)
            net(x)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    with minicnn.autograd.detect_anomaly():
        net(x)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    net(x)
    handle.remove()
    object.__setattr__(net[1], "forward", lambda x: x * 2)
    net(x)
    assert not fused
    del net[1].__dict__["forward"]
    net(x)
    assert len(fused) == 1
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: x)
    net(x)
    assert len(fused) == 1


def test_a_hook_sees_what_batch_norm_gives(fused: list[bool]) -> None:
    net, seen = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Identity()), []
    net[0].register_forward_hook(lambda module, args, y: seen.append(y))
    y = net(random(4, 3, 5, 2))
    assert (seen[0].detach().numpy() < 0).any() and (y.detach().numpy() >= 0).all()


@pytest.mark.cpu_only("is about two layers that run as one, which they do on the CPU only")
def test_in_a_row_of_many(fused: list[bool]) -> None:
    """Every pair is found, whatever stands around it, and no layer is skipped or run twice."""
    x = random(4, 3, 5, 2)
    net = nn.Sequential(
        nn.ReLU(), nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.ReLU(), nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU(),
        nn.Conv2d(3, 2, 1),
    )  # fmt: skip
    y = x
    for module in net:
        y = module(y)
    np.testing.assert_allclose(net(x).detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert len(fused) == 2 and [m.num_batches_tracked.item() for m in net if type(m) is nn.BatchNorm2d] == [2, 2, 2]
    assert nn.Sequential()(x) is x


def test_on_meta_tensors_and_with_errors(fused: list[bool]) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()).to("meta")
    assert net(minicnn.empty(4, 3, 5, 2, device="meta")).shape == (4, 3, 5, 2)
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())(random(4, 3))


@pytest.mark.cpu_only("is about two layers that run as one, which they do on the CPU only")
def test_a_bias_that_changed_in_between_raises() -> None:
    norm = nn.BatchNorm2d(3)
    y = nn.Sequential(norm, nn.ReLU())(random(4, 3, 5, 2))
    with minicnn.no_grad():
        norm.bias.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
