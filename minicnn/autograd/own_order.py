"""The order of memory that minicnn chooses for results, as long as no program can tell.

In PyTorch the result of an NCHW image lies in NCHW memory. Here most kernels are faster on channels-last memory, so a
convolution may give its result in that order (`ops/conv.py`), and the operations after it keep the order of their
arguments. To the program such a tensor has the strides that it has in PyTorch. Its attribute `_order` says so:

    None     the tensor's array lies in memory as the program sees it
    FRESH    a new result: the array has another order, and no other tensor shares its memory
    Shared   as FRESH, but there are views of it, which also are not as the program sees them

A program that looks at the memory itself (`numpy()`, `data_ptr()`, a `view` that this order does not allow) gets it in
the order that it expects: `settle` copies the elements once, and gives the tensor and all its views the new memory. The
arrays that nodes of the graph have saved stay as they are: their values are the same, and a write is noticed by the
number of the version, which does not depend on the array.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import Array, contiguous, on_device_of, share_memory
from minicnn_kernels.layout import as_order

if TYPE_CHECKING:
    from ..tensor import Tensor


class _Memory:
    """The memory of a result, with weak references to the tensors that show it."""

    def __init__(self, array: Array) -> None:
        self.array = array  # of the result itself
        self.tensors: list[weakref.ref[Tensor]] = []

    def add(self, tensor: Tensor) -> None:
        """Note a tensor; at sizes 1, 2, 4, 8 ... those that exist no more are forgotten."""
        if len(self.tensors) & (len(self.tensors) - 1) == 0:
            self.tensors = [reference for reference in self.tensors if reference() is not None]
        self.tensors.append(weakref.ref(tensor))


Step = Callable[[Array], Array]


class Shared:
    """What a tensor shows of a result with views: `steps`, one after the other, make its array from the result's."""

    __slots__ = ("memory", "steps")

    def __init__(self, memory: _Memory | None, steps: tuple[Step, ...] = ()) -> None:
        self.memory, self.steps = memory, steps

    def view(self, array: Array) -> Array:
        """Return the tensor's array, given that of the result."""
        for step in self.steps:
            array = step(array)
        return array


FRESH = Shared(None)
MOST = 50  # steps from a result to a view of views; a tensor with more is settled
_lock = threading.RLock()  # two threads may look at one tensor


def mark(tensor: Tensor) -> Tensor:
    """Declare a new tensor's order of memory to be minicnn's own, if it is not the usual one; return the tensor."""
    if not tensor._array.flags.c_contiguous:
        tensor._order = FRESH
    return tensor


def follow(source: Tensor, tensor: Tensor, *step: Step) -> None:
    """Note that `tensor` shows the memory of `source`: what `step` shows of the source's array, or all of it."""
    with _lock:
        order = source._order
        if order is None:
            return
        if order.memory is None:
            order = source._order = Shared(_Memory(source._array))
            order.memory.add(source)  # type: ignore[union-attr]
        memory: Any = order.memory
        tensor._order = Shared(memory, (*order.steps, *step))
        memory.add(tensor)
        if len(order.steps) >= MOST:
            settle(tensor)


def follow_all(source: Tensor, views: tuple[Tensor, ...], again: Callable[[Array], Any]) -> None:
    """Note the views of a tensor, which `again` makes from its array: one, or a tuple of them."""
    for i, tensor in enumerate(views):
        follow(source, tensor, functools.partial(_part, again, i))


def _part(again: Callable[[Array], Any], i: int, array: Array) -> Array:
    made = again(array)
    return made[i] if isinstance(made, tuple) else made


def viewed(source: Tensor, results: tuple[Array, ...], again: Callable[[Array], Any]) -> tuple[Array, ...]:
    """Return the arrays of views of `source`; `results` are what `again` made from the source's array.

    If they are no views, because the order of memory does not allow it, or would be none in the order that the program
    sees, as after a reshape that copies, the source is settled, and they are made again.
    """
    if not results or not results[0].size:
        return results
    usual = seen(source)
    if share_memory(source._array, results[0]) and share_memory(usual, _part(again, 0, usual)):
        return results
    made = again(settle(source)._array)
    return made if isinstance(made, tuple) else (made,)


def settle(tensor: Any) -> Any:
    """Bring the memory of a tensor, and of all tensors that share it, into the order that the program sees."""
    if tensor._order is None:
        return tensor
    with _lock:
        order = tensor._order
        if order is None:  # another thread has done it
            return tensor
        memory = order.memory
        if memory is None:
            tensor._array, tensor._order = _usual(tensor._array), None
            return tensor
        memory.array = _usual(memory.array)
        for reference in memory.tensors:
            each = reference()
            if each is not None and each._order is not None and each._order.memory is memory:
                each._array, each._order = each._order.view(memory.array), None
    return tensor


def _usual(array: Array) -> Array:
    """Return a copy of an array in C order."""
    with on_device_of(array):
        return as_order(array, False) if array.ndim == 4 else contiguous(array)


def mark_like(gradient: Any, tensor: Any) -> Any:
    """Mark a recorded gradient whose order the program does not expect: that of its tensor; return the gradient."""
    if gradient is not None and gradient._order is None and seen(tensor).flags.c_contiguous:
        mark(gradient)
    return gradient


def seen(tensor: Tensor) -> Array:
    """Return an array with the strides that the program sees; its values are not the tensor's."""
    order = tensor._order
    if order is None:
        return tensor.array
    shape = tensor._array.shape if order.memory is None else order.memory.array.shape
    return order.view(np.empty(shape, tensor._array.dtype))  # pages that nobody touches cost nothing


def rows_first(array: Array) -> Array:
    """Return a copy for `contiguous()` of a view: C order, but axes that lie within rows of pixels stay there.

    So channels-last memory stays so when its channels are taken apart, reordered and joined again, as in ShuffleNet.
    """
    axes = sorted(range(array.ndim), key=lambda i: -array.strides[i])
    end = axes.index(array.ndim - 1) + 1 if array.ndim else 0
    order = (*sorted(axes[:end]), *sorted(axes[end:]))
    back = sorted(range(array.ndim), key=order.__getitem__)
    return array.transpose(order).copy("C").transpose(back)
