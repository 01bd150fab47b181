"""PyTorch's rules for the type of a result, from the types of tensors, arrays and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import AnyArray, is_array

from ...dtypes import default_type
from ...tensor import Tensor

NUMBERS = (bool, int, float)
OPERANDS = (Tensor, *NUMBERS, np.generic, np.ndarray, AnyArray)
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}


def as_operand(value: Any, op: str) -> Any:
    """Return a tensor or a number as it is (a number gets the other operand's type), and an array as a tensor."""
    if isinstance(value, np.generic):  # first, because np.float64 is also a Python float, but would widen float32
        return value.item()
    if isinstance(value, (Tensor, *NUMBERS)):
        return value
    if is_array(value):
        return Tensor(value)
    raise TypeError(f"{op}: expected a tensor, an array or a number, got {type(value).__name__}")


def result_type(*operands: Any) -> np.dtype[Any]:
    """Return the type in which an operation computes these tensors and numbers, by PyTorch's rules.

    Categories come first: bool < integer < floating point. Within the highest category, tensors with axes decide before
    0-d tensors, and these before Python numbers, which have only a category.
    """
    ranks: list[np.dtype[Any] | None] = [None, None, None]  # for tensors with axes, for 0-d tensors, for numbers
    for operand in operands:
        if isinstance(operand, Tensor):
            rank, one = (0 if operand.array.ndim else 1), operand.array.dtype
        else:
            rank, one = 2, number_type(operand)
        before = ranks[rank]
        ranks[rank] = one if before is None or before is one else promoted(before, one)
    found: np.dtype[Any] | None = None
    for kind in ranks:  # a later rank counts only with a higher category
        if kind is not None and (found is None or _CATEGORY[kind.kind] > _CATEGORY[found.kind]):
            found = kind
    assert found is not None
    return found


def number_type(value: bool | int | float) -> np.dtype[Any]:
    """Return the type of a tensor of one Python number."""
    if isinstance(value, int):
        return _BOOL if isinstance(value, bool) else _INT64
    return default_type()


def promoted(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """Return the smallest type that both types convert to: if only one is floating point, that one, else NumPy's."""
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)
