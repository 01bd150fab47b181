"""An activation and a max pooling in one operation, for `nn.Sequential`."""

from __future__ import annotations

from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels import pooling as kernels
from minicnn_kernels.geometry import IntOrPair

from ..autograd import second_order
from ..autograd.engine import Function
from ..device import meta
from ..tensor import Array, Tensor
from .activation_functions import Relu
from .pooling import MaxPool


class ActivatedMaxPool(Function):
    """y = f(m), with m the largest value of each window and f a function that never falls: the same as pooling f(x).

    So f is computed for fewer values. Saves m, because the program may write to y, and saves y too where f's gradient
    needs it.
    """

    backward_allocates = True

    @staticmethod
    def forward(ctx: Any, x: Array, g: geometry.Pool, function: type[Relu]) -> Any:
        """Run both kernels."""
        m, index = kernels.MAX_POOL(x, g)
        y = function.tables[0](m)
        ctx.save_for_backward(index, m, m if function is Relu else y)  # the kernel of relu uses the sign only
        ctx.geometry, ctx.activation = g, function
        return y

    @staticmethod
    def infer(x: Array, g: geometry.Pool, *_: Any) -> Any:
        """(N, C, OH, OW)."""
        return meta(g.y_shape, x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array, *_: Array) -> tuple[Any, ...]:
        """Multiply by the derivative of f, then give each gradient to the largest value."""
        index, m, y = ctx.unchanged
        activation, gradient = ctx.activation.tables
        gm = gradient(gy, activation(m) if y is None else y)
        return kernels.MAX_POOL_BACKWARD(gm, index, ctx.geometry), None, None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor, *_: Any) -> tuple[Any, ...]:
        """As if the pooling and f had been recorded one after the other."""
        index, m, y = ctx.unchanged
        function, g = ctx.activation, ctx.geometry
        pooled = ctx.computed(MaxPool, 0, m, index, arguments=4, geometry=g, shape=g.x_shape, kind=index.dtype)
        after = function.tables[0](m) if y is None or function is Relu else y
        active = ctx.computed(function, pooled, after, after)
        (gm,) = second_order.derivative(active._edge[0], [gy])
        return second_order.derivative(pooled._edge[0], [gm])[0], None, None


def activated_max_pool2d(input: Tensor, function: type[Relu], kernel_size: IntOrPair, stride: IntOrPair) -> Tensor:
    """`max_pool2d(f(input))` of a batch in float32 or float64, without padding, for f one of relu, tanh and sigmoid.

    The values are the same as those of pooling f(x). The gradient is the same too, with two exceptions. Where f rounds
    two values of a window to the same number, pooling would choose the first; here the gradient goes to the larger. A
    value that is not chosen has gradient 0, even a NaN or Inf, where the derivative of tanh or sigmoid times 0 is NaN.
    """
    g = geometry.pool2d(input.array.shape, kernel_size, stride, 0, 1, False, op="max_pool2d", fit=None, dims=2)
    return ActivatedMaxPool.apply(input, g, function)
