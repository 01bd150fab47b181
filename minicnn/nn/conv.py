"""Convolution layers."""

from __future__ import annotations

import math

import numpy as np

from minicnn_kernels.geometry import IntOrPair, pair

from ..ops.conv import conv2d
from ..tensor import Tensor
from . import init
from .module import Module, Parameter


class Conv2d(Module):
    """Slide `out_channels` filters over the picture: y[o] = b[o] + sum_c w[o, c] (*) x[c].

    Shape: (N, C, H, W) -> (N, O, OH, OW), OH = floor((H + 2*padding - dilation*(kernel_size - 1) - 1)/stride) + 1;
    without the batch axis too. Parameters: `weight` (O, C/groups, KH, KW) and `bias` (O,), O*(C/groups*KH*KW + 1) in
    all, drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) as in PyTorch.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, dilation: an int or (vertical, horizontal); padding also "valid" or "same".
        groups: blocks of channels that do not see each other; groups=in_channels is a depthwise convolution.
        bias: whether there is a bias.
        padding_mode: "zeros"; the others are not supported.
        fit: "floor" drops rows that fill no window, "strict" refuses such an input (beyond PyTorch).

    Raises:
        ValueError: groups that do not divide the channels, or sizes below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: object = None,
        *,
        fit: str = "floor",
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} must be at least 1 and divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if padding_mode != "zeros":
            raise ValueError(
                f"Conv2d: padding_mode={padding_mode!r} is not supported; pad the input before with transforms.Pad"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "Conv2d", "kernel_size", 1)
        self.stride = pair(stride, "Conv2d", "stride", 1)
        self.padding = padding if isinstance(padding, str) else pair(padding, "Conv2d", "padding", 0)
        self.dilation = pair(dilation, "Conv2d", "dilation", 1)
        self.fit = fit
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, dtype or np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, dtype or np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # that is U(-1/sqrt(fan_in), 1/sqrt(fan_in))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans(self.weight.shape)[0])
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, OH, OW)."""
        return conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, fit=self.fit
        )

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding!r}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", fit={self.fit!r}" if self.fit != "floor" else "")
