"""The differentiable functions of convolutional nets, one family per file; only this layer calls kernels. The
functions on tensors in general (arithmetic, indexing, reductions ...) are in the folder `tensor`.

Importing a family adds its methods to `Tensor`.
"""

from __future__ import annotations

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ..compat.missing import unknown as _unknown
from ..compat.missing.moved import answer_for_functions as _answer_for_functions
from . import (
    activation,
    adaptive_pooling,
    attention,
    batchnorm,
    box_losses,
    boxes,
    conv,
    conv3d,
    conv_gradients,
    conv_transpose,
    distance,
    drop_block,
    dropout,
    embedding,
    fold,
    grid_sample,
    interpolate,
    linear,
    loss,
    normalization,
    pad,
    pixel_shuffle,
    pooling,
    pooling3d,
    roi,
    softmax,
)
from .box_losses import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss, sigmoid_focal_loss
from .boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    nms,
    remove_small_boxes,
)
from .drop_block import drop_block2d, stochastic_depth
from .roi import ps_roi_align, roi_align, roi_pool
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
from .tensor.old_forms import accept_old_forms
from .tensor.out import accept_out

if _TYPE_CHECKING:
    from ..compat.ops import feature_pyramid_network, misc, poolers
    from ..nn.blocks import (
        MLP,
        Conv2dNormActivation,
        DropBlock2d,
        FrozenBatchNorm2d,
        Permute,
        SqueezeExcitation,
        StochasticDepth,
    )
    from ..nn.detection import FeaturePyramidNetwork, MultiScaleRoIAlign, PSRoIAlign, RoIAlign, RoIPool

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

accept_old_forms(arithmetic, matmul)

_answer_for_functions("minicnn.ops")

for _name in ("ciou_loss", "diou_loss", "focal_loss", "giou_loss"):  # torchvision has a file for each
    _sys.modules[f"{__name__}.{_name}"] = globals()[_name] = box_losses

# The layers in torchvision's `ops`. Layers are built on this folder, so their files are loaded only when they are used.
_FILES = {"feature_pyramid_network", "misc", "poolers"}
_BLOCKS = {
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth",
}  # fmt: skip
_DETECTION = {"FeaturePyramidNetwork", "MultiScaleRoIAlign", "PSRoIAlign", "RoIAlign", "RoIPool"}


def __getattr__(name: str) -> _Any:
    if name == "misc" or name in _BLOCKS:
        misc = _import_module("minicnn.compat.ops.misc")
        return misc if name == "misc" else getattr(misc, name)
    if name in _DETECTION:
        return getattr(_import_module("minicnn.nn.detection"), name)
    if name == "feature_pyramid_network":
        return _import_module("minicnn.compat.ops.feature_pyramid_network")
    if name == "poolers":
        return _import_module("minicnn.compat.ops.poolers")
    raise _unknown(__name__, name, globals())


def __dir__() -> list[str]:
    return sorted({*globals(), *_BLOCKS, *_DETECTION, *_FILES})
