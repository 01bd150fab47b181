"""SE-ResNets and SENet-154: what the scales cost, and how SENet-154 differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import SENet
from minicnn.models.registry import MODELS
from minicnn.models.senet import SEBottleneck, SENetBottleneck

NAMES = [name for name, entry in MODELS.items() if entry.file == "senet"]
STAGES = ("layer1", "layer2", "layer3", "layer4")
TABLE = {"se_resnet50": [3, 4, 6, 3], "se_resnet101": [3, 4, 23, 3], "se_resnet152": [3, 8, 36, 3]}


def on_meta(name: str, **options: Any) -> Any:
    with minicnn.device("meta"):
        return models.get_model(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_stages(name: str) -> None:
    net = on_meta(name)
    assert [len(getattr(net, stage)) for stage in STAGES] == TABLE.get(
        name.removesuffix("_v1"), [3, 8, 36, 3] if name == "senet154" else []
    )
    shapes = stage_shapes(lambda: models.get_model(name), (3, 224, 224), f"conv1 maxpool {' '.join(STAGES)} avgpool fc")
    stem = 128 if name == "senet154" else 64
    assert shapes == [
        (stem, 112, 112), (stem, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7), (2048, 1, 1),
        (1000,),
    ]  # fmt: skip


def test_what_the_scales_cost() -> None:
    """For each block of C channels 2 C^2/16 weights and C + C/16 biases: 10 % more parameters, 0.1 % more MACs."""
    plain, with_scales = count(on_meta("resnet50"), (3, 224, 224)), count(on_meta("se_resnet50"), (3, 224, 224))
    extra = sum(n * (2 * c * c // 16 + c + c // 16) for n, c in ((3, 256), (4, 512), (6, 1024), (3, 2048)))
    assert with_scales[0] - plain[0] == extra == 2_530_992
    assert with_scales[1] - plain[1] == sum(n * 2 * c * c // 16 for n, c in ((3, 256), (4, 512), (6, 1024), (3, 2048)))
    assert count(on_meta("se_resnet50_v1"), (3, 224, 224))[1] // 1e7 == 386  # 3.87e9 in the paper, with more than MACs


def test_scales_of_a_block() -> None:
    """With scales of 0, F is left out; the last ReLU does nothing to an input that is not negative."""
    block = SEBottleneck(64, 16).eval()
    x = minicnn.rand(2, 64, 5, 6)
    with minicnn.no_grad():
        nn.init.constant_(block.se.fc2.bias, -200.0)
        assert np.array_equal(block(x).numpy(), x.numpy())
        nn.init.constant_(block.se.fc2.bias, 200.0)
        assert not np.array_equal(block(x).numpy(), x.numpy())


def test_senet154() -> None:
    net = on_meta("senet154")
    assert net.dropout.p == 0.2
    assert [m.out_channels for m in net.conv1 if isinstance(m, nn.Conv2d)] == [64, 64, 128]
    assert [getattr(net, stage)[0].downsample[0].kernel_size[0] for stage in STAGES] == [1, 3, 3, 3]
    inner = [getattr(net, stage)[1] for stage in STAGES]
    assert [(b.conv1.out_channels, b.conv2.out_channels, b.conv2.groups) for b in inner] == [
        (128, 256, 64), (256, 512, 64), (512, 1024, 64), (1024, 2048, 64),
    ]  # fmt: skip
    assert [b.se.fc1.out_channels for b in inner] == [16, 32, 64, 128]


def test_options() -> None:
    net = on_meta("se_resnet50", groups=32, width_per_group=4, reduction=8, in_channels=1, num_classes=7)
    assert net.layer1[0].conv2.groups == 32
    assert net.layer1[0].se.fc1.out_channels == 32
    assert net(minicnn.zeros(1, 1, 64, 64, device="meta")).shape == (1, 7)
    for options, strides in (({}, [(1, 1), (2, 2)]), ({"stride_in_1x1": True}, [(2, 2), (1, 1)])):
        for name in ("se_resnet50", "senet154"):
            block = on_meta(name, **options).layer2[0]
            assert [block.conv1.stride, block.conv2.stride] == strides
    with pytest.raises(ValueError, match="projection_size must be 1 or 3, got 5"):
        on_meta("senet154", projection_size=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_each(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224, batch=1)


class Narrow(SEBottleneck):
    expansion = 1


class NarrowGroups(SENetBottleneck):
    expansion = 1


@pytest.mark.parametrize(
    ("block", "options"), [(Narrow, {}), (NarrowGroups, {"groups": 4, "width_per_group": 16, "deep_stem": True})]
)
def test_it_learns_16_images_by_heart(block: Any, options: dict[str, Any]) -> None:
    overfits(SENet(block, [1, 1, 1, 1], num_classes=4, **options), 3, 32, 32)
