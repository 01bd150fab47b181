"""Network in Network."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn import models
from minicnn.models import NiN
from minicnn.models.nin import Block

CIFAR = [
    ("Conv2d", (192, 32, 32)), ("Conv2d", (160, 32, 32)), ("Conv2d", (96, 32, 32)), ("MaxPool2d", (96, 16, 16)),
    ("Conv2d", (192, 16, 16)), ("Conv2d", (192, 16, 16)), ("Conv2d", (192, 16, 16)), ("AvgPool2d", (192, 8, 8)),
    ("Conv2d", (192, 8, 8)), ("Conv2d", (192, 8, 8)), ("Conv2d", (10, 8, 8)),
]  # fmt: skip
IMAGENET = [
    ("Conv2d", (96, 54, 54)), ("Conv2d", (96, 54, 54)), ("Conv2d", (96, 54, 54)), ("MaxPool2d", (96, 27, 27)),
    ("Conv2d", (256, 27, 27)), ("Conv2d", (256, 27, 27)), ("Conv2d", (256, 27, 27)), ("MaxPool2d", (256, 13, 13)),
    ("Conv2d", (384, 13, 13)), ("Conv2d", (384, 13, 13)), ("Conv2d", (384, 13, 13)), ("MaxPool2d", (384, 6, 6)),
    ("Conv2d", (1024, 6, 6)), ("Conv2d", (1024, 6, 6)), ("Conv2d", (1000, 6, 6)),
]  # fmt: skip


@pytest.mark.parametrize("name, size, table", [("nin_cifar", 32, CIFAR), ("nin", 224, IMAGENET)])
def test_layers(name: str, size: int, table: list[tuple[str, tuple[int, ...]]]) -> None:
    with minicnn.device("meta"):
        net = models.get_model(name)
    assert [(line.kind, line.shape) for line in layer_table(net, 3, size, size)] == table


def test_dropout_follows_the_pools() -> None:
    with minicnn.device("meta"):
        nets = [models.get_model("nin_cifar"), models.get_model("nin", dropout=0.3)]
    places = [[i for i, layer in enumerate(net.features) if type(layer).__name__ == "Dropout"] for net in nets]
    assert places == [[7, 15], [21]]
    assert nets[1].features[21].p == 0.3


@pytest.mark.slow
@pytest.mark.parametrize("name, size", [("nin_cifar", 32), ("nin", 224)])
def test_every_parameter_gets_a_gradient(name: str, size: int) -> None:
    finite_gradients(models.get_model(name), 3, size, size, batch=1)


def test_it_learns_by_heart() -> None:
    minicnn.manual_seed(0)
    blocks = [Block((16, 16, 16), 3, 1, 1, "max", True), Block((16, 16, 0), 3, 1, 1, "", False)]
    overfits(NiN(blocks, num_classes=4, dropout=0.0), 3, 8, 8, lr=1e-2)
