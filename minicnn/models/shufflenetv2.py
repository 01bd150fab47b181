"""ShuffleNetV2: N. Ma et al., "ShuffleNet V2: Practical guidelines for efficient CNN architecture design", 2018."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import nn
from ..nn.functional import channel_shuffle as channel_shuffle
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .weights import with_weights

REPEATS = [4, 8, 4]  # the units of stages 2, 3 and 4
# Table 5 of the paper: the channels of the first convolution, of stages 2, 3 and 4, and of the last convolution
CHANNELS = {
    "x0_5": [24, 48, 96, 192, 1024],
    "x1_0": [24, 116, 232, 464, 1024],
    "x1_5": [24, 176, 352, 704, 1024],
    "x2_0": [24, 244, 488, 976, 2048],
}


class InvertedResidual(nn.Module):
    """A unit that splits the channels, works on one half of them, and shuffles both halves together.

        stride 1:  x -> split -+-------------------------------------------------> cat -> shuffle -> y
                               +-> 1x1, ReLU -> 3x3 depthwise -> 1x1, ReLU ------> /
        stride 2:  x ----------+-> 3x3 depthwise / 2 -> 1x1, ReLU ---------------> cat -> shuffle -> y
                               +-> 1x1, ReLU -> 3x3 depthwise / 2 -> 1x1, ReLU --> /

    Every convolution has a norm. The half that is passed on costs nothing, and at stride 1 nothing is added.

    Args:
        inp, oup: channels of the input and of the output; at stride 1 they are equal and even.
        stride: 1 to 3; the strides above 1 have both branches.

    Shape: (N, inp, H, W) -> (N, oup, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError(f"InvertedResidual: stride must be 1, 2 or 3, got {stride}")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"InvertedResidual: stride 1 needs as many outputs as inputs, an even number, got {inp=}, {oup=}"
            )
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                self.depthwise_conv(inp, inp, 3, stride, 1), nn.BatchNorm2d(inp),
                nn.Conv2d(inp, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            )  # fmt: skip
        self.branch2 = nn.Sequential(
            nn.Conv2d(inp if stride > 1 else half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            self.depthwise_conv(half, half, 3, stride, 1), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
        )  # fmt: skip

    @staticmethod
    def depthwise_conv(
        i: int, o: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = False
    ) -> nn.Conv2d:
        """Make a convolution of each of the `i` channels alone."""
        return nn.Conv2d(i, o, kernel_size, stride, padding, groups=i, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inp, H, W) -> (N, oup, ceil(H/stride), ceil(W/stride))."""
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            both = [kept, self.branch2(changed)]
        else:
            both = [self.branch1(x), self.branch2(x)]
        return channel_shuffle(cat(both, dim=1), 2)


class ShuffleNetV2(nn.Module):
    """A net after four rules from measured times, not from counts of multiply-accumulates alone.

    The rules: equal widths of input and output, few groups, few branches, few elementwise operations.

        input                3 x 224 x 224      width                  0.5x   1x    1.5x   2x
        conv 3x3 / 2        24 x 112 x 112
        max pool 3x3 / 2    24 x  56 x  56
        stage 2: 4 units         28 x  28       channels of stage 2      48   116    176   244
        stage 3: 8 units         14 x  14                   stage 3      96   232    352   488
        stage 4: 4 units          7 x   7                   stage 4     192   464    704   976
        conv 1x1                  7 x   7                   conv5      1024  1024   1024  2048
        average                                 parameters, millions    1.4   2.3    3.5   7.4
        linear            1000                  multiply-acc., millions  40   145    296   583

    The start values are those of the layers, as in torchvision.

    Args:
        stages_repeats: units of stages 2, 3 and 4.
        stages_out_channels: channels of the first convolution, of stages 2, 3 and 4, and of the last convolution.
        num_classes: outputs.
        inverted_residual: makes a unit from (inputs, outputs, stride).
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    N. Ma et al., "ShuffleNet V2: Practical guidelines for efficient CNN architecture design", 2018,
    https://arxiv.org/abs/1807.11164.
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(f"ShuffleNetV2: stages_repeats must have 3 numbers, got {stages_repeats}")
        if len(stages_out_channels) != 5:
            raise ValueError(f"ShuffleNetV2: stages_out_channels must have 5 numbers, got {stages_out_channels}")
        first, *stages, last = stages_out_channels
        self.conv1 = self._conv(in_channels, first, 3, 2)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        made = []
        for before, channels, repeats in zip([first, *stages], stages, stages_repeats, strict=False):
            units = (inverted_residual(channels, channels, 1) for _ in range(repeats - 1))
            made.append(nn.Sequential(inverted_residual(before, channels, 2), *units))
        self.stage2, self.stage3, self.stage4 = made
        self.conv5 = self._conv(stages[-1], last, 1, 1)
        self.fc = nn.Linear(last, num_classes)

    @staticmethod
    def _conv(inputs: int, outputs: int, size: int, stride: int) -> nn.Sequential:
        """Make a padded convolution with norm and ReLU."""
        conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        x = self.conv5(x).mean([2, 3])  # the average of each channel: (N, C, H, W) -> (N, C)
        logits: Tensor = self.fc(x)
        return logits


@with_weights
def shufflenet_v2_x0_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of half the channels: 1,366,792 parameters, 40 million multiply-accumulates."""
    return ShuffleNetV2(REPEATS, CHANNELS["x0_5"], **kwargs)


@with_weights
def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2: 2,278,604 parameters, 145 million multiply-accumulates.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.shufflenet_v2_x1_0(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 2278604)
    """
    return ShuffleNetV2(REPEATS, CHANNELS["x1_0"], **kwargs)


@with_weights
def shufflenet_v2_x1_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of 1.5 times the channels: 3,503,624 parameters, 296 million multiply-accumulates."""
    return ShuffleNetV2(REPEATS, CHANNELS["x1_5"], **kwargs)


@with_weights
def shufflenet_v2_x2_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of twice the channels: 7,393,996 parameters, 583 million multiply-accumulates."""
    return ShuffleNetV2(REPEATS, CHANNELS["x2_0"], **kwargs)
