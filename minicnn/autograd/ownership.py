"""Gradients that meet are added up; here is where, and in whose memory.

A tensor that is used twice gets a gradient from each use, and the chain rule asks for their sum. It is written into
one of the two if the backward pass owns it, that is, if no other code holds the array: `y = a + b` passes one array on
to both a and b, the backward of a function may give an array that it saved, a hook may keep the one it was shown. A
leaf, too, keeps a gradient that is owned as its `.grad`, and copies one that is not.

The backward pass goes in steps. A step is (node, gys, gxs): the node whose backward has run, the gradients of its
results that it was given, and those of its inputs that it gave.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import memory

from ..device import Meta
from .engine import Array, Node

Step = tuple[Node, Sequence[Array | None], Sequence[Array | None]]

add: Callable[..., Array] = np.add  # ops/arithmetic.py, which may call kernels, enters one that uses all cores


def total(a: Array, b: Array, out: Array | None = None) -> Array:
    """Two gradients of one tensor, together, in new memory or in that of `out`, which is one of them."""
    return a if type(a) is Meta else add(a, b, out=out)


class Pending:
    """The nodes whose turn is to come, and the gradients that have arrived for their results, added up.

    Attributes:
        queue: the nodes, as a heap of (-number, node): the largest number comes first.
    """

    def __init__(self) -> None:
        self.queue: list[tuple[int, Node]] = []
        # for each result of a node, the gradient so far and whether it is owned
        self._arrived: dict[Node, tuple[list[Array | None], list[bool]]] = {}

    def add(self, edge: tuple[Node, int], gradient: Array, step: Step | None) -> None:
        """Take a gradient of one result of a node; `step` has given it, or None for one from outside."""
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
            are_owned[index] = step is not None and step[0].function.backward_allocates
        else:
            into = before if are_owned[index] else gradient if owned(gradient, step) else None
            gys[index] = total(before, gradient, into if before.dtype == gradient.dtype else None)
            are_owned[index] = True

    def next(self) -> tuple[Node, list[Array | None]]:
        """Take out the first node with the gradients of its results, which from here on it may hold."""
        node = heapq.heappop(self.queue)[1]
        return node, self._arrived.pop(node)[0]


def owned(gradient: Array, step: Step | None) -> bool:
    """Whether no other code holds the memory of a gradient that a step has given.

    Some functions allocate every gradient that their backward gives. For the others, the memory is looked for among all
    arrays that the step has used: the gradient is owned if that memory is found once, as this gradient. What the user's
    own code holds cannot be known.
    """
    if step is None:
        return False
    node, gys, gxs = step
    if node.function.backward_allocates or node.function.backward_is_users:
        return node.function.backward_allocates
    owner = _owner(gradient)  # images in channels-last order are a view of their memory
    if not (owner.flags.owndata or isinstance(owner.base, memory.Owner)):
        return False
    if not gradient.flags.writeable or owner.size != gradient.size:
        return False
    held = (*gxs, *gys, *(node._saved or ()), *vars(node).values())
    return sum([_owner(a) is owner for a in held if isinstance(a, np.ndarray)]) == 1


def _owner(array: Array) -> Any:
    """The array that a view is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
