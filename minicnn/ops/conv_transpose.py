"""Transposed convolution: the gradient of a convolution with respect to its input, as an operation of its own.

    y = A^T x + b       where A is the convolution with the same weight, stride, padding, dilation and groups

The backward pass of a convolution spreads gy[n, o, i, j] over the window it came from; here x takes the place of gy.
So a stride of 2 makes images twice as large. The kernels are those of the convolution: forward runs its gx; backward
runs its forward (for gx) and its gw.

M. D. Zeiler et al., "Deconvolutional networks", 2010.
"""

from __future__ import annotations

from typing import Any

from minicnn_kernels import conv2d as kernels
from minicnn_kernels import geometry
from minicnn_kernels.arrays import xp
from minicnn_kernels.conv2d.bias import sum_of_pixels
from minicnn_kernels.dispatch import chosen_order
from minicnn_kernels.geometry import IntOrPair, Shape

from ..autograd.engine import Function
from ..device import meta
from ..tensor import Array, Tensor
from .conv import Convolution, batched, check, kernel_for, result_shape, widened
from .conv_gradients import WeightGradient
from .tensor.reduction import sum
from .tensor.shape import reshape

__all__ = ["conv_transpose1d", "conv_transpose2d"]


class TransposedConvolution(Function):
    """y = the gx of a convolution of geometry g with x as its gy; saves x if w needs a gradient, and w if x does."""

    backward_allocates = True

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None, g: geometry.Conv, shape: Shape) -> Array:
        """Run the convolution's backward kernel."""
        of_x, of_w, _ = ctx.needs_input_grad[:3]
        if x.ndim == 4 and (order := chosen_order()) is not None:
            taken, x = x, kernels.in_best_order(x, g.c, order)
            if x is not taken:
                ctx.reordered = x
        ctx.save_for_backward(x if of_w else None, w if of_x else None)
        ctx.geometry, ctx.shapes, ctx.choice = g, (x.shape, w.shape), kernel_for(x)
        if not g.n * g.c:
            y = xp(x).zeros(g.x_shape, x.dtype)
        else:
            up, weight = widened(x.reshape(g.y_shape)), widened(w.reshape(g.w_shape))  # to 4-d
            y = kernels.BACKWARD(up, None, weight, g, (True, False, False), **ctx.choice)[0]
        if b is not None:
            y += b[:, None, None]
        return y.astype(x.dtype, copy=False).reshape(shape)  # (N, O, OH, OW) -> (N, O, L), (O, OH, OW) ...

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute gx as the convolution of gy, and gw as the convolution's gw with x and gy exchanged."""
        g, (of_x, of_w, of_b), (x, w) = ctx.geometry, ctx.needs_input_grad[:3], ctx.saved
        down = widened(gy.reshape(g.x_shape))  # of any rank -> (N, O, OH, OW)
        gx = gw = None
        x_shape, w_shape = ctx.shapes
        if not g.n * g.c:
            gx, gw = xp(gy).zeros(x_shape, gy.dtype), xp(gy).zeros(w_shape, gy.dtype)
            return gx, gw, sum_of_pixels(down) if of_b else None, None, None
        if of_x:
            gx = kernels.FORWARD(down, widened(w.reshape(g.w_shape)), None, g, **ctx.choice)
            gx = gx.astype(gy.dtype, copy=False).reshape(x_shape)
        if of_w:
            up = widened(x.reshape(g.y_shape))
            gw = kernels.BACKWARD(up, down, None, g, (False, True, False), **ctx.choice)[1]
            gw = gw.astype(gy.dtype, copy=False).reshape(w_shape)
        return gx, gw, sum_of_pixels(down).astype(gy.dtype, copy=False) if of_b else None, None, None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors."""
        g, (of_x, of_w, of_b), (x, w) = ctx.geometry, ctx.needs_input_grad[:3], ctx.saved
        x_shape, w_shape = ctx.shapes
        down, gx, gw = reshape(gy, g.x_shape), None, None
        if of_x:
            gx = Convolution.apply(down, reshape(ctx.at_input(1, w), g.w_shape), None, g, x_shape, False, {})
        if of_w:
            gw = WeightGradient.apply(down, reshape(ctx.at_input(0, x), g.y_shape), g, w_shape)
        return gx, gw, sum(down, (0, 2, 3)) if of_b else None, None, None

    @staticmethod
    def infer(x: Array, w: Array, b: Array | None, g: geometry.Conv, shape: Shape) -> Array:
        """Return the shape of y."""
        return meta(shape, x.dtype)


def _transposed(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: IntOrPair, padding: IntOrPair,
    output_padding: IntOrPair, groups: int, dilation: IntOrPair,
) -> Tensor:  # fmt: skip
    op = f"conv_transpose{rank}d"
    check(op, input, weight, bias)
    g = geometry.conv_transpose2d(
        batched(input, rank), weight.shape, None if bias is None else bias.shape, stride, padding, output_padding,
        groups, dilation, op,
    )  # fmt: skip
    return TransposedConvolution.apply(input, weight, bias, g, result_shape(input, g.x_shape, rank))


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> Tensor:
    """The transpose of `conv1d`: (N, C, L), or (C, L), with a weight (C, O/groups, K); see `conv_transpose2d`.

    >>> F.conv_transpose1d(minicnn.tensor([[[1.0, 2.0]]]), minicnn.tensor([[[1.0, 10.0]]]))  # 1, 10 + 2, 20
    tensor([[[ 1., 12., 20.]]])
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> Tensor:
    """The transpose of `conv2d`, which makes large images from small ones.

    Args:
        input: (N, C, H, W), or one image (C, H, W).
        weight: (C, O/groups, KH, KW): the weight of the convolution from O to C channels.
        bias: (O,) or None.
        stride, padding, dilation, groups: of that convolution; the padding is cut off each side of the result.
        output_padding: rows and columns added at the end. A stride drops rows that fill no window, so several input
            sizes of the convolution give the same result; this argument chooses among them.

    Returns:
        (N, O, OH, OW) with OH = (H - 1)*SH - 2*PH + DH*(KH - 1) + output_padding + 1, or (O, OH, OW) for one image.

    Raises:
        ShapeError: the shapes do not fit together, or output_padding is not less than the stride or the dilation.
        TypeError: the types do not fit together.

    V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
    https://arxiv.org/abs/1603.07285.

    >>> x = minicnn.tensor([[[[1.0, 2.0]]]])
    >>> F.conv_transpose2d(x, minicnn.ones(1, 1, 2, 2), stride=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)
