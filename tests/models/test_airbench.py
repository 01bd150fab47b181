"""The net of airbench94."""

from __future__ import annotations

import numpy as np
from counting import finite_gradients
from layer_table import layer_table

import minicnn
from minicnn import models, nn


def test_layers() -> None:
    with minicnn.device("meta"):
        net = models.airbench94()
    shapes = [line.shape for line in layer_table(net, 3, 32, 32) if line.kind in ("Conv2d", "Linear")]
    assert shapes == [
        (24, 31, 31), (64, 31, 31), (64, 15, 15), (256, 15, 15), (256, 7, 7), (256, 7, 7), (256, 3, 3), (10,),
    ]  # fmt: skip
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert (trained, sum(p.numel() for p in net.parameters())) == (1_971_640, 1_972_792)


def test_start() -> None:
    """The first outputs of a new 3x3 convolution are its inputs; the scores are small."""
    conv = models.airbench94().blocks[0].conv1
    x = minicnn.rand(2, 24, 5, 7)
    np.testing.assert_allclose(conv(x)[:, :24].detach().numpy(), x.numpy(), atol=1e-6)
    assert float(models.airbench94()(minicnn.randn(4, 3, 32, 32)).abs().max()) < 1


def test_gradients() -> None:
    finite_gradients(models.airbench94(num_classes=7, in_channels=1), 1, 32, 32)
    assert [m.momentum for m in models.airbench94().modules() if isinstance(m, nn.BatchNorm2d)] == [0.4] * 6
