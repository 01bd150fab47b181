"""The fully connected layer as a tensor operation: y = x w^T + b; the kernels are in `minicnn_kernels/matmul.py`."""

from __future__ import annotations

import math
from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels import matmul as kernels
from minicnn_kernels.sums import total

from ..autograd.engine import Function
from ..device import Meta, meta
from ..tensor import Array, Tensor
from .tensor import matmul as products
from .tensor.arguments import no_tensor
from .tensor.matmul import check, product
from .tensor.operands import KERNEL_TYPES, floating
from .tensor.shape import reshape, unsqueeze

__all__ = ["bilinear", "linear"]


class Linear(Function):
    """y = x w^T + b for x (N, in), w (out, in); saves x and w."""

    backward_allocates = True
    order = 2, 0, 1  # PyTorch's: that of addmm(b, x, w^T)

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None) -> Array:
        """Run the chosen kernel; small types have none: a product of matrices, rounded, and then the bias."""
        ctx.save_for_backward(x, w)
        if x.dtype in KERNEL_TYPES:
            return kernels.LINEAR(x, w, b)
        y = product(x, w.swapaxes(0, 1))
        return y if b is None else y + b

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """gx = gy w, gw = gy^T x, gb = sum of gy over the rows."""
        x, w = ctx.saved
        if x.dtype in KERNEL_TYPES:
            return kernels.LINEAR_BACKWARD(gy, x, w, ctx.needs_input_grad)
        of_x, of_w, of_b = ctx.needs_input_grad
        return (
            product(gy, w) if of_x else None,
            product(gy.swapaxes(0, 1), x) if of_w else None,
            total(gy, (0,))[0] if of_b else None,
        )

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors."""
        (x, w), (of_x, of_w, of_b) = ctx.saved, ctx.needs_input_grad
        return (
            products.Matmul.apply(gy, ctx.at_input(1, w)) if of_x else None,
            products.Matmul.apply(gy.transpose(0, 1), ctx.at_input(0, x)) if of_w else None,
            gy.sum(0) if of_b else None,
        )

    @staticmethod
    def infer(x: Meta, w: Meta, b: Meta | None) -> Meta:
        """(N, out)."""
        return meta((x.shape[0], w.shape[0]), x.dtype)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x w^T + b.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features), or (in_features,) for a single output without its axis.
        bias: (out_features,), a 0-d tensor, or None.

    Returns:
        (..., out_features).

    Raises:
        ShapeError: the last axis of the input is not in_features.

    >>> x, w = minicnn.tensor([[1.0, 2.0]]), minicnn.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> F.linear(x, w, minicnn.tensor([0.0, 0.0, 10.0]))
    tensor([[ 1.,  2., 13.]])
    """
    if isinstance(input, Tensor) and input.array.dtype not in KERNEL_TYPES and input.dtype.kind != "b":
        check("linear", input, weight, *(() if bias is None else (bias,)))
    else:
        floating("linear", input=input, weight=weight, bias=bias)
    if weight is None:
        raise no_tensor("linear", "weight", weight)
    if weight.ndim == 1:  # one output
        y = linear(input, unsqueeze(weight, 0))
        y = reshape(y, tuple(input.shape[:-1]))
        return y if bias is None else y + bias
    geometry.linear(input.shape, weight.shape, None if bias is None or not bias.ndim else bias.shape)
    if bias is not None and not bias.ndim:
        bias = bias.expand(weight.shape[0])
    if input.ndim == 2:
        return Linear.apply(input, weight, bias)
    rows = reshape(input, (math.prod(input.shape[:-1]), input.shape[-1]))  # (..., in) -> (N, in)
    return reshape(Linear.apply(rows, weight, bias), (*input.shape[:-1], weight.shape[0]))


def __getattr__(name: str) -> Any:
    """The other products: pickles of earlier versions look for them here."""
    if name.startswith("__") or not hasattr(products, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(products, name)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A form for each output that is linear in both inputs: y[o] = x1^T w[o] x2 + b[o].

    Args:
        input1, input2: (..., I) and (..., J), with the same leading axes.
        weight: (O, I, J).
        bias: (O,) or None.

    Returns:
        (..., O).

    Raises:
        ShapeError: the shapes do not fit together.
        TypeError: the types do not fit together.

    >>> w = minicnn.tensor([[[1.0, 0.0], [0.0, 10.0]]])
    >>> F.bilinear(minicnn.tensor([1.0, 2.0]), minicnn.tensor([3.0, 4.0]), w)  # 1*3 + 10*2*4
    tensor([83.])
    """
    floating("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    leading, sizes = tuple(input1.shape[:-1]), tuple(weight.shape)
    if len(sizes) != 3 or not input1.ndim or sizes[1:] != (input1.shape[-1], input2.shape[-1] if input2.ndim else -1):
        raise geometry.ShapeError(
            f"bilinear: weight must be (O, I, J) for inputs (..., I) and (..., J), got {sizes}, "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    if tuple(input2.shape[:-1]) != leading:
        raise geometry.ShapeError(
            f"bilinear: the inputs must have the same leading axes, got {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    if bias is not None and tuple(bias.shape) != sizes[:1]:
        raise geometry.ShapeError(f"bilinear: bias must have shape {sizes[:1]}, got {tuple(bias.shape)}")
    o, i, j = sizes
    rows = math.prod(leading)
    left = reshape(input1, (rows, i)) @ reshape(weight.permute(1, 0, 2), (i, o * j))  # (rows, O*J)
    y = reshape(reshape(left, (rows, o, j)) @ reshape(input2, (rows, j, 1)), (*leading, o))
    return y if bias is None else y + bias
