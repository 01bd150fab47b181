"""Copying and pickling tensors: the copy has the values and is a leaf; the graph is never copied.

As in PyTorch, `copy.copy` shares the memory; pickling and `copy.deepcopy` make new memory. Only a deep copy has a copy
of `.grad`. Hooks are not copied.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from minicnn_kernels.arrays import Array, on_device_of, on_gpu, upload

from .. import memory_formats
from ..autograd import engine, own_order
from ..device import saved_on

if TYPE_CHECKING:
    from . import Tensor


def _made(kind: type[Tensor], array: Array, requires_grad: bool, version: list[int] | None = None) -> Tensor:
    """Make a leaf of the class `kind` without calling its constructor."""
    tensor = kind.__new__(kind)
    engine._tensor.__init__(tensor, array, _counter=version)
    tensor._requires_grad = requires_grad
    return tensor


def leaf(kind: type[Tensor], packed: tuple[Any, ...], requires_grad: bool, device: str = "cpu") -> Tensor:
    """Return the leaf that a pickle contains, on the device that it was on.

    Raises:
        RuntimeError: it was on a GPU, and there is none here.
    """
    shape, content, *order = packed
    index = saved_on(device, "move tensors to the CPU before you pickle them, or use minicnn.save").index
    if index is not None:
        content = upload(content, index)
    return _made(kind, memory_formats.unpacked(shape, content, *order), requires_grad)


def pickled(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor is pickled as, for `__reduce_ex__`: `leaf` with its values, and its attributes."""
    own_order.settle(tensor)
    found = type(tensor), memory_formats.packed(tensor._array), tensor._requires_grad
    return leaf, (*found, str(tensor.device)) if on_gpu(tensor._array) else found, attributes(tensor)


def copy_of(array: Array) -> Array:
    """Return a copy of an array in its order of memory, on its device."""
    with on_device_of(array):
        return array.copy(order="K")


def attributes(tensor: Tensor) -> dict[str, Any] | None:
    """Return the attributes that the program has set on the tensor, or None if there are none."""
    return {name: value for name, value in tensor.__dict__.items() if name != "_retains_grad"} or None


def shallow(tensor: Tensor) -> Tensor:
    """Return a leaf on the same memory, with the same attributes."""
    copied = _made(type(tensor), tensor._array, tensor._requires_grad, tensor._counter)
    own_order.follow(tensor, copied)
    copied.__dict__.update(attributes(tensor) or {})
    return copied


def deep(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """Return a leaf in new memory, with copies of `.grad` and of the attributes.

    Raises:
        RuntimeError: the tensor is not a leaf.
    """
    if tensor._edge:
        raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use detach() first")
    copied = memo[id(tensor)] = _made(type(tensor), copy_of(own_order.settle(tensor)._array), tensor._requires_grad)
    copied._grad = copy.deepcopy(tensor._grad, memo)
    copied.__dict__.update(copy.deepcopy(attributes(tensor) or {}, memo))
    return copied
