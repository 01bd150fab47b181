"""Highway nets."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn import nn
from minicnn.models import MLP, HighwayConvNet, HighwayNet


def test_layers() -> None:
    net = HighwayNet(depth=10)
    table = [(line.shape, line.parameters) for line in layer_table(net, 1, 28, 28)]
    assert table == [((50,), 785 * 50), *[((50,), 2550)] * 18, ((10,), 510)]
    assert [sum(p.numel() for p in block.parameters()) for block in net.highway] == [2 * (50 * 50 + 50)] * 9


def test_the_formula() -> None:
    """y = T(x) H(x) + (1 - T(x)) x, with T nearly 0 at first."""
    net = HighwayNet(depth=2, width=4, in_features=4)
    block, x = net.highway[0], minicnn.randn(3, 4)
    hidden = nn.functional.relu(nn.functional.linear(x, block.body[0].weight, block.body[0].bias))
    share = nn.functional.linear(x, block.gate.weight, block.gate.bias).sigmoid()
    assert minicnn.allclose(block(x), share * hidden + (1 - share) * x)
    assert block.gate.bias.tolist() == [-2.0] * 4
    assert HighwayNet(depth=2, gate_bias=-4).highway[0].gate.bias.tolist() == [-4.0] * 50


def test_a_plain_net_of_width_71_has_about_as_many_parameters() -> None:
    for depth in (10, 20, 50, 100):
        highway = sum(p.numel() for p in HighwayNet(depth=depth).parameters())
        plain = sum(p.numel() for p in MLP(hidden_sizes=[71] * depth).parameters())
        assert plain == pytest.approx(highway, rel=0.25)


def test_the_gradient_reaches_the_first_of_fifty_layers() -> None:
    minicnn.manual_seed(0)
    sizes = []
    for net in (HighwayNet(depth=50), MLP(hidden_sizes=[71] * 50)):
        nn.functional.cross_entropy(net(minicnn.randn(8, 1, 28, 28)), minicnn.arange(8)).backward()
        sizes.append(next(net.parameters()).grad.abs().max().item())
    assert sizes[0] > 1e-5 and sizes[1] < 1e-15


@pytest.mark.parametrize("depth", [10, 50])
def test_every_parameter_gets_a_gradient(depth: int) -> None:
    finite_gradients(HighwayNet(depth=depth), 1, 28, 28)


def test_it_learns_by_heart() -> None:
    minicnn.manual_seed(0)
    overfits(HighwayNet(depth=10, width=32, in_features=64, activation="tanh"), 1, 8, 8, lr=3e-3)


def test_convolutions() -> None:
    minicnn.manual_seed(0)
    net = HighwayConvNet(widths=(8, 16), blocks=2)
    shapes = [line.shape for line in layer_table(net, 3, 12, 8)]
    first, second = [(8, 12, 8)] * 5, [(16, 6, 4)] * 5
    assert shapes == [*first, (8, 6, 4), *second, (16, 3, 2), (10,)]
    finite_gradients(net, 3, 12, 8)
    overfits(net, 3, 8, 8, lr=1e-2)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="HighwayNet: activation must be one of relu, tanh, got 'gelu'"):
        HighwayNet(activation="gelu")
    with pytest.raises(ValueError, match="depth must be at least 1"):
        HighwayNet(depth=0)
