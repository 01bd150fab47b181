"""Squeeze-and-excitation nets: J. Hu et al., "Squeeze-and-excitation networks", 2017."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .resnet import Bottleneck, conv1x1, conv3x3
from .start_values import he_normal
from .weights import with_weights


class SEBottleneck(Bottleneck):
    """y = relu(x + s F(x)): a `Bottleneck` F, and a scale s for each channel and image, seen from all pixels of F(x).

    Args:
        inplanes, planes, stride, downsample, groups, base_width, stride_in_1x1: as in `Bottleneck`.
        reduction: the scales are computed in 4 planes/reduction channels.

    Shape: (N, inplanes, H, W) -> (N, 4 planes, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        stride_in_1x1: bool = False,
        reduction: int = 16,
    ) -> None:
        super().__init__(inplanes, planes, stride, downsample, groups, base_width, stride_in_1x1=stride_in_1x1)
        channels = planes * self.expansion
        self.se = nn.SqueezeExcitation(channels, channels // reduction)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, 4 planes, H', W')."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        out += identity
        y: Tensor = self.relu(out)
        return y


class SENetBottleneck(SEBottleneck):
    """The block of SENet-154: half the channels after the first 1x1 convolution, which saves computation.

    The grouped 3x3 convolution doubles them. Arguments and shapes are those of `SEBottleneck`.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 64,
        base_width: int = 4,
        stride_in_1x1: bool = False,
        reduction: int = 16,
    ) -> None:
        super().__init__(inplanes, planes, stride, downsample, groups, base_width, stride_in_1x1, reduction)
        width, half = self.conv2.out_channels, self.conv2.out_channels // 2
        self.conv1 = conv1x1(inplanes, half, stride if stride_in_1x1 else 1)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = conv3x3(half, width, 1 if stride_in_1x1 else stride, groups)


class SENet(nn.Module):
    """Residual nets whose blocks weigh their channels: the net looks at the whole image and turns channels up or down.

    It won the ILSVRC of 2017. The scales are two small fully connected layers for each block; they add 10 % to the
    parameters and 0.1 % to the computation of ResNet-50. Stages, for an image of 3 x 224 x 224:

                    output     SE-ResNet-50   101           152           SENet-154
        conv1       112 x 112  ---------- 7x7, 64, stride 2 ----------    3x3, 64, stride 2; 3x3, 64; 3x3, 128
        maxpool     56 x 56    ---------- 3x3, stride 2 --------------    3x3, stride 2
        layer1      56 x 56    3 x 256        3 x 256       3 x 256       3 x 256
        layer2      28 x 28    4 x 512        4 x 512       8 x 512       8 x 512
        layer3      14 x 14    6 x 1024       23 x 1024     36 x 1024     36 x 1024
        layer4      7 x 7      3 x 2048       3 x 2048      3 x 2048      3 x 2048
        avgpool     1 x 1      average of each channel                    then dropout, p = 0.2
        fc                     2048 -> num_classes
        parameters             28,088,024     49,326,872    66,821,848    115,088,984

    Args:
        block: `SEBottleneck`, `SENetBottleneck`, or a class with their arguments and their `expansion`.
        layers: how many blocks each of the four stages has.
        num_classes: outputs.
        groups, width_per_group: of the 3x3 convolutions of blocks; 32 and 4 make SE-ResNeXt.
        stride_in_1x1: the original bottleneck; see `Bottleneck`.
        reduction: r, the channels of a block over those in which its scales are computed.
        deep_stem: three 3x3 convolutions at the start, and not one of 7x7.
        projection_size: the kernel size of the shortcuts of layer2 to layer4; with 3 they see all pixels.
        dropout: the probability of zeroing a value before the last layer.
        in_channels: 3 for colour.

    Convolutions start as in `he_normal`. Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    J. Hu, L. Shen, S. Albanie, G. Sun, E. Wu, "Squeeze-and-excitation networks", 2017,
    https://arxiv.org/abs/1709.01507.
    """

    def __init__(
        self,
        block: Any,
        layers: Sequence[int],
        num_classes: int = 1000,
        *,
        groups: int = 1,
        width_per_group: int = 64,
        stride_in_1x1: bool = False,
        reduction: int = 16,
        deep_stem: bool = False,
        projection_size: int = 1,
        dropout: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if projection_size not in (1, 3):
            raise ValueError(f"SENet: projection_size must be 1 or 3, got {projection_size}")
        self.inplanes = 128 if deep_stem else 64  # of the next block
        self.conv1: nn.Module = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        if deep_stem:
            self.conv1 = nn.Sequential(
                conv3x3(in_channels, 64, stride=2), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                conv3x3(64, 64), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                conv3x3(64, 128),
            )  # fmt: skip
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        options = (groups, width_per_group, stride_in_1x1, reduction)
        self.layer1 = self._make_layer(block, 64, layers[0], 1, 1, options)
        self.layer2 = self._make_layer(block, 128, layers[1], 2, projection_size, options)
        self.layer3 = self._make_layer(block, 256, layers[2], 2, projection_size, options)
        self.layer4 = self._make_layer(block, 512, layers[3], 2, projection_size, options)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        he_normal(self)

    def _make_layer(
        self, block: Any, planes: int, blocks: int, stride: int, projection_size: int, options: tuple[Any, ...]
    ) -> nn.Sequential:
        """Make a stage; its first block changes the size and the channels, and has a projection."""
        stage, out = nn.Sequential(), planes * block.expansion
        project = conv1x1 if projection_size == 1 else conv3x3
        for i in range(blocks):
            beside = nn.Sequential(project(self.inplanes, out, stride), nn.BatchNorm2d(out)) if i == 0 else None
            stage.append(block(self.inplanes, planes, stride if i == 0 else 1, beside, *options))
            self.inplanes = out
        return stage

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, C, H/4, W/4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, C, H/32, W/32)
        y: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, C, 1, 1) -> (N, C) -> (N, num_classes)
        return y


@with_weights
def se_resnet50(**kwargs: Any) -> SENet:
    """SE-ResNet-50 with the stride in the 3x3 convolution of a block (v1.5).

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, plain = minicnn.models.se_resnet50(), minicnn.models.resnet50()
    >>> [sum(p.numel() for p in each.parameters()) for each in (net, plain)]  # the blocks cost a tenth
    [28088024, 25557032]
    """
    return SENet(SEBottleneck, [3, 4, 6, 3], **kwargs)


@with_weights
def se_resnet50_v1(**kwargs: Any) -> SENet:
    """SE-ResNet-50 of the paper, with the stride in the first 1x1 convolution of a block."""
    return SENet(SEBottleneck, [3, 4, 6, 3], **{"stride_in_1x1": True, **kwargs})


@with_weights
def se_resnet101(**kwargs: Any) -> SENet:
    """SE-ResNet-101 with the stride in the 3x3 convolution of a block (v1.5)."""
    return SENet(SEBottleneck, [3, 4, 23, 3], **kwargs)


@with_weights
def se_resnet152(**kwargs: Any) -> SENet:
    """SE-ResNet-152 with the stride in the 3x3 convolution of a block (v1.5)."""
    return SENet(SEBottleneck, [3, 8, 36, 3], **kwargs)


# What is changed in an SE-ResNeXt-152 of 64 groups of 4; appendix of the paper
SENET154 = {"groups": 64, "width_per_group": 4, "deep_stem": True, "projection_size": 3, "dropout": 0.2}


@with_weights
def senet154(**kwargs: Any) -> SENet:
    """SENet-154, which won the ILSVRC of 2017 as part of an ensemble."""
    return SENet(SENetBottleneck, [3, 8, 36, 3], **{**SENET154, **kwargs})
