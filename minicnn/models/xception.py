"""Xception: F. Chollet, "Xception: Deep learning with depthwise separable convolutions", 2016,
https://arxiv.org/abs/1610.02357.
"""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .inception_parts import BasicConv2d
from .start_values import he_normal
from .weights import with_weights

EPS = 0.001  # of all batch norms, as in the weights published by the author


class SeparableConv2d(nn.Sequential):
    """A depthwise convolution, one filter per channel, then 1x1 convolutions across channels; nothing in between.

    C (KH KW + O) weights in place of C KH KW O of the full convolution: for C = O = 512 and 3x3, 266,752 in place of
    2,359,296; with biases, C + O more.

    Args:
        in_channels, out_channels: C, O.
        kernel_size, stride, padding: of the depthwise convolution.
        bias: whether both convolutions have biases.

    Shape: (N, C, H, W) -> (N, O, OH, OW).

    >>> conv = minicnn.models.SeparableConv2d(512, 512, 3, padding=1)
    >>> sum(p.numel() for p in conv.parameters())  # 512 (3*3 + 512)
    266752
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=bias
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=bias)


class XceptionBlock(nn.Module):
    """Separable convolutions, each with batch norm, and a shortcut around them.

        y = body(x) + shortcut(x)        body: (ReLU, separable convolution, batch norm) for each of `channels`

    Args:
        in_channels: C.
        channels: the channels of each separable convolution.
        down: halve the image, by a max pool 3x3/2 at the end, and by a shortcut of 1x1/2 convolution and batch norm;
            otherwise the shortcut is the input, and the last of `channels` must be C.
        relu_first: whether there is a ReLU before the first convolution.

    Shape: (N, C, H, W) -> (N, channels[-1], H, W), or with `down` (N, channels[-1], ceil(H/2), ceil(W/2)).
    """

    def __init__(self, in_channels: int, *channels: int, down: bool = False, relu_first: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = in_channels
        for out in channels:
            separable = SeparableConv2d(before, out, 3, padding=1)
            layers += [nn.ReLU(), separable, nn.BatchNorm2d(out, eps=EPS)]
            before = out
        if down:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        elif before != in_channels:
            raise ValueError(
                f"XceptionBlock: without down, the last of channels must be in_channels={in_channels}, got {channels}"
            )
        self.body = nn.Sequential(*layers[0 if relu_first else 1 :])
        project = nn.Conv2d(in_channels, before, 1, stride=2, bias=False)
        self.shortcut = nn.Sequential(project, nn.BatchNorm2d(before, eps=EPS)) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels[-1], OH, OW)."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


class Xception(nn.Module):
    """Xception: all Inception modules replaced by separable convolutions, with shortcuts as in ResNet.

    Its idea: an Inception module looks at channels (1x1) and at places (3x3) almost apart. Here they are quite apart:
    one filter per channel, then 1x1. With as many parameters as Inception-v3 it is more accurate. Figure 5:

        input            3 x 299 x 299
        entry flow:
          conv 3x3/2    32 x 149 x 149
          conv 3x3      64 x 147 x 147
          block        128 x  74 x  74     2 separable convolutions, max pool 3x3/2
          block        256 x  37 x  37     the same
          block        728 x  19 x  19     the same
        middle flow:
          8 blocks     728 x  19 x  19     3 separable convolutions each
        exit flow:
          block       1024 x  10 x  10     728 and 1024 channels, max pool 3x3/2
          separable   1536 x  10 x  10
          separable   2048 x  10 x  10
        average pool, dropout, linear 1000

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
        dropout: probability before the last layer.
        middle: blocks of the middle flow.
        width: factor of the channels.

    Weights are initialised as K. He et al., 2015, https://arxiv.org/abs/1502.01852; the paper does not say how.
    Shape: (N, in_channels, 299, 299) -> logits (N, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.5,
        middle: int = 8,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        c32, c64, c128, c256, c728, c1024, c1536, c2048 = (
            max(1, round(c * width)) for c in (32, 64, 128, 256, 728, 1024, 1536, 2048)
        )
        self.entry_flow = nn.Sequential(
            BasicConv2d(in_channels, c32, kernel_size=3, stride=2),
            BasicConv2d(c32, c64, kernel_size=3),
            XceptionBlock(c64, c128, c128, down=True, relu_first=False),
            XceptionBlock(c128, c256, c256, down=True),
            XceptionBlock(c256, c728, c728, down=True),
        )
        self.middle_flow = nn.Sequential(*[XceptionBlock(c728, c728, c728, c728) for _ in range(middle)])
        self.exit_flow = nn.Sequential(
            XceptionBlock(c728, c728, c1024, down=True),
            SeparableConv2d(c1024, c1536, 3, padding=1), nn.BatchNorm2d(c1536, eps=EPS), nn.ReLU(inplace=True),
            SeparableConv2d(c1536, c2048, 3, padding=1), nn.BatchNorm2d(c2048, eps=EPS), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(c2048, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.exit_flow(self.middle_flow(self.entry_flow(x)))
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, 2048, 1, 1) -> (N, 2048)
        return logits


@with_weights
def xception(**kwargs: Any) -> Xception:
    """Xception, for images of 299 x 299: 22,855,952 parameters.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.xception(), minicnn.zeros(1, 3, 299, 299)
    >>> net.eval()(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 22855952)
    """
    return Xception(**kwargs)
