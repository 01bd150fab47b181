"""The sizes of every operation, and every error about shapes.

The legend, used in all kernels:

    N        pictures in the batch            C, H, W   channels, height, width of the input
    O        output channels (filters)        KH, KW    height and width of the kernel (window)
    SH, SW   stride                           PH, PW    padding on each side
    DH, DW   dilation                         OH, OW    height and width of the output
    G        groups                           gx gw gb gy   gradients of x, w, b and of the output y

One side of the output (Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285):

    OH = floor((H + 2*PH - (DH*(KH - 1) + 1)) / SH) + 1

A kernel gets a geometry made here, so it may assume that its arrays fit.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

IntOrPair: TypeAlias = int | Sequence[int]
Shape: TypeAlias = tuple[int, ...]


class ShapeError(ValueError):
    """Shapes that do not fit together; says which, the arithmetic, and what would fit."""


class Conv(NamedTuple):
    """Geometry of a 2-d convolution: x (N, C, H, W), w (O, C/G, KH, KW) -> y (N, O, OH, OW)."""

    n: int
    c: int
    h: int
    w: int
    o: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    dw: int
    groups: int
    oh: int
    ow: int

    @property
    def x_shape(self) -> Shape:
        """(N, C, H, W)."""
        return self.n, self.c, self.h, self.w

    @property
    def w_shape(self) -> Shape:
        """(O, C/G, KH, KW)."""
        return self.o, self.c // self.groups, self.kh, self.kw

    @property
    def y_shape(self) -> Shape:
        """(N, O, OH, OW)."""
        return self.n, self.o, self.oh, self.ow


class Pool(NamedTuple):
    """Geometry of a 2-d pooling: x (N, C, H, W) -> y (N, C, OH, OW)."""

    n: int
    c: int
    h: int
    w: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    dw: int
    oh: int
    ow: int
    count_include_pad: int = 1  # an int as the rest: compiled kernels take a geometry whole

    @property
    def x_shape(self) -> Shape:
        """(N, C, H, W)."""
        return self.n, self.c, self.h, self.w

    @property
    def y_shape(self) -> Shape:
        """(N, C, OH, OW)."""
        return self.n, self.c, self.oh, self.ow


def pair(value: IntOrPair, op: str, name: str, least: int) -> tuple[int, int]:
    """An int or two ints as (vertical, horizontal); at least `least` each."""
    try:
        both = (operator.index(value),) * 2 if not isinstance(value, Sequence) else tuple(map(operator.index, value))
    except TypeError:
        both = ()
    if len(both) == 1:
        both *= 2
    if len(both) != 2:
        raise ShapeError(f"{op}: {name} must be an int or a pair of ints (vertical, horizontal), got {value!r}")
    if min(both) < least:
        raise ShapeError(f"{op}: {name} must be at least {least}, got {value!r}")
    return both[0], both[1]


def output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    *,
    fit: str = "floor",
    op: str = "conv2d",
    side: str = "height",
) -> int:
    """One side of the output: floor((size + 2*padding - (dilation*(kernel - 1) + 1)) / stride) + 1.

    Args:
        size, kernel, stride, padding, dilation: of this side.
        fit: what to do where the division leaves a rest: "floor" drops the last rows that fill no window, as PyTorch
            does; "ceil" lets the last window hang over the edge (pooling); "strict" raises.
        op, side: for the message of an error.

    Raises:
        ShapeError: the window is larger than the padded input, or `fit="strict"` and the windows do not fit.
    """
    if fit not in ("floor", "ceil", "strict"):
        raise ValueError(f"{op}: fit must be 'floor', 'ceil' or 'strict', got {fit!r}")
    extent = dilation * (kernel - 1) + 1
    window = f"{extent}" if dilation == 1 else f"({dilation}*({kernel} - 1) + 1)"
    sum_ = f"({size} + 2*{padding} - {window}) / {stride} + 1"
    room = size + 2 * padding - extent
    out = (-(-room // stride) if fit == "ceil" else room // stride) + 1
    if out < 1:
        raise ShapeError(
            f"{op}: the window is larger than the input: {side} {size} with padding {padding} gives "
            f"{size + 2 * padding}, the window spans {extent}: {sum_} < 1. Use a smaller kernel or "
            f"dilation, or padding >= {-(-(extent - size) // 2)}."
        )
    if fit == "strict" and room % stride:
        fitting = [s for s in range(1, room + 2) if room % s == 0]
        raise ShapeError(
            f"{op}: {sum_} is not whole: {room / stride + 1:.2f}. {room % stride} of the {size + 2 * padding} rows or "
            "columns "
            f"({side}) would be in no window. Strides that fit: {', '.join(map(str, fitting[:6]))}; or change the "
            "padding, "
            "or use fit='floor' to drop the rest."
        )
    if fit == "ceil" and (out - 1) * stride >= size + padding:
        out -= 1  # a window must start inside the input or in the padding before it
    return out


def conv2d(
    x: Shape,
    w: Shape,
    b: Shape | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    fit: str = "floor",
) -> Conv:
    """The geometry of a convolution of x (N, C, H, W) with w (O, C/G, KH, KW) and bias b (O,) or None.

    Raises:
        ShapeError: a wrong rank, groups that do not divide the channels, channels or bias that do not match, or a
            window
            that does not fit.
    """
    if len(x) != 4:
        raise ShapeError(f"conv2d: input must be 4-d (N, C, H, W), got shape {x}; add the missing axes with reshape")
    if len(w) != 4 or min(w) < 1:
        raise ShapeError(f"conv2d: weight must be 4-d (O, C/groups, KH, KW) with no empty side, got shape {w}")
    sh, sw = pair(stride, "conv2d", "stride", 1)
    ph, pw = pair(padding, "conv2d", "padding", 0)
    dh, dw = pair(dilation, "conv2d", "dilation", 1)
    (n, c, h, width), (o, cg, kh, kw) = x, w
    if groups < 1 or c % groups or o % groups:
        raise ShapeError(f"conv2d: groups={groups} must divide the {c} input channels and the {o} output channels")
    if cg * groups != c:
        raise ShapeError(
            f"conv2d: weight {w} expects {cg * groups} input channels ({cg} in each of {groups} groups), "
            f"but the input {x} has {c}; make in_channels {c} or check the order of the axes (N, C, H, W)"
        )
    _bias("conv2d", b, o)
    oh = output_size(h, kh, sh, ph, dh, fit=fit, side="height")
    ow = output_size(width, kw, sw, pw, dw, fit=fit, side="width")
    return Conv(n, c, h, width, o, kh, kw, sh, sw, ph, pw, dh, dw, groups, oh, ow)


def pool2d(
    x: Shape,
    kernel: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    op: str = "max_pool2d",
    fit: str | None = None,
) -> Pool:
    """The geometry of a pooling of x (N, C, H, W); the stride is the kernel where it is None.

    Raises:
        ShapeError: a wrong rank, a window that does not fit, or padding over half the kernel (a window could then lie
            in the padding alone).
    """
    if len(x) != 4:
        raise ShapeError(f"{op}: input must be 4-d (N, C, H, W), got shape {x}; add the missing axes with reshape")
    kh, kw = pair(kernel, op, "kernel_size", 1)
    sh, sw = pair(kernel if stride is None else stride, op, "stride", 1)
    ph, pw = pair(padding, op, "padding", 0)
    dh, dw = pair(dilation, op, "dilation", 1)
    if 2 * ph > kh or 2 * pw > kw:
        raise ShapeError(
            f"{op}: padding {ph, pw} must be at most half of kernel_size {kh, kw}; pad the input before pooling"
        )
    fit = fit or ("ceil" if ceil_mode else "floor")
    n, c, h, width = x
    oh = output_size(h, kh, sh, ph, dh, fit=fit, op=op, side="height")
    ow = output_size(width, kw, sw, pw, dw, fit=fit, op=op, side="width")
    return Pool(n, c, h, width, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow, int(count_include_pad))


def linear(x: Shape, w: Shape, b: Shape | None = None) -> None:
    """Check y = x w^T + b: x (..., in), w (out, in), b (out,) or None."""
    if len(w) != 2:
        raise ShapeError(f"linear: weight must be 2-d (out_features, in_features), got shape {w}")
    if not x or x[-1] != w[1]:
        flat = " (flatten the picture first: nn.Flatten())" if len(x) == 4 else ""
        raise ShapeError(
            f"linear: weight {w} takes {w[1]} input features, but the last axis of the input {x} is not{flat}"
        )
    _bias("linear", b, w[0])


def matmul(a: Shape, b: Shape) -> None:
    """Check a @ b for NumPy's matmul: (..., n, k) @ (..., k, m), 1-d operands taken as a row and a column."""
    if not a or not b:
        raise ShapeError(f"matmul: both operands need at least one axis, got {a} and {b}; use * for a scalar")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ShapeError(
            f"matmul: {a} @ {b}: the last axis of the first ({a[-1]}) must equal axis {-min(len(b), 2)} of the second "
            f"({inner})"
        )
    broadcast("matmul", a[:-2], b[:-2])


def broadcast(op: str, *shapes: Shape) -> Shape:
    """The shape that the given shapes broadcast to, by NumPy's rule."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(
            f"{op}: shapes {listed} do not broadcast: aligned from the right, two sides must be equal or one of them 1"
        ) from None


def batch_norm(x: Shape, training: bool, vectors: dict[str, Shape | None]) -> None:
    """Check batch normalisation of x (N, C, ...) with vectors of one value per channel.

    Raises:
        ShapeError: fewer than 2 axes, a vector that is not (C,), or in training one value per channel only (its
            variance is 0, the result would be beta whatever the input).
    """
    if len(x) < 2:
        raise ShapeError(f"batch_norm: input must be (N, C, ...), got shape {x}")
    for name, shape in vectors.items():
        if shape is not None and shape != (x[1],):
            raise ShapeError(
                f"batch_norm: {name} has shape {shape}, but the input {x} has {x[1]} channels: ({x[1]},) is needed"
            )
    if training and int(np.prod(x)) == x[1]:
        raise ShapeError(
            f"batch_norm: more than 1 value per channel is needed in training, got input {x}; "
            "use a larger batch, or model.eval()"
        )


def cross_entropy(logits: Shape, target: Shape, classes: tuple[int, int] | None) -> None:
    """Check logits (N, K) against class indices (N,) whose smallest and largest value are `classes`.

    Raises:
        ShapeError: wrong shapes.
        IndexError: a target outside 0..K-1.
    """
    if len(logits) != 2:
        raise ShapeError(f"cross_entropy: logits must be 2-d (N, classes), got shape {logits}")
    if target != logits[:1]:
        raise ShapeError(
            f"cross_entropy: {logits[0]} rows of logits {logits} need as many class indices, got targets of shape "
            f"{target}"
        )
    if classes is not None and (classes[0] < 0 or classes[1] >= logits[1]):
        wrong = classes[0] if classes[0] < 0 else classes[1]
        raise IndexError(
            f"cross_entropy: target {wrong} is not a class: {logits[1]} logits per row allow 0..{logits[1] - 1}"
        )


def _bias(op: str, b: Shape | None, outputs: int) -> None:
    if b is not None and b != (outputs,):
        raise ShapeError(f"{op}: bias must have shape ({outputs},), one value per output, got {b}")


def named_padding(name: str, w: Shape, stride: IntOrPair, dilation: IntOrPair) -> tuple[int, int]:
    """The padding called "valid" (none) or "same" ((extent - 1)/2 on each side, so that stride 1 keeps the size).

    Raises:
        ShapeError: another name, or "same" where no equal padding on both sides keeps the size.
    """
    if name == "valid":
        return 0, 0
    if name != "same":
        raise ShapeError(f"conv2d: padding must be a number, a pair, 'valid' or 'same', got {name!r}")
    if pair(stride, "conv2d", "stride", 1) != (1, 1):
        raise ShapeError(f"conv2d: padding='same' keeps the size only with stride 1, got stride {stride}")
    dh, dw = pair(dilation, "conv2d", "dilation", 1)
    spare = dh * (w[2] - 1), dw * (w[3] - 1)
    if spare[0] % 2 or spare[1] % 2:
        raise ShapeError(
            f"conv2d: padding='same' for a kernel {w[2], w[3]} with dilation {dh, dw} needs {spare} more rows and "
            "columns, which "
            "is not the same number on both sides; use an odd kernel, or pad the input before"
        )
    return spare[0] // 2, spare[1] // 2
