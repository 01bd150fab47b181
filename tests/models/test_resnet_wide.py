"""Wide ResNets: WRN-d-k has d layers, k times as wide."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import WideResNet
from minicnn.models.registry import MODELS


@pytest.mark.parametrize(("depth", "k"), [(16, 2), (16, 8), (28, 10), (40, 4)])
def test_layers_and_stages(depth: int, k: int) -> None:
    name = f"wrn_{depth}_{k}"
    shapes = stage_shapes(lambda: models.get_model(name), (3, 32, 32), "stem layers.0 layers.1 layers.2 avgpool fc")
    assert shapes == [(16, 32, 32), (16 * k, 32, 32), (32 * k, 16, 16), (64 * k, 8, 8), (64 * k, 1, 1), (10,)]
    with minicnn.device("meta"):
        net = models.get_model(name)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == depth  # with the three projections
    assert [len(stage) for stage in net.layers] == [(depth - 4) // 6] * 3


def test_sixteen_layers_have_a_smaller_published_error_than_a_thousand() -> None:
    wide, thin = MODELS["wrn_16_8"].top1, MODELS["preact_resnet1001"].top1
    assert (100 - (wide or 0), 100 - (thin or 0)) == pytest.approx((4.27, 4.92))


def test_dropout_is_between_the_convolutions() -> None:
    """It takes the result of the second ReLU and gives the input of the second convolution."""
    block = WideResNet(10, 1, dropout=0.3).layers[0][0]
    seen = {}
    block.dropout.register_forward_hook(lambda layer, inputs, output: seen.update(before=inputs[0], after=output))
    block.conv2.register_forward_hook(lambda layer, inputs, output: seen.update(convolved=inputs[0]))
    block(minicnn.randn(2, 16, 8, 8))
    assert seen["before"].min().item() == 0
    assert seen["convolved"] is seen["after"]
    assert (seen["after"] == 0).sum().item() > (seen["before"] == 0).sum().item()
    with minicnn.device("meta"):
        dropouts = [m.p for m in models.wrn_16_8(dropout=0.3).modules() if isinstance(m, nn.Dropout)]
    assert dropouts == [0.3] * 6


def test_bad_options() -> None:
    with pytest.raises(ValueError, match=r"depth must be 6n\+4 with n >= 1, such as 10, 16, 22, 28 or 40, got 20"):
        WideResNet(20, 2)
    with pytest.raises(ValueError, match="widen_factor must be at least 1, got 0"):
        WideResNet(16, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wrn_16_8", "wrn_28_10", "wrn_40_4"])
def test_one_step(name: str) -> None:
    finite_gradients(models.get_model(name, dropout=0.3), 3, 32, 32)


def test_one_step_of_a_small_one() -> None:
    finite_gradients(models.wrn_16_2(), 3, 32, 32)


def test_it_learns_16_images_by_heart() -> None:
    overfits(WideResNet(10, 2, num_classes=4), 3, 12, 12)
