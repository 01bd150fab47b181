"""Inception-v3: C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015,
https://arxiv.org/abs/1512.00567.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import nn
from ..nn import functional as F
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .inception_parts import BasicConv2d, Maker, as_tensorflow, leave_out
from .weights import with_weights


class InceptionOutputs(NamedTuple):
    """What the net returns in training: the logits, and those of the auxiliary head."""

    logits: Tensor
    aux_logits: Tensor | None


class InceptionA(nn.Module):
    """Modules at 35 x 35 (figure 5 of the paper): a 5x5, and two 3x3 that see as much.

        input ─┬─ 1x1: 64 ───────────────────────┐
               ├─ 1x1: 48 ─ 5x5: 64 ─────────────┤
               ├─ 1x1: 64 ─ 3x3: 96 ─ 3x3: 96 ───┼─ concatenate
               └─ average pool ─ 1x1: P ─────────┘

    Args:
        in_channels: C.
        pool_features: P.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, H, W) -> (N, 224 + P, H, W).
    """

    def __init__(self, in_channels: int, pool_features: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 224 + P, H, W)."""
        single = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch1x1(x), single, double, self.branch_pool(average3x3(x))], 1)


class InceptionB(nn.Module):
    """From 35 x 35 to 17 x 17: two convolutions and a pool, all with stride 2, side by side.

        input ─┬─ 3x3/2: 384 ─────────────────────┐
               ├─ 1x1: 64 ─ 3x3: 96 ─ 3x3/2: 96 ──┼─ concatenate
               └─ max pool 3x3/2 ─────────────────┘

    Args:
        in_channels: C.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, H, W) -> (N, 480 + C, (H - 1)//2, (W - 1)//2).
    """

    def __init__(self, in_channels: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 480 + C, (H - 1)//2, (W - 1)//2)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(nn.Module):
    """Modules at 17 x 17 (figure 6): 7x7 factorised into 1x7 and 7x1, with 14 weights instead of 49.

        input ─┬─ 1x1: 192 ────────────────────────────────────────────┐
               ├─ 1x1: c7 ─ 1x7: c7 ─ 7x1: 192 ────────────────────────┤
               ├─ 1x1: c7 ─ 7x1: c7 ─ 1x7: c7 ─ 7x1: c7 ─ 1x7: 192 ────┼─ concatenate
               └─ average pool ─ 1x1: 192 ─────────────────────────────┘

    Args:
        in_channels: C.
        channels_7x7: c7.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, H, W) -> (N, 768, H, W).
    """

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv, c7 = conv_block or BasicConv2d, channels_7x7
        row: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
        column: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv(c7, c7, **row)
        self.branch7x7_3 = conv(c7, 192, **column)
        self.branch7x7dbl_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv(c7, c7, **column)
        self.branch7x7dbl_3 = conv(c7, c7, **row)
        self.branch7x7dbl_4 = conv(c7, c7, **column)
        self.branch7x7dbl_5 = conv(c7, 192, **row)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 768, H, W)."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return cat([self.branch1x1(x), single, double, self.branch_pool(average3x3(x))], 1)


class InceptionD(nn.Module):
    """From 17 x 17 to 8 x 8.

        input ─┬─ 1x1: 192 ─ 3x3/2: 320 ─────────────────────────┐
               ├─ 1x1: 192 ─ 1x7: 192 ─ 7x1: 192 ─ 3x3/2: 192 ───┼─ concatenate
               └─ max pool 3x3/2 ────────────────────────────────┘

    Args:
        in_channels: C.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, H, W) -> (N, 512 + C, (H - 1)//2, (W - 1)//2).
    """

    def __init__(self, in_channels: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 512 + C, (H - 1)//2, (W - 1)//2)."""
        small = self.branch3x3_2(self.branch3x3_1(x))
        large = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return cat([small, large, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionE(nn.Module):
    """Modules at 8 x 8 (figure 7): wide, 1x3 and 3x1 side by side instead of one after the other.

        input ─┬─ 1x1: 320 ──────────────────────────────────┐
               ├─ 1x1: 384 ─┬─ 1x3: 384 ─────────────────────┤
               │            └─ 3x1: 384 ─────────────────────┤
               ├─ 1x1: 448 ─ 3x3: 384 ─┬─ 1x3: 384 ──────────┼─ concatenate
               │                       └─ 3x1: 384 ──────────┤
               └─ average pool ─ 1x1: 192 ───────────────────┘

    Args:
        in_channels: C.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, H, W) -> (N, 2048, H, W).
    """

    def __init__(self, in_channels: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3_2b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2048, H, W)."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(single), self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double),
                self.branch_pool(average3x3(x)),
            ], 1,
        )  # fmt: skip


class InceptionAux(nn.Module):
    """The auxiliary head, from the last module at 17 x 17; its loss has the weight 0.4 (see `auxiliary_loss`).

    Args:
        in_channels: C.
        num_classes: outputs.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.

    Shape: (N, C, 17, 17) -> logits (N, num_classes); height and width must be 17 or more.
    """

    def __init__(self, in_channels: int, num_classes: int, conv_block: Maker | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 17, 17) -> (N, num_classes)."""
        if min(x.shape[2:]) < 17:
            raise ValueError(
                "InceptionAux: the auxiliary head needs 17 x 17 or more places, which images of 299 x 299 give, got "
                f"{tuple(x.shape)}; give larger images, or build the net with aux_logits=False"
            )
        x = self.conv0(F.avg_pool2d(x, 5, stride=3))  # (N, 128, 5, 5)
        x = F.adaptive_avg_pool2d(self.conv1(x), (1, 1)).flatten(1)  # (N, 768, 1, 1) -> (N, 768)
        logits: Tensor = self.fc(x)
        return logits


def average3x3(x: Tensor) -> Tensor:
    """The mean of each 3x3 window, with zeros outside the image counted in; the shape stays."""
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


class Inception3(nn.Module):
    """Inception-v3: GoogLeNet with large filters factorised into small ones.

    It introduced 5x5 as two 3x3 (18 weights instead of 25), nxn as 1xn and nx1 (2n instead of n^2), reduction of the
    image by strided convolutions and a pool side by side, batch norm in the auxiliary head, and label smoothing
    (`nn.CrossEntropyLoss(label_smoothing=0.1)`).

        input            3 x 299 x 299
        conv 3x3/2      32 x 149 x 149
        conv 3x3        32 x 147 x 147
        conv 3x3        64 x 147 x 147     padded; max pool 3x3/2 -> 64 x 73 x 73
        conv 1x1        80 x  73 x  73
        conv 3x3       192 x  71 x  71     max pool 3x3/2 -> 192 x 35 x 35
        5b, 5c, 5d     256, 288, 288 x 35 x 35     InceptionA
        6a             768 x 17 x 17               InceptionB
        6b ... 6e      768 x 17 x 17               InceptionC      -> auxiliary head
        7a            1280 x  8 x  8               InceptionD
        7b, 7c        2048 x  8 x  8               InceptionE
        average pool, dropout, linear 1000

    Args:
        num_classes: outputs.
        aux_logits: whether there is an auxiliary head. Without it the net also takes the weights of one that has it,
            and leaves out the head's.
        transform_input: the input is normalised with ImageNet's mean and deviation of each colour, as usual, but the
            weights expect (x - 0.5)/0.5: convert it. The weights published by torchvision need this.
        inception_blocks: makers of the convolutions, of modules A to E and of the head; None means those of this file.
        init_weights: draw the weights from a normal distribution of deviation 0.1, cut off at 2 (0.001 for the linear
            layer of the head); None means yes, False leaves those of the blocks.
        dropout: probability before the last layer.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, 299, 299) -> logits (N, num_classes), or in training, with the auxiliary head,
    `InceptionOutputs`. Images may be as small as 75 x 75 without the head.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[Maker] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        blocks = BLOCKS if inception_blocks is None else inception_blocks
        if len(blocks) != 7:
            raise ValueError(
                "Inception3: inception_blocks must be seven makers, of convolutions, modules A to E and the auxiliary "
                f"head; got {len(blocks)}"
            )
        conv, a, b, c, d, e, head = blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(in_channels, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits: Any = head(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights or init_weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=getattr(module, "stddev", 0.1))

    def forward(self, x: Tensor) -> Any:
        """(N, in_channels, H, W) -> (N, num_classes), or `InceptionOutputs` in training with the auxiliary head."""
        heads = self.training and self.aux_logits
        if self.transform_input:
            x = as_tensorflow(x)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        aux = self.AuxLogits(x) if heads else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, 2048, 1, 1) -> (N, 2048)
        return InceptionOutputs(logits, aux) if heads else logits

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if not self.aux_logits:
            leave_out(state_dict, prefix + "AuxLogits.")
        super()._load_from_state_dict(state_dict, prefix, *rest)


BLOCKS: list[Maker] = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux]


@with_weights(published={"transform_input": True, "init_weights": False})
def inception_v3(**kwargs: Any) -> Inception3:
    """Inception-v3, for images of 299 x 299. With published weights, `transform_input` is True.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.inception_v3(), minicnn.zeros(2, 3, 299, 299)
    >>> y = net(x)  # in training, with the scores of the auxiliary head
    >>> y.logits.shape, y.aux_logits.shape, net.eval()(x).shape
    (minicnn.Size([2, 1000]), minicnn.Size([2, 1000]), minicnn.Size([2, 1000]))
    """
    return Inception3(**kwargs)
