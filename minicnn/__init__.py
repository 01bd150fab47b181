"""minicnn: convolutional networks from scratch, under PyTorch's names. See README.md."""

from __future__ import annotations

from . import starting as _starting  # first: Ctrl-C during all the others

# isort: split
import math as _math
import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

import numpy as _np

from minicnn_kernels import NoKernelError, ShapeError, use

from . import amp, autograd, backends, cuda, fx, hub, jit, linalg, nn, ops, optim, return_types, testing
from .amp import GradScaler, autocast, is_autocast_enabled
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .device import Device as device
from .device import get_default_device, set_default_device
from .dtypes import Size, finfo, float16, float32, float64, iinfo, int8, int16, int32, int64, uint8
from .dtypes import bool_ as _bool
from .memory import MemoryFormat as memory_format
from .memory import channels_last, contiguous_format, preserve_format, strided
from .missing import Imports as _Imports
from .missing import unknown as _unknown
from .nn.functional import (
    adaptive_avg_pool1d,
    alpha_dropout,
    avg_pool1d,
    binary_cross_entropy_with_logits,
    celu,
    celu_,
    channel_shuffle,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cosine_embedding_loss,
    cosine_similarity,
    dropout,
    feature_alpha_dropout,
    group_norm,
    hardshrink,
    hinge_embedding_loss,
    kl_div,
    layer_norm,
    margin_ranking_loss,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    pairwise_distance,
    pixel_shuffle,
    pixel_unshuffle,
    poisson_nll_loss,
    prelu,
    relu,
    relu_,
    rms_norm,
    rrelu,
    rrelu_,
    selu,
    selu_,
    sigmoid,
    sigmoid_,
    tanh,
    tanh_,
    threshold,
    threshold_,
    triplet_margin_loss,
)
from .ops.arithmetic import *
from .ops.choice import *
from .ops.comparison import *
from .ops.creation import *
from .ops.cumulative import *
from .ops.diagonal import *
from .ops.einsum import *
from .ops.extrema import *
from .ops.gathering import *
from .ops.indexing import *
from .ops.inplace import *
from .ops.interchange import *
from .ops.joining import *
from .ops.legacy import *
from .ops.likeness import *
from .ops.linear import *
from .ops.mathematics import *
from .ops.moving import *
from .ops.norm import *
from .ops.pairs import *
from .ops.reduction import *
from .ops.sampling import *
from .ops.scatter_reduce import *
from .ops.searching import *
from .ops.shape import *
from .ops.sized_pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d
from .ops.softmax import tensor_log_softmax as log_softmax
from .ops.softmax import tensor_softmax as softmax
from .ops.sorting import *
from .ops.types import *
from .printing import get_printoptions, printoptions, set_printoptions
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .serialization import load, save
from .settings import *
from .settings import _assert
from .tensor import Tensor
from .version import __version__

if _TYPE_CHECKING:
    from . import analysis, datasets, models, train, transforms, utils, visualize
    from .analysis import compare_algorithms, summary


dtype = _np.dtype
float, double, half = float32, float64, float16
long, int, short, bool = int64, int32, int16, _bool
inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None

_sys.meta_path.append(_Imports)
_LAZY = {"analysis", "datasets", "models", "train", "transforms", "utils", "visualize"}


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _import_module(f".{name}", __name__)
    if name in ("compare_algorithms", "summary"):
        return getattr(_import_module(".analysis", __name__), name)
    raise _unknown("minicnn", name, globals())
