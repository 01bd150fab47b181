"""Residual and plain nets for CIFAR-10: K. He et al., "Deep residual learning for image recognition", 2015."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .resnet import BasicBlock, conv3x3, make_shortcut
from .start_values import he_normal
from .weights import with_weights


class PlainBlock(BasicBlock):
    """A `BasicBlock` without its shortcut: 3x3 convolution, norm, ReLU, 3x3 convolution, norm, ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, planes, H', W')."""
        out = self.relu(self.bn1(self.conv1(x)))
        y: Tensor = self.relu(self.bn2(self.conv2(out)))
        return y


class CifarResNet(nn.Module):
    """The paper's study of depth on small images: 6n+2 layers, with shortcuts or without.

        conv1   3x3, 16             16 x 32 x 32    batch norm, ReLU
        layer1  n x [16 16]         16 x 32 x 32
        layer2  n x [32 32]         32 x 16 x 16    stride 2 in the first convolution
        layer3  n x [64 64]         64 x 8 x 8      stride 2 in the first convolution
        avgpool, fc                 64 -> num_classes

        depth         20       32       44       56       110        1202
        n             3        5        7        9        18         200
        parameters    269,722  464,154  658,586  853,018  1,727,962  19,421,274     (shortcuts "A", or none)
        error in %    8.75     7.51     7.17     6.97     6.43       7.93           (paper; 110 is the best of 5)

    The plain net of 56 layers has a larger error than that of 20, in training too; the residual one has a smaller one.

    Args:
        depth: 6n+2.
        num_classes: outputs.
        shortcut: "A", the identity, padded with zeros where the channels change, has no parameters; "B" has 1x1
            convolutions there; "C" everywhere; None makes the plain net. The state dicts of "A" and None have the same
            names.
        in_channels: 3 for colour.

    Convolutions start as in `he_normal`. Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", 2015, section 4.2,
    https://arxiv.org/abs/1512.03385.
    """

    def __init__(
        self, depth: int = 20, num_classes: int = 10, shortcut: str | None = "A", in_channels: int = 3
    ) -> None:
        super().__init__()
        n, rest = divmod(depth - 2, 6)
        if rest or n < 1:
            raise ValueError(f"CifarResNet: depth must be 6n+2 with n >= 1, such as 20, 32, 44, 56 or 110, got {depth}")
        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._make_layer(16, 16, n, 1, shortcut)
        self.layer2 = self._make_layer(16, 32, n, 2, shortcut)
        self.layer3 = self._make_layer(32, 64, n, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        he_normal(self)

    @staticmethod
    def _make_layer(in_planes: int, planes: int, blocks: int, stride: int, shortcut: str | None) -> nn.Sequential:
        """Make a stage; its first block changes the size and the channels."""
        stage = nn.Sequential()
        for i in range(blocks):
            shape = (in_planes, planes, stride) if i == 0 else (planes, planes, 1)
            if shortcut is None:
                stage.append(PlainBlock(*shape))
            else:
                stage.append(BasicBlock(*shape, make_shortcut(shortcut, *shape, nn.BatchNorm2d)))
        return stage

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, H, W)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, H/4, W/4)
        y: Tensor = self.fc(self.avgpool(x).flatten(1))  # (N, 64, 1, 1) -> (N, 64) -> (N, num_classes)
        return y


@with_weights
def resnet20(**kwargs: Any) -> CifarResNet:
    """ResNet-20 for CIFAR-10.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.resnet20(), minicnn.zeros(8, 3, 32, 32)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 269722)
    """
    return CifarResNet(20, **kwargs)


@with_weights
def resnet32(**kwargs: Any) -> CifarResNet:
    """ResNet-32 for CIFAR-10."""
    return CifarResNet(32, **kwargs)


@with_weights
def resnet44(**kwargs: Any) -> CifarResNet:
    """ResNet-44 for CIFAR-10."""
    return CifarResNet(44, **kwargs)


@with_weights
def resnet56(**kwargs: Any) -> CifarResNet:
    """ResNet-56 for CIFAR-10."""
    return CifarResNet(56, **kwargs)


@with_weights
def resnet110(**kwargs: Any) -> CifarResNet:
    """ResNet-110 for CIFAR-10."""
    return CifarResNet(110, **kwargs)


@with_weights
def resnet1202(**kwargs: Any) -> CifarResNet:
    """ResNet-1202 for CIFAR-10."""
    return CifarResNet(1202, **kwargs)


@with_weights
def plain20(**kwargs: Any) -> CifarResNet:
    """The net of ResNet-20 for CIFAR-10 without its shortcuts."""
    return CifarResNet(20, **{"shortcut": None, **kwargs})


@with_weights
def plain32(**kwargs: Any) -> CifarResNet:
    """The net of ResNet-32 for CIFAR-10 without its shortcuts."""
    return CifarResNet(32, **{"shortcut": None, **kwargs})


@with_weights
def plain44(**kwargs: Any) -> CifarResNet:
    """The net of ResNet-44 for CIFAR-10 without its shortcuts."""
    return CifarResNet(44, **{"shortcut": None, **kwargs})


@with_weights
def plain56(**kwargs: Any) -> CifarResNet:
    """The net of ResNet-56 for CIFAR-10 without its shortcuts."""
    return CifarResNet(56, **{"shortcut": None, **kwargs})


@with_weights
def plain110(**kwargs: Any) -> CifarResNet:
    """The net of ResNet-110 for CIFAR-10 without its shortcuts."""
    return CifarResNet(110, **{"shortcut": None, **kwargs})
