"""VGG against its paper's table and the slides' listing of VGG-16."""

from __future__ import annotations

import math

import pytest
from counting import finite_gradients, overfits
from layer_table import layer_table

import minicnn
from minicnn import models, nn
from minicnn.models import VGG
from minicnn.models.vgg import make_layers

NAMES = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_c", "D": "vgg16", "E": "vgg19"}
# output shape, values in it, weights without biases
VGG16 = [
    ((64, 224, 224), 3_211_264, 1728), ((64, 224, 224), 3_211_264, 36_864), ((64, 112, 112), 802_816, 0),
    ((128, 112, 112), 1_605_632, 73_728), ((128, 112, 112), 1_605_632, 147_456), ((128, 56, 56), 401_408, 0),
    ((256, 56, 56), 802_816, 294_912), ((256, 56, 56), 802_816, 589_824), ((256, 56, 56), 802_816, 589_824),
    ((256, 28, 28), 200_704, 0),
    ((512, 28, 28), 401_408, 1_179_648), ((512, 28, 28), 401_408, 2_359_296), ((512, 28, 28), 401_408, 2_359_296),
    ((512, 14, 14), 100_352, 0),
    ((512, 14, 14), 100_352, 2_359_296), ((512, 14, 14), 100_352, 2_359_296), ((512, 14, 14), 100_352, 2_359_296),
    ((512, 7, 7), 25_088, 0),
    ((4096,), 4096, 102_760_448), ((4096,), 4096, 16_777_216), ((1000,), 1000, 4_096_000),
]  # fmt: skip


def on_meta(name: str) -> VGG:
    with minicnn.device("meta"):
        net = models.get_model(name)
    assert isinstance(net, VGG)
    return net


def test_layers_of_vgg16() -> None:
    net = on_meta("vgg16")
    table = [(line.shape, math.prod(line.shape), line.weights) for line in layer_table(net, 3, 224, 224)]
    assert table == VGG16
    weights, biases = sum(row[2] for row in VGG16), sum(p.numel() for p in net.parameters() if p.ndim == 1)
    assert (weights, biases, weights + biases) == (138_344_128, 13_416, 138_357_544)


def test_the_memory_of_vgg16() -> None:
    """The slides say 24M values and 93 or 96 MB; their own lines, with the input, add up to 15.2M, 61 MB."""
    values = 3 * 224 * 224 + sum(row[1] for row in VGG16)
    assert (values, 4 * values) == (15_237_608, 60_950_432)
    rectified = sum(row[1] for row in VGG16[:-1] if row[2])  # as many again, if the outputs of ReLU are stored as well
    assert values + rectified == 28_793_320
    early, late = sum(row[1] for row in VGG16[:2]), sum(row[2] for row in VGG16[-3:])
    assert (round(early / values, 3), round(late / 138_344_128, 3)) == (0.421, 0.894)


@pytest.mark.parametrize(
    "column, blocks, parameters",
    [
        ("A", [1, 1, 2, 2, 2], 132_863_336),  # a slide that shows 1 in blocks 3 to 5 has lost repeated lines
        ("A-LRN", [1, 1, 2, 2, 2], 132_863_336),
        ("B", [2, 2, 2, 2, 2], 133_047_848),
        ("C", [2, 2, 3, 3, 3], 133_638_952),
        ("D", [2, 2, 3, 3, 3], 138_357_544),
        ("E", [2, 2, 4, 4, 4], 143_667_240),
    ],
)
def test_columns(column: str, blocks: list[int], parameters: int) -> None:
    net = on_meta(NAMES[column])
    assert sum(p.numel() for p in net.parameters()) == parameters
    kinds = "".join({"Conv2d": "c", "MaxPool2d": " "}.get(type(layer).__name__, "") for layer in net.features)
    assert [len(block) for block in kinds.split()] == blocks
    layers = sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules())
    assert layers == {"A": 11, "A-LRN": 11, "B": 13, "C": 16, "D": 16, "E": 19}[column] == sum(blocks) + 3


def test_column_c_has_1x1_convolutions_last_in_blocks_3_to_5() -> None:
    kernels = [layer.kernel_size[0] for layer in on_meta("vgg16_c").features if isinstance(layer, nn.Conv2d)]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_lrn_is_after_the_first_relu() -> None:
    kinds = [type(layer).__name__ for layer in on_meta("vgg11_lrn").features]
    assert kinds[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds.count("LocalResponseNorm") == 1


def test_start_values() -> None:
    minicnn.manual_seed(0)
    net = VGG(make_layers([64, 512], in_channels=16), hidden=64)
    assert net.features[2].weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    assert net.classifier[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert all(bool((p == 0).all()) for p in net.parameters() if p.ndim == 1)
    kept = VGG(make_layers([512]), hidden=64, init_weights=False)
    assert bool((kept.features[0].bias != 0).any())


def test_grey_images_and_other_classes() -> None:
    with minicnn.device("meta"):
        net = models.vgg11_bn(in_channels=1, num_classes=7, dropout=0.2, hidden=64)
        assert tuple(net(minicnn.zeros(2, 1, 40, 48)).shape) == (2, 7)
    assert [layer.p for layer in net.classifier if isinstance(layer, nn.Dropout)] == [0.2, 0.2]


def test_bad_entry() -> None:
    with pytest.raises(ValueError, match="an entry is a number, '1x1-256', 'M' or 'LRN', got '5x5-64'"):
        make_layers([64, "5x5-64"])


@pytest.mark.parametrize(
    "cfg, batch_norm", [(["M", 8, 8, "M", 512, "M"], True), ([8, "LRN", "M", "1x1-512", "M"], False)]
)
def test_a_small_net_learns_by_heart(cfg: list[int | str], batch_norm: bool) -> None:
    minicnn.manual_seed(0)
    net = VGG(make_layers(cfg, batch_norm, in_channels=1), num_classes=4, dropout=0.0, hidden=32)
    finite_gradients(net, 1, 16, 16, batch=4)
    overfits(net, 1, 16, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg11_lrn", "vgg16_c_bn", "vgg19_bn"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224)
