"""Geometry of convolutions, of their transposes, and of unfolding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .sizes import IntOrPair, KindError, Shape, ShapeError, bias, counted, fits, output_size, pair, whole


class Conv(NamedTuple):
    """Geometry of a 2-d convolution: x (N, C, H, W), w (O, C/G, KH, KW) -> y (N, O, OH, OW).

    >>> from minicnn_kernels import geometry
    >>> g = geometry.conv2d((8, 3, 32, 24), (6, 3, 5, 5), stride=2)
    >>> g.y_shape, g.col_shape, g.sh
    ((8, 6, 14, 10), (8, 75, 140), 2)
    """

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

    @property
    def col_shape(self) -> Shape:
        """(N, C*KH*KW, OH*OW): all windows as columns, of all groups."""
        return self.n, self.c * self.kh * self.kw, self.oh * self.ow


def conv2d(
    x: Shape,
    w: Shape,
    b: Shape | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    fit: str = "floor",
    op: str = "conv2d",
) -> Conv:
    """The geometry of a convolution of x (N, C, H, W) with w (O, C/G, KH, KW) and bias b (O,) or None.

    With op "conv1d", x is (N, C, L) and w (O, C/G, K): an image of one row, x (N, C, 1, L) and w (O, C/G, 1, K).

    Raises:
        ShapeError: a wrong rank, groups that do not divide the channels, channels or bias that do not match, an input
            without pixels, or a window that does not fit.
        ValueError: `fit` is neither "floor" nor "strict".

    >>> from minicnn_kernels import geometry
    >>> geometry.conv2d((8, 3, 32, 32), (16, 3, 3, 3), padding=1).y_shape
    (8, 16, 32, 32)
    """
    groups = groups if type(groups) is int else whole(groups, op, "groups")
    check_conv(op, x, w, b, groups)
    return plane(op, *_sides_of(op, x, w), _steps(op, stride, padding, dilation), groups, fit)


def plane(op: str, x: Shape, w: Shape, steps: Sequence[Shape], groups: int, fit: str = "floor") -> Conv:
    """The geometry of a convolution of images with given (stride, padding, dilation), whose channels fit."""
    if fit not in ("floor", "strict"):
        raise ValueError(f"{op}: fit must be 'floor' or 'strict', got {fit!r}")
    (n, c, h, width), (o, _, kh, kw) = x, w
    (sh, sw), (ph, pw), (dh, dw) = steps
    oh = output_size(h, kh, sh, ph, dh, fit=fit, op=op, side="height")
    ow = output_size(width, kw, sw, pw, dw, fit=fit, op=op, side="length" if op.endswith("1d") else "width")
    if ph > h or pw > width:  # with less padding the result is not much larger than the input
        fits(op, (n, c, h + 2 * ph, width + 2 * pw), what="padded input")
        fits(op, (n, o, oh, ow))
    return Conv(n, c, h, width, o, kh, kw, sh, sw, ph, pw, dh, dw, groups, oh, ow)


def conv_transpose2d(
    x: Shape,
    w: Shape,
    b: Shape | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
    op: str = "conv_transpose2d",
) -> Conv:
    """The geometry of the convolution whose transpose takes x (N, C, H, W) with w (C, O/G, KH, KW) to y (N, O, OH, OW).

        OH = (H - 1)*SH - 2*PH + DH*(KH - 1) + 1 + output_padding

    The result describes that convolution, which goes from y to x: its `x_shape` is the shape of y, its `y_shape` that
    of x. A stride drops the last rows that fill no window, so several sizes OH give the same H; output_padding says
    which of them is meant.

    Raises:
        ShapeError: as in `conv2d`, or an output below 1, or an output_padding that is not below the stride or dilation.

    >>> from minicnn_kernels import geometry
    >>> geometry.conv_transpose2d((8, 16, 14, 14), (16, 3, 2, 2), stride=2).x_shape
    (8, 3, 28, 28)
    """
    groups = whole(groups, op, "groups")
    check_conv_transpose(op, x, w, b, groups)
    steps, more = _steps(op, stride, padding, dilation), _sides(output_padding, op, "output_padding", 0)
    if any(e >= max(step, d) for e, step, d in zip(more, steps[0], steps[2], strict=True)):
        raise ShapeError(
            f"{op}: output_padding {output_padding} must be smaller than the stride {stride} or the dilation {dilation}"
        )
    return transposed_plane(op, *_sides_of(op, x, w), steps, more, groups)


def transposed_plane(op: str, x: Shape, w: Shape, steps: Sequence[Shape], more: Shape, groups: int) -> Conv:
    """The geometry of a transposed convolution of images with given (stride, padding, dilation) and output padding."""
    (n, c, h, width), (_, og, kh, kw) = x, w
    (sh, sw), (ph, pw), (dh, dw) = steps
    oh, ow = (
        (h - 1) * sh - 2 * ph + dh * (kh - 1) + 1 + more[0],
        (width - 1) * sw - 2 * pw + dw * (kw - 1) + 1 + more[1],
    )
    if min(oh, ow) < 1:
        raise ShapeError(
            f"{op}: input {x} gives an output of {oh} x {ow}: (size - 1)*stride - 2*padding + dilation*(kernel - 1) + "
            f"output_padding + 1 must be at least 1; use less padding than {ph, pw}"
        )
    fits(op, (n, og * groups, oh, ow))
    return Conv(n, og * groups, oh, ow, c, kh, kw, sh, sw, ph, pw, dh, dw, groups, h, width)


def same_padding(kernel: Shape, stride: IntOrPair, dilation: IntOrPair, op: str = "conv2d") -> tuple[Shape, Shape]:
    """Padding that keeps the size: for each axis, how much at both ends, and how much more at the end only.

    A window of extent D*(K - 1) + 1 needs D*(K - 1) more pixels; if that number is odd, the last pixel goes to the end.

    Raises:
        ShapeError: the stride is not 1.

    >>> from minicnn_kernels import geometry
    >>> geometry.same_padding((5, 4), stride=1, dilation=1)
    ((2, 1), (0, 1))
    """
    if any(s != 1 for s in _sides(stride, op, "stride", 1)):
        raise ShapeError(f"{op}: padding='same' keeps the size only with stride 1, got stride {stride}")
    steps = _sides(dilation, op, "dilation", 1)[-len(kernel) :]
    spare = [d * (k - 1) for d, k in zip(steps, kernel, strict=True)]
    return tuple(n // 2 for n in spare), tuple(n % 2 for n in spare)


def unfold(x: Shape, kernel: IntOrPair, dilation: IntOrPair, padding: IntOrPair, stride: IntOrPair) -> Conv:
    """The geometry of the windows of x (N, C, H, W): that of a convolution with one output channel.

    Raises:
        ShapeError: a wrong rank, no channels or pixels, or a window that does not fit.

    >>> from minicnn_kernels import geometry
    >>> geometry.unfold((8, 3, 32, 32), 5, dilation=1, padding=0, stride=1).col_shape
    (8, 75, 784)
    """
    if len(x) != 4 or 0 in x[1:]:
        raise ShapeError(f"unfold: input must be (N, C, H, W) or (C, H, W) with C, H and W above 0, got {x}")
    cells = pair(kernel, "unfold", "kernel_size", 1)
    g = conv2d(x, (1, x[1], *cells), None, stride, padding, dilation, op="unfold")
    fits("unfold", g.col_shape)
    return g


def fold(
    col: Shape, output_size: IntOrPair, kernel: IntOrPair, dilation: IntOrPair, padding: IntOrPair, stride: IntOrPair
) -> Conv:
    """The geometry of the `unfold` that turns images (N, C, *output_size) into columns (N, C*KH*KW, L).

    Raises:
        ShapeError: a wrong rank, a number of rows that is not a multiple of the kernel size, or a number of columns
            that is not the number of windows.
    """
    cells = pair(kernel, "fold", "kernel_size", 1)
    rows = cells[0] * cells[1]
    if len(col) != 3 or 0 in col[1:] or col[1] % rows:
        raise ShapeError(
            f"fold: input must be (N, C*{cells[0]}*{cells[1]}, L) or (C*{cells[0]}*{cells[1]}, L) for kernel_size "
            f"{kernel}, got {col}"
        )
    x = (col[0], col[1] // rows, *pair(output_size, "fold", "output_size", 1, 2**63 - 1))
    fits("fold", x)
    g = conv2d(x, (1, x[1], *cells), None, stride, padding, dilation, op="fold")
    if col[2] != g.oh * g.ow:
        raise ShapeError(
            f"fold: images of output_size {output_size} have {g.oh} x {g.ow} = {g.oh * g.ow} windows, but the input "
            f"{col} has {col[2]} columns"
        )
    return g


def _sides(value: IntOrPair, op: str, name: str, least: int) -> tuple[int, int]:
    """(vertical, horizontal) of an argument; a 1-d operation has one number, the vertical one is that of one row."""
    if not op.endswith("1d"):
        return pair(value, op, name, least)
    if isinstance(value, Sequence) and len(value) != 1:
        raise KindError(f"{op}: {name} must be an int or one int in a tuple, got {value!r}")
    return 0 if name.endswith("padding") else 1, pair(value, op, name, least)[1]


def _steps(op: str, stride: IntOrPair, padding: IntOrPair, dilation: IntOrPair) -> tuple[tuple[int, int], ...]:
    """Stride, padding and dilation."""
    return (
        _sides(stride, op, "stride", 1),
        _sides(padding, op, "padding", 0),
        _sides(dilation, op, "dilation", 1),
    )


_AXES = {"1d": "(N, C, L)", "2d": "(N, C, H, W)", "3d": "(N, C, D, H, W)"}  # the axes of an input, for an error


def check_conv(op: str, x: Shape, w: Shape, b: Shape | None, groups: int) -> None:
    """Check the ranks, the channels and the bias of a convolution of 1 to 3 axes, as `op` ends in."""
    _check_ranks(op, x, w, groups)
    c, (o, cg) = x[1], w[:2]
    if cg * groups != c:
        raise ShapeError(
            f"{op}: weight {w} expects {counted(cg * groups, 'input channel')}"
            + (f" ({cg} in each of {groups} groups)" if groups > 1 else "")
            + f", but the input {x} has {c}; {_channels_remedy(op, x, cg * groups)}"
        )
    if o % groups:
        raise ShapeError(f"{op}: groups={groups} must divide the {counted(o, 'output channel')} of weight {w}")
    bias(op, b, o)


def check_conv_transpose(op: str, x: Shape, w: Shape, b: Shape | None, groups: int) -> None:
    """Check the ranks, the channels and the bias of a transposed convolution of 1 to 3 axes."""
    _check_ranks(op, x, w, groups)
    c = x[1]
    if w[0] != c:
        raise ShapeError(
            f"{op}: weight {w}, of axes (C, O/groups, ...), expects {counted(w[0], 'input channel')}, but the input "
            f"{x} has {c}; " + _channels_remedy(op, x, w[0])
        )
    if c % groups:
        raise ShapeError(f"{op}: groups={groups} must divide the {counted(c, 'input channel')}")
    bias(op, b, w[1] * groups)


def _channels_remedy(op: str, x: Shape, expected: int) -> str:
    """What to do about an input x with a wrong number of channels, for an error."""
    axes = _AXES[op[-2:]] if op[-2:] in _AXES else _AXES["2d"]
    if x[-1] != expected:
        return f"make in_channels {x[1]} or check the order of the axes {axes}"
    last = len(x) - 1
    order = ", ".join(map(str, (0, last, *range(1, last))))
    single = "x.T" if last == 2 else f"x.permute({', '.join(map(str, (last - 1, *range(last - 1))))})"
    return (
        f"its axes look like {axes.replace('C, ', '').replace(')', ', C)')} and must be {axes}: use "
        f"x.permute({order}), or {single} for an input without N; else make in_channels {x[1]}"
    )


def _check_ranks(op: str, x: Shape, w: Shape, groups: int) -> None:
    """Check what does not depend on the input and the weight together.

    A window is never empty. A group may have no channels; then the output is the bias.
    """
    kind = op[-2:] if op[-2:] in _AXES else "2d"
    rank = int(kind[0]) + 2
    if len(x) != rank:
        raise ShapeError(
            f"{op}: input must be {rank}-d {_AXES[kind]}, or without the N, got shape {x}; add the missing axes with "
            "reshape"
        )
    if 0 in x[2:]:
        raise ShapeError(f"{op}: input must have pixels (only the batch and the channels may be empty), got shape {x}")
    if len(w) != rank or min(w[0], *w[2:]) < 1:
        raise ShapeError(
            f"{op}: weight must be {rank}-d (channels, channels/groups, kernel size) with no empty side, got shape {w}"
        )
    if groups < 1:
        raise ShapeError(f"{op}: groups={groups} must be at least 1")


def _sides_of(op: str, x: Shape, w: Shape) -> tuple[Shape, Shape]:
    """The shapes of the input and weight of a convolution, those of signals as of images of one row."""
    return ((*x[:2], 1, x[2]), (*w[:2], 1, w[2])) if op.endswith("1d") else (x, w)
