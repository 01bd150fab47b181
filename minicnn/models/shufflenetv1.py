"""ShuffleNet: X. Zhang et al., "ShuffleNet: An extremely efficient CNN for mobile devices", 2017."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..nn import Conv2dNormActivation
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .weights import with_weights

# Table 1 of the paper: the channels after stages 2, 3 and 4 by the number of groups. More groups give more channels
# for the same computation. Each stage begins with a unit of stride 2.
CHANNELS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
UNITS = (4, 8, 4)
FIRST = 24  # channels of the first convolution


class ShuffleUnit(nn.Module):
    """A residual bottleneck of grouped 1x1 convolutions, whose groups exchange channels by a shuffle.

        stride 1:  x -> 1x1 in g groups, ReLU -> shuffle -> 3x3 depthwise -> 1x1 in g groups -> + -> ReLU
                    \\_________________________________________________________________________/
        stride 2:  the depthwise convolution has stride 2, the shortcut is a 3x3 average pool of stride 2, and the
                   two are concatenated instead of added

    The bottleneck has 1/4 of the output channels. Every convolution has a norm. After the depthwise convolution there
    is no activation.

    Args:
        in_channels, out_channels: C and C'; at stride 1 they must be equal, at stride 2 C' must be larger.
        stride: 1 or 2.
        groups: g; it must divide C, C'/4 and what the last convolution makes, C' or C' - C.
        first_groups: the groups of the first convolution; None means g.

    Shape: (N, C, H, W) -> (N, C', ceil(H/stride), ceil(W/stride)).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int | None = None
    ) -> None:
        super().__init__()
        made = out_channels if stride == 1 else out_channels - in_channels  # the pooled input gives the others
        if stride not in (1, 2) or (made != in_channels if stride == 1 else made < 1):
            raise ValueError(
                f"ShuffleUnit: stride 1 keeps the channels and stride 2 adds some, got {stride=}, {in_channels=} and "
                f"{out_channels=}"
            )
        inner = out_channels // 4
        self.squeeze = Conv2dNormActivation(in_channels, inner, 1, groups=first_groups or groups)
        self.shuffle = nn.ChannelShuffle(groups)
        self.depthwise = Conv2dNormActivation(inner, inner, 3, stride, groups=inner, activation_layer=None)
        self.expand = Conv2dNormActivation(inner, made, 1, groups=groups, activation_layer=None)
        self.pool = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/stride), ceil(W/stride))."""
        made = self.expand(self.depthwise(self.shuffle(self.squeeze(x))))
        y: Tensor = self.activation(x + made if self.pool is None else cat([self.pool(x), made], 1))
        return y


class ShuffleNetV1(nn.Module):
    """Grouped 1x1 convolutions with a shuffle of channels between them: more channels for the same computation.

        input            3 x 224 x 224          groups                    1      2      3      4      8
        conv 3x3 / 2    24 x 112 x 112
        max pool 3x3/2  24 x  56 x  56
        stage 2: 4 units     28 x 28            channels of stage 2     144    200    240    272    384
        stage 3: 8 units     14 x 14                        stage 3     288    400    480    544    768
        stage 4: 4 units      7 x  7                        stage 4     576    800    960   1088   1536
        average                                 parameters, millions    1.5    1.7    1.9    2.0    2.4
        linear        1000                      multiply-acc., millions 143    141    137    134    138

    The first 1x1 convolution of stage 2 is not grouped, since its input has only 24 channels. The start values are
    those of the layers, as in PyTorch.

    Args:
        groups: groups of the 1x1 convolutions: 1, 2, 3, 4 or 8.
        num_classes: outputs.
        width_mult: the factor of all channels, the paper's "0.5x" and "2x"; the stages have multiples of 4 `groups`
            channels, and the first convolution has multiples of `groups`.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    X. Zhang et al., "ShuffleNet: An extremely efficient convolutional neural network for mobile devices", 2017,
    https://arxiv.org/abs/1707.01083.
    """

    def __init__(self, groups: int = 3, num_classes: int = 1000, width_mult: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        if groups not in CHANNELS:
            raise ValueError(f"ShuffleNetV1: groups must be one of {', '.join(map(str, CHANNELS))}, got {groups}")
        if not width_mult > 0:
            raise ValueError(f"ShuffleNetV1: width_mult must be greater than 0, got {width_mult}")
        before, stages = _scaled(FIRST, width_mult, groups), list[nn.Sequential]()
        widths = [_scaled(full, width_mult, 4 * groups) for full in CHANNELS[groups]]
        self.conv1 = Conv2dNormActivation(in_channels, before, 3, 2)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        for channels, units in zip(widths, UNITS, strict=True):
            first = ShuffleUnit(before, channels, 2, groups, first_groups=None if stages else 1)
            rest = (ShuffleUnit(channels, channels, 1, groups) for _ in range(units - 1))
            stages.append(nn.Sequential(first, *rest))
            before = channels
        self.stage2, self.stage3, self.stage4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))  # (N, C, 1, 1) -> (N, C)
        return logits


def _scaled(channels: int, width_mult: float, divisor: int) -> int:
    """The channels of a layer at a width, as a multiple of `divisor`; the published ones at width 1."""
    return channels if width_mult == 1 else max(1, round(channels * width_mult / divisor)) * divisor


@with_weights
def shufflenet_v1_g1(**kwargs: Any) -> ShuffleNetV1:
    """ShuffleNet without groups: 1,531,936 parameters, 143 million multiply-accumulates."""
    return ShuffleNetV1(1, **kwargs)


@with_weights
def shufflenet_v1_g2(**kwargs: Any) -> ShuffleNetV1:
    """ShuffleNet with 2 groups: 1,733,848 parameters, 141 million multiply-accumulates."""
    return ShuffleNetV1(2, **kwargs)


@with_weights
def shufflenet_v1_g3(**kwargs: Any) -> ShuffleNetV1:
    """ShuffleNet with 3 groups: 1,865,728 parameters, 137 million multiply-accumulates.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.shufflenet_v1_g3(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 1865728)
    """
    return ShuffleNetV1(3, **kwargs)


@with_weights
def shufflenet_v1_g4(**kwargs: Any) -> ShuffleNetV1:
    """ShuffleNet with 4 groups: 1,968,344 parameters, 134 million multiply-accumulates."""
    return ShuffleNetV1(4, **kwargs)


@with_weights
def shufflenet_v1_g8(**kwargs: Any) -> ShuffleNetV1:
    """ShuffleNet with 8 groups: 2,434,768 parameters, 138 million multiply-accumulates."""
    return ShuffleNetV1(8, **kwargs)
