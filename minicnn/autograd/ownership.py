"""Adding up the gradients of one tensor, and deciding in which memory.

A tensor that is used twice gets a gradient from each use, and the chain rule asks for their sum. The sum is written
into one of the two arrays if the backward pass owns it, that is, if no other code holds that array. This must be
checked: `y = a + b` passes one array on to both a and b, the backward of `a * b` may return an array that it saved, and
a hook may keep an array. A leaf, too, keeps a gradient that is owned as its `.grad`, and copies one that is not.

The backward pass goes in steps. A step is (node, gys, gxs): the node whose backward has run, the gradients of its
results that it received, and the gradients of its inputs that it returned.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import memory
from minicnn_kernels.arrays import GPU_TYPES, on_device_of

from ..device import Meta
from ..memory_formats import is_dense
from . import engine
from .engine import Array, Node

Step = tuple[Node, Sequence[Array | None], Sequence[Array | None]]

add: Callable[..., Array] = np.add  # ops/tensor/arithmetic.py replaces it by a kernel that uses all cores


def total(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return the sum of two gradients of one tensor, in new memory or in `out`, which is one of them.

    Gradients that are recorded are tensors, and so is their sum.
    """
    if type(a) in GPU_TYPES:
        with on_device_of(a):
            return add(a, b, out=out)
    if isinstance(a, engine._tensor):
        return a + b
    return a if type(a) is Meta else add(a, b, out=out)


def copied(gradient: Array) -> Array:
    """Return a copy on the device of the gradient; of one that is recorded, itself."""
    if isinstance(gradient, engine._tensor):
        return gradient
    if type(gradient) in GPU_TYPES:
        with on_device_of(gradient):
            return gradient.copy()
    return gradient.copy()


class Pending:
    """The nodes that have still to run, and the sums of the gradients that have arrived for their results.

    Attributes:
        queue: the nodes, as a heap of (-number, node): the largest number comes first.
    """

    def __init__(self) -> None:
        self.queue: list[tuple[int, Node]] = []
        # for each result of a node, the gradient so far and whether it is owned
        self._arrived: dict[Node, tuple[list[Array | None], list[bool]]] = {}

    def add(self, edge: tuple[Node, int], gradient: Array, step: Step | None) -> None:
        """Add a gradient of a result of a node; `step` has computed it, or None if it came from the caller."""
        node, index = edge
        arrived = self._arrived.get(node)
        if arrived is None:
            count = len(node.outputs)
            arrived = self._arrived[node] = [None] * count, [False] * count
            heapq.heappush(self.queue, (-node.number, node))
        gys, are_owned = arrived
        before = gys[index]
        if before is None:
            gys[index] = gradient
            are_owned[index] = (
                step is not None and step[0].function.backward_allocates and not isinstance(gradient, engine._tensor)
            )
        else:
            into = before if are_owned[index] else gradient if owned(gradient, step) else None
            gys[index] = total(before, gradient, into if before.dtype == gradient.dtype else None)
            are_owned[index] = not isinstance(gradient, engine._tensor)

    def next(self) -> tuple[Node, list[Array | None]]:
        """Take out the next node, with the gradients of its results; from here on it may keep these."""
        node = heapq.heappop(self.queue)[1]
        return node, self._arrived.pop(node)[0]


def owned(gradient: Array, step: Step | None) -> bool:
    """Return whether nothing else uses the memory of a gradient that a step has computed.

    Some functions allocate every gradient that their backward returns. For the others we search all arrays that the
    step used: the gradient is owned if its memory occurs there only once, as this gradient. Arrays that the user's code
    keeps cannot be known.
    """
    if step is None or isinstance(gradient, engine._tensor):
        return False
    node, gys, gxs = step
    if node.function.backward_allocates or node.function.backward_is_users:
        return node.function.backward_allocates
    owner = _owner(gradient)  # images in channels_last order are a view of their memory
    if type(gradient) in GPU_TYPES:
        alone = is_dense(gradient)
    else:
        from_numpy_or_pool = owner.flags.owndata or isinstance(owner.base, memory.Owner)
        alone = from_numpy_or_pool and gradient.flags.writeable and owner.size == gradient.size
    if not alone:
        return False
    held = (*gxs, *gys, *(node._saved or ()), *vars(node).values())
    return sum([_owner(a) is owner for a in held if isinstance(a, type(gradient))]) == 1


def _owner(array: Array) -> Any:
    """Return the owner of the memory that an array shows: an array, or on a GPU CuPy's object of the memory."""
    if type(array) in GPU_TYPES:
        return array.data.mem  # type: ignore[attr-defined]
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
