"""EfficientNet: M. Tan and Q. V. Le, "EfficientNet: Rethinking model scaling for CNNs", 2019; V2, 2021."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import nn
from ..nn import Conv2dNormActivation
from ..tensor import Tensor
from .mbconv import FusedMBConv as FusedMBConv
from .mbconv import FusedMBConvConfig, MBConvConfig, _MBConvConfig
from .mbconv import MBConv as MBConv
from .start_values import he_normal
from .weights import with_weights

Maker = Callable[..., nn.Module]

# Table 1 of the paper, at the scale of B0: expansion, kernel size, stride, input channels, output channels, blocks
B0 = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]
# The factors of width and depth, the size of the images, and dropout, from the authors' code
COEFFICIENTS = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}
# V2, table 4 of its paper for S; M and L from the authors' code: rows as above, first those of fused blocks; dropout
Rows = list[tuple[int, int, int, int, int, int]]
V2: dict[str, tuple[Rows, Rows, float]] = {
    "s": (
        [(1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4)],
        [(4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15)],
        0.2,
    ),
    "m": (
        [(1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5)],
        [(4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5)],
        0.3,
    ),
    "l": (
        [(1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7)],
        [(4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7)],
        0.4,
    ),
}


class Scaling(NamedTuple):
    """By which factors a net is scaled: its depth (layers), width (channels) and resolution (side of the images)."""

    depth: float
    width: float
    resolution: float


def compound_scaling(phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Scaling:
    """Return depth alpha^phi, width beta^phi and resolution gamma^phi: the factors that make a net 2^phi times larger.

    The multiply-accumulates of a convolutional net grow with depth width^2 resolution^2, so alpha beta^2 gamma^2 must
    be about 2. The paper found the default values, with a product of 1.92, by a small grid search on B0. The released
    B1 to B7 have rounded factors, which follow the equation up to B3; the larger ones are less deep than it says:

              released                          equation, phi = ln(resolution/224)/ln(1.15)
              depth  width  resolution          phi    depth  width
        B0    1.0    1.0    224  1.00           0      1.00   1.00
        B1    1.1    1.0    240  1.07           0.5    1.09   1.05
        B2    1.2    1.1    260  1.16           1.1    1.21   1.11
        B3    1.4    1.2    300  1.34           2.1    1.46   1.22
        B4    1.8    1.4    380  1.70           3.8    1.99   1.43
        B5    2.2    1.6    456  2.04           5.1    2.53   1.62
        B6    2.6    1.8    528  2.36           6.1    3.06   1.79
        B7    3.1    2.0    600  2.68           7.0    3.62   1.96

    Args:
        phi: the compound coefficient, at least 0: the computation may grow by 2^phi.
        alpha, beta, gamma: the growth of depth, width and resolution for phi = 1, at least 1.

    Raises:
        ValueError: phi is negative, a factor is below 1, or alpha beta^2 gamma^2 is not within 10 % of 2.

    M. Tan and Q. V. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", 2019,
    https://arxiv.org/abs/1905.11946, equation 3.

    >>> minicnn.models.compound_scaling(1)
    Scaling(depth=1.2, width=1.1, resolution=1.15)
    """
    if phi < 0 or min(alpha, beta, gamma) < 1:
        raise ValueError(
            "compound_scaling: phi must be at least 0, and alpha, beta and gamma at least 1, "
            f"got {phi=}, {alpha=}, {beta=}, {gamma=}"
        )
    product = alpha * beta**2 * gamma**2
    if not 1.8 <= product <= 2.2:
        fitting = 2 / (beta * gamma) ** 2
        raise ValueError(
            f"compound_scaling: alpha * beta**2 * gamma**2 must be about 2, got {product:.2f} for {alpha=}, {beta=}, "
            f"{gamma=}; the computation would not double with each step of phi. "
            + (f"With alpha={fitting:.2f} it would" if fitting >= 1 else "Choose a smaller beta or gamma")
        )
    return Scaling(alpha**phi, beta**phi, gamma**phi)


class EfficientNet(nn.Module):
    """A small net from a search, B0, and one rule that scales its depth, width and resolution together.

        B0: input             3 x 224 x 224
        conv 3x3 / 2         32 x 112 x 112        928 parameters
        1 MBConv1 3x3        16 x 112 x 112      1,448
        2 MBConv6 3x3 / 2    24 x  56 x  56     16,714
        2 MBConv6 5x5 / 2    40 x  28 x  28     46,640
        3 MBConv6 3x3 / 2    80 x  14 x  14    242,930
        3 MBConv6 5x5       112 x  14 x  14    543,148
        4 MBConv6 5x5 / 2   192 x   7 x   7  2,026,348
        1 MBConv6 3x3       320 x   7 x   7    717,232
        conv 1x1           1280 x   7 x   7    412,160
        average            1280
        linear             1000              1,281,000
        all                                  5,288,548

    `compound_scaling` has the rule. V2 begins with `FusedMBConv` blocks and expands less. The start values are
    torchvision's: those of `models.start_values`, and U(-1/sqrt(O), 1/sqrt(O)) for the linear layer of O outputs.

    Args:
        inverted_residual_setting: the stages.
        dropout: the probability of dropout before the linear layer.
        stochastic_depth_prob: that of the block after the last; from 0 for the first block it grows linearly.
        num_classes: outputs.
        norm_layer: makes a norm from its channels; None means `BatchNorm2d`.
        last_channel: channels of the last convolution; None means 4 times those of the last stage.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 to 600 as published.

    M. Tan and Q. V. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", 2019,
    https://arxiv.org/abs/1905.11946; "EfficientNetV2: Smaller models and faster training", 2021,
    https://arxiv.org/abs/2104.00298.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig | FusedMBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Maker | None = None,
        last_channel: int | None = None,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("EfficientNet: inverted_residual_setting must have at least one stage, got none")
        if not all(isinstance(row, _MBConvConfig) for row in setting):
            raise TypeError(f"EfficientNet: inverted_residual_setting must have MBConvConfigs, got {setting}")
        norm = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        total, done, stages = sum(row.num_layers for row in setting), 0, list[nn.Module]()
        for row in setting:
            blocks = []
            for i in range(row.num_layers):
                cnf = copy.copy(row)
                if i:
                    cnf.input_channels, cnf.stride = row.out_channels, 1
                blocks.append(row.block(cnf, stochastic_depth_prob * done / total, norm))
                done += 1
            stages.append(nn.Sequential(*blocks))
        last = setting[-1].out_channels
        last_channel = 4 * last if last_channel is None else last_channel
        self.features = nn.Sequential(
            conv(in_channels, setting[0].input_channels, 3, 2),
            *stages,
            conv(last, last_channel, 1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last_channel, num_classes))
        bound = 1 / math.sqrt(num_classes)
        he_normal(self, linear=lambda weight: nn.init.uniform_(weight, -bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, last_channel, 1, 1) -> (N, last_channel)
        return logits


def _scaled(name: str, **kwargs: Any) -> EfficientNet:
    """Build one of B0 to B7."""
    width, depth, _, dropout = COEFFICIENTS[name]
    setting = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in B0]
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01) if name in ("b5", "b6", "b7") else None
    return EfficientNet(setting, **{"dropout": dropout, "norm_layer": norm, **kwargs})


def _second(name: str, **kwargs: Any) -> EfficientNet:
    """Build one of V2."""
    fused, others, dropout = V2[name]
    setting: list[MBConvConfig | FusedMBConvConfig] = [
        *(FusedMBConvConfig(*row) for row in fused),
        *(MBConvConfig(*row) for row in others),
    ]
    options = {"dropout": dropout, "norm_layer": partial(nn.BatchNorm2d, eps=0.001), "last_channel": 1280}
    return EfficientNet(setting, **{**options, **kwargs})


@with_weights
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B0: 5,288,548 parameters, 386 million multiply-accumulates for 224 x 224 pixels.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.efficientnet_b0(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1280, 7, 7]), 5288548)
    """
    return _scaled("b0", **kwargs)


@with_weights
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B1: 7,794,184 parameters, 687 million multiply-accumulates for 240 x 240 pixels."""
    return _scaled("b1", **kwargs)


@with_weights
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B2: 9,109,994 parameters, 1.1 billion multiply-accumulates for 288 x 288 pixels."""
    return _scaled("b2", **kwargs)


@with_weights
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B3: 12,233,232 parameters, 1.8 billion multiply-accumulates for 300 x 300 pixels."""
    return _scaled("b3", **kwargs)


@with_weights
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B4: 19,341,616 parameters, 4.4 billion multiply-accumulates for 380 x 380 pixels."""
    return _scaled("b4", **kwargs)


@with_weights
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B5: 30,389,784 parameters, 10.3 billion multiply-accumulates for 456 x 456 pixels."""
    return _scaled("b5", **kwargs)


@with_weights
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B6: 43,040,704 parameters, 19.1 billion multiply-accumulates for 528 x 528 pixels."""
    return _scaled("b6", **kwargs)


@with_weights
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B7: 66,347,960 parameters, 37.7 billion multiply-accumulates for 600 x 600 pixels."""
    return _scaled("b7", **kwargs)


@with_weights
def efficientnet_v2_s(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-S: 21,458,488 parameters, 8.4 billion multiply-accumulates for 384 x 384 pixels."""
    return _second("s", **kwargs)


@with_weights
def efficientnet_v2_m(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-M: 54,139,356 parameters, 24.6 billion multiply-accumulates for 480 x 480 pixels."""
    return _second("m", **kwargs)


@with_weights
def efficientnet_v2_l(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-L: 118,515,272 parameters, 56.1 billion multiply-accumulates for 480 x 480 pixels."""
    return _second("l", **kwargs)
