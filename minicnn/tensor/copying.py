"""Copies of tensors, and what is pickled of one: the values, as a leaf, and never the record behind them.

As in PyTorch, `copy.copy` shares the memory; pickling and `copy.deepcopy` make memory anew, and only a deep copy takes
`.grad` along. Hooks stay behind.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from minicnn_kernels.arrays import Array

from .. import memory_formats
from ..autograd import engine

if TYPE_CHECKING:
    from . import Tensor


def _made(kind: type[Tensor], array: Array, requires_grad: bool, version: list[int] | None = None) -> Tensor:
    """A leaf of the class `kind`, past its constructor."""
    tensor = kind.__new__(kind)
    engine._tensor.__init__(tensor, array, _version=version)
    tensor._requires_grad = requires_grad
    return tensor


def leaf(kind: type[Tensor], packed: tuple[Any, ...], requires_grad: bool) -> Tensor:
    """The tensor that was pickled so."""
    return _made(kind, memory_formats.unpacked(*packed), requires_grad)


def pickled(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor is pickled as, for `__reduce_ex__`: `leaf` with its values, and its attributes."""
    values = memory_formats.packed(tensor._array)
    return leaf, (type(tensor), values, tensor._requires_grad), attributes(tensor)


def attributes(tensor: Tensor) -> dict[str, Any] | None:
    """What a program has put on the tensor; None for nothing."""
    return {name: value for name, value in tensor.__dict__.items() if name != "_retains_grad"} or None


def shallow(tensor: Tensor) -> Tensor:
    """A leaf on the same memory, with the same attributes."""
    copied = _made(type(tensor), tensor._array, tensor._requires_grad, tensor._version)
    copied.__dict__.update(attributes(tensor) or {})
    return copied


def deep(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """A leaf in memory of its own, with copies of `.grad` and the attributes.

    Raises:
        RuntimeError: the tensor is no leaf.
    """
    if tensor._edge:
        raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use detach() first")
    array = tensor._array
    copied = memo[id(tensor)] = _made(type(tensor), array.copy(order="K"), tensor._requires_grad)
    copied._grad = copy.deepcopy(tensor._grad, memo)
    copied.__dict__.update(copy.deepcopy(attributes(tensor) or {}, memo))
    return copied
