"""AlphaGo's policy network."""

from __future__ import annotations

import numpy as np
import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn.models import AlphaGo


def test_layers() -> None:
    """Layer 1 is 5x5 padded by 2, layers 2 to 12 are 3x3 padded by 1, the last is 1x1; 192 x 19 x 19 throughout."""
    with minicnn.device("meta"):
        net = AlphaGo()
    convolutions = [layer for layer in net.modules() if isinstance(layer, minicnn.nn.Conv2d)]
    assert [(c.kernel_size, c.stride, c.padding) for c in convolutions] == [
        ((5, 5), (1, 1), (2, 2)), *[((3, 3), (1, 1), (1, 1))] * 11, ((1, 1), (1, 1), (0, 0))
    ]  # fmt: skip
    table = [(line.shape, line.parameters) for line in layer_table(net, 48, 19, 19)]
    assert table == [((192, 19, 19), 230_592), *[((192, 19, 19), 331_968)] * 11, ((1, 19, 19), 192)]
    assert net.bias is not None and tuple(net.bias.shape) == (361,)
    assert tuple(net(minicnn.zeros(2, 48, 19, 19, device="meta")).shape) == (2, 361)


@pytest.mark.parametrize(
    "filters, parameters", [(128, 1_777_641), (192, 3_882_793), (256, 6_798_953), (384, 15_064_297)]
)
def test_filters(filters: int, parameters: int) -> None:
    with minicnn.device("meta"):
        net, shared = AlphaGo(filters), AlphaGo(filters, position_bias=False)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert sum(p.numel() for p in shared.parameters()) == parameters - 360


def test_each_point_has_its_own_bias() -> None:
    net = AlphaGo(filters=4, hidden_layers=1, size=5)
    x = minicnn.randn(1, 48, 5, 5)
    before = net(x).detach().numpy()
    net.bias.data = minicnn.arange(25).float()
    assert np.allclose(net(x).detach().numpy() - before, np.arange(25), atol=1e-5)


def test_another_board() -> None:
    with pytest.raises(ValueError, match=r"must have 19 x 19 points, got \(1, 48, 9, 9\); AlphaGo\(size=...\)"):
        AlphaGo(filters=1)(minicnn.zeros(1, 48, 9, 9))
    assert tuple(AlphaGo(filters=1, size=9)(minicnn.zeros(1, 48, 9, 9)).shape) == (1, 81)


@pytest.mark.slow
def test_every_parameter_gets_a_gradient() -> None:
    finite_gradients(AlphaGo(), 48, 19, 19, batch=1)


def test_it_learns_by_heart() -> None:
    minicnn.manual_seed(0)
    net = AlphaGo(filters=16, hidden_layers=2, size=5)
    finite_gradients(net, 48, 5, 5)
    overfits(net, 48, 5, 5, classes=16, lr=1e-2)
