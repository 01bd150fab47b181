"""Class indices: checking them, and turning them into one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.geometry import fits, whole

from ...autograd.engine import Function
from ...device import Meta, meta
from ...dtypes import int64
from ...tensor import Array, Tensor
from ..tensor.arguments import no_tensor
from ..tensor.types import to

__all__ = ["one_hot"]


def indices(op: str, target: Any) -> Tensor:
    """Return class indices as an int64 tensor."""
    if not isinstance(target, Tensor):
        raise no_tensor(op, "target", target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"{op}: targets must be integer class indices, got {target.dtype}; convert them with .long()")
    return target if target.dtype == int64 else to(target, int64)


def span(indices: Array) -> tuple[int, int] | None:
    """Return the smallest and the largest class index; None if there are none, or their values are not known."""
    if type(indices) is Meta or not indices.size:
        return None
    flat = indices.reshape(-1)
    return int(np.minimum.reduce(flat)), int(np.maximum.reduce(flat))


class OneHot(Function):
    """y[..., k] = [k = t[...]]."""

    @staticmethod
    def forward(ctx: Any, t: Array, *, classes: int) -> Array:
        """Compare each index with all classes."""
        return (t[..., None] == np.arange(classes)).astype(np.int64, order="C")

    @staticmethod
    def infer(t: Array, *, classes: int) -> Meta:
        """Return the shape with one more axis."""
        return meta((*t.shape, classes), np.int64)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Turn class indices (...) into int64 one-hot vectors (..., num_classes); -1 means the largest index + 1.

    Raises:
        RuntimeError: an index is not a class, or the number of classes cannot be found.
    """
    if not isinstance(tensor, Tensor) or tensor.dtype != np.int64:
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise RuntimeError(f"one_hot: takes an int64 tensor of class indices, got {kind}; convert it with .long()")
    ends, num_classes = span(tensor.array), whole(num_classes, "one_hot", "num_classes")
    if num_classes == -1:
        if ends is None:
            raise RuntimeError(
                "one_hot: the number of classes cannot be found from a tensor that is empty or on device 'meta'; "
                "pass num_classes"
            )
        num_classes = ends[1] + 1
    elif num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes must be positive, got {num_classes}")
    if ends is not None and (ends[0] < 0 or ends[1] >= num_classes):
        wrong = ends[0] if ends[0] < 0 else ends[1]
        raise RuntimeError(f"one_hot: class {wrong} is not in 0..{num_classes - 1}; give a larger num_classes")
    if not tensor.is_meta:
        fits("one_hot", (*tensor.shape, num_classes), 8)
    return OneHot.apply(tensor, classes=num_classes)
