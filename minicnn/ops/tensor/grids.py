"""Combinations of the elements of tensors: the points of a grid, pairs and larger groups."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError, fits, whole

from ...tensor import Tensor
from .concatenate import sequence, stack
from .expand import broadcast_tensors
from .linear_map import View
from .shape import RESHAPE, atleast_1d, reshape

__all__ = ["cartesian_prod", "combinations", "meshgrid"]


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: y_k[i_0, ..., i_n] = x_k[i_k]. `indexing="xy"` exchanges the first two axes.

    Raises:
        ShapeError: a tensor has more than one axis, or another type than the first.
        RuntimeError: `indexing` is neither "ij" nor "xy".

    >>> rows, columns = minicnn.meshgrid(minicnn.arange(2), minicnn.arange(3))
    >>> rows, columns
    (tensor([[0, 0, 0],
            [1, 1, 1]]), tensor([[0, 1, 2],
            [0, 1, 2]]))
    """
    given = sequence("meshgrid", tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors)
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    for x in given:
        if x.ndim > 1 or x.dtype != given[0].dtype:
            raise ShapeError(f"meshgrid: expected 0-d or 1-d tensors of one type, got {tuple(x.shape)} of {x.dtype}")
    lines = list(atleast_1d(given))
    swapped = indexing == "xy" and len(lines) > 1
    if swapped:
        lines[:2] = lines[1::-1]
    shaped = [
        View.apply(x, RESHAPE, (1,) * i + tuple(x.shape) + (1,) * (len(lines) - 1 - i)) for i, x in enumerate(lines)
    ]
    grids = list(broadcast_tensors(*shaped))
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Return all combinations of one element from each 1-d tensor: (n_0 n_1 ..., number of tensors).

    Raises:
        ShapeError: a tensor has not one axis.

    >>> minicnn.cartesian_prod(minicnn.tensor([1, 2]), minicnn.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    given = sequence("cartesian_prod", tensors)
    if any(x.ndim != 1 for x in given):
        raise ShapeError(f"cartesian_prod: expected 1-d tensors, got shapes {[tuple(x.shape) for x in given]}")
    return given[0] if len(given) == 1 else stack([reshape(grid, (grid.numel(),)) for grid in meshgrid(*given)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all combinations of `r` elements of a 1-d tensor, in order: (count, r).

    Raises:
        ShapeError: the tensor has not one axis, or `r` is negative.

    >>> minicnn.combinations(minicnn.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    r = whole(r, "combinations", "r")
    if input.ndim != 1 or r < 0:
        raise ShapeError(f"combinations: expected a 1-d tensor and r >= 0, got shape {tuple(input.shape)} and r={r}")
    n = input.shape[0]
    count = math.comb(n + r - 1 if n else 0, r) if with_replacement else 0 if r > n else math.comb(n, r)
    fits("combinations", (count + 1, r), 64)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.shape[0]), r)) if r else []
    return input[np.array(rows, np.int64).reshape(len(rows), r)] if r else input[:0]
