"""Differentiable functions on tensors, one family per file; the only layer that calls kernels.

Importing a family enters its methods in `Tensor`.
"""

from __future__ import annotations

from ..missing import answer as _answer
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

# What the remaining families have looks at its operands itself.
guard(
    cumulative, diagonal, distance, extrema, fold, gathering, indexing, joining, likeness, moving, norm, pad, reduction,
    resample, scatter_reduce, searching, shape, shuffle, sorting, types,
)  # fmt: skip

_answer(globals())
