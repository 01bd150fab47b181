"""Network in Network: M. Lin, Q. Chen, S. Yan, 2013."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import nn
from ..tensor import Tensor
from .start_values import he_normal
from .weights import with_weights


class Block(NamedTuple):
    """A row of the table: a convolution, two 1x1 convolutions, then pooling, 3x3 with stride 2.

    Attributes:
        channels: of the convolution and of the two 1x1 convolutions; 0 means num_classes.
        kernel_size, stride, padding: of the convolution.
        pool: "max", "avg", or "" for none; with dropout after it if `dropout` is true.
    """

    channels: tuple[int, int, int]
    kernel_size: int
    stride: int
    padding: int
    pool: str
    dropout: bool


# The authors' nets, from their definitions for Caffe.
CIFAR = [
    Block((192, 160, 96), 5, 1, 2, "max", True),
    Block((192, 192, 192), 5, 1, 2, "avg", True),
    Block((192, 192, 0), 3, 1, 1, "", False),
]
IMAGENET = [
    Block((96, 96, 96), 11, 4, 0, "max", False),
    Block((256, 256, 256), 5, 1, 2, "max", False),
    Block((384, 384, 384), 3, 1, 1, "max", True),
    Block((1024, 1024, 0), 3, 1, 1, "", False),
]
POOLS: dict[str, Callable[..., nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class NiN(nn.Module):
    """Network in Network. New in it: 1x1 convolutions, and the global average pooling that replaces linear layers.

    A convolution followed by two 1x1 convolutions, all with ReLU, is a small fully connected net that slides over the
    image ("mlpconv"). The last of them has a channel for each class, and its mean is the score.

        CIFAR-10, 966,986 parameters                     ImageNet, 7,595,176 parameters
        input               3 x 32 x 32                  input                  3 x 224 x 224
        conv 5x5, 1x1, 1x1  192, 160, 96 x 32 x 32       conv 11x11/4, 1x1, 1x1 96, 96, 96 x 54 x 54
        max pool 3x3/2      96 x 16 x 16, dropout        max pool 3x3/2         96 x 27 x 27
        conv 5x5, 1x1, 1x1  192, 192, 192 x 16 x 16      conv 5x5, 1x1, 1x1     256, 256, 256 x 27 x 27
        avg pool 3x3/2      192 x 8 x 8, dropout         max pool 3x3/2         256 x 13 x 13
        conv 3x3, 1x1, 1x1  192, 192, 10 x 8 x 8         conv 3x3, 1x1, 1x1     384, 384, 384 x 13 x 13
        average             10                           max pool 3x3/2         384 x 6 x 6, dropout
                                                         conv 3x3, 1x1, 1x1     1024, 1024, 1000 x 6 x 6
                                                         average                1000

    The windows of the pools may reach over the edge (ceil_mode), as in Caffe. Weights are drawn from N(0, 2/n) with n
    inputs per output (He), biases are 0; the authors draw from N(0, 0.05^2), which fits these sizes only.

    Args:
        blocks: `CIFAR`, `IMAGENET`, or a table of your own.
        num_classes: outputs.
        dropout: the probability of dropout.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> scores (N, num_classes), which are not negative.

    M. Lin, Q. Chen, S. Yan, "Network in network", 2013, https://arxiv.org/abs/1312.4400.
    """

    def __init__(
        self, blocks: Sequence[Block] = CIFAR, num_classes: int = 10, dropout: float = 0.5, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for block in blocks:
            first, second, third = (channels or num_classes for channels in block.channels)
            self.features.extend([
                nn.Conv2d(in_channels, first, block.kernel_size, block.stride, block.padding), nn.ReLU(),
                nn.Conv2d(first, second, 1), nn.ReLU(),
                nn.Conv2d(second, third, 1), nn.ReLU(),
            ])  # fmt: skip
            if block.pool:
                self.features.append(POOLS[block.pool](3, 2, ceil_mode=True))
            if block.dropout:
                self.features.append(nn.Dropout(dropout))
            in_channels = third
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        he_normal(self, "fan_in")

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        scores: Tensor = self.avgpool(self.features(input)).flatten(1)  # (N, classes, 1, 1) -> (N, classes)
        return scores


@with_weights
def nin_cifar(**kwargs: Any) -> NiN:
    """Network in Network for images of 32 x 32.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.nin_cifar(), minicnn.zeros(1, 3, 32, 32)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 10]), 966986)
    """
    return NiN(CIFAR, **kwargs)


@with_weights
def nin(**kwargs: Any) -> NiN:
    """Network in Network for ImageNet."""
    return NiN(IMAGENET, **{"num_classes": 1000, **kwargs})
