"""Class indices: checking them, and turning them into one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import contiguous, host, on_gpu, xp
from minicnn_kernels.geometry import fits, whole

from ...autograd import anomaly
from ...autograd.engine import Function
from ...device import Meta, meta
from ...dtypes import DtypeError, int64, uint8
from ...tensor import Array, Tensor
from ..tensor.arguments import no_tensor
from ..tensor.indexing import span
from ..tensor.types import to

__all__ = ["one_hot"]


def indices(op: str, target: Any) -> Tensor:
    """Return class indices as an int64 tensor."""
    if not isinstance(target, Tensor):
        raise no_tensor(op, "target", target)
    if target.dtype not in (int64, uint8):
        raise DtypeError(
            f"{op}: expected target dtype to be Long or Byte: class indices, got {target.dtype}; convert with .long()"
        )
    return target if target.dtype == int64 else to(target, int64)


def labels(target: Tensor) -> Array | None:
    """Return the class indices of a loss for a check, or None where their values are not known.

    Those on a GPU are not: the program would wait for them. Only under `detect_anomaly` they are checked, too. Instead,
    `checked` makes the loss of a wrong one NaN.
    """
    if target.is_meta or (on_gpu(target.array) and not anomaly.enabled()):
        return None
    return host(target.array)


def ends(indices: Array | None) -> tuple[int, int] | None:
    """Return the smallest and the largest class index; None if there are none, or their values are not known."""
    return None if indices is None or type(indices) is Meta or not indices.size else span(indices)


def checked(t: Array, classes: int) -> tuple[Array, Array | None]:
    """Return class indices, and where they are wrong; those on the CPU have been checked before, and none is wrong.

    On a GPU a wrong one becomes 0: as an index it would read another row, or beyond the array.
    """
    if not on_gpu(t):
        return t, None
    wrong = (t < 0) | (t >= classes)
    return np.where(wrong, 0, t), wrong


class OneHot(Function):
    """y[..., k] = [k = t[...]]."""

    @staticmethod
    def forward(ctx: Any, t: Array, *, classes: int) -> Array:
        """Compare each index with all classes."""
        return contiguous(t[..., None] == xp(t).arange(classes), np.int64)

    @staticmethod
    def infer(t: Array, *, classes: int) -> Meta:
        """Return the shape with one more axis."""
        return meta((*t.shape, classes), np.int64)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Turn class indices (...) into int64 one-hot vectors (..., num_classes); -1 means the largest index + 1.

    Raises:
        RuntimeError: an index is not a class, or the number of classes cannot be found.

    >>> F.one_hot(minicnn.tensor([2, 0]), num_classes=3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if not isinstance(tensor, Tensor) or tensor.dtype != np.int64:
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise RuntimeError(f"one_hot: takes an int64 tensor of class indices, got {kind}; convert it with .long()")
    found, num_classes = ends(tensor.array), whole(num_classes, "one_hot", "num_classes")
    if num_classes == -1:
        if found is None:
            raise RuntimeError(
                "one_hot: the number of classes cannot be found from a tensor that is empty or on device 'meta'; "
                "pass num_classes"
            )
        num_classes = found[1] + 1
    elif num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes must be positive, got {num_classes}")
    if found is not None and (found[0] < 0 or found[1] >= num_classes):
        wrong = found[0] if found[0] < 0 else found[1]
        raise RuntimeError(f"one_hot: class {wrong} is not in 0..{num_classes - 1}; give a larger num_classes")
    if not tensor.is_meta:
        fits("one_hot", (*tensor.shape, num_classes), 8)
    return OneHot.apply(tensor, classes=num_classes)
