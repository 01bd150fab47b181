"""Masks: bool tensors that choose elements."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import as_array

from ...autograd.engine import Function
from ...device import Meta, meta
from ...memory_formats import tidy
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .elementwise import in_memory_order
from .expand import broadcast_tensors
from .gather import meta_like
from .indexing import index_put, number
from .operands import unbroadcast
from .shape import reshape
from .types import to

__all__ = ["masked_fill", "masked_scatter", "masked_select"]


class MaskedFill(Function):
    """y = value where the mask is true, else x."""

    @staticmethod
    def forward(ctx: Any, x: Array, mask: Array, value: Array) -> Array:
        """Choose."""
        ctx.shape = x.shape
        ctx.save_for_backward(mask)
        choose = np.where if ctx.gpu is None else partial(in_memory_order, np.where)
        return tidy(choose(mask, value.astype(x.dtype), x))

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Return gy where the mask is false as gx, and the sum of the rest as the gradient of the value."""
        (mask,) = ctx.saved
        gx = gvalue = None
        if ctx.needs_input_grad[0]:
            gx = unbroadcast(np.where(mask, 0, gy).astype(gy.dtype, copy=False), ctx.shape)
        if ctx.needs_input_grad[2]:
            chosen = gy[np.broadcast_to(mask, gy.shape)] if ctx.gpu is None else np.where(mask, gy, 0)
            gvalue = as_array(chosen.sum())
        return gx, None, gvalue

    @staticmethod
    def tangent(ctx: Any, v: Array | None, _: Any, of_value: Array | None) -> Array:
        """Choose among the changes."""
        return np.where(ctx.saved[0], 0 if of_value is None else of_value, 0 if v is None else v)

    @staticmethod
    def infer(x: Meta, mask: Array, value: Array) -> Meta:
        """Return the broadcast shape."""
        return meta(np.broadcast_shapes(x.shape, mask.shape), x.dtype)


def _mask(op: str, x: Tensor, mask: Any) -> Tensor:
    check_tensor(op, input=x, mask=mask)
    if mask.dtype.kind != "b":
        raise RuntimeError(f"{op}: the mask must be a bool tensor, got {mask.dtype}; convert it with .bool()")
    geometry.broadcast(op, tuple(x.shape), tuple(mask.shape))
    return mask


@tensor_method("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` (a number or a 0-d tensor) where the mask is true, else the tensor's elements; broadcast.

    Raises:
        RuntimeError: the mask is not bool, or the value is no single number.

    >>> x = minicnn.tensor([1., -2., 3.])
    >>> x.masked_fill(x < 0, 0.)
    tensor([1., 0., 3.])
    """
    mask = meta_like(input, _mask("masked_fill", input, mask))[0]
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"masked_fill: value must be a number or a 0-d tensor, got shape {tuple(value.shape)}; use where"
        )
    value = to(value, input.array.dtype) if isinstance(value, Tensor) else Tensor(number(value, input.array.dtype))
    return MaskedFill.apply(
        input, mask, Tensor(meta((), input.dtype)) if input.is_meta and not value.is_meta else value
    )


@tensor_method("masked_select")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, as a 1-d tensor; tensor and mask are broadcast.

    Raises:
        RuntimeError: the mask is not bool.

    >>> x = minicnn.tensor([[1, -2], [-3, 4]])
    >>> minicnn.masked_select(x, x > 0)
    tensor([1, 4])
    """
    mask = _mask("masked_select", input, mask)
    x, m = broadcast_tensors(input, mask)
    return x[m]


@tensor_method("masked_scatter")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements of `source`, in order, where the mask is true.

    Raises:
        RuntimeError: the mask is not bool, or the source has fewer elements than it has places.

    >>> x = minicnn.tensor([1, -2, -3])
    >>> minicnn.masked_scatter(x, x < 0, minicnn.tensor([7, 8]))
    tensor([1, 7, 8])
    """
    mask = _mask("masked_scatter", input, mask)
    if source.dtype != input.dtype:
        raise RuntimeError(f"masked_scatter: source is {source.dtype} but the tensor is {input.dtype}; convert one")
    x, m = broadcast_tensors(input, mask)
    m._values("masked_scatter")  # raises on the meta device
    count = int(m.sum())
    if count > source.numel():
        raise RuntimeError(f"masked_scatter: the mask has {count} true elements, the source only {source.numel()}")
    return index_put(x, (m,), reshape(source, (-1,))[:count])
