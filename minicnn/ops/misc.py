"""What torchvision has in its `ops`: layers and functions under the name of its file. They lie above this folder."""

from __future__ import annotations

from ..missing import answer as _answer
from ..nn.blocks import (
    MLP,
    Conv2dNormActivation,
    DropBlock2d,
    FrozenBatchNorm2d,
    Permute,
    SqueezeExcitation,
    StochasticDepth,
)
from .dropping import drop_block2d, stochastic_depth

__all__ = [
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth", "drop_block2d", "stochastic_depth",
]  # fmt: skip

_answer(globals())
