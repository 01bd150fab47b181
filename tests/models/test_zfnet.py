"""ZFNet."""

from __future__ import annotations

from typing import Any

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn import models
from minicnn.models import ZFNet


@pytest.mark.parametrize("name, last", [("zfnet", (384, 384, 256)), ("zfnet_wide", (512, 1024, 512))])
def test_layers(name: str, last: tuple[int, int, int]) -> None:
    with minicnn.device("meta"):
        net = models.get_model(name)
    first: Any = net.features[0]
    assert (first.kernel_size, first.stride, first.padding) == ((7, 7), (2, 2), (1, 1))
    assert [(line.kind, line.shape) for line in layer_table(net, 3, 224, 224)] == [
        ("Conv2d", (96, 110, 110)), ("MaxPool2d", (96, 55, 55)), ("LocalResponseNorm", (96, 55, 55)),
        ("Conv2d", (256, 26, 26)), ("MaxPool2d", (256, 13, 13)), ("LocalResponseNorm", (256, 13, 13)),
        *[("Conv2d", (width, 13, 13)) for width in last], ("MaxPool2d", (last[2], 6, 6)),
        ("Linear", (4096,)), ("Linear", (4096,)), ("Linear", (1000,)),
    ]  # fmt: skip
    parameters = sum(p.numel() for p in net.parameters())
    assert parameters == {"zfnet": 62_357_608, "zfnet_wide": 107_627_624}[name]


def test_a_small_net_trains() -> None:
    minicnn.manual_seed(0)
    small: dict[str, Any] = {"num_classes": 4, "widths": (8, 8, 8, 8, 8), "hidden": 32, "in_channels": 1}
    finite_gradients(ZFNet(**small), 1, 63, 63)
    overfits(ZFNet(dropout=0.0, **small), 1, 63, 63, lr=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zfnet", "zfnet_wide"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224, batch=1)
