"""ZFNet: M. D. Zeiler, R. Fergus, 2013."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .alexnet import PAPER, classifier, local_response_norm
from .weights import with_weights

WIDE = (96, 256, 512, 1024, 512)


class ZFNet(nn.Module):
    """AlexNet with a finer first layer, 7x7/2 in place of 11x11/4, chosen by looking at what its layers respond to.

        input         3 x 224 x 224
        conv 7x7/2    96 x 110 x 110      pad 1, then ReLU, 3x3/2 pooling, LRN -> 96 x 55 x 55
        conv 5x5/2    256 x 26 x 26       then ReLU, 3x3/2 pooling, LRN -> 256 x 13 x 13
        conv 3x3      384 x 13 x 13       pad 1, then ReLU
        conv 3x3      384 x 13 x 13       pad 1, then ReLU
        conv 3x3      256 x 13 x 13       pad 1, then ReLU, 3x3/2 pooling -> 256 x 6 x 6
        linear        4096, 4096, 1000    ReLU and dropout between them

    This is figure 3 of the paper, with 62,357,608 parameters. Its larger net, which many slides show, has the widths
    512, 1024 and 512 in the last three convolutions: `WIDE`, 107,627,624 parameters.

    The first two pools reach over the edge (ceil_mode). The paper's "contrast normalisation across feature maps" is the
    local response normalisation of AlexNet here. Weights are drawn as PyTorch's layers draw them.

    Args:
        num_classes: outputs.
        dropout: the probability of dropout.
        widths: the channels of the five convolutions.
        hidden: the outputs of the first two linear layers.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, 224, 224) -> logits (N, num_classes); other sizes from 63 on work too.

    M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", 2013,
    https://arxiv.org/abs/1311.2901.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        widths: tuple[int, int, int, int, int] = PAPER,
        hidden: int = 4096,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        first, second, third, fourth, fifth = widths
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 7, 2, 1), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True), local_response_norm(),
            nn.Conv2d(first, second, 5, 2), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True), local_response_norm(),
            nn.Conv2d(second, third, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(fourth, fifth, 3, padding=1), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = classifier(fifth * 6 * 6, hidden, num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, C, 6, 6) -> (N, 36 C)
        return logits


@with_weights
def zfnet(**kwargs: Any) -> ZFNet:
    """ZFNet of figure 3 of the paper.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.zfnet(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 62357608)
    """
    return ZFNet(**kwargs)


@with_weights
def zfnet_wide(**kwargs: Any) -> ZFNet:
    """ZFNet with 512, 1024 and 512 channels in the last three convolutions."""
    return ZFNet(widths=WIDE, **kwargs)
