"""The net of the ConvNetJS demo."""

from __future__ import annotations

from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn.models import ConvNetJS


def test_layers() -> None:
    table = [(line.kind, line.shape, line.parameters) for line in layer_table(ConvNetJS(), 3, 32, 32)]
    assert table == [
        ("Conv2d", (16, 32, 32), 1216), ("MaxPool2d", (16, 16, 16), 0),
        ("Conv2d", (20, 16, 16), 8020), ("MaxPool2d", (20, 8, 8), 0),
        ("Conv2d", (20, 8, 8), 10_020), ("MaxPool2d", (20, 4, 4), 0),
        ("Linear", (10,), 3210),
    ]  # fmt: skip


def test_start_values() -> None:
    minicnn.manual_seed(0)
    net = ConvNetJS()
    assert all(bool((net.features[layer].bias == 0.1).all()) for layer in (0, 3, 6))
    assert set(net.classifier[1].bias.tolist()) == {0.0}
    assert abs(net.features[6].weight.std().item() * 500**0.5 - 1) < 0.05


def test_it_trains() -> None:
    minicnn.manual_seed(0)
    finite_gradients(ConvNetJS(), 3, 32, 32)
    overfits(ConvNetJS(), 3, 32, 32)
