"""MobileNetV3: A. Howard et al., "Searching for MobileNetV3", 2019."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import nn
from ..nn import Conv2dNormActivation, SqueezeExcitation
from ..tensor import Tensor
from .mobilenetv2 import _make_divisible
from .start_values import he_normal
from .weights import with_weights

Maker = Callable[..., nn.Module]

# Tables 1 and 2 of the paper, a block in each row: input channels, kernel size, expanded channels, output channels,
# whether it squeezes and excites, activation (RE: ReLU, HS: hard swish), stride
LARGE = [
    (16, 3, 16, 16, False, "RE", 1),
    (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2),
    (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1),
    (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2),
    (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
]
SMALL = [
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1),
    (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2),
    (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
]
HARD_EXCITATION: Maker = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)
TAIL = 3  # the last blocks, from the last stride 2 on: those that `reduced_tail` narrows and `dilated` dilates


class InvertedResidualConfig:
    """A row of the paper's tables, its channels times `width_mult` and rounded to a multiple of 8.

    Args:
        input_channels, expanded_channels, out_channels: of the three convolutions.
        kernel: size of the depthwise convolution.
        use_se: whether the block squeezes and excites.
        activation: "RE" for ReLU, "HS" for hard swish.
        stride, dilation: of the depthwise convolution; with a dilation above 1 the stride has no effect.
        width_mult: the factor of all channels.
    """

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se, self.use_hs = use_se, activation == "HS"
        self.stride, self.dilation = stride, dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """Return the channels times `width_mult`, rounded to a multiple of 8."""
        return _make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """MobileNetV2's block, with squeeze-and-excitation on its wide part: expand, filter, weigh the channels, project.

        x -> 1x1 -> act -> depthwise k x k / s -> act -> squeeze, excite -> 1x1 -> + -> y
         \\______________________ if s = 1 and the channels stay ________________/

    The excitation is a hard sigmoid of 1/4 of the expanded channels. Every convolution of the main path has a norm.

    Args:
        cnf: the row of the table.
        norm_layer: makes a norm from its channels.
        se_layer: makes a squeeze-and-excitation from (expanded channels, squeezed channels).

    Shape: (N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s)).
    """

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Maker,
        se_layer: Maker = HARD_EXCITATION,
    ) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride should be 1 or 2, got {cnf.stride}")
        conv = partial(
            Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish if cnf.use_hs else nn.ReLU
        )
        wide, layers = cnf.expanded_channels, list[nn.Module]()
        if wide != cnf.input_channels:
            layers.append(conv(cnf.input_channels, wide, 1))
        stride = 1 if cnf.dilation > 1 else cnf.stride
        layers.append(conv(wide, wide, cnf.kernel, stride, dilation=cnf.dilation, groups=wide))
        if cnf.use_se:
            layers.append(se_layer(wide, _make_divisible(wide // 4, 8)))
        layers.append(conv(wide, cnf.out_channels, 1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.out_channels = cnf.out_channels
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s))."""
        y: Tensor = self.block(input)
        return y + input if self.use_res_connect else y


class MobileNetV3(nn.Module):
    """MobileNetV2's blocks, arranged by a search, with squeeze-and-excitation, hard swish and a cheaper last stage.

        small                        large
        input        3 x 224 x 224   input        3 x 224 x 224
        conv 3x3/2  16 x 112 x 112   conv 3x3/2  16 x 112 x 112
                                     1 block     16 x 112 x 112
        1 block/2   16 x  56 x  56   2 blocks/2  24 x  56 x  56
        2 blocks/2  24 x  28 x  28   3 blocks/2  40 x  28 x  28
        3 blocks/2  40 x  14 x  14   4 blocks/2  80 x  14 x  14
        2 blocks    48 x  14 x  14   2 blocks   112 x  14 x  14
        3 blocks/2  96 x   7 x   7   3 blocks/2 160 x   7 x   7
        conv 1x1   576 x   7 x   7   conv 1x1   960 x   7 x   7
        average    576               average    960
        linear    1024               linear    1280
        linear    1000               linear    1000

    The average is taken before the layer of 1280 channels, not after, so that this layer works on one pixel. Hard
    swish, x ReLU6(x + 3)/6, is used in the deeper half, where the images are small. The start values are torchvision's:
    those of `models.start_values`, and N(0, 0.01^2) for the linear layers.

    Args:
        inverted_residual_setting: the blocks; `mobilenet_v3_large` and `mobilenet_v3_small` have the paper's.
        last_channel: outputs of the first linear layer.
        num_classes: outputs.
        block: makes a block from (config, norm_layer); None means `InvertedResidual`.
        norm_layer: makes a norm from its channels; None means a `BatchNorm2d` with eps=0.001 and momentum=0.01.
        dropout: the probability of dropout between the linear layers.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    A. Howard et al., "Searching for MobileNetV3", 2019, https://arxiv.org/abs/1905.02244.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Maker | None = None,
        norm_layer: Maker | None = None,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("MobileNetV3: inverted_residual_setting must have at least one block, got none")
        if not all(isinstance(row, InvertedResidualConfig) for row in setting):
            raise TypeError(f"MobileNetV3: inverted_residual_setting must have InvertedResidualConfigs, got {setting}")
        block, norm = block or InvertedResidual, norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        last = setting[-1].out_channels
        self.features = nn.Sequential(
            conv(in_channels, setting[0].input_channels, 3, 2),
            *(block(row, norm) for row in setting),
            conv(last, 6 * last, 1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel), nn.Hardswish(inplace=True),
            nn.Dropout(dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )  # fmt: skip
        he_normal(self, linear=lambda weight: nn.init.normal_(weight, 0.0, 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, 6 C, 1, 1) -> (N, 6 C)
        return logits


def _build(
    table: Sequence[tuple[int, int, int, int, bool, str, int]],
    last_channel: int,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **kwargs: Any,
) -> MobileNetV3:
    """Build a net from a table, with torchvision's options for the blocks of the last resolution.

    Args:
        table, last_channel: of the net.
        width_mult: the factor of all channels.
        reduced_tail: halve the channels of the last blocks, which are many for few classes.
        dilated: dilation in place of the last stride, for dense prediction.
        kwargs: passed to `MobileNetV3`.
    """
    setting = []
    for row, (inputs, kernel, wide, out, use_se, activation, stride) in enumerate(table):
        tail = len(table) - TAIL  # the first block of the tail keeps its inputs, and so its expanded channels
        halved, before = reduced_tail and row >= tail, reduced_tail and row > tail
        inputs, wide, out = inputs // (1 + before), wide // (1 + before), out // (1 + halved)
        dilation = 2 if dilated and row >= tail else 1
        setting.append(
            InvertedResidualConfig(inputs, kernel, wide, out, use_se, activation, stride, dilation, width_mult)
        )
    last = InvertedResidualConfig.adjust_channels(last_channel // (1 + reduced_tail), width_mult)
    return MobileNetV3(setting, last, **kwargs)


@with_weights
def mobilenet_v3_large(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3-Large: 5,483,032 parameters, 217 million multiply-accumulates.

    Besides those of `MobileNetV3`, the options are width_mult=1.0, reduced_tail=False (half the channels in the last
    blocks) and dilated=False (dilation in place of the last stride).
    """
    return _build(LARGE, 1280, **kwargs)


@with_weights
def mobilenet_v3_small(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3-Small: 2,542,856 parameters, 57 million multiply-accumulates; options as `mobilenet_v3_large`.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.mobilenet_v3_small(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 576, 7, 7]), 2542856)
    """
    return _build(SMALL, 1024, **kwargs)
