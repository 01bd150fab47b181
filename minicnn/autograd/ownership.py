"""Gradients that meet are added up; here is where, and in whose memory.

A tensor that is used twice gets a gradient from each use, and the chain rule asks for their sum. It is written into
one of the two where that is allowed: where nobody else holds the array. `y = a + b` passes one array on to both a and
b, the backward of `a * b` may give something that it saved, a hook may keep what it was shown. The same question
decides whether a leaf may keep a gradient as its `.grad` or has to copy it.

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
        self._sums: dict[Node, list[Array | None]] = {}
        self._owned: dict[int, Array] = {}  # those of the sums that nobody else holds, by id

    def add(self, edge: tuple[Node, int], gradient: Array, step: Step | None) -> None:
        """Take a gradient of one result of a node; `step` has given it, or None for one from outside."""
        node, index = edge
        sums = self._sums.get(node)
        if sums is None:
            sums = self._sums[node] = [None] * len(node.outputs)
            heapq.heappush(self.queue, (-node.number, node))
        before = sums[index]
        if before is None:
            sums[index] = gradient
            if step is not None and step[0].function.backward_allocates:
                self._owned[id(gradient)] = gradient
            return
        into = self._owned.pop(id(before), None)
        if into is None and owned(gradient, step):
            into = gradient
        sums[index] = both = total(before, gradient, into if before.dtype == gradient.dtype else None)
        self._owned[id(both)] = both

    def next(self) -> tuple[Node, list[Array | None]]:
        """Take out the first node with the gradients of its results, which from here on it may hold."""
        node = heapq.heappop(self.queue)[1]
        sums = self._sums.pop(node)
        for gradient in sums:
            self._owned.pop(id(gradient), None)
        return node, sums


def owned(gradient: Array, step: Step | None) -> bool:
    """Whether nobody else holds the memory of a gradient that a step has given.

    Some functions allocate every gradient that their backward gives. For the others the memory is looked for among all
    that the step had in its hands: it is nobody else's if it is there once, as this gradient. What code of the user
    holds cannot be known.
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
