"""Activations as functions of the tape; the operations on tensors are in `activation.py`.

relu, tanh and sigmoid save their result y for the gradient: relu'(x) = [y > 0], tanh'(x) = 1 - y^2, sigmoid'(x) =
y (1 - y). The others save their input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import activations

from ..autograd.engine import Function
from ..autograd.second_order import bent
from ..tensor import Array, Tensor
from .tensor.elementwise import in_memory_order, recorded
from .tensor.operands import backend_for


class Relu(Function):
    """y = max(x, 0)."""

    backward_allocates = True
    bends_in = (0,)
    tables = activations.RELU, activations.RELU_BACKWARD

    @classmethod
    def forward(cls, ctx: Any, x: Array, *, out: Array | None = None) -> Array:
        """Run the kernel, into the memory of `out` if that is given, and save y."""
        y: Array = cls.tables[0](x, *(() if out is None else (out,))) if x.dtype.kind == "f" else np.maximum(x, 0)
        ctx.save_for_backward(y)
        return y

    @classmethod
    def backward(cls, ctx: Any, gy: Array) -> Array:
        """Compute gx from gy and y with the kernel."""
        (y,) = ctx.saved
        return cls.tables[1](gy, y)

    @classmethod
    def tangent(cls, ctx: Any, v: Array) -> Array:
        """The same with v: the slope is 0 or 1."""
        return cls.tables[1](v, ctx.saved[0])


class Tanh(Relu):
    """y = tanh(x)."""

    tables = activations.TANH, activations.TANH_BACKWARD

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """gy (1 - y^2)."""
        y = ctx.at_output(0, *ctx.saved)
        return gy * (1 - y * y)


class Sigmoid(Relu):
    """y = 1 / (1 + exp(-x))."""

    tables = activations.SIGMOID, activations.SIGMOID_BACKWARD

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """gy y (1 - y)."""
        y = ctx.at_output(0, *ctx.saved)
        return gy * (y * (1 - y))


_OF_STRAIGHT_LINES = {"hardsigmoid", "hardshrink", "hardtanh", "leaky_relu", "softshrink", "threshold"}


class Activation(Function):
    """y = f(x) with the row `op` of the kernel table `ACTIVATION`."""

    @staticmethod
    def forward(ctx: Any, x: Array, *, op: str, parameters: tuple[float, ...]) -> Array:
        """Run the kernel and save x; NumPy computes the integers that some activations take."""
        ctx.title, ctx.op, ctx.parameters = op, op, parameters
        ctx.save_for_backward(x)
        choice = {} if x.dtype.kind == "f" else backend_for(x)
        if ctx.gpu is not None:
            return in_memory_order(lambda x: activations.ACTIVATION(op, x, *parameters, **choice), x)
        return activations.ACTIVATION(op, x, *parameters, **choice)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> Array:
        """gy f'(x)."""
        (x,) = ctx.saved
        if ctx.gpu is not None:
            return in_memory_order(lambda g, x: activations.ACTIVATION_BACKWARD(ctx.op, g, x, *ctx.parameters), gy, x)
        return activations.ACTIVATION_BACKWARD(ctx.op, gy, x, *ctx.parameters)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """The formula of the numpy kernel on tensors."""
        gradient, _ = recorded()
        x = ctx.at_input(0, *ctx.saved)
        gx = gradient(lambda g, x: activations.whole.backward_numpy(ctx.op, g, x, *ctx.parameters), [gy, x], gy)
        return bent(ctx, gx, 0) if ctx.op in _OF_STRAIGHT_LINES else gx
