"""Elementwise choices: the larger or the smaller value, a value limited to bounds, one of two tensors.

The gradient goes to the chosen operand. Masks are applied with `where`, not as a factor: Inf * 0 would be NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import as_array

from ...autograd.engine import Function
from ...autograd.nodes import shown_as
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .elementwise import binary, in_memory_order, row, run
from .operands import promote, unbroadcast
from .promotion import result_type

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "maximum", "minimum", "where"]


def _share(wins: Callable[[Any, Any], Array]) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Return the gradients of a choice between a and b: all of gy to the chosen one, half to each if they are equal.

    If one of them is NaN, both get all of gy.
    """

    def share(gy: Array, loses: Array, a: Any, b: Any) -> Array:
        return np.where(loses, 0, np.where(a == b, gy / 2, gy))

    return lambda gy, a, b: share(gy, wins(b, a), a, b), lambda gy, a, b: share(gy, wins(a, b), a, b)


def _fshare(wins: Callable[[Any, Any], Array]) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Return the gradients if NaN is never chosen: all of gy to a where a >= b or b is NaN, else to b."""

    def to_a(a: Any, b: Any) -> Array:
        return as_array(wins(a, b) | (a == b) | np.isnan(b))

    return lambda gy, a, b: np.where(to_a(a, b), gy, 0), lambda gy, a, b: np.where(to_a(a, b), 0, gy)


maximum = binary("maximum", np.maximum, *_share(np.greater), text="The larger of a and b; NaN where one is NaN.")
minimum = binary("minimum", np.minimum, *_share(np.less), text="The smaller of a and b; NaN where one is NaN.")
fmax = binary("fmax", np.fmax, *_fshare(np.greater), text="The larger of a and b, or the one that is not NaN.")
fmin = binary("fmin", np.fmin, *_fshare(np.less), text="The smaller of a and b, or the one that is not NaN.")

_clamp = row(
    "clamp", lambda a, b, c: np.minimum(np.maximum(a, b), c),
    lambda gy, a, b, c: np.where((a >= b) & (a <= c), gy, 0),
    lambda gy, a, b, c: np.where((b < c) & (a < b), gy, 0), lambda gy, a, b, c: np.where((a > c) | (c < b), gy, 0),
    refuse="b",
)  # fmt: skip
_clamp_min = row(
    "clamp_min", np.maximum, lambda gy, a, b: np.where(a >= b, gy, 0), lambda gy, a, b: np.where(a < b, gy, 0)
)
_clamp_max = row(
    "clamp_max", np.minimum, lambda gy, a, b: np.where(a <= b, gy, 0), lambda gy, a, b: np.where(a > b, gy, 0)
)


@tensor_method("clamp", "clip")
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """min(max(a, min), max): a limited to bounds, which are numbers, tensors or None. If min > max, the result is max.

    The gradient is 1 at a bound and 0 beyond it.

    Raises:
        RuntimeError: both bounds are None.

    >>> minicnn.clamp(minicnn.tensor([-1., 0.5, 7.]), 0, 6)
    tensor([0.0000, 0.5000, 6.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    if min is None:
        y = run(_clamp_max, input, max)
    else:
        y = run(_clamp_min, input, min) if max is None else run(_clamp, input, min, max)
    return shown_as(y, f"ClampBackward{0 if isinstance(min, Tensor) or isinstance(max, Tensor) else 1}")


@tensor_method("clamp_min")
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """max(a, min).

    >>> minicnn.clamp_min(minicnn.tensor([-1., 2.]), 0)
    tensor([0., 2.])
    """
    return run(_clamp_min, input, min)


@tensor_method("clamp_max")
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """min(a, max).

    >>> minicnn.clamp_max(minicnn.tensor([1., 7.]), 6)
    tensor([1., 6.])
    """
    return run(_clamp_max, input, max)


clip = clamp


class Where(Function):
    """y = a where the condition holds, else b."""

    @staticmethod
    def forward(ctx: Any, condition: Array, a: Any, b: Any, dtype: np.dtype[Any]) -> Array:
        """Choose element by element."""
        ctx.shapes = np.shape(a), np.shape(b)
        ctx.save_for_backward(condition)
        y = np.where(condition, a, b) if ctx.gpu is None else in_memory_order(np.where, condition, a, b)
        return y.astype(dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Give gy to the chosen operand, 0 to the other."""
        (condition,) = ctx.saved
        _, to_a, to_b = ctx.needs_input_grad
        return (
            None,
            unbroadcast(np.where(condition, gy, 0), ctx.shapes[0]) if to_a else None,
            unbroadcast(np.where(condition, 0, gy), ctx.shapes[1]) if to_b else None,
        )

    @staticmethod
    def tangent(ctx: Any, _: Any, a: Array | None, b: Array | None, *__: Any) -> Array:
        """Choose among the changes."""
        return np.where(ctx.saved[0], 0 if a is None else a, 0 if b is None else b)

    @staticmethod
    def infer(condition: Any, a: Any, b: Any, dtype: np.dtype[Any]) -> Meta:
        """Return the broadcast shape."""
        return meta(np.broadcast_shapes(np.shape(condition), np.shape(a), np.shape(b)), dtype)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition is true, else `other`, elementwise with broadcasting.

    With the condition alone: a tuple of the indices, along each axis, where it is true.

    Raises:
        RuntimeError: the condition is not bool (uint8 is accepted).

    >>> x = minicnn.tensor([-1., 2., -3.])
    >>> minicnn.where(x > 0, x, 0.)
    tensor([0., 2., 0.])
    >>> minicnn.where(x > 0)
    (tensor([1]),)
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: the condition must be a tensor, got {type(condition).__name__}")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype not in (np.bool_, np.uint8):
        raise RuntimeError(f"where: the condition must be bool, got {condition.dtype}; write condition != 0")
    a, b = promote("where", input, other)
    geometry.broadcast("where", condition.array.shape, *(o.array.shape for o in (a, b) if isinstance(o, Tensor)))
    return Where.apply(condition, a, b, dtype=result_type(a, b))


@tensor_method("where")
def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    return where(condition, self, other)
