"""Sorting: sort, topk, kthvalue; the gradients go back to the places that the values came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import contiguous, xp
from minicnn_kernels.geometry import whole

from ...autograd.engine import Function
from ...autograd.nodes import shown_as
from ...compat import return_types
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, numpy_names
from .shape import reshape

__all__ = ["argsort", "kthvalue", "msort", "sort", "topk"]


def order(x: Array, dim: int, descending: bool) -> Array:
    """Return the stable order of the elements along an axis; NaN counts as the largest."""
    if not descending:
        return x.argsort(dim, kind="stable")
    backwards = np.flip(np.flip(x, dim).argsort(dim, kind="stable"), dim)  # equal elements keep their order
    return x.shape[dim] - 1 - backwards


class Ordered(Function):
    """values = x at the indices, a part of the sorted order along an axis; gx is gy there and zero elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Array, dim: int, descending: bool, part: slice | None) -> tuple[Array, Array]:
        """Sort, and take the slice `part` of the order."""
        ctx.shape, ctx.dim = x.shape, dim
        indices = order(x, dim, descending)
        if part is not None:
            indices = contiguous(indices[(slice(None),) * dim + (part,)])
        ctx.save_for_backward(indices)
        ctx.mark_non_differentiable(indices)
        return np.take_along_axis(x, indices, dim), indices

    @staticmethod
    def backward(ctx: Any, gy: Array, _: Any) -> tuple[Array | None, ...]:
        """Put gy back; no element occurs twice."""
        (indices,) = ctx.saved
        gx = xp(gy).zeros(ctx.shape, gy.dtype)
        np.put_along_axis(gx, indices, gy, ctx.dim)
        return gx, None, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> tuple[Array, None]:
        """Put v in the same order."""
        return np.take_along_axis(v, ctx.saved[0], ctx.dim), None

    @staticmethod
    def infer(x: Meta, dim: int, descending: bool, part: slice | None) -> tuple[Meta, Meta]:
        """Return the shape with the length of the part."""
        shape = list(x.shape)
        shape[dim] = len(range(*(part or slice(None)).indices(shape[dim])))
        return meta(tuple(shape), x.dtype), meta(tuple(shape), np.int64)


def ordered(op: str, x: Tensor, dim: int, descending: bool = False, part: slice | None = None) -> tuple[Tensor, Tensor]:
    """Return values and indices, also for a 0-d tensor."""
    at = axis(op, dim, x.ndim)
    if x.ndim:
        values, indices = Ordered.apply(x, at, descending, part)
        return shown_as(values, f"{op.capitalize()}Backward0"), indices
    values, indices = Ordered.apply(reshape(x, (1,)), at, descending, part)
    shape = () if values.numel() == 1 else (0,)
    return reshape(values, shape), reshape(indices, shape)


@tensor_method("sort")
@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Sort along `dim`: (values, indices), where the indices are the old positions. Always stable; NaN is last.

    `descending` puts the largest (and NaN) first; equal elements keep their order in this case too.

    >>> values, indices = minicnn.tensor([3, 1, 2]).sort()
    >>> values, indices
    (tensor([1, 2, 3]), tensor([1, 2, 0]))
    """
    return return_types.sort(ordered("sort", input, dim, descending))


@tensor_method("argsort")
@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort the tensor along `dim`.

    >>> minicnn.argsort(minicnn.tensor([3, 1, 2]), descending=True)
    tensor([0, 2, 1])
    """
    return ordered("argsort", input.detach(), dim, descending)[1]


@tensor_method("msort")
def msort(input: Tensor) -> Tensor:
    """Sort the elements along the first axis.

    >>> minicnn.msort(minicnn.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return ordered("msort", input, 0)[0]


@tensor_method("topk")
@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) elements along `dim`, sorted, and their indices: (values, indices).

    Raises:
        RuntimeError: `k` is below 0 or above the size of the axis.

    >>> scores = minicnn.tensor([[0.1, 0.7, 0.2]])
    >>> scores.topk(2).indices
    tensor([[1, 2]])
    """
    at = axis("topk", dim, input.ndim)
    k, size = whole(k, "topk", "k"), input.shape[at] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: selected index k out of range: k={k} for {size} elements along dimension {at}")
    return return_types.topk(ordered("topk", input, at, largest, slice(k)))


@tensor_method("kthvalue")
@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along `dim` (k counts from 1), and its index: (values, indices).

    Raises:
        RuntimeError: `k` is below 1 or above the size of the axis.

    >>> minicnn.kthvalue(minicnn.tensor([3, 1, 2]), 2).values
    tensor(2)
    """
    at = axis("kthvalue", dim, input.ndim)
    k, size = whole(k, "kthvalue", "k"), input.shape[at] if input.ndim else 1
    if input.ndim and not size:
        raise IndexError(f"kthvalue: dimension {at} of shape {tuple(input.shape)} has no elements to choose from")
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue: selected number k out of range: k={k} for {size} elements along dimension {at}")
    values, indices = ordered("kthvalue", input, at, False, slice(k - 1, k))
    if not keepdim and input.ndim:
        values, indices = values.squeeze(at), indices.squeeze(at)
    return return_types.kthvalue(values, indices)
