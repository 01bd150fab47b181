"""Fully connected nets."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn.models import MLP


def test_layers() -> None:
    table = [(line.kind, line.shape, line.parameters) for line in layer_table(MLP(), 1, 28, 28)]
    assert table == [("Linear", (300,), 235_500), ("Linear", (100,), 30_100), ("Linear", (10,), 1010)]


def test_options() -> None:
    net = MLP(num_classes=3, hidden_sizes=[5], in_features=12, activation="tanh", dropout=0.5)
    assert [type(layer).__name__ for layer in net.layers] == ["Flatten", "Linear", "Tanh", "Dropout", "Linear"]
    assert tuple(net(minicnn.zeros(2, 3, 2, 2)).shape) == (2, 3)
    linear = MLP(hidden_sizes=())
    assert sum(p.numel() for p in linear.parameters()) == 785 * 10
    with pytest.raises(ValueError, match="activation must be one of relu, tanh, sigmoid, got 'gelu'"):
        MLP(activation="gelu")


def test_it_trains() -> None:
    minicnn.manual_seed(0)
    finite_gradients(MLP(), 1, 28, 28)
    overfits(MLP(hidden_sizes=[32], in_features=64), 1, 8, 8)
