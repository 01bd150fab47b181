"""What convolutional nets are made of, as differentiable functions, one family per file; the only layer that calls
kernels. The tensor surface (arithmetic, indexing, reductions ...) is the room `tensor`.

Importing a family enters its methods in `Tensor`.
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import (
    activation,
    adaptive_pooling,
    batchnorm,
    conv,
    conv_gradients,
    conv_transpose,
    distance,
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
    stochastic_depth,
)
from .tensor import (
    arithmetic,
    clamp,
    comparison,
    concatenate,
    creation,
    cumulative,
    diagonal,
    einsum,
    flip_roll,
    gather,
    indexing,
    inplace,
    inplace_shape,
    interchange,
    matmul,
    max_min,
    norm,
    reduction,
    sampling,
    scatter_reduce,
    searching,
    shape,
    sorting,
    types,
    unary,
    variance,
    zeros_like,
)
from .tensor.arguments import guard

# What the remaining families have looks at its operands itself.
guard(
    concatenate, cumulative, diagonal, distance, flip_roll, fold, gather, indexing, interpolate, max_min, norm, pad,
    pixel_shuffle, reduction, scatter_reduce, searching, shape, sorting, types, variance, zeros_like,
)  # fmt: skip

_answer(globals())
