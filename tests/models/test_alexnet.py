"""AlexNet in its versions, against the layer lists of the courses."""

from __future__ import annotations

import math

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn import models, nn
from minicnn.models import AlexNet
from minicnn.models.alexnet import VARIANTS, Variant

# type, output shape, weights and biases
CS231N = [
    ("Conv2d", (96, 55, 55), 34_944), ("MaxPool2d", (96, 27, 27), 0), ("LocalResponseNorm", (96, 27, 27), 0),
    ("Conv2d", (256, 27, 27), 614_656), ("MaxPool2d", (256, 13, 13), 0), ("LocalResponseNorm", (256, 13, 13), 0),
    ("Conv2d", (384, 13, 13), 885_120), ("Conv2d", (384, 13, 13), 1_327_488), ("Conv2d", (256, 13, 13), 884_992),
    ("MaxPool2d", (256, 6, 6), 0),
    ("Linear", (4096,), 37_752_832), ("Linear", (4096,), 16_781_312), ("Linear", (1000,), 4_097_000),
]  # fmt: skip
BATCH_NORM = [
    ("Conv2d", (96, 55, 55), 34_944), ("BatchNorm2d", (96, 55, 55), 192), ("MaxPool2d", (96, 27, 27), 0),
    ("Conv2d", (256, 27, 27), 614_656), ("BatchNorm2d", (256, 27, 27), 512), ("MaxPool2d", (256, 13, 13), 0),
    ("Conv2d", (384, 13, 13), 885_120), ("BatchNorm2d", (384, 13, 13), 768),
    ("Conv2d", (384, 13, 13), 1_327_488), ("BatchNorm2d", (384, 13, 13), 768),
    ("Conv2d", (256, 13, 13), 884_992), ("BatchNorm2d", (256, 13, 13), 512), ("MaxPool2d", (256, 6, 6), 0),
    ("Linear", (4096,), 37_752_832), ("Linear", (4096,), 16_781_312), ("Linear", (10,), 40_970),
]  # fmt: skip
SMALL = {name: made._replace(widths=(8, 8, 8, 8, 8), hidden=32) for name, made in VARIANTS.items()}


def test_layers_of_one_tower_with_lrn() -> None:
    with minicnn.device("meta"):
        net = models.alexnet_lrn()
    assert [line[:3] for line in layer_table(net, 3, 227, 227)] == CS231N
    assert net.features[0].weight.numel() == 11 * 11 * 3 * 96 == 34_848  # the 35K of a slide


def test_layers_with_batch_norm() -> None:
    with minicnn.device("meta"):
        net = models.alexnet_bn(num_classes=10)
    assert [line[:3] for line in layer_table(net, 3, 224, 224)] == BATCH_NORM
    parameters = sum(p.numel() for p in net.parameters())
    assert parameters == 58_325_066
    assert (round(3 * 224 * 224 * 4 / 2**20, 2), round(parameters * 4 / 2**20, 2)) == (0.57, 222.49)  # MiB


def test_the_units_of_the_paper() -> None:
    """About 650,000 neurons and 60 million parameters; two towers are groups, LRN comes before pooling."""
    with minicnn.device("meta"):
        net = models.alexnet_two_towers()
    lines = layer_table(net, 3, 227, 227)
    units = [math.prod(line.shape) for line in lines if line.kind in ("Conv2d", "Linear")]
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000] and sum(units) == 659_272
    assert [line.kind for line in lines[:4]] == ["Conv2d", "LocalResponseNorm", "MaxPool2d", "Conv2d"]
    convolutions = [layer for layer in net.features if isinstance(layer, nn.Conv2d)]
    assert [layer.groups for layer in convolutions] == [1, 2, 1, 2, 2]
    assert sum(line.kind in ("Conv2d", "Linear") for line in lines) == 5 + 3


def test_the_simplified_list_has_widths_of_two_nets() -> None:
    with minicnn.device("meta"):
        nets = [models.get_model(name) for name in ("alexnet_simple", "alexnet", "alexnet_lrn")]
    widths = [[line.shape[0] for line in layer_table(net, 3, 227, 227) if line.kind == "Conv2d"] for net in nets]
    assert widths == [[96, 192, 384, 256, 256], [64, 192, 384, 256, 256], [96, 256, 384, 384, 256]]


def test_lrn_has_the_constants_of_the_paper() -> None:
    """y = x / (2 + 1e-4 sum x^2)^0.75 over five neighbours."""
    net = AlexNet(variant=SMALL["lrn"])
    norms = [layer for layer in net.features if isinstance(layer, nn.LocalResponseNorm)]
    y = norms[0](minicnn.full((1, 8, 1, 1), 3.0))
    assert y[0, 4, 0, 0].item() == pytest.approx(3 / (2 + 1e-4 * 5 * 9) ** 0.75)
    assert y[0, 0, 0, 0].item() == pytest.approx(3 / (2 + 1e-4 * 3 * 9) ** 0.75)


def test_dropout() -> None:
    kinds = {name: [type(layer).__name__ for layer in AlexNet(variant=made).classifier] for name, made in SMALL.items()}
    behind = ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    before = ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    assert kinds == {name: before if name == "torchvision" else behind for name in VARIANTS}
    assert [layer.p for layer in AlexNet(dropout=0.3, variant=SMALL["lrn"]).modules() if type(layer) is nn.Dropout] == [
        0.3,
        0.3,
    ]


def test_bad_variant() -> None:
    with pytest.raises(ValueError, match="variant must be one of torchvision, lrn, two_towers, batch_norm, simple, or"):
        AlexNet(variant="caffe")


@pytest.mark.parametrize("name", VARIANTS)
def test_small_nets_train(name: str) -> None:
    minicnn.manual_seed(0)
    made: Variant = SMALL[name]._replace(groups=(1, 2, 1, 2, 2) if name == "two_towers" else (1, 1, 1, 1, 1))
    finite_gradients(AlexNet(num_classes=4, variant=made, in_channels=1), 1, 67, 67)
    overfits(AlexNet(num_classes=4, dropout=0.0, variant=made, in_channels=1), 1, 67, 67, lr=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    size = 227 if VARIANTS[name].padding == 0 else 224
    finite_gradients(AlexNet(variant=name), 3, size, size)
