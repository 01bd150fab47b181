"""The checks of operands that the operations share, and the one function that undoes broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import on_gpu
from minicnn_kernels.sums import total

from ...dtypes import DtypeError
from ...tensor import Array, Tensor
from .arguments import no_tensor
from .promotion import as_operand, result_type
from .types import to

KERNEL_TYPES = (np.dtype(np.float32), np.dtype(np.float64))  # the types that have kernels


def backend_for(x: Array) -> dict[str, str]:
    """Return the kernel choice for a type, as keyword arguments: the numpy row if the other backends have no kernel."""
    return {} if x.dtype in KERNEL_TYPES else {"backend": "cupy" if on_gpu(x) else "numpy"}


def promote(op: str, *operands: Any) -> tuple[Any, ...]:
    """Convert operands to the one type that `result_type` gives; the gradient is converted back."""
    operands = tuple(as_operand(operand, op) for operand in operands)
    kind = result_type(*operands)
    return tuple(to(o, kind) if isinstance(o, Tensor) and o.array.dtype != kind else o for o in operands)


def floating(op: str, **operands: Tensor | None) -> None:
    """Check that the operands are floating-point tensors of one type.

    Raises:
        TypeError: an operand is not a tensor.
        DtypeError: an operand has no kernels (integers, float16), or has another type than the rest.
    """
    first: tuple[str, np.dtype[Any]] | None = None
    for name, value in operands.items():
        if first and isinstance(value, Tensor) and value._array.dtype is first[1]:  # the usual case
            continue
        if value is None and first:  # the first operand is never optional
            continue
        if not isinstance(value, Tensor):
            raise no_tensor(op, name, value)
        if value.array.dtype not in KERNEL_TYPES:
            remedy = "transforms.ToTensor() or .float()" if value.dtype.kind in "iu" else ".float()"
            raise DtypeError(f"{op}: {name} must be float32 or float64, got {value.dtype}; convert it with {remedy}")
        if first and value.array.dtype != first[1]:
            raise DtypeError(
                f"{op}: {name} is {value.dtype} but {first[0]} is minicnn.{first[1]}; convert one with .to(...)"
            )
        first = first or (name, value._array.dtype)


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum `gradient` over the axes along which `shape` was repeated."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(shape) if size == 1 and gradient.shape[extra + i] != 1
    )
    return total(gradient, axes).reshape(shape)  # (repeated axes summed) -> shape
