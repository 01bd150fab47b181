"""What the operations ask of their operands, and the one place where broadcasting is undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Array, Tensor


def as_operand(value: Any, op: str) -> Any:
    """A tensor or a number as it is (a number takes on the other operand's type), an array as a tensor."""
    if isinstance(value, np.generic):  # first: np.float64 is a Python float too, but would make float32 float64
        return value.item()
    if isinstance(value, (Tensor, bool, int, float)):
        return value
    if isinstance(value, np.ndarray):
        return Tensor(value)
    raise TypeError(f"{op}: expected a tensor, an array or a number, got {type(value).__name__}")


def floating(op: str, **operands: Tensor | None) -> None:
    """Check that the operands are float tensors of one type.

    Raises:
        TypeError: not a tensor, an integer tensor, a type without kernels, or two types at once.
    """
    first: tuple[str, np.dtype[Any]] | None = None
    for name, value in operands.items():
        if value is None:
            continue
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}: {name} must be a Tensor, got {type(value).__name__}; use minicnn.tensor(...)")
        if value.dtype not in (np.float32, np.float64):
            remedy = "transforms.ToTensor() or .float()" if value.dtype.kind in "iub" else ".float()"
            raise TypeError(f"{op}: {name} must be float32 or float64, got {value.dtype}; convert it with {remedy}")
        if first and value.dtype != first[1]:
            raise TypeError(f"{op}: {name} is {value.dtype} but {first[0]} is {first[1]}; convert one with .to(...)")
        first = first or (name, value.dtype)


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum `gradient` over the axes along which `shape` was repeated."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(shape) if size == 1 and gradient.shape[extra + i] != 1
    )
    return gradient.sum(axes, keepdims=True).reshape(shape)  # (repeated axes summed) -> shape
