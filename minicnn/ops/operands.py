"""What the operations ask of their operands, and the one place where broadcasting is undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.sums import total

from ..autograd import function
from ..tensor import Array, Tensor
from .arguments import no_tensor

NUMBERS = (bool, int, float)
OPERANDS = (Tensor, *NUMBERS, np.generic, np.ndarray)
KERNEL_TYPES = (np.dtype(np.float32), np.dtype(np.float64))  # those that there are kernels for
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}


def as_operand(value: Any, op: str) -> Any:
    """A tensor or a number as it is (a number takes on the other operand's type), an array as a tensor."""
    if isinstance(value, np.generic):  # first: np.float64 is a Python float too, but would make float32 float64
        return value.item()
    if isinstance(value, (Tensor, *NUMBERS)):
        return value
    if isinstance(value, np.ndarray):
        return Tensor(value)
    raise TypeError(f"{op}: expected a tensor, an array or a number, got {type(value).__name__}")


def promote(op: str, *operands: Any) -> tuple[Any, ...]:
    """Operands in the one type that `result_type` gives; tensors are cast, with the gradient cast back."""
    operands = tuple(as_operand(operand, op) for operand in operands)
    kind = result_type(*operands)
    return tuple(_cast(o, kind) if isinstance(o, Tensor) and o.array.dtype != kind else o for o in operands)


def result_type(*operands: Any) -> np.dtype[Any]:
    """The type that an operation of these tensors and numbers computes in, by PyTorch's rules.

    Categories count first: bool < integer < floating point. Within the highest category, tensors with axes decide
    over 0-d tensors, and those over Python numbers, which contribute their category only.
    """
    ranks: list[np.dtype[Any] | None] = [None, None, None]  # of tensors with axes, of 0-d tensors, of numbers
    for operand in operands:
        if isinstance(operand, Tensor):
            rank, one = (0 if operand.array.ndim else 1), operand.array.dtype
        else:
            rank, one = 2, number_type(operand)
        before = ranks[rank]
        ranks[rank] = one if before is None or before is one else promote_types(before, one)
    found: np.dtype[Any] | None = None
    for kind in ranks:  # a later rank counts only with a higher category
        if kind is not None and (found is None or _CATEGORY[kind.kind] > _CATEGORY[found.kind]):
            found = kind
    assert found is not None
    return found


def number_type(value: bool | int | float) -> np.dtype[Any]:
    """The type of a tensor of one Python number."""
    if isinstance(value, int):
        return _BOOL if isinstance(value, bool) else _INT64
    from .creation import get_default_dtype

    return get_default_dtype()


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The smallest type that both convert to: the float where only one is, else NumPy's."""
    a, b = np.dtype(type1), np.dtype(type2)
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)


def _cast(x: Tensor, kind: np.dtype[Any]) -> Tensor:
    from .types import to

    return to(x, kind)


def floating(op: str, **operands: Tensor | None) -> None:
    """Check that the operands are float tensors of one type.

    Raises:
        TypeError: not a tensor, an integer tensor, a type without kernels, or two types at once.
    """
    first: tuple[str, np.dtype[Any]] | None = None
    for name, value in operands.items():
        if first and isinstance(value, Tensor) and value._array.dtype is first[1]:  # most often
            continue
        if value is None and first:  # the first operand is never optional
            continue
        if not isinstance(value, Tensor):
            raise no_tensor(op, name, value)
        if value.dtype not in KERNEL_TYPES:
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
    return total(gradient, axes).reshape(shape)  # (repeated axes summed) -> shape


function.unbroadcast = unbroadcast
