"""Normalisation layers in float16: computed in float32, with results and gradients in float16."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

import minicnn
from minicnn import nn

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "BatchNorm2d": lambda: nn.BatchNorm2d(4),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(4, affine=True),
    "InstanceNorm2d with statistics": lambda: nn.InstanceNorm2d(4, track_running_stats=True),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "LayerNorm": lambda: nn.LayerNorm((5, 3)),
    "RMSNorm": lambda: nn.RMSNorm((5, 3)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("half_parameters", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_float16(name: str, half_parameters: bool, training: bool) -> None:
    """Squares of 300 are too large for float16; parameters may be float32, as in PyTorch."""
    rng = np.random.default_rng(0)
    values, gy = rng.standard_normal((2, 6, 4, 5, 3)).astype(np.float16) * np.float16(1)
    values = values * np.float16(300)
    minicnn.manual_seed(0)
    wide = LAYERS[name]().train(training)
    narrow = LAYERS[name]()
    narrow.load_state_dict(wide.state_dict())
    narrow = (narrow.half() if half_parameters else narrow).train(training)
    results = []
    for layer, kind in ((wide, np.float32), (narrow, np.float16)):
        x = minicnn.tensor(values.astype(kind), requires_grad=True)
        y = layer(x)
        y.backward(minicnn.tensor(gy.astype(kind)))
        assert x.grad is not None and y.dtype == x.grad.dtype == kind
        results.append([y.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())])
        for p in layer.parameters():
            assert p.grad is not None and p.grad.dtype == p.dtype
    for found, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(found, expected, 4e-3, 4e-3 * np.abs(expected).max())
    for own, other in zip(narrow.buffers(), wide.buffers(), strict=True):
        if other.dtype == np.float32 and np.abs(other.numpy()).max() < 60000:
            np.testing.assert_allclose(own.numpy(), other.numpy(), 2e-3, 2e-3)


def test_gumbel_softmax_of_float16() -> None:
    y = nn.functional.gumbel_softmax(minicnn.zeros(3, 4, dtype=minicnn.float16))
    assert y.dtype == minicnn.float16
    np.testing.assert_allclose(y.numpy().sum(-1), np.ones(3), 1e-2)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (0, 2), (3, 4, 2)])
def test_gradients_of_linear_in_float16(shape: tuple[int, ...]) -> None:
    layer = nn.Linear(2, 3)
    x = minicnn.randn(*shape)
    of_half = copy.deepcopy(layer).half()
    for net, input in ((layer, x), (of_half, x.half())):
        net(input).square().sum().backward()
    for p, q in zip(layer.parameters(), of_half.parameters(), strict=True):
        assert q.grad.shape == p.shape and q.grad.dtype == minicnn.float16
        minicnn.testing.assert_close(q.grad.float(), p.grad, rtol=2e-2, atol=5e-2)
