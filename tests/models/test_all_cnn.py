"""The all-convolutional net."""

from __future__ import annotations

from counting import count
from layer_table import layer_table

import minicnn
from minicnn import models


def test_layers() -> None:
    with minicnn.device("meta"):
        net = models.all_cnn_c()
    shapes = [line.shape for line in layer_table(net, 3, 32, 32)]
    assert shapes == [
        (96, 32, 32), (96, 32, 32), (96, 16, 16), (192, 16, 16), (192, 16, 16), (192, 8, 8), (192, 6, 6), (192, 6, 6),
        (10, 6, 6),
    ]  # fmt: skip
    assert {line.kind for line in layer_table(net, 3, 32, 32)} == {"Conv2d"}
    assert sum(p.numel() for p in net.parameters()) == 1_369_738


def test_options() -> None:
    with minicnn.device("meta"):
        net, plain = models.all_cnn_c(num_classes=100, in_channels=1), models.all_cnn_c(dropout=False)
        assert tuple(net(minicnn.zeros(2, 1, 32, 32)).shape) == (2, 100)
    assert [layer.p for layer in net if isinstance(layer, minicnn.nn.Dropout)] == [0.2, 0.5, 0.5]
    assert not any(isinstance(layer, minicnn.nn.Dropout) for layer in plain)
    assert count(plain, (3, 32, 32))[0] == 1_369_738
