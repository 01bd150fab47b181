"""Matrix products: the fully connected layer and `@`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels import matmul as kernels

from ..autograd.engine import Function
from ..tensor import Array, Tensor, tensor_method
from .operands import floating, unbroadcast


class Linear(Function):
    """y = x w^T + b for x (N, in), w (out, in); keeps x and w."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None) -> Array:
        """Run the chosen kernel."""
        ctx.save_for_backward(x, w)
        return kernels.LINEAR(x, w, b)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """gx = gy w, gw = gy^T x, gb = sum of gy over the rows."""
        x, w = ctx.saved
        return kernels.LINEAR_BACKWARD(gy, x, w, ctx.needs_input_grad)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x w^T + b.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,) or None.

    Returns:
        (..., out_features).

    Raises:
        ShapeError: the last axis of the input is not in_features.
    """
    floating("linear", input=input, weight=weight, bias=bias)
    geometry.linear(input.shape, weight.shape, None if bias is None else bias.shape)
    if input.ndim == 2:
        return Linear.apply(input, weight, bias)
    rows = input.reshape(input.numel() // input.shape[-1] if input.shape[-1] else 0, input.shape[-1])
    y: Tensor = Linear.apply(rows, weight, bias)
    return y.reshape(*input.shape[:-1], weight.shape[0])


class Matmul(Function):
    """y = a @ b over the last two axes, the others broadcast; keeps a and b."""

    @staticmethod
    def forward(ctx: Any, a: Array, b: Array) -> Array:
        """One kernel for two matrices, NumPy for stacks of them."""
        ctx.save_for_backward(a, b)
        return kernels.MATMUL(a, b) if a.ndim == b.ndim == 2 else np.matmul(a, b)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """ga = gy b^T, gb = a^T gy."""
        a, b = ctx.saved
        need = ctx.needs_input_grad
        if a.ndim == b.ndim == 2:
            return kernels.MATMUL_BACKWARD(gy, a, b, need)
        ga = unbroadcast(gy @ b.swapaxes(-1, -2), a.shape) if need[0] else None
        gb = unbroadcast(a.swapaxes(-1, -2) @ gy, b.shape) if need[1] else None
        return ga, gb


@tensor_method("matmul", "__matmul__")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b: matrix product over the last two axes; a 1-d operand is a row (left) or a column (right).

    Raises:
        ShapeError: the inner sizes differ, or the other axes do not broadcast.
    """
    floating("matmul", a=a, b=b)
    geometry.matmul(a.shape, b.shape)
    left, right = a.ndim == 1, b.ndim == 1
    a = a.reshape(1, -1) if left else a
    b = b.reshape(-1, 1) if right else b
    y: Tensor = Matmul.apply(a, b)
    shape = y.shape
    if right:
        shape = shape[:-1]
    if left:
        shape = shape[: len(shape) - (1 if right else 2)] + (() if right else shape[-1:])
    return y.reshape(*shape) if left or right else y
