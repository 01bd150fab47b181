"""Densely connected nets for CIFAR: G. Huang et al., "Densely connected convolutional networks", 2016."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .densenet import _DenseBlock, _Transition
from .start_values import he_normal
from .weights import with_weights


class CifarDenseNet(nn.Module):
    """Three dense blocks for small images; see `DenseNet` for the idea.

                     output   DenseNet-40, k = 12        DenseNet-100, k = 12       DenseNet-BC-100, k = 12
        conv0        32 x 32  3x3, 16                    16                         24
        denseblock1  32 x 32  12 layers -> 160 channels  32 layers -> 400 channels  16 layers -> 216 channels
        transition1  16 x 16  160                        400                        108
        denseblock2  16 x 16  12 layers -> 304           32 layers -> 784           16 layers -> 300
        transition2  8 x 8    304                        784                        150
        denseblock3  8 x 8    12 layers -> 448           32 layers -> 1168          16 layers -> 342
        norm, classifier      ReLU, average of each channel, fc -> num_classes
        parameters            1,019,722                  6,979,642                  769,162
        error in %            5.24                       4.10                       4.51    (CIFAR-10, augmented; paper)

    Args:
        depth: 3n+4 for n layers in a block, or 6n+4 with bottlenecks.
        growth_rate: k.
        bottleneck: B of BC, 1x1 convolutions to 4k channels in the layers; the first convolution then has 2k channels.
        compression: C of BC, the share of the channels that a transition keeps: 0.5, or 1 for all.
        drop_rate: the probability of zeroing a new value of a layer in training; 0.2 in the paper, without
            augmentation.
        num_classes: outputs.
        in_channels: 3 for colour.

    Convolutions start as in `he_normal` with "fan_in", and the bias of the last layer at 0.
    Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely connected convolutional networks", 2016,
    https://arxiv.org/abs/1608.06993.
    """

    def __init__(
        self,
        depth: int = 40,
        growth_rate: int = 12,
        bottleneck: bool = False,
        compression: float = 1.0,
        drop_rate: float = 0.0,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        convolutions = 2 if bottleneck else 1
        n, rest = divmod(depth - 4, 3 * convolutions)
        if rest or n < 1:
            form = "6n+4 with bottlenecks, such as 100" if bottleneck else "3n+4, such as 40 or 100"
            raise ValueError(f"CifarDenseNet: depth must be {form}, got {depth}")
        if not 0 < compression <= 1:
            raise ValueError(f"CifarDenseNet: compression must be in (0, 1], got {compression}")
        channels = 2 * growth_rate if bottleneck else 16
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(in_channels, channels, 3, padding=1, bias=False))
        for i in (1, 2, 3):
            block = _DenseBlock(n, channels, 4 if bottleneck else None, growth_rate, drop_rate)
            self.features.add_module(f"denseblock{i}", block)
            channels += n * growth_rate
            if i < 3:
                kept = int(channels * compression)
                self.features.add_module(f"transition{i}", _Transition(channels, kept))
                channels = kept
        self.features.add_module("norm", nn.BatchNorm2d(channels))
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        he_normal(self, "fan_in")
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.relu(self.features(x))  # (N, C, H/4, W/4)
        y: Tensor = self.classifier(self.avgpool(x).flatten(1))  # (N, C, 1, 1) -> (N, C) -> (N, num_classes)
        return y


@with_weights
def densenet40_k12(**kwargs: Any) -> CifarDenseNet:
    """DenseNet of 40 layers with k = 12, without bottlenecks and compression.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.densenet40_k12(), minicnn.zeros(8, 3, 32, 32)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 1019722)
    """
    return CifarDenseNet(40, 12, **kwargs)


@with_weights
def densenet100_k12(**kwargs: Any) -> CifarDenseNet:
    """DenseNet of 100 layers with k = 12, without bottlenecks and compression."""
    return CifarDenseNet(100, 12, **kwargs)


@with_weights
def densenet_bc100_k12(**kwargs: Any) -> CifarDenseNet:
    """DenseNet-BC of 100 layers with k = 12: bottlenecks, and transitions that keep half of the channels."""
    return CifarDenseNet(100, 12, bottleneck=True, compression=0.5, **kwargs)
