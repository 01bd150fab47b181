"""Activations as tensor operations; the arithmetic is in the kernel tables of `elementwise.py`.

Each keeps its result y, not its input: relu'(x) = [y > 0], tanh'(x) = 1 - y^2, sigmoid'(x) = y (1 - y).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn_kernels import elementwise

from ..autograd.engine import Function
from ..tensor import Array, Tensor, tensor_method
from .operands import floating


class Relu(Function):
    """y = max(x, 0)."""

    tables = elementwise.RELU, elementwise.RELU_BACKWARD

    @classmethod
    def forward(cls, ctx: Any, x: Array) -> Array:
        """Run the kernel and keep y."""
        y: Array = cls.tables[0](x)
        ctx.save_for_backward(y)
        return y

    @classmethod
    def backward(cls, ctx: Any, gy: Array) -> Array:
        """The kernel's gradient from y."""
        (y,) = ctx.saved
        return cls.tables[1](gy, y)


class Tanh(Relu):
    """y = tanh(x)."""

    tables = elementwise.TANH, elementwise.TANH_BACKWARD


class Sigmoid(Relu):
    """y = 1 / (1 + exp(-x))."""

    tables = elementwise.SIGMOID, elementwise.SIGMOID_BACKWARD


def _activation(name: str, function: type[Function], text: str) -> Callable[[Tensor], Tensor]:
    def activation(input: Tensor) -> Tensor:
        floating(name, input=input)
        return function.apply(input)

    activation.__name__, activation.__doc__ = name, text
    return tensor_method(name)(activation)


relu = _activation("relu", Relu, "max(x, 0), elementwise; NaN stays NaN, and the gradient at 0 is 0.")
tanh = _activation("tanh", Tanh, "(e^x - e^-x) / (e^x + e^-x), elementwise.")
sigmoid = _activation("sigmoid", Sigmoid, "1 / (1 + e^-x), elementwise, without overflow at either end.")
