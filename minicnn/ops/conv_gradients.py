"""The two gradients of a convolution as operations, which have gradients too; all of them are convolutions.

y = x (*) w is linear in x and in w. Let <., .> be the sum of the products of all elements. Then

    <gy, x (*) w> = <conv_input(w, gy), x> = <conv_weight(x, gy), w>,

so each of the three is linear in two of x, w and gy, and its gradients are the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn_kernels import conv2d as kernels
from minicnn_kernels import geometry
from minicnn_kernels.arrays import xp
from minicnn_kernels.geometry import IntOrPair, Shape

from ..autograd.engine import Function
from ..device import meta
from ..tensor import Array, Tensor
from .conv import Convolution, check, kernel_for, widened
from .tensor.flip_roll import flip
from .tensor.reduction import sum
from .tensor.shape import reshape

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight"]


def _y(x: Array, w: Array, g: geometry.Conv) -> Array:
    return kernels.FORWARD(x, w, None, g, **kernel_for(x)) if g.n * g.c else xp(x).zeros(g.y_shape, x.dtype)


def _gx(w: Array, gy: Array, g: geometry.Conv) -> Array:
    if not g.n * g.c:
        return xp(w).zeros(g.x_shape, w.dtype)
    return kernels.BACKWARD(gy, None, w, g, (True, False, False), **kernel_for(w))[0]


def _gw(x: Array, gy: Array, g: geometry.Conv) -> Array:
    if not g.n * g.c:
        return xp(x).zeros(g.w_shape, x.dtype)
    return kernels.BACKWARD(gy, x, None, g, (False, True, False), **kernel_for(x))[1]


class _Gradient(Function):
    """The common part of both gradients: arrays of any rank come in, and the other operand is saved where needed."""

    @staticmethod
    def keep(ctx: Any, other: Array, gy: Array, g: geometry.Conv, other_shape: Shape) -> tuple[Array, Array]:
        """Return both in the form that the kernels take, (..., H, W), and save them for the backward pass."""
        ctx.shapes, ctx.geometry = (other.shape, gy.shape), g
        a, b = widened(other.reshape(other_shape)), widened(gy.reshape(g.y_shape))  # signals: H is 1
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        return a, b

    @staticmethod
    def infer(other: Array, gy: Array, g: geometry.Conv, shape: Shape) -> Array:
        """Return the shape of the gradient."""
        return meta(shape, gy.dtype)


class InputGradient(_Gradient):
    """gx of a convolution, computed from w and gy."""

    @staticmethod
    def forward(ctx: Any, w: Array, gy: Array, g: geometry.Conv, shape: Shape) -> Array:
        """Run the kernel of the convolution's backward pass."""
        gx = _gx(*_Gradient.keep(ctx, w, gy, g, g.w_shape), g)
        return gx.reshape(shape).astype(gy.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, up: Array) -> tuple[Array | None, ...]:
        """Return the gradients of w, a gw with `up` as x, and of gy, the convolution of `up` with w."""
        (w, gy), g = ctx.saved, ctx.geometry
        x = widened(up.reshape(g.x_shape))
        of_w = _gw(x, gy, g) if gy is not None else None
        return (
            _like(of_w, ctx.shapes[0], up),
            _like(_y(x, w, g) if w is not None else None, ctx.shapes[1], up),
            None,
            None,
        )

    @staticmethod
    def derivative(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors."""
        (w, gy), g, (w_shape, y_shape) = ctx.saved, ctx.geometry, ctx.shapes
        x = reshape(up, g.x_shape)
        of_w = None if gy is None else WeightGradient.apply(x, _at(ctx, 1, gy), g, w_shape)
        of_gy = None if w is None else _convolved(x, _at(ctx, 0, w), g, y_shape)
        return of_w, of_gy, None, None


class WeightGradient(_Gradient):
    """gw of a convolution, computed from x and gy."""

    @staticmethod
    def forward(ctx: Any, x: Array, gy: Array, g: geometry.Conv, shape: Shape) -> Array:
        """Run the kernel of the convolution's backward pass."""
        gw = _gw(*_Gradient.keep(ctx, x, gy, g, g.x_shape), g)
        return gw.reshape(shape).astype(gy.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, up: Array) -> tuple[Array | None, ...]:
        """Return the gradients of x, a gx with `up` as w, and of gy, the convolution of x with `up`."""
        (x, gy), g = ctx.saved, ctx.geometry
        w = widened(up.reshape(g.w_shape))
        of_x = _gx(w, gy, g) if gy is not None else None
        return (
            _like(of_x, ctx.shapes[0], up),
            _like(_y(x, w, g) if x is not None else None, ctx.shapes[1], up),
            None,
            None,
        )

    @staticmethod
    def derivative(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors."""
        (x, gy), g, (x_shape, y_shape) = ctx.saved, ctx.geometry, ctx.shapes
        w = reshape(up, g.w_shape)
        of_x = None if gy is None else InputGradient.apply(w, _at(ctx, 1, gy), g, x_shape)
        of_gy = None if x is None else _convolved(_at(ctx, 0, x), w, g, y_shape)
        return of_x, of_gy, None, None


def _at(ctx: Any, i: int, array: Array) -> Tensor:
    """Return an operand that was saved in the kernels' form as a tensor in the graph, in its own shape and type."""
    return ctx.at_input(i, array.reshape(ctx.shapes[i]).astype(ctx.outputs[0][1], copy=False))


def _convolved(x: Tensor, w: Tensor, g: geometry.Conv, shape: Shape) -> Tensor:
    """Return x (*) w, of any rank."""
    return Convolution.apply(reshape(x, g.x_shape), reshape(w, g.w_shape), None, g, shape, False, {})


def _derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
    """The backward of a convolution, recorded: gx and gw as the two operations of this file."""
    g, (of_x, of_w, of_b), (x, w) = ctx.geometry, ctx.needs_input_grad[:3], ctx.saved
    x_shape, w_shape, _ = ctx.shapes
    up, gx, gw = reshape(gy, g.y_shape), None, None  # of any rank -> (N, O, OH, OW)
    if of_x:
        weight = ctx.at_input(1, w)
        gx = InputGradient.apply(flip(weight, (-2, -1)) if ctx.flipped else weight, up, g, x_shape)
    if of_w:
        gw = WeightGradient.apply(ctx.at_input(0, x), up, g, w_shape)
        gw = flip(gw, (-2, -1)) if ctx.flipped else gw
    return gx, gw, sum(up, (0, 2, 3)) if of_b else None, None, None, None, None


Convolution.derivative = staticmethod(_derivative)


def _like(a: Array | None, shape: Shape, up: Array) -> Array | None:
    return None if a is None else a.reshape(shape).astype(up.dtype, copy=False)


def _gradient(
    op: str, of: type[_Gradient], other: Tensor, x_size: Sequence[int], w_size: Sequence[int], gy: Tensor,
    stride: IntOrPair, padding: IntOrPair, dilation: IntOrPair, groups: int,
) -> Tensor:  # fmt: skip
    check(op, other, gy, None)
    rank = int(op[4])
    x, w = tuple(map(int, x_size)), tuple(map(int, w_size))
    g = geometry.conv2d(x, w, None, stride, padding, dilation, groups, "floor", op[:6])
    y = g.y_shape if rank == 2 else (*g.y_shape[:2], g.y_shape[3])
    if tuple(gy.shape) != y:
        raise geometry.ShapeError(
            f"{op}: grad_output must have the shape {y} of the convolution of {x} with {w}, stride {stride}, padding "
            f"{padding}, dilation {dilation}, got {tuple(gy.shape)}"
        )
    return of.apply(other, gy, g, x if of is InputGradient else w)


def conv1d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv1d` with respect to its input, (N, C, L).

    >>> nn.grad.conv1d_input((1, 1, 3), minicnn.tensor([[[1.0, 10.0]]]), minicnn.ones(1, 1, 2))  # 1, 10 + 1, 10
    tensor([[[ 1., 11., 10.]]])
    """
    return _gradient("conv1d_input", InputGradient, weight, input_size, weight.shape, grad_output,
                     stride, padding, dilation, groups)  # fmt: skip


def conv1d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv1d` with respect to its weight, (O, C/groups, K).

    >>> nn.grad.conv1d_weight(minicnn.tensor([[[1.0, 2.0, 4.0]]]), (1, 1, 2), minicnn.ones(1, 1, 2))  # 1 + 2, 2 + 4
    tensor([[[3., 6.]]])
    """
    return _gradient("conv1d_weight", WeightGradient, input, input.shape, weight_size, grad_output,
                     stride, padding, dilation, groups)  # fmt: skip


def conv2d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` with respect to its input: gx[n, c] = sum_o w[o, c] spread by gy[n, o].

    Args:
        input_size: (N, C, H, W); if the stride skips rows, the other shapes do not determine it.
        weight: (O, C/groups, KH, KW).
        grad_output: (N, O, OH, OW), the gradient of the convolution's result.
        stride, padding, dilation, groups: those of the convolution.

    Raises:
        ShapeError: the shapes do not belong to one convolution.

    >>> w = minicnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> nn.grad.conv2d_input((1, 1, 2, 3), w, minicnn.ones(1, 1, 1, 2))  # two windows, which share a column
    tensor([[[[1., 3., 2.],
              [3., 7., 4.]]]])
    """
    return _gradient("conv2d_input", InputGradient, weight, input_size, weight.shape, grad_output,
                     stride, padding, dilation, groups)  # fmt: skip


def conv2d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` with respect to its weight: gw[o, c, i, j] = sum_n x[n, c] at (i, j) times gy[n, o].

    Args:
        input: (N, C, H, W).
        weight_size: (O, C/groups, KH, KW).
        grad_output: (N, O, OH, OW), the gradient of the convolution's result.
        stride, padding, dilation, groups: those of the convolution.

    Raises:
        ShapeError: the shapes do not belong to one convolution.

    >>> x = minicnn.arange(9.0).reshape(1, 1, 3, 3)
    >>> nn.grad.conv2d_weight(x, (1, 1, 2, 2), minicnn.ones(1, 1, 2, 2))  # first: 0 + 1 + 3 + 4
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return _gradient("conv2d_weight", WeightGradient, input, input.shape, weight_size, grad_output,
                     stride, padding, dilation, groups)  # fmt: skip
