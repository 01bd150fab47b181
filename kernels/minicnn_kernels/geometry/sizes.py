"""What every geometry is made of: one side of an output, pairs of ints, broadcasting, and `ShapeError`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

IntOrPair: TypeAlias = int | Sequence[int]
Shape: TypeAlias = tuple[int, ...]


class ShapeError(ValueError, RuntimeError):
    """Shapes that do not fit together; says which, the arithmetic, and what would fit. PyTorch: RuntimeError."""


def pair(value: IntOrPair, op: str, name: str, least: int) -> tuple[int, int]:
    """An int or two ints as (vertical, horizontal); at least `least` each."""
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int and min(value) >= least:
        return value  # as layers have it
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
    if fit == "floor" and size + 2 * padding >= extent:
        return (size + 2 * padding - extent) // stride + 1
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


def broadcast(op: str, *shapes: Shape) -> Shape:
    """The shape that the given shapes broadcast to, by NumPy's rule."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(
            f"{op}: shapes {listed} do not broadcast: aligned from the right, two sides must be equal or one of them 1"
        ) from None


def bias(op: str, b: Shape | None, outputs: int) -> None:
    """Check a bias of one value per output, or None."""
    if b is not None and b != (outputs,):
        raise ShapeError(f"{op}: bias must have shape ({outputs},), one value per output, got {b}")
