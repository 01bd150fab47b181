"""Inception-v4: C. Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual connections on learning",
2016, https://arxiv.org/abs/1602.07261.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .inception_parts import BasicConv2d, Branches
from .start_values import he_normal
from .weights import with_weights

# The figures of the paper. "1x7 256" is a convolution with 256 filters, /2 its stride, V means valid: no padding (else
# the size stays at stride 1). A tuple is a sequence, a dict are branches side by side, whose results are concatenated.
STEM = (  # figure 3: 3 x 299 x 299 -> 384 x 35 x 35
    "3x3/2V 32", "3x3V 32", "3x3 64",
    {"pool": "max/2", "conv": "3x3/2V 96"},
    {"short": ("1x1 64", "3x3V 96"), "long": ("1x1 64", "7x1 64", "1x7 64", "3x3V 96")},
    {"conv": "3x3/2V 192", "pool": "max/2"},
)  # fmt: skip
INCEPTION_A = {  # figure 4: 384 x 35 x 35
    "pool": ("avg", "1x1 96"),
    "branch1x1": "1x1 96",
    "branch3x3": ("1x1 64", "3x3 96"),
    "branch3x3dbl": ("1x1 64", "3x3 96", "3x3 96"),
}
REDUCTION_A = {  # figure 7, with the filters of table 1: -> 1024 x 17 x 17
    "pool": "max/2",
    "branch3x3": "3x3/2V 384",
    "branch3x3dbl": ("1x1 192", "3x3 224", "3x3/2V 256"),
}
INCEPTION_B = {  # figure 5: 1024 x 17 x 17
    "pool": ("avg", "1x1 128"),
    "branch1x1": "1x1 384",
    "branch7x7": ("1x1 192", "1x7 224", "7x1 256"),
    "branch7x7dbl": ("1x1 192", "1x7 192", "7x1 224", "1x7 224", "7x1 256"),
}
REDUCTION_B = {  # figure 8: -> 1536 x 8 x 8
    "pool": "max/2",
    "branch3x3": ("1x1 192", "3x3/2V 192"),
    "branch7x7": ("1x1 256", "1x7 256", "7x1 320", "3x3/2V 320"),
}
INCEPTION_C = {  # figure 6: 1536 x 8 x 8
    "pool": ("avg", "1x1 256"),
    "branch1x1": "1x1 256",
    "branch3x3": ("1x1 384", {"row": "1x3 256", "column": "3x1 256"}),
    "branch3x3dbl": ("1x1 384", "1x3 448", "3x1 512", {"column": "3x1 256", "row": "1x3 256"}),
}
POOLS = {
    "avg": lambda: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
    "max/2": lambda: nn.MaxPool2d(3, stride=2),
}


def build(figure: Any, channels: int, width: float = 1.0) -> tuple[nn.Module, int]:
    """Return the layers of a figure above for an input with so many channels, and how many channels come out."""
    if isinstance(figure, dict):
        branches = {name: build(part, channels, width) for name, part in figure.items()}
        return Branches(**{name: made for name, (made, _) in branches.items()}), sum(c for _, c in branches.values())
    if isinstance(figure, tuple):
        layers = []
        for part in figure:
            layer, channels = build(part, channels, width)
            layers.append(layer)
        return nn.Sequential(*layers), channels
    if figure in POOLS:
        return POOLS[figure](), channels
    window, filters = figure.split()
    size, _, stride = window.removesuffix("V").partition("/")
    kernel = tuple(map(int, size.split("x")))
    padding = 0 if window.endswith("V") else (kernel[0] // 2, kernel[1] // 2)
    out = max(1, round(int(filters) * width))
    return BasicConv2d(channels, out, kernel_size=kernel, stride=int(stride or 1), padding=padding), out


class InceptionV4(nn.Module):
    """Inception-v4: deeper and more regular than v3, with a stem of branches, and no auxiliary head.

    The paper asks whether residual connections help: this net, without them, comes as far as Inception-ResNet-v2,
    which trains faster.

        input             3 x 299 x 299
        stem            384 x  35 x  35
        4 inception A   384 x  35 x  35     5x5 as two 3x3
        reduction A    1024 x  17 x  17
        7 inception B  1024 x  17 x  17     7x7 as 1x7 and 7x1
        reduction B    1536 x   8 x   8
        3 inception C  1536 x   8 x   8     1x3 and 3x1 side by side
        average pool, dropout, linear 1000

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
        dropout: probability before the last layer.
        blocks: how many modules A, B and C.
        width: factor of the filters of each convolution.

    Weights are initialised as K. He et al., 2015, https://arxiv.org/abs/1502.01852; the paper does not say how.
    Shape: (N, in_channels, 299, 299) -> logits (N, num_classes). Images may be as small as 75 x 75.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.2,
        blocks: Sequence[int] = (4, 7, 3),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if len(blocks) != 3 or min(blocks) < 0:
            raise ValueError(f"InceptionV4: blocks must say how many modules A, B and C there are, got {blocks}")
        a, b, c = blocks
        self.stem, channels = build(STEM, in_channels, width)
        self.inception_a, channels = build((INCEPTION_A,) * a, channels, width)
        self.reduction_a, channels = build(REDUCTION_A, channels, width)
        self.inception_b, channels = build((INCEPTION_B,) * b, channels, width)
        self.reduction_b, channels = build(REDUCTION_B, channels, width)
        self.inception_c, channels = build((INCEPTION_C,) * c, channels, width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.stem(x)
        x = self.reduction_a(self.inception_a(x))
        x = self.reduction_b(self.inception_b(x))
        x = self.inception_c(x)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, 1536, 1, 1) -> (N, 1536)
        return logits


@with_weights
def inception_v4(**kwargs: Any) -> InceptionV4:
    """Inception-v4, for images of 299 x 299: 42,679,816 parameters.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.inception_v4(), minicnn.zeros(1, 3, 299, 299)
    >>> net.eval()(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 42679816)
    """
    return InceptionV4(**kwargs)
