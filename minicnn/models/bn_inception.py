"""BN-Inception (Inception-v2): S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import nn
from ..tensor import Tensor
from .inception_parts import BasicConv2d, Branches, Maker
from .start_values import he_normal
from .weights import with_weights

# Figure 5 of the paper: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3 (both), pool, its projection.
# 0 means that the branch does not exist, or that the pool passes its channels on; such a module has stride 2.
MODULES = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96, 128, 192, 160, 192, "avg", 128),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


class BNInceptionModule(Branches):
    """The module of BN-Inception: two 3x3 convolutions see what GoogLeNet's 5x5 sees, with 18 weights instead of 25.

        input ─┬─ 1x1 ───────────────────────────┐          input ─┬─ 1x1 ─ 3x3/2 ─────────┐
               ├─ 1x1 (reduce) ─ 3x3 ────────────┤                 ├─ 1x1 ─ 3x3 ─ 3x3/2 ───┼─ concatenate
               ├─ 1x1 (reduce) ─ 3x3 ─ 3x3 ──────┼─ concatenate    └─ 3x3/2 max pool ──────┘
               └─ 3x3 average or max pool ─ 1x1 ─┘          with stride 2

    Args:
        in_channels: C.
        ch1x1: filters of the first branch; 0 means the module with stride 2, on the right.
        ch3x3red, ch3x3, dbl3x3red, dbl3x3: filters of the next two branches.
        pool: "avg" or "max".
        pool_proj: filters after the pool; with stride 2, where the pool passes its channels on, 0.
        conv_block: makes a convolution with what follows it.

    Shape: (N, C, H, W) -> (N, ch1x1 + ch3x3 + dbl3x3 + pool_proj, H, W), or (N, ch3x3 + dbl3x3 + C, H/2, W/2).
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        dbl3x3red: int,
        dbl3x3: int,
        pool: str,
        pool_proj: int,
        conv_block: Maker = BasicConv2d,
    ) -> None:
        if pool not in ("avg", "max") or bool(ch1x1) != bool(pool_proj) or (not ch1x1 and pool == "avg"):
            raise ValueError(
                "BNInceptionModule: give pool 'avg' or 'max' with filters for 1x1 and for the pool's projection, or "
                f"'max' with 0 for both, got {pool!r}, ch1x1={ch1x1} and pool_proj={pool_proj}"
            )
        conv, stride = conv_block, 1 if ch1x1 else 2
        branches: dict[str, nn.Module] = {}
        if ch1x1:
            branches["branch1x1"] = conv(in_channels, ch1x1, kernel_size=1)
        branches["branch3x3"] = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1),
            conv(ch3x3red, ch3x3, kernel_size=3, stride=stride, padding=1),
        )
        branches["branch3x3dbl"] = nn.Sequential(
            conv(in_channels, dbl3x3red, kernel_size=1),
            conv(dbl3x3red, dbl3x3, kernel_size=3, padding=1),
            conv(dbl3x3, dbl3x3, kernel_size=3, stride=stride, padding=1),
        )
        down = nn.MaxPool2d(3, stride, padding=1) if pool == "max" else nn.AvgPool2d(3, stride, padding=1)
        branches["branch_pool"] = (
            nn.Sequential(down, conv(in_channels, pool_proj, kernel_size=1)) if pool_proj else down
        )
        super().__init__(**branches)
        self.out_channels = ch1x1 + ch3x3 + dbl3x3 + (pool_proj or in_channels)


class BNInception(nn.Module):
    """The net that introduced batch normalisation: GoogLeNet with it, and two 3x3 filters in place of each 5x5.

    Each channel is normalised with the mean and variance over the batch, so that each layer sees inputs of a stable
    distribution. With 5 times the learning rate it was as accurate as GoogLeNet after 14 times fewer steps.

        input            3 x 224 x 224
        conv 7x7/2      64 x 112 x 112     max pool 3x3/2 ->  64 x 56 x 56
        conv 1x1, 3x3  192 x  56 x  56     max pool 3x3/2 -> 192 x 28 x 28
        3a, 3b         256, 320 x 28 x 28
        3c             576 x 14 x 14       stride 2
        4a, 4b         576 x 14 x 14
        4c, 4d         608 x 14 x 14
        4e            1056 x  7 x  7       stride 2
        5a, 5b        1024 x  7 x  7       average pool -> 1024
        linear        1000

    The paper's table says 576 channels after 4c and 4d, and 1024 after 4e; but the filters that it lists add up to
    608 and 1056, which the net has. It leaves out what the text says of the first layer, a separable convolution.

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
        conv_bias: whether the convolutions have biases, as in the published weights; batch norm removes them again,
            so without them the net can do the same.
        dropout: probability before the last layer.

    Weights are initialised as K. He et al., 2015, https://arxiv.org/abs/1502.01852; the paper does not say how.
    Shape: (N, in_channels, 224, 224) -> logits (N, num_classes).
    """

    def __init__(
        self, num_classes: int = 1000, in_channels: int = 3, conv_bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        conv = partial(BasicConv2d, bias=conv_bias)
        self.conv1 = conv(in_channels, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception = nn.Sequential()
        channels = 192
        for name, row in MODULES.items():
            module = BNInceptionModule(channels, *row, conv_block=conv)
            self.inception.add_module(name, module)
            channels = module.out_channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.inception(x)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, 1024, 1, 1) -> (N, 1024)
        return logits


@with_weights
def bn_inception(**kwargs: Any) -> BNInception:
    """BN-Inception, also known as Inception-v2: 11,295,240 parameters.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.bn_inception(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 11295240)
    """
    return BNInception(**kwargs)
