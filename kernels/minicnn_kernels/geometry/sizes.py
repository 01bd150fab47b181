"""The parts of every geometry: ints and pairs of ints, one side of an output, broadcasting, and the errors."""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import gpu_memory

IntOrPair: TypeAlias = int | Sequence[int]
IntOrTriple: TypeAlias = int | Sequence[int]
Shape: TypeAlias = tuple[int, ...]


class ShapeError(ValueError, RuntimeError):
    """Shapes that do not fit together; the message has them, the arithmetic, and a remedy. PyTorch: RuntimeError."""


class KindError(ShapeError, TypeError):
    """A value that is not an int, where an int is needed: a size, a stride or the like. PyTorch: TypeError."""


class SizeError(ShapeError, MemoryError):
    """An array that does not fit into memory, refused before anything is allocated. PyTorch: RuntimeError."""


MOST = 2**31 - 1  # the largest kernel size, stride, padding or dilation: the product of two fits 64 bits easily
_FEW = 1 << 27  # bytes that every machine has


def shown(value: Any) -> str:
    """A value and its type as text for an error; a long value is cut."""
    text = repr(value)
    return f"{text if len(text) < 80 else text[:76].rstrip() + ' ...'} ({type(value).__name__})"


def counted(number: int, what: str) -> str:
    """A number of things as text: "1 channel", "3 channels", "2 classes"."""
    return f"{number} {what}" + ("" if number == 1 else "es" if what.endswith("s") else "s")


def whole(value: Any, op: str, name: str, least: int | None = None) -> int:
    """The int of an integer of Python's or NumPy's, or of an integer array or tensor with one element.

    Raises:
        KindError: the value is something else; a bool is not an int here.
        ShapeError: the value is less than `least`, or does not fit 64 bits.
    """
    if type(value) is not int:
        try:
            if isinstance(value, bool):
                raise TypeError
            value = operator.index(value)
        except (TypeError, RuntimeError):  # RuntimeError: a tensor with several elements, or on device "meta"
            raise KindError(f"{op}: {name} must be an int, got {shown(value)}") from None
    if not -(2**63) <= value < 2**63:
        raise ShapeError(f"{op}: {name} must be an integer of 64 bits, got {value}")
    if least is not None and value < least:
        raise ShapeError(f"{op}: {name} must be at least {least}, got {value}")
    return value


def real(value: Any, op: str, name: str) -> Any:
    """A real number, given as a number or as an array or tensor with one element.

    Raises:
        KindError: the value is not a real number.
    """
    found = value
    if not isinstance(value, (int, float)) and hasattr(value, "item"):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # it has several elements
            found = value.item()
    if not isinstance(found, (int, float)):
        raise KindError(f"{op}: {name} must be a number, got {shown(value)}")
    return found


def wholes(value: Sequence[Any], op: str, name: str, kind: str = "ints") -> list[int]:
    """The ints of a sequence; in an error, `kind` says what the value must be.

    Raises:
        KindError, ShapeError: as in `whole`.
    """
    try:
        return [whole(one, op, name) for one in value]
    except KindError:
        raise KindError(f"{op}: {name} must be {kind}, got {shown(value)}") from None


def listed(value: Any) -> Any:
    """The ints of an array or tensor of one axis, or of a range, as a list; any other value unchanged."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(value, range) or (kind in ("i", "u") and value.ndim == 1):
        return list(value) if isinstance(value, range) else value.tolist()
    return value


def pair(value: IntOrPair, op: str, name: str, least: int, most: int = MOST) -> tuple[int, int]:
    """An int or two ints as (vertical, horizontal); at least `least` and at most `most` each.

    >>> from minicnn_kernels import geometry
    >>> geometry.pair(3, "conv2d", "kernel_size", least=1)
    (3, 3)
    """
    if type(value) is int and least <= value <= most:
        return value, value
    if type(value) is tuple and len(value) == 2:  # the form in which layers keep it
        first, second = value
        if type(first) is type(second) is int and least <= first <= most and least <= second <= most:
            return value
    first, second = _several(value, 2, "an int or a pair of ints (vertical, horizontal)", op, name, least, most)
    return first, second


def triple(value: IntOrTriple, op: str, name: str, least: int, most: int = MOST) -> tuple[int, int, int]:
    """An int or three ints as (depth, vertical, horizontal); at least `least` and at most `most` each.

    >>> from minicnn_kernels import geometry
    >>> geometry.triple(3, "conv3d", "kernel_size", least=1)
    (3, 3, 3)
    """
    kind = "an int or three ints (depth, vertical, horizontal)"
    depth, vertical, horizontal = _several(value, 3, kind, op, name, least, most)
    return depth, vertical, horizontal


def _several(value: Any, count: int, kind: str, op: str, name: str, least: int, most: int) -> Shape:
    """`count` ints, from one for all or from as many; `kind` is the text of an error for anything else."""
    several = value if isinstance(value, Sequence) else (value,)
    if len(several) not in (1, count):
        raise KindError(f"{op}: {name} must be {kind}, got {shown(value)}")
    try:
        found = tuple([whole(side, op, name) for side in several])
    except KindError:
        raise KindError(f"{op}: {name} must be {kind}, got {shown(value)}") from None
    if min(found) < least:
        bound = f"at least {least}" if least != 1 else "greater than zero"
        raise ShapeError(f"{op}: {name} must be {bound}, got {value!r}")
    if max(found) > most:
        raise ShapeError(f"{op}: {name} must be at most {most}, got {value!r}")
    return found if len(found) == count else found * count


@functools.cache
def memory() -> int:
    """The bytes of memory of this machine, or of the container around this process; 2^63 - 1 if unknown."""
    found = [2**63 - 1]
    try:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (AttributeError, OSError, ValueError):  # no such call, no such file, or "max"
        pass
    return min(n for n in found if n > 0)


def fits(op: str, shape: Sequence[int], itemsize: int = 4, what: str = "result") -> None:
    """Check that an array fits into memory, before it is allocated and before any loop over its elements.

    Raises:
        SizeError: the array has more bytes than the memory of the machine and of its GPU, if a GPU is in use.
    """
    size = math.prod(shape) * itemsize
    if size > _FEW and size > (limit := max(memory(), gpu_memory())):
        raise SizeError(
            f"{op}: a {what} of shape {tuple(shape)} takes {size:,} bytes, more than the {limit:,} bytes of this "
            "machine's memory; make it smaller"
        )


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
        size, kernel, stride, padding, dilation: the numbers for this side.
        fit: what happens if the division has a remainder: "floor" drops the last rows that fill no window, as PyTorch
            does; "ceil" lets the last window hang over the edge (pooling); "strict" raises.
        op, side: the names of the operation and the side, for the message of an error.

    Raises:
        ShapeError: the window is larger than the padded input, or `fit="strict"` and the windows do not fit.

    >>> from minicnn_kernels import geometry
    >>> geometry.output_size(32, kernel=5), geometry.output_size(224, kernel=7, stride=2, padding=3)
    (28, 112)
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
            f"{size + 2 * padding}, the window spans {extent}: {sum_} < 1, which is too small. Use a smaller kernel "
            f"or dilation, or padding >= {-(-(extent - size) // 2)}."
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
    """The shape that the given shapes broadcast to, by NumPy's rule.

    >>> from minicnn_kernels import geometry
    >>> geometry.broadcast("add", (8, 1, 5), (3, 1))
    (8, 3, 5)
    """
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
