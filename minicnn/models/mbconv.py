"""The blocks of EfficientNet, inverted residuals with squeeze-and-excitation, and the rows of its tables.

M. Tan and Q. V. Le, 2019, https://arxiv.org/abs/1905.11946; "EfficientNetV2", 2021, https://arxiv.org/abs/2104.00298.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .. import nn
from ..nn import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ..tensor import Tensor
from .mobilenetv2 import _make_divisible

Maker = Callable[..., nn.Module]


@dataclass
class _MBConvConfig:
    """A row of the paper's table: one stage of blocks.

    Attributes:
        expand_ratio: expanded channels over input channels.
        kernel: size of the convolution that is not 1x1.
        stride: of the first block.
        input_channels, out_channels: of the stage.
        num_layers: blocks.
        block: makes a block from (config, probability of stochastic depth, norm_layer).
    """

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Maker

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """Return the channels times `width_mult`, rounded to a multiple of 8."""
        return _make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of `MBConv` blocks, with channels times `width_mult` and blocks times `depth_mult`, rounded up."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Maker | None = None,
    ) -> None:
        inputs, outputs = (self.adjust_channels(c, width_mult) for c in (input_channels, out_channels))
        layers = self.adjust_depth(num_layers, depth_mult)
        super().__init__(expand_ratio, kernel, stride, inputs, outputs, layers, block or MBConv)

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """Return the number of blocks times `depth_mult`, rounded up."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of `FusedMBConv` blocks, which V2 has first."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Maker | None = None,
    ) -> None:
        super().__init__(expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv)


class _Residual(nn.Module):
    """A block with a shortcut where the shape stays, whose branch is left out at random in training."""

    def __init__(self, cnf: _MBConvConfig, layers: Sequence[nn.Module], stochastic_depth_prob: float) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"{type(self).__name__}: stride should be 1 or 2, got {cnf.stride}")
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s))."""
        y: Tensor = self.block(input)
        return self.stochastic_depth(y) + input if self.use_res_connect else y


class MBConv(_Residual):
    """An inverted residual with squeeze-and-excitation: expand, filter each channel, weigh the channels, project.

        x -> 1x1, SiLU -> depthwise k x k / s, SiLU -> squeeze, excite -> 1x1 -> stochastic depth -> + -> y
         \\________________________________ if s = 1 and the channels stay ________________________/

    The excitation squeezes to 1/4 of the input channels, not of the expanded ones. Each convolution has a norm.

    Args:
        cnf: the row of the table.
        stochastic_depth_prob: the probability that the branch of an image is left out.
        norm_layer: makes a norm from its channels.
        se_layer: makes a squeeze-and-excitation from (channels, squeezed channels, activation=).

    Shape: (N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s)).
    """

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Maker,
        se_layer: Maker = SqueezeExcitation,
    ) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        expand = [conv(cnf.input_channels, wide, 1)] if wide != cnf.input_channels else []
        layers = [
            *expand,
            conv(wide, wide, cnf.kernel, cnf.stride, groups=wide),
            se_layer(wide, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)),
            conv(wide, cnf.out_channels, 1, activation_layer=None),
        ]
        super().__init__(cnf, layers, stochastic_depth_prob)


class FusedMBConv(_Residual):
    """An `MBConv` whose expansion and depthwise convolution are one full convolution, faster where channels are few.

        x -> k x k / s, SiLU -> 1x1 -> stochastic depth -> + -> y       without expansion: k x k / s, SiLU alone

    Args:
        cnf: the row of the table.
        stochastic_depth_prob: the probability that the branch of an image is left out.
        norm_layer: makes a norm from its channels.

    Shape: (N, C, H, W) -> (N, C', ceil(H/s), ceil(W/s)).
    """

    def __init__(self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: Maker) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        if wide != cnf.input_channels:
            layers = [
                conv(cnf.input_channels, wide, cnf.kernel, cnf.stride),
                conv(wide, cnf.out_channels, 1, activation_layer=None),
            ]
        else:
            layers = [conv(cnf.input_channels, cnf.out_channels, cnf.kernel, cnf.stride)]
        super().__init__(cnf, layers, stochastic_depth_prob)
