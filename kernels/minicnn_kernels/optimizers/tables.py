"""Many tensors in one launch on a GPU: tables of their addresses.

A launch takes several microseconds, and a net has many small tensors. So an update is one launch for all of them. A
block of it works on a piece of one tensor, and finds in tables what to do:

    tensors (blocks)    the number of the block's tensor
    pieces (blocks)     the number of its piece in the tensor; a piece has PIECE elements
    sizes (K)           how many elements each of the K tensors has
    addresses (K)       of the parameters, of their gradients, and of each kind of buffer: an array for each

They are uploaded when the arrays have changed, and the addresses of the gradients when these have. In most programs a
gradient gets the same memory in each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array, address, beside, on_gpu
from ..cuda import BLOCK, EACH, launch_blocks, scalar
from .places import in_order, order, spans, together, touches

PIECE = BLOCK * EACH


class Tables:
    """The tables of the parameters of a `Weights` and of their buffers.

    Attributes:
        plain: the indices of the tensors that a launch can update.
        rest: the indices of the other tensors.
    """

    def __init__(self, xs: list[Array], buffers: list[list[Array]]) -> None:
        self.plain = together(xs, buffers)
        self.rest = {*range(len(xs))}.difference(self.plain)
        self._written = [[kind[i] for i in self.plain] for kind in (xs, *buffers)]
        self._orders = [order(x) for x in self._written[0]]
        self._spans = spans([a for kind in (xs, *buffers) for a in kind])
        self._sizes = np.array([x.size for x in self._written[0]], np.int64)
        self._uploaded: dict[int, list[Array]] = {}  # for each stream, since no other waits for the copy
        self._gradients: tuple[int, list[int], Array] = 0, [], np.empty(0)  # their stream, addresses and table

    def launch(self, file: str, kernel: str, kinds: int, gradients: Sequence[Array], numbers: tuple[Any, ...]) -> bool:
        """Update the plain tensors, as `kernel(tensors, pieces, sizes, xs, gradients, buffers ..., numbers ...)`.

        Args:
            file, kernel: the kernel, without the template argument.
            kinds: of how many kinds of buffer the kernel gets addresses; null pointers for those that are not there.
            gradients: of all parameters.
            numbers: the hyperparameters.

        Returns:
            False if nothing is done, since a gradient overlaps an array that is written: then the order matters.
        """
        gs = self._lines(gradients)
        if gs is None:
            return False
        like = self._written[0][0]
        stream = arrays.gpu().cuda.get_current_stream().ptr if on_gpu(like) else 0
        table = self._table(gs, stream)
        if table is None:
            return False
        if stream not in self._uploaded:
            self._uploaded[stream] = [beside(a, like) for a in self._made()]
        tensors, pieces, sizes, xs, *buffers = self._uploaded[stream]
        missing = [None] * (kinds - len(buffers))
        values = [value if isinstance(value, bool) else float(value) for value in numbers]
        launch_blocks(
            file, f"{kernel}<{scalar(like)}>", tensors.shape, (BLOCK,), tensors, pieces, sizes, xs, table, *buffers,
            *missing, *values, through=[a for kind in (*self._written, gs) for a in kind],
        )  # fmt: skip
        return True

    def _made(self) -> list[Array]:
        """The tables, except that of the gradients."""
        counts = -(-self._sizes // PIECE)
        tensors = np.repeat(np.arange(len(counts)), counts)
        pieces = np.arange(len(tensors)) - (np.cumsum(counts) - counts)[tensors]
        addresses = [np.array(list(map(address, kind)), np.int64) for kind in self._written]
        return [tensors.astype(np.int32), pieces.astype(np.int32), self._sizes, *addresses]

    def _lines(self, gradients: Sequence[Array]) -> list[Array] | None:
        """The gradients of the plain tensors, in the memory order and of the type of their parameters.

        The result is None if a gradient of the rest, or one that would be copied, overlaps a written array.
        """
        if any(touches(self._spans, gradients[i]) for i in self.rest):
            return None
        found, dtype = [], self._written[0][0].dtype
        for i, axes in zip(self.plain, self._orders, strict=True):
            line = in_order(gradients[i], axes)
            if line.dtype != dtype or not line.flags.c_contiguous or address(line) % line.itemsize:
                if touches(self._spans, line):
                    return None
                line = line.astype(dtype, order="C")
            found.append(line)
        return found

    def _table(self, gs: list[Array], stream: int) -> Array | None:
        """The addresses of the gradients; None if one of them overlaps a written array."""
        addresses = list(map(address, gs))
        if self._gradients[:2] != (stream, addresses):
            begins = np.array(addresses, np.int64)
            before = np.searchsorted(self._spans[0], begins + self._sizes * gs[0].itemsize) - 1
            if ((before >= 0) & (self._spans[1, before] > begins)).any():
                return None
            self._gradients = stream, addresses, beside(begins, gs[0])
        return self._gradients[2]
