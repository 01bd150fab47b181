"""The table of layers that run as one function: when they are fused, and that only the speed differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import fused
from minicnn.nn.fused import FUSED, steps
from minicnn_kernels.runtime import have_numba

PAIRS = pytest.mark.parametrize("pair", FUSED, ids=lambda pair: f"{pair[0].__name__}+{pair[1].__name__}")


def _net(pair: tuple[type, type]) -> nn.Sequential:
    """Make a net with the two layers and others around them."""
    arguments = {nn.BatchNorm1d: 3, nn.BatchNorm2d: 3, nn.BatchNorm3d: 3, nn.MaxPool2d: 2}
    first, second = [cls(*([arguments[cls]] if cls in arguments else [])) for cls in pair]
    return nn.Sequential(nn.Identity(), first, second, nn.Identity())


def _input(pair: tuple[type, type]) -> minicnn.Tensor:
    shape = {nn.BatchNorm1d: (4, 3, 5), nn.BatchNorm3d: (2, 3, 2, 4, 3)}.get(pair[0], (3, 3, 6, 5))
    return minicnn.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32), requires_grad=True)


def _run(net: nn.Sequential, x: minicnn.Tensor) -> list[Any]:
    for t in (x, *net.parameters()):
        t.grad = None
    y = net(x)
    (y * y).sum().backward()
    return [y.detach().numpy(), *(t.grad.numpy() for t in (x, *net.parameters()))]  # type: ignore[union-attr]


@pytest.mark.skipif(not have_numba(), reason="nothing is compiled without Numba")
@PAIRS
def test_fused_is_the_same(pair: tuple[type, type]) -> None:
    net, x = _net(pair), _input(pair)
    assert len(list(steps(net))) == 3
    together = _run(net, x)
    with minicnn.use(fused=False):
        assert list(steps(net)) == list(net)
        with minicnn.use(backend="numba", fused=True):
            assert len(list(steps(net))) == 3
        with minicnn.use(algorithm="direct"):  # does not change fusion
            assert list(steps(net)) == list(net)
        apart = _run(net, x)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


CHOICES: list[dict[str, Any]] = [{"backend": "python", "algorithm": "direct"}, {"backend": "numpy"}, {"fused": False}]


@pytest.mark.parametrize("choice", CHOICES)
@PAIRS
def test_every_layer_is_entered(pair: tuple[type, type], choice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the backends for reading, or with fused=False, every layer is entered."""
    entered: list[type] = []
    for cls in pair:

        def forward(self: Any, input: Any, own: Any = cls.forward) -> Any:
            entered.append(type(self))
            return own(self, input)

        monkeypatch.setattr(cls, "forward", forward)
        monkeypatch.setitem(fused._FORWARD, cls, forward)  # as if it were the original forward
    with minicnn.use(**choice):
        _net(pair)(_input(pair))
    assert [cls for cls in entered if cls in pair] == list(pair)
