"""Differentiable functions on tensors, one family per file; the only layer that calls kernels.

Importing a family enters its methods in `Tensor`.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ..missing import unknown as _unknown
from . import (
    activation,
    arithmetic,
    batchnorm,
    choice,
    comparison,
    conv,
    conv_gradients,
    conv_transpose,
    creation,
    cumulative,
    diagonal,
    distance,
    dropout,
    dropping,
    einsum,
    extrema,
    fold,
    gathering,
    indexing,
    inplace,
    inplace_shape,
    interchange,
    joining,
    legacy,
    likeness,
    linear,
    loss,
    mathematics,
    moving,
    norm,
    normalisation,
    pad,
    pairs,
    pooling,
    reduction,
    resample,
    sampling,
    scatter_reduce,
    searching,
    shape,
    shuffle,
    sized_pooling,
    softmax,
    sorting,
    types,
)
from .arguments import guard
from .dropping import drop_block2d, stochastic_depth

if _TYPE_CHECKING:
    from . import misc
    from .misc import (
        MLP,
        Conv2dNormActivation,
        DropBlock2d,
        FrozenBatchNorm2d,
        Permute,
        SqueezeExcitation,
        StochasticDepth,
    )

# What the remaining families have looks at its operands itself.
guard(
    cumulative, diagonal, distance, extrema, fold, gathering, indexing, joining, likeness, moving, norm, pad, reduction,
    resample, scatter_reduce, searching, shape, shuffle, sorting, types,
)  # fmt: skip

# The layers that torchvision has in its `ops`; layers lie above this folder, so the file with them is loaded late.
_LAYERS = {
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth",
}  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name == "misc" or name in _LAYERS:
        misc = _import_module(".misc", __name__)
        return misc if name == "misc" else getattr(misc, name)
    raise _unknown(__name__, name, globals())


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAYERS, "misc"})
