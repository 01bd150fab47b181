"""ResNet, ResNeXt, Wide ResNet: the tables of the papers, the options of torchvision, the shortcuts A, B and C."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import ResNet
from minicnn.models.resnet import BasicBlock, Bottleneck, PaddedIdentity, conv1x1, conv3x3

TABLE = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
STAGES = ("layer1", "layer2", "layer3", "layer4")


def on_meta(name: str, **options: Any) -> Any:
    with minicnn.device("meta"):
        return models.get_model(name, **options)


def weighted(net: nn.Module) -> list[nn.Module]:
    """Convolutions and linear layers, without those of shortcuts."""
    return [m for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "downsample" not in n]


# ------------------------------------------------------------------------------------------------- tables of the papers


@pytest.mark.parametrize("depth", TABLE)
def test_blocks_and_layers(depth: int) -> None:
    net = on_meta(f"resnet{depth}")
    assert [len(getattr(net, stage)) for stage in STAGES] == TABLE[depth]
    assert len(weighted(net)) == depth
    assert all(isinstance(b, Bottleneck if depth >= 50 else BasicBlock) for s in STAGES for b in getattr(net, s))


def test_resnet18_has_17_convolutions_and_3_projections() -> None:
    net = on_meta("resnet18")
    assert sum(isinstance(m, nn.Conv2d) for m in weighted(net)) == 17
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == 20


@pytest.mark.parametrize(
    ("name", "width"), [("resnet18", 64), ("resnet34_a", 64), ("resnet50", 256), ("resnet152_v1", 256)]
)
def test_output_sizes(name: str, width: int) -> None:
    shapes = stage_shapes(lambda: models.get_model(name), (3, 224, 224), f"conv1 maxpool {' '.join(STAGES)} avgpool fc")
    assert shapes == [
        (64, 112, 112), (64, 56, 56), (width, 56, 56), (2 * width, 28, 28), (4 * width, 14, 14), (8 * width, 7, 7),
        (8 * width, 1, 1), (1000,),
    ]  # fmt: skip


def test_costs_of_the_paper() -> None:
    """The "FLOPs" of the paper's table are multiply-adds, in 1e9, rounded or cut off after one digit."""
    published = {"resnet18_a": 1.8, "resnet34_a": 3.6, "resnet50_v1": 3.8, "resnet101_v1": 7.6, "resnet152_v1": 11.3}
    found = {name: count(on_meta(name), (3, 224, 224))[1] for name in published}
    for name, macs in found.items():
        assert published[name] in (round(macs / 1e9, 1), macs // 1e8 / 10), name
    assert found["resnet50_v1"] == 3_857_973_248


def test_where_the_stride_is() -> None:
    for name, strides in (("resnet50", [(1, 1), (2, 2)]), ("resnet50_v1", [(2, 2), (1, 1)])):
        block = on_meta(name).layer3[0]
        assert [block.conv1.stride, block.conv2.stride] == strides


def test_bottleneck_and_resnext_block_cost_about_the_same() -> None:
    def weights(net: nn.Module) -> int:
        return sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Conv2d))

    assert weights(Bottleneck(256, 64)) == 69_632 == 256 * 64 + 9 * 64 * 64 + 64 * 256
    assert weights(Bottleneck(256, 64, groups=32, base_width=4)) == 70_144 == 32 * (256 * 4 + 9 * 4 * 4 + 4 * 256)
    assert weights(BasicBlock(256, 256)) == 1_179_648


@pytest.mark.parametrize(
    ("name", "groups", "widths"),
    [
        ("resnext50_32x4d", 32, [128, 256, 512, 1024]),
        ("resnext101_32x4d", 32, [128, 256, 512, 1024]),
        ("resnext101_32x8d", 32, [256, 512, 1024, 2048]),
        ("resnext101_64x4d", 64, [256, 512, 1024, 2048]),
        ("wide_resnet50_2", 1, [128, 256, 512, 1024]),
        ("wide_resnet101_2", 1, [128, 256, 512, 1024]),
    ],
)
def test_widths(name: str, groups: int, widths: list[int]) -> None:
    net = on_meta(name)
    inner = [getattr(net, stage)[-1].conv2 for stage in STAGES]
    assert [(c.out_channels, c.groups) for c in inner] == [(w, groups) for w in widths]
    assert [getattr(net, stage)[-1].conv3.out_channels for stage in STAGES] == [256, 512, 1024, 2048]


# -------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("name", "shortcut", "projections"),
    [("resnet18", "A", 0), ("resnet18", "B", 3), ("resnet18", "C", 8), ("resnet50", "A", 0), ("resnet50", "B", 4)],
)
def test_shortcuts(name: str, shortcut: str, projections: int) -> None:
    net = on_meta(name, shortcut=shortcut)
    assert sum("downsample" in n and isinstance(m, nn.Conv2d) for n, m in net.named_modules()) == projections


def test_dilation_instead_of_stride() -> None:
    shapes = stage_shapes(
        lambda: models.resnet50(replace_stride_with_dilation=[False, True, True]), (3, 224, 224), " ".join(STAGES)
    )
    assert [shape[1] for shape in shapes] == [56, 28, 28, 28]
    net = on_meta("resnet50", replace_stride_with_dilation=[False, True, True])
    assert [getattr(net, s)[0].conv2.dilation[0] for s in STAGES] == [1, 1, 1, 2]
    assert [getattr(net, s)[1].conv2.dilation[0] for s in STAGES] == [1, 1, 2, 4]
    with pytest.raises(NotImplementedError, match="Dilation > 1 not supported in BasicBlock, got 2; use Bottleneck"):
        on_meta("resnet18", replace_stride_with_dilation=[False, False, True])
    with pytest.raises(ValueError, match="should be None or a 3-element tuple"):
        on_meta("resnet50", replace_stride_with_dilation=[True])


@pytest.mark.parametrize(("block", "last"), [(BasicBlock, "bn2"), (Bottleneck, "bn3")])
def test_zero_init_residual(block: Any, last: str) -> None:
    """Each block without a projection starts as the identity."""
    net = ResNet(block, [2, 1, 1, 1], zero_init_residual=True)
    norms = {n: m for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert all(bool((m.weight == (0 if n.endswith(last) else 1)).all()) for n, m in norms.items())
    x = minicnn.rand(2, 64 * block.expansion, 5, 5)
    with minicnn.no_grad():
        assert np.array_equal(net.layer1[1](x).numpy(), x.numpy())


def test_norm_layer() -> None:
    net = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=lambda channels: nn.GroupNorm(8, channels))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert net(minicnn.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="BasicBlock only supports groups=1 and base_width=64, got 32 and 4"):
        models.resnet18(groups=32, width_per_group=4)
    with pytest.raises(ValueError, match=re.escape("\"C\" (all projections), got 'E'")):
        models.resnet18(shortcut="E")
    with pytest.raises(ValueError, match="and the block has 3 fewer outputs than inputs"):
        PaddedIdentity(-3, 1)
    with pytest.raises(TypeError, match="stride_in_1x1"):
        models.resnet18(stride_in_1x1=True)


def test_convolutions() -> None:
    assert repr(conv3x3(4, 8, 2, 2, 3)) == (
        "Conv2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(3, 3), dilation=(3, 3), groups=2, bias=False)"
    )
    assert repr(conv1x1(4, 8, 2)) == "Conv2d(4, 8, kernel_size=(1, 1), stride=(2, 2), bias=False)"


# -------------------------------------------------------------------------------------------------------------- running


def test_one_step() -> None:
    finite_gradients(models.resnet18(), 3, 224, 224, batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, e in models.registry.MODELS.items() if e.file == "resnet"])
def test_one_step_of_each(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224, batch=1 if "101" in name or "152" in name else 2)


class Narrow(Bottleneck):
    expansion = 1


@pytest.mark.parametrize(
    ("block", "options"), [(BasicBlock, {}), (Narrow, {"groups": 4, "width_per_group": 4, "shortcut": "A"})]
)
def test_it_learns_16_images_by_heart(block: Any, options: dict[str, Any]) -> None:
    overfits(ResNet(block, [1, 1, 1, 1], num_classes=4, **options), 3, 32, 32)
