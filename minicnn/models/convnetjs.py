"""The CIFAR-10 net that ConvNetJS trains in a web browser."""

from __future__ import annotations

import math
from typing import Any

from .. import nn
from ..tensor import Tensor
from .weights import with_weights


class ConvNetJS(nn.Module):
    """The net of the ConvNetJS demo, with 22,466 parameters: the courses use it to watch a net learn.

        input     3 x 32 x 32
        conv 5x5  16 x 32 x 32     1,216 parameters   pad 2, then ReLU, 2x2 pooling -> 16 x 16 x 16
        conv 5x5  20 x 16 x 16     8,020              pad 2, then ReLU, 2x2 pooling -> 20 x 8 x 8
        conv 5x5  20 x 8 x 8      10,020              pad 2, then ReLU, 2x2 pooling -> 20 x 4 x 4
        linear    10               3,210

    Weights are drawn from N(0, 1/n) with n inputs per output, biases are 0.1 before ReLU and 0 in the last layer, as
    there.

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, 32, 32) -> logits (N, num_classes).

    A. Karpathy, ConvNetJS, 2014, https://cs.stanford.edu/people/karpathy/convnetjs/demo/cifar10.html.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for channels in (16, 20, 20):
            self.features.extend([nn.Conv2d(in_channels, channels, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)])
            in_channels = channels
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(20 * 4 * 4, num_classes))
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, 0, 1 / math.sqrt(layer.weight[0].numel()))
                assert layer.bias is not None
                nn.init.constant_(layer.bias, 0.1 if isinstance(layer, nn.Conv2d) else 0)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(input))
        return logits


@with_weights
def convnetjs(**kwargs: Any) -> ConvNetJS:
    """The CIFAR-10 net of the ConvNetJS demo.

    >>> net = minicnn.models.convnetjs()
    >>> net(minicnn.zeros(8, 3, 32, 32)).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 22466)
    """
    return ConvNetJS(**kwargs)
