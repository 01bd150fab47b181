"""`minicnn.ops.misc`: the layers and functions of torchvision's file. They are defined above `minicnn.ops`."""

from __future__ import annotations

from ...nn.blocks import (
    MLP,
    Conv2dNormActivation,
    DropBlock2d,
    FrozenBatchNorm2d,
    Permute,
    SqueezeExcitation,
    StochasticDepth,
)
from ...ops.drop_block import drop_block2d, stochastic_depth
from ..doors import door as _door

__all__ = [
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth", "drop_block2d", "stochastic_depth",
]  # fmt: skip

_door(globals())
