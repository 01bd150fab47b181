"""Checks of what callers give: shapes, types, layers and cells."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError, counted, listed, shown, whole

from ..device import Device
from ..nn import Module
from ..ops.tensor.creation import zeros
from ..tensor import Tensor
from .graph import Shape


def shapes(op: str, input_size: Any) -> list[Shape]:
    """Return the shapes of the inputs.

    Raises:
        ValueError: input_size is not a shape or a list of shapes.
    """
    given = listed(input_size)
    parts = [listed(part) for part in given] if isinstance(given, (tuple, list)) else []
    try:
        if any(isinstance(part, (tuple, list)) for part in parts):
            return [_sides(part if isinstance(part, (tuple, list)) else (part,)) for part in parts]
        if parts:
            return [_sides(parts)]
    except ShapeError:
        pass
    found = shown(input_size)
    if isinstance(input_size, Tensor):
        found = f"a tensor; the shape of each of its images is {tuple(input_size.shape[1:])}"
    raise ValueError(
        f"{op}: input_size must be a shape such as (1, 32, 32), of whole numbers from 1, or a list of them, got {found}"
    )


def _sides(shape: Sequence[Any]) -> Shape:
    return tuple([whole(n, "", "", 1) for n in shape])


def check_inputs(op: str, model: Module, count: int) -> None:
    """Check that the forward of a net takes `count` inputs.

    Raises:
        TypeError: it takes more or fewer.
    """
    if type(model).__call__ is not Module.__call__ or model._forward_pre_hooks:
        return  # these may call it with others
    try:
        takes = inspect.signature(model.forward)
    except (TypeError, ValueError):  # it is no function of Python
        return
    try:
        takes.bind(*[None] * count)
    except TypeError as error:
        names = ", ".join(takes.parameters)
        raise TypeError(
            f"{op}: input_size has {counted(count, 'shape')}, and the forward of {type(model).__name__} takes "
            f"({names}): {error}; give a shape for each input, several in a list"
        ) from None


def check_device(op: str, device: Any) -> None:
    """Check that there is such a kind of device, whether the net needs it or not.

    Raises:
        RuntimeError: there is none.
    """
    try:
        Device("cpu" if device is None else device)
    except RuntimeError as error:
        raise RuntimeError(f"{op}: {error}") from None


def types(op: str, dtypes: Any, count: int, default: np.dtype[Any]) -> list[np.dtype[Any]]:
    """Return the type of each of `count` inputs.

    Raises:
        ValueError: there are not as many types as inputs.
        TypeError: one is not a type.
    """
    given = list(dtypes) if isinstance(dtypes, (tuple, list)) else [dtypes] * count
    if len(given) != count:
        raise ValueError(
            f"{op}: {counted(len(given), 'type')} in dtypes for {counted(count, 'input')}; give one for each, or one "
            "for all"
        )
    try:
        return [default if kind is None else zeros(0, device="cpu").type(kind).dtype for kind in given]
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{op}: dtypes must be types such as minicnn.int64, got {shown(dtypes)}") from None


def check_layer(op: str, model: Module, layer: Any) -> None:
    """Check that a net has a layer of this name, or that it is None.

    Raises:
        AttributeError: it has none; the message names similar ones.
    """
    names = [name for name, _ in model.named_modules(remove_duplicate=False)]
    if layer is None or layer in names:
        return
    near = difflib.get_close_matches(str(layer), names, n=3)
    known = f"similar names are {', '.join(near)}" if near else f"its layers are {', '.join(names[1:9]) or 'none'}"
    known += " ..." if not near and len(names) > 9 else ""
    raise AttributeError(f"{op}: {type(model).__name__} has no layer {layer!r}; {known}")


def cell_of(op: str, cell: Any) -> tuple[int, int]:
    """Return (row, column).

    Raises:
        TypeError: a cell is given otherwise.
    """
    try:
        row, column = (whole(n, op, "cell") for n in cell)
    except (TypeError, ValueError):
        raise TypeError(f"{op}: cell must be (row, column), two whole numbers, got {shown(cell)}") from None
    return row, column
