"""NASNet-A: B. Zoph et al., "Learning transferable architectures for scalable image recognition", 2017,
https://arxiv.org/abs/1707.07012.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import nn
from ..nn import functional as F
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .start_values import he_normal
from .weights import with_weights
from .xception import SeparableConv2d

EPS = 0.001  # of all batch norms


class Cell(NamedTuple):
    """A cell as the search found it (figure 4 of the paper, left and right).

    Attributes:
        blocks: each adds the results of two operations: (operation, on what, operation, on what). "h" is the result of
            the cell before, "p" that of the one before it, both adjusted by 1x1 convolutions; a number is an earlier
            block of this cell.
        output: what is concatenated: all that no block has used, and besides, as in the authors' program, "p" in the
            normal cell and block 1 in the reduction.
        stride: of the operations on "h" and "p".
    """

    blocks: Sequence[tuple[str, str | int, str, str | int]]
    output: Sequence[str | int]
    stride: int


NORMAL = Cell(
    blocks=[
        ("separable 5x5", "h", "separable 3x3", "p"),
        ("separable 5x5", "p", "separable 3x3", "p"),
        ("average 3x3", "h", "identity", "p"),
        ("average 3x3", "p", "average 3x3", "p"),
        ("separable 3x3", "h", "identity", "h"),
    ],
    output=["p", 0, 1, 2, 3, 4],
    stride=1,
)
REDUCTION = Cell(
    blocks=[
        ("separable 5x5", "h", "separable 7x7", "p"),
        ("max 3x3", "h", "separable 7x7", "p"),
        ("average 3x3", "h", "separable 5x5", "p"),
        ("average 3x3", 0, "identity", 1),
        ("separable 3x3", 0, "max 3x3", "h"),
    ],
    output=[1, 2, 3, 4],
    stride=2,
)


class TwiceSeparable(nn.Sequential):
    """ReLU, separable convolution, batch norm, all twice, as the paper applies each of these operations.

    The stride is that of the first convolution. Shape: (N, C, H, W) -> (N, O, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        padding = kernel_size // 2
        super().__init__(
            nn.ReLU(),  # not in place: other operations of the cell read the same input
            SeparableConv2d(in_channels, out_channels, kernel_size, stride, padding),
            nn.BatchNorm2d(out_channels, eps=EPS),
            nn.ReLU(inplace=True),
            SeparableConv2d(out_channels, out_channels, kernel_size, padding=padding),
            nn.BatchNorm2d(out_channels, eps=EPS),
        )


class FactorizedReduction(nn.Module):
    """Halve the image and set its channels: half of them from the even pixels, half from the odd ones.

        ReLU ─┬─ pixels (0, 0), (0, 2) ... ─ 1x1: O/2 ──────┬─ concatenate ─ batch norm
              └─ pixels (1, 1), (1, 3) ... ─ 1x1: O - O/2 ──┘

    Each half is a pool 1x1/2; that of the second is shifted by one pixel, with zeros beyond the border, so that no
    pixel's row or column is left out as a 1x1/2 convolution would. Shape: (N, C, H, W) -> (N, O, ceil(H/2), ceil(W/2)).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, ceil(H/2), ceil(W/2))."""
        x = F.relu(x)
        shifted = F.pad(x, (-1, 1, -1, 1))  # one pixel less on the left and above, a zero on the right and below
        both = [self.even(F.avg_pool2d(x, 1, stride=2)), self.odd(F.avg_pool2d(shifted, 1, stride=2))]
        y: Tensor = self.norm(cat(both, 1))
        return y


def adjusted(in_channels: int, filters: int) -> nn.Sequential:
    """ReLU, 1x1 convolution, batch norm: (N, in_channels, H, W) -> (N, filters, H, W)."""
    conv = nn.Conv2d(in_channels, filters, 1, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(filters, eps=EPS))


class NASNetCell(nn.Module):
    """A cell, built from its table.

    "p" is left as it is where it is the cell's only input, in the first cell; or where it has `filters` channels. It is
    halved if its image is larger than that of "h", after a reduction.

    Args:
        cell: `NORMAL` or `REDUCTION`.
        filters: F, the channels of each block's result.
        h_channels, p_channels: channels of the two inputs.
        p_larger: whether the image of "p" is twice as high and wide as that of "h".
        first: whether the cell is the first, whose two inputs are the same.

    Shape: (N, C, H, W), (N, P, H, W) or (N, P, 2H, 2W) -> (N, out_channels, H/stride, W/stride), where out_channels is
    6 F of a normal cell and 4 F of a reduction.
    """

    def __init__(
        self,
        cell: Cell,
        filters: int,
        h_channels: int,
        p_channels: int,
        p_larger: bool = False,
        first: bool = False,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.adjust_h = adjusted(h_channels, filters)
        self.adjust_p: nn.Module = nn.Identity()
        if p_larger:
            self.adjust_p = FactorizedReduction(p_channels, filters)
        elif p_channels != filters and not first:
            self.adjust_p = adjusted(p_channels, filters)
        channels: dict[str | int, int] = {"h": filters, "p": p_channels if first else filters}
        channels |= dict.fromkeys(range(len(cell.blocks)), filters)
        self.blocks = nn.ModuleList()
        for left, a, right, b in cell.blocks:
            operations = [self._operation(name, on, channels[on], filters) for name, on in ((left, a), (right, b))]
            self.blocks.append(nn.ModuleList(operations))
        self.out_channels = sum(channels[name] for name in cell.output)

    def _operation(self, name: str, on: str | int, channels: int, filters: int) -> nn.Module:
        stride = self.cell.stride if on in ("h", "p") else 1
        kind, _, size = name.partition(" ")
        if kind == "separable":
            return TwiceSeparable(channels, filters, int(size[0]), stride)
        if kind == "average":
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        return nn.MaxPool2d(3, stride, padding=1) if kind == "max" else nn.Identity()

    def forward(self, h: Tensor, p: Tensor) -> Tensor:
        """(N, C, H, W) and (N, P, H, W) or (N, P, 2H, 2W) -> (N, out_channels, H/stride, W/stride)."""
        values: dict[str | int, Tensor] = {"h": self.adjust_h(h), "p": self.adjust_p(p)}
        for i, ((_, a, _, b), (left, right)) in enumerate(zip(self.cell.blocks, self.blocks, strict=True)):
            values[i] = left(values[a]) + right(values[b])
        return cat([values[name] for name in self.cell.output], 1)


class NASNetMobile(nn.Module):
    """NASNet-A for phones, "4 @ 1056": four normal cells per stage, 1056 channels at the end.

    A recurrent network proposed cells, each was trained on CIFAR-10, and its accuracy rewarded the proposer. The best
    normal cell and the best reduction cell (`NORMAL` and `REDUCTION`) are stacked here, with more filters, for
    ImageNet. The mobile net has F = 44:

        input               3 x 224 x 224
        conv 3x3/2         32 x 111 x 111
        reduction, F/4     44 x  56 x  56
        reduction, F/2     88 x  28 x  28
        4 normal, F       264 x  28 x  28     (6 F channels)
        reduction, 2F     352 x  14 x  14     (4 x 2F)
        4 normal, 2F      528 x  14 x  14
        reduction, 4F     704 x   7 x   7
        4 normal, 4F     1056 x   7 x   7
        ReLU, average pool, dropout, linear 1000

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
        penultimate_filters: channels at the end, 24 F.
        cells: normal cells per stage.
        stem_filters: of the first convolution.
        dropout: probability before the last layer.

    The auxiliary head that the paper trains with is not part of it. Weights are initialised as K. He et al., 2015,
    https://arxiv.org/abs/1502.01852; the paper does not say how.
    Shape: (N, in_channels, 224, 224) -> logits (N, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        penultimate_filters: int = 1056,
        cells: int = 4,
        stem_filters: int = 32,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if penultimate_filters % 24 or penultimate_filters < 96:
            raise ValueError(
                f"NASNetMobile: penultimate_filters must be a multiple of 24, and 96 or more, got {penultimate_filters}"
            )
        f = penultimate_filters // 24
        stages = [(REDUCTION, f // 4), (REDUCTION, f // 2), *[(NORMAL, f)] * cells]
        stages += [(REDUCTION, 2 * f), *[(NORMAL, 2 * f)] * cells, (REDUCTION, 4 * f), *[(NORMAL, 4 * f)] * cells]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem_filters, 3, stride=2, bias=False), nn.BatchNorm2d(stem_filters, eps=EPS)
        )
        self.cells = nn.ModuleList()
        h = p = stem_filters
        larger = False  # whether the image of p is larger than that of h
        for i, (cell, filters) in enumerate(stages):
            made = NASNetCell(cell, filters, h, p, p_larger=larger, first=i == 0)
            self.cells.append(made)
            h, p, larger = made.out_channels, h, cell is REDUCTION
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(h, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        h = p = self.stem(x)
        for cell in self.cells:
            h, p = cell(h, p), h
        h = self.avgpool(F.relu(h)).flatten(1)  # (N, 1056, 1, 1) -> (N, 1056)
        logits: Tensor = self.fc(self.dropout(h))
        return logits


@with_weights
def nasnet_mobile(**kwargs: Any) -> NASNetMobile:
    """NASNet-A mobile (4 @ 1056): 5,289,978 parameters.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.nasnet_mobile(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 5289978)
    """
    return NASNetMobile(**kwargs)
