"""The differentiable functions of convolutional nets, one family per file; only this layer calls kernels. The
functions on tensors in general (arithmetic, indexing, reductions ...) are in the folder `tensor`.

Importing a family adds its methods to `Tensor`.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ..compat.missing import unknown as _unknown
from ..compat.missing.moved import answer_for_functions as _answer_for_functions
from . import (
    activation,
    adaptive_pooling,
    batchnorm,
    conv,
    conv_gradients,
    conv_transpose,
    distance,
    drop_block,
    dropout,
    fold,
    interpolate,
    linear,
    loss,
    normalization,
    pad,
    pixel_shuffle,
    pooling,
    softmax,
)
from .drop_block import drop_block2d, stochastic_depth
from .tensor import (
    arithmetic,
    calculus,
    clamp,
    comparison,
    concatenate,
    creation,
    cumulative,
    decompositions,
    diagonal,
    einsum,
    expand,
    flip_roll,
    gather,
    grids,
    indexing,
    inplace,
    inplace_sampling,
    inplace_shape,
    interchange,
    inverses,
    linear_algebra,
    masks,
    matmul,
    max_min,
    norm,
    numbers,
    parts,
    quantile,
    ranges,
    reduction,
    sampling,
    scatter_reduce,
    searching,
    shape,
    sorting,
    statistics,
    strides,
    types,
    unary,
    variance,
    zeros_like,
)
from .tensor.arguments import guard
from .tensor.out import accept_out

if _TYPE_CHECKING:
    from ..compat.ops import misc
    from ..compat.ops.misc import (
        MLP,
        Conv2dNormActivation,
        DropBlock2d,
        FrozenBatchNorm2d,
        Permute,
        SqueezeExcitation,
        StochasticDepth,
    )

# `guard` adds the check of the operands to these families; the functions of the others check their own operands.
guard(
    concatenate, cumulative, diagonal, distance, flip_roll, fold, gather, indexing, interpolate, max_min, norm, pad,
    pixel_shuffle, reduction, scatter_reduce, searching, shape, sorting, types, variance, zeros_like,
)  # fmt: skip

accept_out(
    arithmetic, clamp, comparison, concatenate, creation, cumulative, decompositions, diagonal, einsum, flip_roll,
    gather, indexing, inverses, linear_algebra, masks, matmul, max_min, norm, numbers, parts, quantile, ranges,
    reduction, sampling, scatter_reduce, searching, sorting, statistics, unary, variance,
)  # fmt: skip

_answer_for_functions("minicnn.ops")

# The layers in torchvision's `ops`. Layers are built on this folder, so their file is loaded only when it is used.
_LAYERS = {
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth",
}  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name == "misc" or name in _LAYERS:
        misc = _import_module("minicnn.compat.ops.misc")
        return misc if name == "misc" else getattr(misc, name)
    raise _unknown(__name__, name, globals())


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAYERS, "misc"})
