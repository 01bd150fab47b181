"""Rectifiers whose slope below 0 is learned or random; `activation.py` has all others, and takes these from here."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import activations
from minicnn_kernels.arrays import beside
from minicnn_kernels.geometry.activations import check_prelu

from ..autograd.engine import Function
from ..autograd.second_order import bent
from ..random import stream
from ..tensor import Array, Tensor, tensor_method
from .tensor.arguments import check_tensor
from .tensor.operands import floating
from .tensor.types import to


class PRelu(Function):
    """y = x where x > 0, else w[c] x."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array) -> Array:
        """Run the kernel and save x and w."""
        ctx.save_for_backward(x, w)
        return activations.PRELU(x, w)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, Array | None]:
        """Compute both gradients with the kernel."""
        return activations.PRELU_BACKWARD(gy, *ctx.saved, ctx.needs_input_grad)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """gx = gy, or w[c] gy where x <= 0; there gw is the sum of gy x."""
        (x, w), (of_x, of_w) = ctx.saved, ctx.needs_input_grad
        below = Tensor((~(x > 0)).astype(x.dtype))
        gw = None
        if of_w:
            parts = gy * ctx.at_input(0, x) * below
            gw = parts.sum([axis for axis in range(x.ndim) if axis != 1]) if w.size > 1 else parts.sum()
            gw = gw.reshape(w.shape)
        slopes = ctx.at_input(1, w)
        slopes = slopes.reshape((-1, *[1] * (x.ndim - 2))) if w.size > 1 else slopes.reshape(())  # (C) -> (C, 1, 1)
        return bent(ctx, gy * (1 - below) + gy * below * slopes, 0) if of_x else None, gw


@tensor_method("prelu")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight[c] x; a single learned slope, or one per channel (axis 1).

    K. He et al. 2015, https://arxiv.org/abs/1502.01852.

    Raises:
        ShapeError: the number of slopes is neither 1 nor the number of channels.

    >>> x = minicnn.tensor([[-1.0, -1.0, 2.0]])  # one pixel of three channels
    >>> F.prelu(x, minicnn.tensor([0.25, 0.5, 0.75]))
    tensor([[-0.2500, -0.5000,  2.0000]])
    """
    if isinstance(input, Tensor) and input.dtype == np.float16:
        return to(prelu(to(input, np.float32), to(weight, np.float32)), np.float16)
    floating("prelu", input=input, weight=weight)
    check_tensor("prelu", weight=weight)
    check_prelu(input.shape, weight.shape)
    return PRelu.apply(input, weight if weight.ndim else weight.reshape(1))


class RandomRelu(Function):
    """y = r x, with r = 1 where x > 0, else drawn uniformly from [lower, upper] for each element."""

    bends_in = (0,)

    @staticmethod
    def forward(ctx: Any, x: Array, lower: float, upper: float) -> Array:
        """Draw r and multiply."""
        drawn = beside(np.asarray(stream().uniform(lower, upper, x.shape), x.dtype), x)
        slope = np.where(x > 0, 1, drawn).astype(x.dtype, copy=False)
        ctx.save_for_backward(slope)
        return x * slope

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None, None]:
        """Multiply by the same slopes."""
        (slope,) = ctx.saved
        return gy * slope, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """The same with v."""
        return v * ctx.saved[0]
