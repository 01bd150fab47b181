"""minicnn: convolutional networks from scratch, under PyTorch's names. See README.md."""

from __future__ import annotations

from .cli import early_interrupt as _early_interrupt  # first: Ctrl-C during all the others

# isort: split
import math as _math
import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from minicnn_kernels import NoKernelError, ShapeError, use

from . import autograd, cuda, nn, ops, optim
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .compat import accelerator, amp, backends, distributed, func, fx, hub, jit, linalg, return_types, special, testing
from .compat.amp import GradScaler, autocast, is_autocast_enabled
from .compat.func import vmap
from .compat.missing import Imports as _Imports
from .compat.missing import unknown as _unknown
from .compat.ops import feature_pyramid_network as _pyramid
from .compat.ops import misc as _misc
from .compat.ops import poolers as _poolers
from .compat.settings import *
from .compat.settings import _assert
from .compat.tensor_types import *
from .device import Device as device
from .device import OutOfMemoryError, get_default_device, set_default_device
from .dtypes import DType as dtype
from .dtypes import Size, finfo, float16, float32, float64, iinfo, int8, int16, int32, int64, uint8
from .dtypes import bool_ as _bool
from .memory_formats import Layout as layout
from .memory_formats import MemoryFormat as memory_format
from .memory_formats import channels_last, contiguous_format, preserve_format, strided
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
from .ops.adaptive_pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d
from .ops.distance import cdist, pdist
from .ops.linear import *
from .ops.softmax import tensor_log_softmax as log_softmax
from .ops.softmax import tensor_softmax as softmax
from .ops.tensor.arithmetic import *
from .ops.tensor.calculus import *
from .ops.tensor.clamp import *
from .ops.tensor.comparison import *
from .ops.tensor.concatenate import *
from .ops.tensor.creation import *
from .ops.tensor.cumulative import *
from .ops.tensor.diagonal import *
from .ops.tensor.einsum import *
from .ops.tensor.expand import *
from .ops.tensor.flip_roll import *
from .ops.tensor.gather import *
from .ops.tensor.grids import *
from .ops.tensor.indexing import *
from .ops.tensor.inplace import *
from .ops.tensor.interchange import *
from .ops.tensor.inverses import det, slogdet
from .ops.tensor.inverses import inv as inverse
from .ops.tensor.linear_algebra import (
    cholesky_inverse,
    cholesky_solve,
    logdet,
    matrix_exp,
    matrix_power,
    pinverse,
)
from .ops.tensor.linear_algebra import old_cholesky as cholesky
from .ops.tensor.linear_algebra import old_qr as qr
from .ops.tensor.linear_algebra import old_svd as svd
from .ops.tensor.masks import *
from .ops.tensor.matmul import *
from .ops.tensor.max_min import *
from .ops.tensor.norm import *
from .ops.tensor.numbers import *
from .ops.tensor.out import resize_as_
from .ops.tensor.parts import *
from .ops.tensor.quantile import *
from .ops.tensor.ranges import *
from .ops.tensor.reduction import *
from .ops.tensor.sampling import *
from .ops.tensor.scatter_reduce import *
from .ops.tensor.searching import *
from .ops.tensor.shape import *
from .ops.tensor.sorting import *
from .ops.tensor.special import *
from .ops.tensor.statistics import *
from .ops.tensor.strides import *
from .ops.tensor.types import *
from .ops.tensor.unary import *
from .ops.tensor.variance import *
from .ops.tensor.zeros_like import *
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .serialization import load, save
from .tensor import Tensor
from .tensor.printing import get_printoptions, printoptions, set_printoptions
from .version import __version__

if _TYPE_CHECKING:
    from . import analysis, bench, datasets, distributions, exercises, models, train, transforms, utils, visualize
    from .analysis import summary, summary_string
    from .bench import compare_algorithms


float, double, half = float32, float64, float16
long, int, short, bool = int64, int32, int16, _bool
inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None

_sys.meta_path.append(_Imports)
_LAZY = {
    "analysis",
    "bench",
    "datasets",
    "distributions",
    "exercises",
    "models",
    "train",
    "transforms",
    "utils",
    "visualize",
}
_LAZY_FUNCTIONS = {"compare_algorithms": ".bench", "summary": ".analysis", "summary_string": ".analysis"}


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _import_module(f".{name}", __name__)
    if name in _LAZY_FUNCTIONS:
        return getattr(_import_module(_LAZY_FUNCTIONS[name], __name__), name)
    raise _unknown("minicnn", name, globals())
