"""MobileNet: A. G. Howard et al., "MobileNets: Efficient CNNs for mobile vision applications", 2017."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .. import nn
from ..nn import Conv2dNormActivation
from ..tensor import Tensor
from .start_values import he_normal
from .weights import with_weights

# Table 1 of the paper: output channels and stride of each depthwise separable convolution, at alpha = 1.
STAGES = [
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
]  # fmt: skip


class DepthwiseSeparable(nn.Sequential):
    """A 3x3 convolution of each channel alone, then a 1x1 convolution of all channels, each with norm and ReLU.

    For C input and output channels it takes 9 C H W + C^2 H W multiply-accumulates, while the full 3x3 convolution
    takes 9 C^2 H W: 9C/(9 + C) times as many, 8.8 for C = 512.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        depthwise = Conv2dNormActivation(in_channels, in_channels, 3, stride, groups=in_channels)
        pointwise = Conv2dNormActivation(in_channels, out_channels, 1)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=pointwise))


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions in place of full ones, and two numbers that scale the net to a phone.

        input                          3 x 224 x 224
        conv 3x3 / 2                  32 x 112 x 112        928 parameters
        separable                     64 x 112 x 112      2,528
        separable / 2, separable     128 x  56 x  56     27,200
        separable / 2, separable     256 x  28 x  28    103,552
        separable / 2, 5 separable   512 x  14 x  14  1,478,912
        separable / 2, separable    1024 x   7 x   7  1,593,856
        average                     1024
        linear                      1000              1,025,000
        all                                           4,231,976

    Width multiplier alpha: each layer has alpha times the channels, so parameters and multiply-accumulates fall with
    alpha^2, roughly. Resolution multiplier rho: the images are smaller, of 224 rho pixels; the net and its parameters
    stay as they are, and the multiply-accumulates fall with rho^2. So rho is no argument; it is the size of the input.

        alpha   parameters   multiply-accumulates at 224       size   multiply-accumulates at alpha = 1
        1       4.2 M        569 M                             224    569 M
        0.75    2.6 M        325 M                             192    418 M
        0.5     1.3 M        150 M                             160    290 M
        0.25    0.5 M         41 M                             128    186 M

    The start values are those of `models.start_values`, and N(0, 0.01^2) for the linear layer; the paper gives none.

    Args:
        num_classes: outputs.
        alpha: the width multiplier, above 0; a layer never has fewer than 8 channels.
        dropout: the probability of dropout before the linear layer, as in the authors' code.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    A. G. Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications", 2017,
    https://arxiv.org/abs/1704.04861.
    """

    def __init__(
        self, num_classes: int = 1000, alpha: float = 1.0, dropout: float = 0.001, in_channels: int = 3
    ) -> None:
        super().__init__()
        if not alpha > 0:
            raise ValueError(f"MobileNetV1: alpha multiplies the channels and must be greater than 0, got {alpha}")
        channels = scaled(32, alpha)
        layers: list[nn.Module] = [Conv2dNormActivation(in_channels, channels, 3, 2)]
        for full, stride in STAGES:
            layers.append(DepthwiseSeparable(channels, scaled(full, alpha), stride))
            channels = scaled(full, alpha)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        he_normal(self, linear=lambda weight: nn.init.normal_(weight, 0.0, 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, 1024 alpha, 1, 1) -> (N, 1024 alpha)
        return logits


def scaled(channels: int, alpha: float) -> int:
    """The channels of a layer at the width multiplier `alpha`, at least 8, as in the authors' code."""
    return max(8, int(channels * alpha))


@with_weights
def mobilenet_v1(**kwargs: Any) -> MobileNetV1:
    """MobileNet: 4,231,976 parameters, 569 million multiply-accumulates at alpha = 1.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     whole, half = minicnn.models.mobilenet_v1(), minicnn.models.mobilenet_v1(alpha=0.5)
    >>> [sum(p.numel() for p in net.parameters()) for net in (whole, half)]
    [4231976, 1331592]
    """
    return MobileNetV1(**kwargs)
