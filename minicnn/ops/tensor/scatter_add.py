"""y[index] += v where an index may occur several times: the adjoint of taking elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minicnn_kernels.arrays import Array, xp
from minicnn_kernels.sums import add_rows


def add_at(y: Array, where: Sequence[int], indices: Sequence[Array], values: Array) -> None:
    """Add `values` to y[index], with `indices` for the axes `where`, and shapes as in NumPy's indexing."""
    common = np.broadcast_shapes(*(i.shape for i in indices))
    first = where[0] if where[-1] - where[0] == len(where) - 1 else 0
    sizes = [y.shape[axis] for axis in where]
    rest = [axis for axis in range(y.ndim) if axis not in where]
    rows = xp(y).zeros(common, np.intp)
    for index, size in zip(indices, sizes, strict=True):
        rows = rows * size + np.where(index < 0, index + size, index)
    moved = np.moveaxis(values, range(first, first + len(common)), range(len(common)))  # (common, rest)
    length = math.prod([y.shape[axis] for axis in rest])
    total = xp(y).zeros((math.prod(sizes), length), y.dtype)
    add_rows(total, rows.reshape(-1), moved.reshape(rows.size, length))
    front = y.transpose(*where, *rest)
    front += total.reshape(front.shape)
