"""The arrays that an update changes: parameters and their buffers, for all tensors of a net together.

A net has many small tensors: eight of the ten tensors of LeNet-5 have fewer than 3000 numbers. With one call for each
tensor, Python takes several times as long as the arithmetic. So a compiled update is one call, which gets the addresses
of all tensors. The addresses are looked up once and kept in `Addresses`, as long as the arrays are the same; only those
of the gradients are looked up in each step.

Some tensors cannot be part of this call (`places.py`). They are updated one by one, in NumPy. On a GPU the one call is
a launch, and the addresses are in `Tables`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..arrays import GPU_TYPES, Array, writeable
from ..layout import as_order
from ..runtime import parallel, threads
from .places import in_order, order, spans, together, touches
from .tables import Tables

LARGE = 1 << 15  # from this many elements on it pays to wake the threads, which takes about 5 microseconds

_CHANNELS_LAST = 0, 2, 3, 1  # the axes of (N, C, H, W) as they lie in channels-last memory
_first_byte: Any = ctypes.c_char.from_buffer  # the first byte of an array, which must be C-contiguous and writable
_shape, _dtype, _flag = attrgetter("shape"), attrgetter("dtype"), attrgetter("flags.writeable")


class Weights:
    """The parameters of one update and their buffers.

    The memory of an array does not move unless the array is resized. So a `Weights` can be used for many steps, as long
    as `holds` and `holds_buffers` say that the arrays are the same objects with the same shapes.

    Args:
        xs: the arrays of the parameters.
        buffers: for each kind of buffer of the update, its arrays for all parameters.
    """

    def __init__(self, xs: Sequence[Array], *buffers: Sequence[Array]) -> None:
        self.xs, self.buffers = list(xs), [list(arrays) for arrays in buffers]
        self._shapes = [x.shape for x in xs]
        self._addresses: Addresses | None = None
        self._tables: Tables | None = None
        self._parts: dict[tuple[int, int], Weights] = {}

    def holds(self, xs: list[Array], gradients: list[Array]) -> bool:
        """Whether these are the same arrays of the parameters as before, and the gradients have their shapes."""
        same = _same(xs, self.xs) and list(map(_shape, xs)) == self._shapes == list(map(_shape, gradients))
        return same and _writable(xs)

    def holds_buffers(self, buffers: list[list[Array]]) -> bool:
        """Whether these are the same buffers as before."""
        if len(buffers) != len(self.buffers) or not all(map(_same, buffers, self.buffers)):
            return False
        return all(list(map(_shape, arrays)) == self._shapes and _writable(arrays) for arrays in buffers)

    def part(self, begin: int, end: int) -> Weights:
        """The parameters from `begin` to before `end`, and their buffers; the result is kept for later calls."""
        if (begin, end) == (0, len(self.xs)):
            return self
        found = self._parts.get((begin, end))
        if found is None:
            found = Weights(self.xs[begin:end], *(arrays[begin:end] for arrays in self.buffers))
            self._parts[begin, end] = found
        return found

    def with_gradients(self, gradients: Sequence[Array]) -> Iterator[list[Array]]:
        """[x, g, *buffers] of each parameter."""
        return map(list, zip(self.xs, gradients, *self.buffers, strict=True))

    def update_each(self, update_one: Callable[..., None], gradients: Sequence[Array], numbers: Any) -> None:
        """Update one tensor after the other: `update_one([x, g, *buffers], numbers)`."""
        with np.errstate(all="ignore"):
            for arrays in self.with_gradients(gradients):
                update_one(arrays, numbers)

    def update_all(
        self,
        update: Callable[..., bool],
        update_one: Callable[..., None],
        gradients: Sequence[Array],
        numbers: Any,
    ) -> None:
        """Update all possible tensors in one compiled call, and then the others one by one.

        If a gradient overlaps an array that is written, the order of the tensors matters; then all are updated one by
        one.

        Args:
            update: the compiled update, called as `update(shares, like, table, spans, gradients, numbers)`, with the
                arrays of `addresses.py`; if a gradient overlaps a written array, it does nothing and returns False.
            update_one: updates one tensor, called as `update_one([x, g, *buffers], numbers)`.
            gradients: the gradients of all tensors.
            numbers: the hyperparameters.
        """
        at = self._addresses
        if at is None:
            at = self._addresses = Addresses(self.xs, self.buffers)
        done = True
        if at.plain:
            found = at.gradients(gradients)
            done = found is not None
            if found is not None:
                _lines, addresses = found  # `_lines`, some of them copies, must live until the end of the call
                with parallel():
                    shares = 1 if at.total < LARGE else threads()
                    done = update(shares, at.like, at.table, at.spans, addresses, numbers)
        self._update_rest(at.rest if done else range(len(self.xs)), update_one, gradients, numbers)

    def update_in_one_launch(
        self,
        file: str,
        kernel: str,
        kinds: int,
        update_one: Callable[..., None],
        gradients: Sequence[Array],
        numbers: Any,
    ) -> None:
        """Update all possible tensors in one launch of a kernel (`Tables.launch`), then the others one by one."""
        at = self._tables
        if at is None:
            at = self._tables = Tables(self.xs, self.buffers)
        done = not at.plain or at.launch(file, kernel, kinds, gradients, numbers)
        self._update_rest(at.rest if done else range(len(self.xs)), update_one, gradients, numbers)

    def _update_rest(
        self, rest: Collection[int], update_one: Callable[..., None], gradients: Sequence[Array], numbers: Any
    ) -> None:
        if rest:
            with np.errstate(all="ignore"):
                for i, arrays in enumerate(self.with_gradients(gradients)):
                    if i in rest:
                        update_one(arrays, numbers)


class Addresses:
    """The addresses of the parameters of a `Weights` and of their buffers.

    Attributes:
        plain: the indices of the tensors that a compiled call can update.
        rest: the indices of the other tensors.
        like, table, spans: the tables of the plain tensors, as in `addresses.py`.
        total: the number of elements of the plain tensors.
    """

    def __init__(self, xs: list[Array], buffers: list[list[Array]]) -> None:
        written = list(zip(xs, *buffers, strict=True))
        self.plain = together(xs, buffers)
        self.rest = {*range(len(xs))}.difference(self.plain)
        if self.plain:
            self.orders = [order(xs[i]) for i in self.plain]
            self.transposes = any(self.orders)
            self.like: Array = np.empty(0, xs[self.plain[0]].dtype)
            self.dtypes = [self.like.dtype] * len(self.plain)
            sizes = np.array([xs[i].size for i in self.plain], np.int64)
            self.total = int(sizes.sum())
            places = np.array([[a.ctypes.data for a in written[i]] for i in self.plain], np.int64)
            self.table = np.vstack([sizes, np.cumsum(sizes) - sizes, places.T])
            self.spans = spans([a for arrays in written for a in arrays])

    def gradients(self, gs: Sequence[Array]) -> tuple[list[Array], Array] | None:
        """The gradients of the plain tensors in the memory order of their parameters, and their addresses.

        A gradient in another memory order or of another type is copied. The result is None if a gradient of the rest,
        or one that would be copied, overlaps a written array, so that it might change before it is used.
        """
        if self.rest:
            if any(touches(self.spans, gs[i]) for i in self.rest):
                return None
            gs = [gs[i] for i in self.plain]
        lines = list(gs)
        if self.transposes:
            lines = [in_order(g, axes) for g, axes in zip(gs, self.orders, strict=True)]
        if list(map(_dtype, gs)) == self.dtypes:
            try:
                addresses = [
                    ctypes.addressof(_first_byte(line)) for line in lines
                ]  # a quarter of the time of `.ctypes`
                return lines, np.array(addresses, np.int64)
            except TypeError:  # not contiguous, or read-only
                pass
        for i, (g, axes) in enumerate(zip(gs, self.orders, strict=True)):
            if g.dtype == self.like.dtype and lines[i].flags.c_contiguous:
                continue
            if touches(self.spans, g):
                return None
            g = g.astype(self.like.dtype, casting="same_kind", copy=False)
            if axes in (None, _CHANNELS_LAST):
                g = as_order(g, axes == _CHANNELS_LAST)
            lines[i] = np.ascontiguousarray(in_order(g, axes))
        return lines, np.array([line.ctypes.data for line in lines], np.int64)


def _same(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(found) == len(expected) and all(map(is_, found, expected))


def _writable(arrays: list[Array]) -> bool:
    """Whether all arrays may be written to; on a GPU they have no flag that says so."""
    return all(map(writeable, arrays)) if GPU_TYPES else all(map(_flag, arrays))
