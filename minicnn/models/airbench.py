"""The small net of airbench, which learns CIFAR-10 in ten epochs: K. Jordan, 2024."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..autograd.modes import no_grad
from ..tensor import Tensor
from .weights import with_weights

SCALE = 1 / 9  # of the scores: the net starts with small ones, and cross-entropy with small gradients
STATISTICS = 0.4  # what a new batch counts in the running mean and variance: few batches are seen


def _conv(channels: int, out: int) -> nn.Conv2d:
    """A 3x3 convolution whose first outputs are its inputs, unchanged (a Dirac filter); the others are random."""
    conv = nn.Conv2d(channels, out, 3, padding=1, bias=False)
    with no_grad():
        nn.init.dirac_(conv.weight[:channels])
    return conv


def _norm(channels: int) -> nn.BatchNorm2d:
    """A batch normalisation whose scale stays at 1, since the convolutions after it have one of their own."""
    norm = nn.BatchNorm2d(channels, momentum=STATISTICS)
    assert norm.weight is not None
    norm.weight.requires_grad_(False)
    return norm


class AirbenchBlock(nn.Module):
    """conv 3x3, pooling 2x2, norm, GELU, conv 3x3, norm, GELU.

    Pooling comes right after the first convolution: all that follows has a quarter of the pixels.

    Shape: (N, C, H, W) -> (N, out, H // 2, W // 2).

    Args:
        channels: C.
        out: channels of the result.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1, self.pool, self.norm1 = _conv(channels, out), nn.MaxPool2d(2), _norm(out)
        self.conv2, self.norm2 = _conv(out, out), _norm(out)
        self.gelu = nn.GELU()

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H // 2, W // 2)."""
        half = self.gelu(self.norm1(self.pool(self.conv1(input))))
        output: Tensor = self.gelu(self.norm2(self.conv2(half)))
        return output


class Airbench(nn.Module):
    """A net for CIFAR-10 that learns from few epochs, with 1,971,640 trained parameters.

        whiten    conv 2x2, 24 x 31 x 31    its filters make the inputs' patches uncorrelated: see below
        block     64 x 15 x 15              conv 3x3, pooling 2x2, norm, GELU, conv 3x3, norm, GELU
        block    256 x  7 x  7              the same
        block    256 x  3 x  3              the same
        pooling  256 x  1 x  1              over 3x3
        linear   num_classes                without bias; the scores are divided by 9

    What makes it learn fast: filters of 3x3 start as copies of their inputs; the scales of norms are 1 and are not
    trained; and the first layer is not learnt, but computed from training images by `train.whiten_first_layer`, which
    the recipe `airbench-cifar-hour` does. Without that it is a random layer of 2x2, trained as the others are.

    Shape: (N, in_channels, 32, 32) -> logits (N, num_classes).

    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, https://arxiv.org/abs/2404.00498.

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        filters = 2 * 2 * 2 * in_channels  # one with each sign for each number of a patch
        self.whiten, self.gelu = nn.Conv2d(in_channels, filters, 2), nn.GELU()
        self.blocks = nn.Sequential(AirbenchBlock(filters, 64), AirbenchBlock(64, 256), AirbenchBlock(256, 256))
        self.pool, self.flatten = nn.MaxPool2d(3), nn.Flatten()
        self.head = nn.Linear(256, num_classes, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> (N, num_classes)."""
        features = self.blocks(self.gelu(self.whiten(input)))
        logits: Tensor = self.head(self.flatten(self.pool(features)))
        return logits * SCALE


@with_weights
def airbench94(**kwargs: Any) -> Airbench:
    """The net of airbench94, whose authors train it to 94 % on CIFAR-10 in ten epochs.

    >>> net = minicnn.models.airbench94()
    >>> sum(p.numel() for p in net.parameters() if p.requires_grad)
    1971640
    >>> net(minicnn.zeros(2, 3, 32, 32)).shape
    minicnn.Size([2, 10])
    """
    return Airbench(**kwargs)
