"""Dropout: leaving out elements or whole channels at random in training."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from minicnn_kernels.dropout import DROPOUT
from minicnn_kernels.geometry import real

from ..autograd.engine import Function
from ..dtypes import DtypeError
from ..random import stream
from ..tensor import Array, Tensor
from .tensor.arguments import check_tensor, no_tensor
from .tensor.inplace import overwrite
from .tensor.operands import backend_for

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

_LEAST = 1.7580993408473766  # scale * alpha of selu: minus its limit at -Inf


class Dropout(Function):
    """y = x/(1 - p) with probability 1 - p, else 0; nothing is saved, since backward draws the same numbers again.

    With `alpha`, a dropped value becomes the smallest value of selu instead of 0, and y = a (...) + b keeps mean and
    variance.
    """

    backward_allocates = True

    @staticmethod
    def forward(ctx: Any, x: Array, *, p: float, axes: int, alpha: bool) -> Array:
        """Draw a key and run the kernel; elements at the same position along the first `axes` axes share a decision."""
        key = int(stream().integers(2**64, dtype=np.uint64))
        scale = 0.0 if p == 1 else 1 / math.sqrt((_LEAST**2 * p + 1) * (1 - p)) if alpha else 1 / (1 - p)
        shift, low = (_LEAST * scale * p, -_LEAST * scale * (1 - p)) if alpha and p < 1 else (-0.0, -0.0)
        ctx.drawn = axes, key, p, scale
        y: Array = DROPOUT(x, *ctx.drawn, shift, low, **backend_for(x))
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> Array:
        """The same with gy: each gradient is scaled, or dropped, as its element was."""
        gx: Array = DROPOUT(gy, *ctx.drawn, -0.0, -0.0, **backend_for(gy))
        return gx

    tangent = backward


def _drop(
    op: str, input: Tensor, p: float, training: bool, inplace: bool, axes: int | None = None, alpha: bool = False
) -> Tensor:
    """Check the arguments and run; elements with the same position along the first `axes` axes share a decision.

    Raises:
        ValueError: p is outside [0, 1].
        TypeError: the input is not a tensor, or in training a tensor of integers.
        RuntimeError: channels are to be dropped, but the input has none.
    """
    p = real(p, op, "p")
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: dropout probability has to be between 0 and 1, but got {p}")
    if not isinstance(input, Tensor):
        raise no_tensor(op, "input", input)
    if not training or not p or not input.array.size:
        return input
    if axes is not None and input.ndim < 2:
        raise RuntimeError(f"{op}: dropping channels needs at least 2 axes (N, C), got shape {tuple(input.shape)}")
    if input.dtype.kind != "f":
        raise DtypeError(f"{op}: input must be floating point, got {input.dtype}; convert it with .float()")
    axes = input.ndim if axes is None else axes

    def run(x: Tensor) -> Tensor:
        return Dropout.apply(x, p=p, axes=axes, alpha=alpha)

    return overwrite(input, f"{op}_", run) if inplace else run(input)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p in training, and scale the others by 1/(1 - p) to keep the mean.

    Raises:
        ValueError: p is outside [0, 1].
        TypeError: in training, the input is not floating point.

    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.

    >>> sorted(set(F.dropout(minicnn.ones(1000), p=0.75).tolist()))  # 0, or 1/(1 - 0.75)
    [0.0, 4.0]
    >>> F.dropout(minicnn.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    return _drop("dropout", input, p, training, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L).

    >>> y = F.dropout1d(minicnn.ones(8, 16, 10), p=0.5)
    >>> bool((y == y[:, :, :1]).all())  # whole channels
    True
    """
    check_tensor("dropout1d", input=input)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input of shape {tuple(input.shape)}; "
            "give (N, C, L) or (C, L)"
        )
    return _drop("dropout1d", input, p, training, inplace, axes=input.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W); as in PyTorch, 3 axes mean (N, C, L), with a warning.

    J. Tompson et al., 2014, https://arxiv.org/abs/1411.4280.

    >>> y = F.dropout2d(minicnn.ones(8, 16, 4, 4), p=0.5)
    >>> bool((y == y[:, :, :1, :1]).all())  # whole channels
    True
    """
    check_tensor("dropout2d", input=input)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3-D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired, on (N, C, L); for such an input use dropout1d",
            stacklevel=2,
        )
    elif input.ndim != 4:
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated; use dropout", stacklevel=2
        )
    return _drop("dropout2d", input, p, training, inplace, axes=2)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> y = F.dropout3d(minicnn.ones(8, 16, 2, 4, 4), p=0.5)
    >>> bool((y == y[:, :, :1, :1, :1]).all())  # whole channels
    True
    """
    check_tensor("dropout3d", input=input)
    if input.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated; use dropout", stacklevel=2
        )
    return _drop("dropout3d", input, p, training, inplace, axes=2 if input.ndim == 5 else 1)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for nets with `selu`: dropped values become -1.758, its minimum; scaling keeps mean and variance.

        y = a (x m - 1.758 (1 - m)) + b         m = 1 with probability 1 - p, else 0
        a = 1/sqrt((1.758^2 p + 1)(1 - p))      b = 1.758 a p

    G. Klambauer et al., 2017, https://arxiv.org/abs/1706.02515.

    >>> y = F.alpha_dropout(minicnn.zeros(1000), p=0.5, training=True)
    >>> [round(value, 3) for value in sorted(set(y.tolist()))]  # (b - 1.758 a) and b
    [-0.779, 0.779]
    """
    return _drop("alpha_dropout", input, p, training, inplace, alpha=True)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...).

    >>> y = F.feature_alpha_dropout(minicnn.zeros(8, 16, 4), p=0.5, training=True)
    >>> bool((y == y[:, :, :1]).all())  # whole channels
    True
    """
    return _drop("feature_alpha_dropout", input, p, training, inplace, axes=2, alpha=True)
