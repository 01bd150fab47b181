"""2-d convolution as a tensor operation; the equations are in `minicnn_kernels/conv2d/__init__.py`."""

from __future__ import annotations

from typing import Any

from minicnn_kernels import conv2d as kernels
from minicnn_kernels import geometry

from ..autograd.engine import Function
from ..tensor import Array, Tensor
from .operands import floating


class Conv2d(Function):
    """y = x (*) w + b; keeps x and w."""

    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None, g: geometry.Conv, choice: dict[str, str]) -> Array:
        """Run the chosen kernel."""
        ctx.save_for_backward(x, w)
        ctx.geometry, ctx.choice = g, choice
        return kernels.FORWARD(x, w, b, g, **choice)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """The kernel's gradients; one that nobody wants, such as of the picture, is not computed."""
        x, w = ctx.saved
        need = ctx.needs_input_grad[:3]
        return (*kernels.BACKWARD(gy, x, w, ctx.geometry, need, **ctx.choice), None, None)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: geometry.IntOrPair = 1,
    padding: geometry.IntOrPair | str = 0,
    dilation: geometry.IntOrPair = 1,
    groups: int = 1,
    *,
    fit: str = "floor",
    backend: str | None = None,
    algorithm: str | None = None,
) -> Tensor:
    """The convolution (cross-correlation) of pictures with filters.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        weight: (O, C/groups, KH, KW).
        bias: (O,) or None.
        stride, padding, dilation: an int or (vertical, horizontal). Padding "valid" is 0; "same" keeps H and W, for
            stride 1
            and windows of odd extent.
        groups: input and output channels in as many independent blocks.
        fit: "floor" leaves out rows that fill no window, as PyTorch does; "strict" raises in that case.
        backend, algorithm: the kernel to run, instead of the choice of `minicnn.use`.

    Returns:
        (N, O, OH, OW) with OH = floor((H + 2*PH - DH*(KH - 1) - 1)/SH) + 1, or (O, OH, OW) for one picture.

    Raises:
        ShapeError: shapes that do not fit.
        TypeError: types that do not fit.
        NoKernelError: no such kernel.
    """
    floating("conv2d", input=input, weight=weight, bias=bias)
    if isinstance(padding, str):
        padding = geometry.named_padding(padding, weight.shape, stride, dilation)
    if input.ndim == 3:
        batch = conv2d(
            input.reshape(1, *input.shape), weight, bias, stride, padding, dilation, groups, fit=fit, backend=backend,
            algorithm=algorithm,
        )  # fmt: skip
        return batch.reshape(*batch.shape[1:])
    bias_shape = None if bias is None else bias.shape
    g = geometry.conv2d(input.shape, weight.shape, bias_shape, stride, padding, dilation, groups, fit)
    choice = {key: value for key, value in (("backend", backend), ("algorithm", algorithm)) if value}
    return Conv2d.apply(input, weight, bias, g, choice)
