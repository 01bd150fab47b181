"""Mistakes in the result of a convolution, of im2col (`unfold`) and of col2im (`fold`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array

from .base import Call, Mistake
from .convolution import Steps, one_for_both, steps_of, swapped

Pad = tuple[tuple[int, int], tuple[int, int]]  # rows above and below, columns left and right


def windows(
    x: Array, kernel: tuple[int, ...], s: Steps, pad: Pad | None = None, mode: str = "constant"
) -> Array | None:
    """The windows of x, (N, C, KH, KW, OH, OW); None if none fits."""
    ph, pw = s.padding
    sides = ((ph, ph), (pw, pw)) if pad is None else pad
    if mode != "constant" and min(x.shape[2:]) == 0:
        return None
    wide = np.pad(x, ((0, 0), (0, 0), *sides), mode)  # type: ignore[call-overload]
    rows, columns = (
        _starts(size, k, stride, dilation)
        for size, k, stride, dilation in zip(wide.shape[2:], kernel, s.stride, s.dilation, strict=True)
    )
    if rows is None or columns is None:
        return None
    # (KH, 1, OH, 1) and (1, KW, 1, OW)
    found: Array = wide[:, :, rows.T[:, None, :, None], columns.T[None, :, None, :]]
    return found


def _starts(size: int, kernel: int, stride: int, dilation: int) -> Array | None:
    """The places under each cell of each window, (O, K)."""
    count = (size - dilation * (kernel - 1) - 1) // stride + 1
    if count < 1:
        return None
    places: Array = np.arange(count)[:, None] * stride + np.arange(kernel) * dilation
    return places


def convolved(
    c: Call, s: Steps, *, w: Array | None = None, x: Array | None = None, bias: float = 1.0, pad: Pad | None = None,
    mode: str = "constant", channel: Callable[[int, int, int], int] | None = None,
) -> Array | None:  # fmt: skip
    """The convolution of a call with one thing changed.

    Args:
        c: the call.
        s: strides, padding, dilation, groups.
        w, x: the filters and the image, if they are changed.
        bias: the factor of the bias.
        pad, mode: another padding.
        channel: the number of the input channel from (o, c, the number of channels of a group).
    """
    w, x = c.inputs["w"] if w is None else w, c.inputs["x"] if x is None else x
    cells = windows(x, w.shape[2:], s, pad, mode)
    if cells is None:
        return None
    outputs, cg = w.shape[:2]
    each = outputs // s.groups
    of = channel or (lambda o, k, cg: o // each * cg + k)
    places = np.array([[of(o, k, cg) for k in range(cg)] for o in range(outputs)])
    if places.max(initial=0) >= x.shape[1]:
        return None
    y: Array = np.einsum("nocabij,ocab->noij", cells[:, places], w, optimize=True)
    b = c.inputs.get("b")
    return y if b is None else y + bias * b[:, None, None]


def _conv(change: Callable[[Call, Steps], Array | None]) -> Callable[[Call], Array | None]:
    return lambda call: change(call, steps_of(call))


def _only(part: tuple[slice, ...], bias: float = 1.0) -> Callable[[Call], Array | None]:
    """Only some of the products of each output: those that are left if a sum is overwritten."""

    def result(call: Call) -> Array | None:
        w = np.zeros_like(call.inputs["w"])
        w[(slice(None), *part)] = call.inputs["w"][(slice(None), *part)]
        return convolved(call, steps_of(call), w=w, bias=bias)

    return result


_LAST = slice(-1, None)
_SUM = "start the sum once for each output and add (+=) in all inner loops"
CONV_Y = [
    Mistake("the filter is flipped: this is the convolution of mathematics", "CNNs do not turn the filter: "
            "y[i, j] is the sum of w[a, b] * x[i*SH + a, j*SW + b] (cross-correlation)",
            _conv(lambda c, s: convolved(c, s, w=np.flip(c.inputs["w"], (2, 3))))),
    Mistake("the bias is left out", "start each sum with b[o]", _conv(lambda c, s: convolved(c, s, bias=0.0))),
    Mistake("the padding is left out", "put PH rows and PW columns of zeros on each side of the image",
            _conv(lambda c, s: convolved(c, s._replace(padding=(0, 0))))),
    Mistake("vertical and horizontal padding are swapped", "rows go with PH, columns with PW",
            _conv(lambda c, s: convolved(c, s._replace(padding=swapped(s.padding))))),
    Mistake("the padding is only at the beginning", "put zeros on both sides: the image is H + 2*PH rows high",
            _conv(lambda c, s: convolved(c, s, pad=((s.padding[0], 0), (s.padding[1], 0))))),
    Mistake("the padding is only at the end", "put zeros on both sides: pixel (p, q) moves to (p + PH, q + PW)",
            _conv(lambda c, s: convolved(c, s, pad=((0, s.padding[0]), (0, s.padding[1]))))),
    Mistake("the image is shifted: the padding is at the end only, twice as much", "pixel (p, q) moves to "
            "(p + PH, q + PW)",
            _conv(lambda c, s: convolved(c, s, pad=((0, 2 * s.padding[0]), (0, 2 * s.padding[1]))))),
    Mistake("the padding repeats the border instead of zeros", "pad with zeros",
            _conv(lambda c, s: convolved(c, s, mode="edge"))),
    Mistake("the padding is reached by negative indices, which count from the end", "pad with zeros: x[-1] is the "
            "last row in Python", _conv(lambda c, s: convolved(c, s, mode="wrap"))),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
            _conv(lambda c, s: convolved(c, s._replace(stride=(1, 1))))),
    Mistake("the stride is only in the size of the result, not in the place of the windows",
            "window (i, j) begins at row i*SH and column j*SW", _conv(lambda c, s: _cropped(c, s))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            _conv(lambda c, s: convolved(c, s._replace(stride=swapped(s.stride))))),
    Mistake("the dilation is left out", "cell (a, b) lies a*DH rows and b*DW columns into the window",
            _conv(lambda c, s: convolved(c, s._replace(dilation=(1, 1))))),
    Mistake("the dilation is only in the size of the result, not in the place of the cells",
            "cell (a, b) lies a*DH rows and b*DW columns into the window",
            _conv(lambda c, s: _cropped(c, s, dilation=(1, 1)))),
    Mistake("vertical and horizontal dilation are swapped", "rows go with DH, columns with DW",
            _conv(lambda c, s: convolved(c, s._replace(dilation=swapped(s.dilation))))),
    Mistake("the sum over the channels is overwritten: only the last channel counts", _SUM, _only((_LAST,))),
    Mistake("the sum over the window is overwritten: only the last product counts", _SUM, _only((_LAST, _LAST, _LAST))),
    Mistake("the sum is overwritten: only the last product is left, without the bias", _SUM,
            _only((_LAST, _LAST, _LAST), 0.0)),
    Mistake("only the first channel counts", "add over all channels c", _only((slice(0, 1),))),
    Mistake("the bias is added for each channel", "add b[o] once", _conv(
        lambda c, s: convolved(c, s, bias=float(c.inputs["w"].shape[1])))),
    Mistake("the bias is added for each product", "add b[o] once", _conv(
        lambda c, s: convolved(c, s, bias=float(np.prod(c.inputs["w"].shape[1:]))))),
    Mistake("the groups are left out: every output channel reads the first C/G channels",
            "output channel o is in group o // (O/G), whose channels begin at group * (C/G)",
            _conv(lambda c, s: convolved(c, s, channel=lambda o, k, cg: k))),
    Mistake("the groups are dealt out in turn, o % G", "output channel o is in group o // (O/G)",
            _conv(lambda c, s: convolved(c, s, channel=lambda o, k, cg: o % s.groups * cg + k))),
    Mistake("the channels of a group are taken in turn, c*G + group", "the channels of a group are neighbours: "
            "group * (C/G) + c", _conv(lambda c, s: convolved(
                c, s, channel=lambda o, k, cg: k * s.groups + o // (len(c.inputs["w"]) // s.groups)))),
    Mistake("rows and columns of the filter are swapped", "a counts rows, b columns",
            _conv(lambda c, s: convolved(c, s, w=c.inputs["w"].swapaxes(2, 3))
                  if c.inputs["w"].shape[2] == c.inputs["w"].shape[3] else None)),
    Mistake("output and input channels of the filter are swapped", "w[o, c]: output channel first",
            _conv(lambda c, s: convolved(c, s, w=c.inputs["w"].swapaxes(0, 1))
                  if c.inputs["w"].shape[0] == c.inputs["w"].shape[1] and s.groups == 1 else None)),
    *one_for_both(convolved),
]  # fmt: skip


def _cropped(call: Call, s: Steps, dilation: tuple[int, int] | None = None) -> Array | None:
    """The right size, with windows that are neighbours, or with neighbouring cells."""
    changed = s._replace(stride=(1, 1)) if dilation is None else s._replace(dilation=dilation)
    y = convolved(call, changed)
    oh, ow = call.right["y"].shape[2:]
    return None if y is None or y.shape[2] < oh or y.shape[3] < ow else y[:, :, :oh, :ow]


# ----------------------------------------------------------------------------------------------------- im2col, col2im


def _columns(call: Call, order: str = "ncabij", /, **changes: Any) -> Array | None:
    """im2col with its axes in another order, or with other steps."""
    kernel = geometry.pair(call.options["kernel_size"], "im2col", "kernel_size", 1)
    cells = windows(call.inputs["x"], kernel, steps_of(call)._replace(**changes))
    if cells is None:
        return None
    moved = np.einsum(f"ncabij->{order}", cells)
    return moved.reshape(moved.shape[0], -1, moved.shape[4] * moved.shape[5])  # (N, ..., OH, OW) -> (N, K, OH*OW)


def _col(order: str) -> Callable[[Call], Array | None]:
    return lambda call: _columns(call, order)


def _steps_changed(**changes: Callable[[Steps], tuple[int, int]]) -> Callable[[Call], Array | None]:
    return lambda call: _columns(call, **{name: change(steps_of(call)) for name, change in changes.items()})


def _transposed(call: Call) -> Array | None:
    col = _columns(call)
    return None if col is None else col.swapaxes(1, 2)


_ROWS = "row k = (c*KH + a)*KW + b of col: the channel changes slowest, the column of the window fastest"
UNFOLD_Y = [
    Mistake("the rows are in the order (a, b, c): the channel changes fastest", _ROWS, _col("nabcij")),
    Mistake("the rows are in the order (c, b, a): row and column of the window are swapped", _ROWS, _col("ncbaij")),
    Mistake("the windows are in the order (j, i): down the columns", "window i*OW + j: along the rows",
            _col("ncabji")),
    Mistake("rows and columns of col are swapped: each window is a row", "each window is a column of col",
            _transposed),
    Mistake("the padding is left out", "put PH rows and PW columns of zeros on each side of the image",
            _steps_changed(padding=lambda s: (0, 0))),
    Mistake("vertical and horizontal padding are swapped", "rows go with PH, columns with PW",
            _steps_changed(padding=lambda s: swapped(s.padding))),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
            _steps_changed(stride=lambda s: (1, 1))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            _steps_changed(stride=lambda s: swapped(s.stride))),
    Mistake("the dilation is left out", "cell (a, b) lies a*DH rows and b*DW columns into the window",
            _steps_changed(dilation=lambda s: (1, 1))),
    Mistake("vertical and horizontal dilation are swapped", "rows go with DH, columns with DW",
            _steps_changed(dilation=lambda s: swapped(s.dilation))),
]  # fmt: skip


def _folded(
    call: Call, how: str = "add", order: str = "ncabij", crop: str = "both", steps: Steps | None = None
) -> Array | None:
    """col2im, with parts that are added, or of which the first or last stays; or a mean of them."""
    right, s = call.right["y"], steps or steps_of(call)
    n, c, height, width = right.shape
    kernel = geometry.pair(call.options["kernel_size"], "col2im", "kernel_size", 1)
    true = windows(right, kernel, steps_of(call))
    if true is None:
        return None
    letters = dict(zip("ncabij", true.shape, strict=True))
    cells = call.inputs["x"].reshape([letters[letter] for letter in order])
    cells = np.einsum(f"{order}->ncabij", cells)
    (ph, pw), (oh, ow) = s.padding, true.shape[4:]
    ends = [
        (out - 1) * st + d * (k - 1) + 1 for out, st, d, k in zip((oh, ow), s.stride, s.dilation, kernel, strict=True)
    ]
    image = np.zeros((n, c, max(ends[0], height + 2 * ph), max(ends[1], width + 2 * pw)))
    count = np.zeros(image.shape)
    places = list(np.ndindex(oh, ow))
    for i, j in reversed(places) if how == "first" else places:
        rows, columns = (
            at * st + np.arange(k) * d for at, st, k, d in zip((i, j), s.stride, kernel, s.dilation, strict=True)
        )
        place = (slice(None), slice(None), rows[:, None], columns)
        image[place] = cells[..., i, j] + (image[place] if how in ("add", "mean") else 0)
        count[place] += 1
    if how == "mean":
        image /= np.maximum(count, 1)
    top, left = (ph, pw) if crop == "both" else (0, 0)
    return image if crop == "none" else image[:, :, top : top + height, left : left + width]


_ADD = "add (+=) every column to its window: a pixel lies in several windows"
FOLD_Y = [
    Mistake("windows that overlap are overwritten, not added: the last one stays", _ADD,
            lambda c: _folded(c, how="last")),
    Mistake("windows that overlap are overwritten, not added: the first one stays", _ADD,
            lambda c: _folded(c, how="first")),
    Mistake("the mean of the windows is taken, not the sum", "add, and do not divide: col2im is the adjoint of im2col, "
            "not its inverse", lambda c: _folded(c, how="mean")),
    Mistake("the rows are taken in the order (a, b, c)", _ROWS, lambda c: _folded(c, order="nabcij")),
    Mistake("the rows are taken in the order (c, b, a)", _ROWS, lambda c: _folded(c, order="ncbaij")),
    Mistake("the windows are taken in the order (j, i): down the columns", "window i*OW + j: along the rows",
            lambda c: _folded(c, order="ncabji")),
    Mistake("the padding is not cut off", "return the part [PH:PH+H, PW:PW+W]", lambda c: _folded(c, crop="none")),
    Mistake("the padding is cut off at the end instead of on both sides", "return the part [PH:PH+H, PW:PW+W]",
            lambda c: _folded(c, crop="end")),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
            lambda c: _folded(c, steps=steps_of(c)._replace(stride=(1, 1)))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            lambda c: _folded(c, steps=steps_of(c)._replace(stride=swapped(steps_of(c).stride)))),
    Mistake("the dilation is left out", "cell (a, b) lies a*DH rows and b*DW columns into the window",
            lambda c: _folded(c, steps=steps_of(c)._replace(dilation=(1, 1)))),
]  # fmt: skip
