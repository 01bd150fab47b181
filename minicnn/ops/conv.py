"""Convolution as a tensor operation; the equations are in `minicnn_kernels/conv2d/__init__.py`.

A signal (N, C, L) is convolved as an image of one row.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minicnn_kernels import conv2d as kernels
from minicnn_kernels import geometry
from minicnn_kernels.arrays import on_gpu, xp
from minicnn_kernels.dispatch import chosen_order
from minicnn_kernels.geometry import IntOrPair, Shape

from ..autograd.engine import Function
from ..device import meta
from ..tensor import Array, Tensor
from .pad import pad
from .tensor.arguments import check_tensor
from .tensor.operands import floating

__all__ = ["conv1d", "conv2d"]

_BOOL, _HALF = np.dtype(np.bool_), np.dtype(np.float16)


class Convolution(Function):
    """y = x (*) w + b in a given shape; saves x if w needs a gradient, and w if x does."""

    backward_allocates = True

    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        w: Array,
        b: Array | None,
        g: geometry.Conv,
        shape: Shape,
        flipped: bool,
        choice: dict[str, str],
    ) -> Array:
        """Run the chosen kernel; without channels, y = b."""
        of_x, of_w = ctx.needs_input_grad[:2]
        if x.ndim == 4 and not choice and (order := chosen_order()) is not None:
            taken, x = x, kernels.in_best_order(x, g.o, order)
            if x is not taken:
                ctx.reordered = x
        ctx.save_for_backward(x if of_w else None, w if of_x else None)
        ctx.geometry, ctx.flipped, ctx.choice, ctx.shapes = (
            g,
            flipped,
            choice or kernel_for(x),
            (x.shape, w.shape, (g.o,)),
        )
        if not g.n * g.c:
            y = xp(x).zeros(g.y_shape, x.dtype) + (0 if b is None else b[:, None, None])
        else:
            y = kernels.FORWARD(*_taken(x, w, g, flipped), None if b is None else widened(b), g, **ctx.choice)
        return _shaped(y, shape, x.dtype)  # (N, O, OH, OW) -> (N, O, L), (O, OH, OW) ...

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute the gradients with the kernel, but only those that are needed: usually not the image's."""
        g, needs_grad = ctx.geometry, ctx.needs_input_grad[:3]
        up = widened(gy if gy.ndim == 4 else gy.reshape(g.y_shape))  # of any rank -> (N, O, OH, OW)
        found: tuple[Array | None, ...]
        if not g.n * g.c:
            zeros = xp(up).zeros
            found = zeros(g.x_shape), zeros(g.w_shape), up.sum((0, 2, 3))
        else:
            x, w = ctx.saved
            found = backward(up, *_taken(x, w, g, ctx.flipped), g, needs_grad, ctx.choice)
        gx, gw, gb = [
            _shaped(a, shape, gy.dtype) if wanted and a is not None else None
            for a, shape, wanted in zip(found, ctx.shapes, needs_grad, strict=True)
        ]
        return gx, gw[..., ::-1, ::-1] if ctx.flipped and gw is not None else gw, gb, None, None, None, None

    @staticmethod
    def infer(x: Array, w: Array, b: Array | None, g: geometry.Conv, shape: Shape, *_: Any) -> Array:
        """Return the shape of y."""
        return meta(shape, x.dtype)


def backward(
    gy: Array, x: Array | None, w: Array | None, g: geometry.Conv, needs_grad: tuple[bool, ...], choice: dict[str, str]
) -> tuple[Array | None, ...]:
    """Return (gx, gw, gb) by the chosen kernel; if none is chosen, gx and gw each by their best algorithm."""
    gx = gw = gb = None
    if needs_grad[0]:
        gx, _, _ = kernels.BACKWARD(gy, None, w, g, (True, False, False), **choice)
    if needs_grad[1] or needs_grad[2]:
        _, gw, gb = kernels.BACKWARD(gy, x, None, g, (False, *needs_grad[1:]), **choice)
    return gx, gw, gb


def _taken(x: Array | None, w: Array | None, g: geometry.Conv, flipped: bool) -> tuple[Array | None, Array | None]:
    """Return the input and the weight in the form that the kernels take."""
    if x is not None:
        x = widened(x if x.ndim == 4 else x.reshape(g.x_shape))  # (N, C, L) or (C, H, W) -> (N, C, H, W)
    if w is not None:
        w = widened(w if w.ndim == 4 else w.reshape(g.w_shape))  # (O, C/G, K) -> (O, C/G, 1, K)
        w = w[..., ::-1, ::-1] if flipped else w
    return x, w


def _shaped(a: Array, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return the array in another shape and type, or as it is if it already has them."""
    a = a if a.dtype == dtype else a.astype(dtype)
    return a if a.shape == shape else a.reshape(shape)


def widened(x: Array) -> Array:
    """Convert float16 to float32, in which PyTorch also adds up; other types stay as they are."""
    return x.astype(np.float32) if x.dtype == _HALF else x


def kernel_for(x: Array) -> dict[str, str]:
    """Return the kernel choice for a type, as keyword arguments: only NumPy and CuPy have a kernel for integers."""
    return {} if x.dtype.kind == "f" else {"backend": "cupy" if on_gpu(x) else "numpy", "algorithm": "im2col"}


def check(op: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Check that the operands are numbers of one type.

    Raises:
        TypeError: the types differ, or are bool.
    """
    dtype = input._array.dtype if isinstance(input, Tensor) else _BOOL
    for x in (input, weight) if bias is None else (input, weight, bias):
        if not isinstance(x, Tensor) or x._array.dtype != dtype or dtype == _BOOL:
            check_tensor(op, input=input, weight=weight)
            floating(op, input=input, weight=weight, bias=bias)


def batched(input: Tensor, rank: int) -> Shape:
    """Return the input's shape with a batch axis; `rank` is the number of axes after the channels."""
    shape = input.array.shape
    return (1, *shape) if len(shape) == rank + 1 else shape


def result_shape(input: Tensor, y: Shape, rank: int) -> Shape:
    """Return the result's shape, (N, O, OH, OW) for `rank` 2 or (N, O, OW) for 1, without the N added by `batched`."""
    y = y if rank == 2 else (*y[:2], y[3])
    return y[1:] if input.ndim == rank + 1 else y


# The layers of a net ask for the same geometries in each step.
_known = functools.lru_cache(4096, typed=True)(geometry.conv2d)


def _are_ints(sizes: Any) -> bool:
    """Return whether an argument is an int or a tuple of ints: others are equal to these, but may be refused."""
    return type(sizes) is int or (type(sizes) is tuple and set(map(type, sizes)) <= {int})


def _convolve(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: IntOrPair, padding: IntOrPair | str,
    dilation: IntOrPair, groups: int, fit: str, flipped: bool, choice: dict[str, str],
) -> Tensor:  # fmt: skip
    op = f"conv{rank}d"
    check(op, input, weight, bias)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise geometry.ShapeError(f"{op}: padding must be a number, a tuple, 'valid' or 'same', got {padding!r}")
        both, end = (0,) * rank, (0,) * rank
        if padding == "same":
            both, end = geometry.same_padding(weight.shape[2:], stride, dilation, op)
        if any(end):
            input = pad(input, [n for side in reversed(end) for n in (0, side)])
        padding = both
    w, b = weight._array.shape, None if bias is None else bias._array.shape
    plain = _are_ints(stride) and _are_ints(padding) and _are_ints(dilation)
    known = _known if plain and type(groups) is int and type(fit) is str else geometry.conv2d
    g = known(batched(input, rank), w, b, stride, padding, dilation, groups, fit, op)
    return Convolution.apply(input, weight, bias, g, result_shape(input, g.y_shape, rank), flipped, choice)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    *,
    fit: str = "floor",
    flipped: bool = False,
) -> Tensor:
    """Convolve signals (N, C, L), or one (C, L), with filters (O, C/groups, K): `conv2d` on images of one row.

    Returns:
        (N, O, OL) or (O, OL), OL = floor((L + 2*padding - dilation*(K - 1) - 1)/stride) + 1.

    >>> x = minicnn.tensor([[[1.0, 2.0, 4.0, 7.0]]])
    >>> F.conv1d(x, minicnn.tensor([[[-1.0, 1.0]]]))  # differences of neighbours
    tensor([[[1., 2., 3.]]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups, fit, flipped, {})


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    *,
    fit: str = "floor",
    flipped: bool = False,
    backend: str | None = None,
    algorithm: str | None = None,
) -> Tensor:
    """Slide filters over images: y[n, o] = b[o] + sum_c w[o, c] (*) x[n, c], where (*) is cross-correlation.

        y[n, o, i, j] = b[o] + sum_{c, a, b} w[o, c, a, b] * x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]

    x is 0 outside the image. With groups, c runs over the C/groups input channels of the group of o.

    Args:
        input: (N, C, H, W), or one image (C, H, W).
        weight: (O, C/groups, KH, KW).
        bias: (O,) or None.
        stride, padding, dilation: an int or (vertical, horizontal). Padding "valid" is 0; "same" keeps H and W, for
            stride 1. If "same" needs an odd number of pixels, as with an even kernel, the extra one goes to the end.
        groups: the number of independent blocks that the input and output channels are divided into.
        fit: "floor" leaves out rows that fill no window, as PyTorch does; "strict" raises in that case.
        flipped: turn each filter by 180 degrees. The cross-correlation that networks use then becomes the convolution
            of mathematics and signal processing: w * x = x * w. Like `fit`, not in PyTorch.
        backend, algorithm: the kernel to run instead of the choice of `minicnn.use`.

    Returns:
        (N, O, OH, OW) with OH = floor((H + 2*PH - DH*(KH - 1) - 1)/SH) + 1, or (O, OH, OW) for one image.

    Raises:
        ShapeError: the shapes do not fit together.
        TypeError: the types do not fit together.
        NoKernelError: there is no such kernel.

    >>> x = minicnn.arange(9.0).reshape(1, 1, 3, 3)
    >>> w = minicnn.tensor([[[[1.0, 2.0], [0.0, -1.0]]]])
    >>> F.conv2d(x, w)  # first: 1*0 + 2*1 + 0*3 - 1*4
    tensor([[[[-2.,  0.],
              [ 4.,  6.]]]])
    >>> F.conv2d(x, w, stride=2, padding=1).shape  # (3 + 2*1 - 2)/2 + 1 = 2.5, rounded down
    minicnn.Size([1, 1, 2, 2])
    """
    choice = {}
    if backend or algorithm:
        choice = {key: value for key, value in (("backend", backend), ("algorithm", algorithm)) if value}
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups, fit, flipped, choice)
