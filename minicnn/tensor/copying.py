"""Copying and pickling tensors: the copy has the values and is a leaf; the graph is never copied.

As in PyTorch, `copy.copy` shares the memory; pickling and `copy.deepcopy` make new memory. Only a deep copy has a copy
of `.grad`. Hooks are not copied.
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
    """Make a leaf of the class `kind` without calling its constructor."""
    tensor = kind.__new__(kind)
    engine._tensor.__init__(tensor, array, _version=version)
    tensor._requires_grad = requires_grad
    return tensor


def leaf(kind: type[Tensor], packed: tuple[Any, ...], requires_grad: bool) -> Tensor:
    """Return the leaf that a pickle contains."""
    return _made(kind, memory_formats.unpacked(*packed), requires_grad)


def pickled(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor is pickled as, for `__reduce_ex__`: `leaf` with its values, and its attributes."""
    values = memory_formats.packed(tensor._array)
    return leaf, (type(tensor), values, tensor._requires_grad), attributes(tensor)


def attributes(tensor: Tensor) -> dict[str, Any] | None:
    """Return the attributes that the program has set on the tensor, or None if there are none."""
    return {name: value for name, value in tensor.__dict__.items() if name != "_retains_grad"} or None


def shallow(tensor: Tensor) -> Tensor:
    """Return a leaf on the same memory, with the same attributes."""
    copied = _made(type(tensor), tensor._array, tensor._requires_grad, tensor._version)
    copied.__dict__.update(attributes(tensor) or {})
    return copied


def deep(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """Return a leaf in new memory, with copies of `.grad` and of the attributes.

    Raises:
        RuntimeError: the tensor is not a leaf.
    """
    if tensor._edge:
        raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use detach() first")
    array = tensor._array
    copied = memo[id(tensor)] = _made(type(tensor), array.copy(order="K"), tensor._requires_grad)
    copied._grad = copy.deepcopy(tensor._grad, memo)
    copied.__dict__.update(copy.deepcopy(attributes(tensor) or {}, memo))
    return copied
