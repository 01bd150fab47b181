"""Residual nets of ImageNet: ResNet, ResNeXt and Wide ResNet, which differ in numbers only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import nn
from ..nn import functional as F
from ..tensor import Tensor
from .start_values import he_normal
from .weights import with_weights

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size at stride 1; no bias, since a batch norm follows."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution without a bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class PaddedIdentity(nn.Module):
    """Shortcut A: every `stride`-th pixel of each row and column, and `extra_planes` channels of zeros at the end.

    It has no parameters. Shape: (N, C, H, W) -> (N, C + extra_planes, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(self, extra_planes: int, stride: int) -> None:
        super().__init__()
        if extra_planes < 0:
            raise ValueError(
                f'PaddedIdentity: shortcut "A" cannot leave out channels, and the block has {-extra_planes} fewer '
                'outputs than inputs; use shortcut "B"'
            )
        self.extra_planes, self.stride = extra_planes, stride

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + extra_planes, H', W')."""
        return F.pad(input[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra_planes))

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr."""
        return f"extra_planes={self.extra_planes}, stride={self.stride}"


def make_shortcut(option: str, in_planes: int, planes: int, stride: int, norm_layer: Norm) -> nn.Module | None:
    """Return what stands beside a block, from `in_planes` to `planes` channels; None is the plain identity.

    Args:
        option: "A", the identity, with zeros for new channels; "B", a projection (1x1 convolution and norm) where the
            shape changes; "C", projections everywhere.
        in_planes, planes: channels before and after.
        stride: of the block.
        norm_layer: makes the norm of a projection from its channels.
    """
    if option not in ("A", "B", "C"):
        raise ValueError(
            f'shortcut must be "A" (identity padded with zeros), "B" (projections where the shape changes) or '
            f'"C" (all projections), got {option!r}'
        )
    changes = stride != 1 or in_planes != planes
    if option == "C" or (option == "B" and changes):
        return nn.Sequential(conv1x1(in_planes, planes, stride), norm_layer(planes))
    return PaddedIdentity(planes - in_planes, stride) if changes else None


class BasicBlock(nn.Module):
    """y = relu(x + F(x)), F = 3x3 convolution, norm, ReLU, 3x3 convolution, norm.

    Args:
        inplanes, planes: channels of the input and of the result.
        stride: of the first convolution.
        downsample: replaces the identity x where its shape differs from F(x)'s; see `make_shortcut`.
        groups, base_width, dilation: must be 1, 64 and 1; they are those of `Bottleneck`.
        norm_layer: makes a norm from its channels; None is BatchNorm2d.

    Shape: (N, inplanes, H, W) -> (N, planes, ceil(H/stride), ceil(W/stride)).
    """

    expansion: int = 1  # channels of the result / planes

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError(
                f"BasicBlock only supports groups=1 and base_width=64, got {groups} and {base_width}; use Bottleneck"
            )
        if dilation > 1:
            raise NotImplementedError(f"Dilation > 1 not supported in BasicBlock, got {dilation}; use Bottleneck")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, planes, H', W')."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        y: Tensor = self.relu(out)
        return y


class Bottleneck(nn.Module):
    """y = relu(x + F(x)), F = 1x1 convolution to fewer channels, 3x3 on these, 1x1 to 4 `planes`; a norm after each.

    With 256 channels outside and 64 inside, it has 69,632 weights, and two 3x3 convolutions of 256 have 1,179,648.
    The channels inside are width = planes base_width/64 groups: a ResNeXt has 32 groups of 4, a Wide ResNet twice the
    width.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the result.
        stride: of the 3x3 convolution.
        downsample: replaces the identity x where its shape differs from F(x)'s; see `make_shortcut`.
        groups, dilation: of the 3x3 convolution.
        base_width: the width of a group where planes is 64.
        norm_layer: makes a norm from its channels; None is BatchNorm2d.
        stride_in_1x1: put the stride into the first 1x1 convolution, as the paper has it. It then does not see three
            quarters of the pixels; the 3x3 convolution sees all.

    Shape: (N, inplanes, H, W) -> (N, 4 planes, ceil(H/stride), ceil(W/stride)).
    """

    expansion: int = 4  # channels of the result / planes

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        strides = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv1x1(inplanes, width, strides[0])
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, strides[1], groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, 4 planes, H', W')."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        y: Tensor = self.relu(out)
        return y


class ResNet(nn.Module):
    """Blocks that add to their input: y = x + F(x). Where F is to do nothing, its weights need only be 0.

    A plain net with more layers had a larger error, even in training. With shortcuts, nets of 152 layers are better
    than those of 34, and the gradient reaches each block through the sum. Stages, for an image of 3 x 224 x 224:

                    output     18            34            50                  101                 152
        conv1       112 x 112  ------------------------- 7x7, 64, stride 2 --------------------------
        maxpool     56 x 56    ------------------------- 3x3, stride 2 ------------------------------
        layer1      56 x 56    2 x [64 64]   3 x [64 64]   3 x [64 64 256]     3 x [64 64 256]     3 x [64 64 256]
        layer2      28 x 28    2 x [128 128] 4 x [128 128] 4 x [128 128 512]   4 x [128 128 512]   8 x [128 128 512]
        layer3      14 x 14    2 x [256 256] 6 x [256 256] 6 x [256 256 1024]  23 x [256 256 1024] 36 x [256 256 1024]
        layer4      7 x 7      2 x [512 512] 3 x [512 512] 3 x [512 512 2048]  3 x [512 512 2048]  3 x [512 512 2048]
        avgpool     1 x 1      average of each channel, then fc: 512 or 2048 -> num_classes
        parameters             11,689,512    21,797,672    25,557,032          44,549,160          60,192,808

    [64 64] are the channels of the two 3x3 convolutions of a `BasicBlock`, [64 64 256] those of a `Bottleneck`.

    Args:
        block: `BasicBlock`, `Bottleneck`, or a class with their arguments and their `expansion`.
        layers: how many blocks each of the four stages has.
        num_classes: outputs.
        zero_init_residual: start the last norm of each block with weight 0, so that the block is the identity.
        groups, width_per_group: of the 3x3 convolutions of bottlenecks: ResNeXt-50 32x4d has 32 and 4.
        replace_stride_with_dilation: for layer2, layer3, layer4, whether to dilate instead of halving the size.
        norm_layer: makes a norm from its channels; None is BatchNorm2d.
        shortcut: "A", "B" or "C" of the paper; see `make_shortcut`. torchvision has B.
        stride_in_1x1: the bottlenecks of the paper; torchvision has the stride in the 3x3 convolution.
        in_channels: 3 for colour images.

    Convolutions start as in `he_normal`. Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385.
    S. Xie et al., "Aggregated residual transformations for deep neural networks", 2016,
    https://arxiv.org/abs/1611.05431 (ResNeXt).
    S. Zagoruyko, N. Komodakis, "Wide residual networks", 2016, https://arxiv.org/abs/1605.07146.
    """

    def __init__(
        self,
        block: Any,
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        *,
        shortcut: str = "B",
        stride_in_1x1: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        dilate = (False, False, False) if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes, self.dilation = 64, 1  # of the next block
        self.groups, self.base_width, self.shortcut = groups, width_per_group, shortcut
        self._block_options = {"stride_in_1x1": True} if stride_in_1x1 else {}
        self.conv1 = nn.Conv2d(in_channels, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        he_normal(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)

    def _make_layer(self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> nn.Sequential:
        """Make a stage; its first block changes the size and the channels."""
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        stage = nn.Sequential()
        for i in range(blocks):
            s, dilation = (stride, before) if i == 0 else (1, self.dilation)
            beside = self._shortcut(self.inplanes, planes * block.expansion, s)
            options = (self.groups, self.base_width, dilation, self._norm_layer)
            stage.append(block(self.inplanes, planes, s, beside, *options, **self._block_options))
            self.inplanes = planes * block.expansion
        return stage

    def _shortcut(self, in_planes: int, planes: int, stride: int) -> nn.Module | None:
        return make_shortcut(self.shortcut, in_planes, planes, stride, self._norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, 64, H/4, W/4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, C, H/32, W/32)
        y: Tensor = self.fc(self.avgpool(x).flatten(1))  # (N, C, 1, 1) -> (N, C) -> (N, num_classes)
        return y


@with_weights
def resnet18(**kwargs: Any) -> ResNet:
    """ResNet-18, with projections where the shape changes.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.resnet18(num_classes=10), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 10]), 11181642)
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


@with_weights
def resnet34(**kwargs: Any) -> ResNet:
    """ResNet-34, with projections where the shape changes."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


@with_weights
def resnet50(**kwargs: Any) -> ResNet:
    """ResNet-50, with the stride in the 3x3 convolution of a block (v1.5).

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net = minicnn.models.resnet50()
    >>> len(net.layer3), sum(p.numel() for p in net.parameters())
    (6, 25557032)
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


@with_weights
def resnet101(**kwargs: Any) -> ResNet:
    """ResNet-101, with the stride in the 3x3 convolution of a block (v1.5)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


@with_weights
def resnet152(**kwargs: Any) -> ResNet:
    """ResNet-152, with the stride in the 3x3 convolution of a block (v1.5)."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


@with_weights
def resnet18_a(**kwargs: Any) -> ResNet:
    """ResNet-18 with shortcuts without parameters, as its cost is given in the paper."""
    return ResNet(BasicBlock, [2, 2, 2, 2], shortcut="A", **kwargs)


@with_weights
def resnet34_a(**kwargs: Any) -> ResNet:
    """ResNet-34 with shortcuts without parameters, as its cost is given in the paper."""
    return ResNet(BasicBlock, [3, 4, 6, 3], shortcut="A", **kwargs)


@with_weights
def resnet50_v1(**kwargs: Any) -> ResNet:
    """ResNet-50 of the paper, with the stride in the first 1x1 convolution of a block."""
    return ResNet(Bottleneck, [3, 4, 6, 3], stride_in_1x1=True, **kwargs)


@with_weights
def resnet101_v1(**kwargs: Any) -> ResNet:
    """ResNet-101 of the paper, with the stride in the first 1x1 convolution of a block."""
    return ResNet(Bottleneck, [3, 4, 23, 3], stride_in_1x1=True, **kwargs)


@with_weights
def resnet152_v1(**kwargs: Any) -> ResNet:
    """ResNet-152 of the paper, with the stride in the first 1x1 convolution of a block."""
    return ResNet(Bottleneck, [3, 8, 36, 3], stride_in_1x1=True, **kwargs)


@with_weights
def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-50 with 32 groups of 4 channels."""
    return ResNet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4, **kwargs)


@with_weights
def resnext101_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-101 with 32 groups of 4 channels."""
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=4, **kwargs)


@with_weights
def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """ResNeXt-101 with 32 groups of 8 channels."""
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8, **kwargs)


@with_weights
def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-101 with 64 groups of 4 channels."""
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4, **kwargs)


@with_weights
def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """ResNet-50 with twice the channels in the 3x3 convolutions.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     sum(p.numel() for p in minicnn.models.wide_resnet50_2().parameters())
    68883240
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=128, **kwargs)


@with_weights
def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """ResNet-101 with twice the channels in the 3x3 convolutions."""
    return ResNet(Bottleneck, [3, 4, 23, 3], width_per_group=128, **kwargs)
