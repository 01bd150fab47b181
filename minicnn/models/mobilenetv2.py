"""MobileNetV2: M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import nn
from ..nn import Conv2dNormActivation
from ..tensor import Tensor
from .start_values import he_normal
from .weights import with_weights

Maker = Callable[..., nn.Module]

# Table 2 of the paper: t, the factor of expansion; c, output channels; n, blocks; s, stride of the first block
SETTING = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def _make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """Round channels to the nearest multiple of `divisor`, or the next one if 10 % or more would be lost.

    Multiples of 8 suit the hardware. The mobile nets that scale their width round in this way.

    Args:
        v: channels times the width multiplier.
        divisor: what the result is a multiple of.
        min_value: the smallest result; None means `divisor`.
    """
    nearest = max(divisor if min_value is None else min_value, int(v + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * v else nearest + divisor


class InvertedResidual(nn.Module):
    """Expand, filter each channel alone, project: a residual block that is wide inside and narrow outside.

        x -> 1x1, t C channels, ReLU6 -> 3x3 depthwise / s, ReLU6 -> 1x1, C' channels -> + -> y
         \\___________________________________ if s = 1 and C = C' ______________________/

    Every convolution has a norm. After the last one there is no activation: in few channels, ReLU would destroy
    information ("linear bottleneck"). With t = 1 the first convolution is left out.

    Args:
        inp, oup: C and C'.
        stride: 1 or 2.
        expand_ratio: t.
        norm_layer: makes a norm from its channels; None means `BatchNorm2d`.

    Shape: (N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s)).
    """

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Maker | None = None) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride should be 1 or 2, got {stride}")
        norm = norm_layer or nn.BatchNorm2d
        hidden = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(Conv2dNormActivation(inp, hidden, 1, norm_layer=norm, activation_layer=nn.ReLU6))
        self.conv = nn.Sequential(
            *layers,
            Conv2dNormActivation(hidden, hidden, 3, stride, groups=hidden, norm_layer=norm, activation_layer=nn.ReLU6),
            nn.Conv2d(hidden, oup, 1, bias=False),
            norm(oup),
        )
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s))."""
        y: Tensor = self.conv(x)
        return x + y if self.use_res_connect else y


class MobileNetV2(nn.Module):
    """Inverted residuals: the shortcuts connect narrow layers, and the wide layers between them are depthwise.

        input                    3 x 224 x 224
        conv 3x3 / 2            32 x 112 x 112        928 parameters
        t = 1: 1 block          16 x 112 x 112        896
        t = 6: 2 blocks / 2     24 x  56 x  56     13,968
               3 blocks / 2     32 x  28 x  28     39,696
               4 blocks / 2     64 x  14 x  14    183,872
               3 blocks         96 x  14 x  14    303,168
               3 blocks / 2    160 x   7 x   7    795,264
               1 block         320 x   7 x   7    473,920
        conv 1x1              1280 x   7 x   7    412,160
        average               1280
        linear                1000              1,281,000
        all                                     3,504,872

    The start values are torchvision's: those of `models.start_values`, and N(0, 0.01^2) for the linear layer.

    Args:
        num_classes: outputs.
        width_mult: the factor of all channels; the 1280 before the linear layer only grow with it.
        inverted_residual_setting: rows (t, c, n, s) as in `SETTING`, which is the default.
        round_nearest: channels are rounded to a multiple of this number.
        block: makes a block from (C, C', stride, expand_ratio=, norm_layer=); None means `InvertedResidual`.
        norm_layer: makes a norm from its channels; None means `BatchNorm2d`.
        dropout: the probability of dropout before the linear layer.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018,
    https://arxiv.org/abs/1801.04381.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Maker | None = None,
        norm_layer: Maker | None = None,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(row) != 4 for row in setting):
            raise ValueError(f"MobileNetV2: inverted_residual_setting must have rows (t, c, n, s), got {setting}")
        block, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)

        channels = _make_divisible(32 * width_mult, round_nearest)
        layers: list[nn.Module] = [
            Conv2dNormActivation(in_channels, channels, 3, 2, norm_layer=norm, activation_layer=nn.ReLU6)
        ]
        for t, c, n, s in setting:
            out = _make_divisible(c * width_mult, round_nearest)
            for i in range(n):
                layers.append(block(channels, out, s if i == 0 else 1, expand_ratio=t, norm_layer=norm))
                channels = out
        self.last_channel = _make_divisible(1280 * max(1.0, width_mult), round_nearest)
        layers.append(conv(channels, self.last_channel, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes))
        he_normal(self, linear=lambda weight: nn.init.normal_(weight, 0.0, 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = nn.functional.adaptive_avg_pool2d(self.features(x), 1)  # (N, last_channel, 1, 1)
        logits: Tensor = self.classifier(x.flatten(1))  # -> (N, last_channel)
        return logits


@with_weights
def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2: 3,504,872 parameters, 301 million multiply-accumulates.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.mobilenet_v2(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1280, 7, 7]), 3504872)
    """
    return MobileNetV2(**kwargs)
