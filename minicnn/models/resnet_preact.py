"""Residual nets with norm and ReLU before each convolution: K. He et al., "Identity mappings ...", 2016."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .resnet import PaddedIdentity, conv1x1, conv3x3
from .start_values import he_normal
from .weights import with_weights


class PreActBlock(nn.Module):
    """y = x + F(x), F = norm, ReLU, 3x3 convolution, norm, ReLU, dropout, 3x3 convolution.

    The first block of a stage splits after its first ReLU: y = shortcut(a) + F(x) with a = relu(norm(x)), so the
    shortcut, where the shape changes, sees what the convolution sees.

    Args:
        inplanes, planes: channels of the input and of the result.
        stride: of the first convolution.
        downsample: the shortcut of the first block of a stage, applied to a; None is the identity on x.
        dropout: the probability of zeroing a value between the convolutions, of Wide ResNets.

    Shape: (N, inplanes, H, W) -> (N, planes, ceil(H/stride), ceil(W/stride)).
    """

    expansion: int = 1  # channels of the result / planes

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3x3(planes, planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, planes, H', W')."""
        active = self.relu(self.bn1(x))
        identity = x if self.downsample is None else self.downsample(active)
        out = self.conv1(active)
        out = self.conv2(self.dropout(self.relu(self.bn2(out))))
        y: Tensor = out + identity
        return y


class PreActBottleneck(nn.Module):
    """y = x + F(x), F = 1x1 convolution to `planes`, 3x3 on these, 1x1 to 4 `planes`; norm and ReLU before each.

    The first block of a stage splits after its first ReLU; see `PreActBlock` for this and for the arguments.

    Shape: (N, inplanes, H, W) -> (N, 4 planes, ceil(H/stride), ceil(W/stride)).
    """

    expansion: int = 4  # channels of the result / planes

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv1x1(inplanes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn3 = nn.BatchNorm2d(planes)
        self.conv3 = conv1x1(planes, planes * self.expansion)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, 4 planes, H', W')."""
        active = self.relu(self.bn1(x))
        identity = x if self.downsample is None else self.downsample(active)
        out = self.conv1(active)
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        y: Tensor = out + identity
        return y


class PreActResNet(nn.Module):
    """Residual nets whose shortcuts are clean: nothing stands on the way from the first block to the last.

    With the ReLU before the convolutions, and not after the sum, x_L = x_l + F_l(x_l) + ... + F_(L-1)(x_(L-1)) between
    any two blocks, and the gradient is a sum too: it does not vanish in 1001 layers. A last norm and ReLU end the net.

        stage       images of 3 x 32 x 32                       images of 3 x 224 x 224
        conv1       3x3, 16 -> 16 x 32 x 32                     7x7, 64, stride 2, norm, ReLU, 3x3 max pool, stride 2
        layer1      n blocks, 16 planes -> 32 x 32              64 planes -> 56 x 56
        layer2      n blocks, 32 planes -> 16 x 16              128 planes -> 28 x 28
        layer3      n blocks, 64 planes -> 8 x 8                256 planes -> 14 x 14
        layer4                                                  512 planes -> 7 x 7
        bn, relu, avgpool, fc: channels -> num_classes

        net         110        164        1001        |  18          50          101         152         200
        blocks      18 18 18   18 18 18   111 111 111 |  2 2 2 2     3 4 6 3     3 4 23 3    3 8 36 3    3 24 36 3
        parameters  1,727,962  1,703,258  10,327,706  |  11,687,848  25,549,480  44,541,608  60,185,256  64,666,280

    110 and 18 have a `PreActBlock`, the others a `PreActBottleneck`.

    Args:
        block: `PreActBlock`, `PreActBottleneck`, or a class with their arguments and their `expansion`.
        layers: how many blocks each stage has.
        num_classes: outputs.
        small_images: start with one 3x3 convolution to 16 channels, as for CIFAR, and not as for ImageNet.
        width: planes of the first stage, doubled in each stage; None is 16 for small images, else 64.
        shortcut: in the first block of a stage, "B" is a 1x1 convolution where the shape changes, "A" the identity
            padded with zeros; see `PaddedIdentity`.
        dropout: passed to each block if it is not 0.
        in_channels: 3 for colour.

    Convolutions start as in `he_normal`. Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    K. He, X. Zhang, S. Ren, J. Sun, "Identity mappings in deep residual networks", 2016,
    https://arxiv.org/abs/1603.05027.
    """

    def __init__(
        self,
        block: Any,
        layers: Sequence[int],
        num_classes: int = 1000,
        *,
        small_images: bool = False,
        width: int | None = None,
        shortcut: str = "B",
        dropout: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise ValueError(
                f'{type(self).__name__}: shortcut must be "A" (identity padded with zeros) or "B" (projections), '
                f"got {shortcut!r}"
            )
        self.inplanes = 16 if small_images else 64  # of the next block
        self.shortcut, self._block_options = shortcut, {"dropout": dropout} if dropout else {}
        if small_images:
            self.stem = nn.Sequential(conv3x3(in_channels, self.inplanes))
        else:
            self.stem = nn.Sequential(
                nn.Conv2d(in_channels, self.inplanes, 7, stride=2, padding=3, bias=False),
                nn.BatchNorm2d(self.inplanes),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, stride=2, padding=1),
            )
        width = width or self.inplanes
        stages = [self._make_layer(block, width * 2**i, n, 1 if i == 0 else 2) for i, n in enumerate(layers)]
        self.layers = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.inplanes, num_classes)
        he_normal(self)

    def _make_layer(self, block: Any, planes: int, blocks: int, stride: int) -> nn.Sequential:
        """Make a stage; its first block changes the size and the channels, and splits after its activation."""
        stage, out_planes = nn.Sequential(), planes * block.expansion
        for i in range(blocks):
            beside: nn.Module | None = None
            if i == 0:
                beside = self._shortcut(self.inplanes, out_planes, stride)
            stage.append(block(self.inplanes, planes, stride if i == 0 else 1, beside, **self._block_options))
            self.inplanes = out_planes
        return stage

    def _shortcut(self, in_planes: int, planes: int, stride: int) -> nn.Module:
        if stride == 1 and in_planes == planes:
            return nn.Identity()
        return (
            conv1x1(in_planes, planes, stride) if self.shortcut == "B" else PaddedIdentity(planes - in_planes, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.layers(self.stem(x))  # (N, C, H', W')
        x = self.avgpool(self.relu(self.bn(x)))  # (N, C, 1, 1)
        y: Tensor = self.fc(x.flatten(1))  # (N, C, 1, 1) -> (N, C) -> (N, num_classes)
        return y


@with_weights
def preact_resnet110(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-110 for CIFAR-10, with shortcuts without parameters.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.preact_resnet110(), minicnn.zeros(8, 3, 32, 32)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 1727962)
    """
    return PreActResNet(
        PreActBlock, [18, 18, 18], **{"num_classes": 10, "small_images": True, "shortcut": "A", **kwargs}
    )


@with_weights
def preact_resnet164(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-164 for CIFAR-10, of bottlenecks."""
    return PreActResNet(PreActBottleneck, [18, 18, 18], **{"num_classes": 10, "small_images": True, **kwargs})


@with_weights
def preact_resnet1001(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-1001 for CIFAR-10, of bottlenecks."""
    return PreActResNet(PreActBottleneck, [111, 111, 111], **{"num_classes": 10, "small_images": True, **kwargs})


@with_weights
def preact_resnet18(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-18 for ImageNet."""
    return PreActResNet(PreActBlock, [2, 2, 2, 2], **kwargs)


@with_weights
def preact_resnet50(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-50 for ImageNet."""
    return PreActResNet(PreActBottleneck, [3, 4, 6, 3], **kwargs)


@with_weights
def preact_resnet101(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-101 for ImageNet."""
    return PreActResNet(PreActBottleneck, [3, 4, 23, 3], **kwargs)


@with_weights
def preact_resnet152(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-152 for ImageNet."""
    return PreActResNet(PreActBottleneck, [3, 8, 36, 3], **kwargs)


@with_weights
def preact_resnet200(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-200 for ImageNet."""
    return PreActResNet(PreActBottleneck, [3, 24, 36, 3], **kwargs)
