"""Pooling and its gradient, number by number.

    average   y[n, c, i, j] = sum of x over the window / count     gx = sum of gy / count over all windows
    largest   y[n, c, i, j] = max of x over the window             gx = sum of gy over the windows that took the pixel

Windows as in `windows.py`; those of adaptive pooling have different sizes. Letters:
`minicnn_kernels/conv2d/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import Pool

from ..tensor import Tensor, array_of
from .convolution import at, trained
from .sums import Factor, Sum, constant, factor, number
from .windows import window_map


@dataclass(frozen=True)
class PoolTrace:
    """A pooling as the kernels that train computed it, and its windows.

    Attributes:
        x, y: images (N, C, H, W) and the result (N, C, OH, OW).
        gy, gx: an upstream gradient, and the gradient for it.
        rows, columns: (OH, KH) and (OW, KW), the pixels of the windows; -1 outside.
        counts: (OH, OW), what a sum is divided by; None: the largest value is taken.
        taken: (N, C, OH, OW), where in an image the largest value was, p*W + q; None for an average.
    """

    x: Array
    y: Array
    gy: Array
    gx: Array
    rows: Array
    columns: Array
    counts: Array | None
    taken: Array | None

    def output(self, *cell: int) -> Sum:
        """The sum that is y[n, c, i, j]; for the largest value, a single term."""
        n, c, i, j = at("y", self.y, cell)
        word = "sum" if self.taken is None else "largest"
        if self.taken is not None:
            p, q = divmod(int(self.taken[n, c, i, j]), self.x.shape[3])
            left, right = factor("x", self.x, [np.array([k]) for k in (n, c, p, q)]), constant("1", 1, 1)
        else:
            assert self.counts is not None
            p, q = (a.ravel() for a in np.broadcast_arrays(self.rows[i][:, None], self.columns[j]))
            left = factor("x", self.x, (np.full_like(p, n), np.full_like(p, c), p, q))
            right = constant(f"1/{number(self.counts[i, j])}", 1 / self.counts[i, j], p.size)
        return Sum("y", (n, c, i, j), left, right, self.y[n, c, i, j], word=word)

    def input_gradient(self, *cell: int) -> Sum:
        """The sum that is gx[n, c, p, q]."""
        n, c, p, q = at("gx", self.x, cell)
        i, j = self.windows_of(p, q)
        weights = np.ones(i.size) if self.counts is None else 1 / self.counts[i, j]
        if self.taken is not None:
            took = self.taken[n, c, i, j] == p * self.x.shape[3] + q
            i, j, weights = i[took], j[took], weights[took]
        left = factor("gy", self.gy, (np.full_like(i, n), np.full_like(i, c), i, j))
        name = "1" if self.counts is None else "1/count"
        return Sum("gx", (n, c, p, q), left, Factor(name, np.zeros((i.size, 0), int), weights), self.gx[n, c, p, q])

    def windows_of(self, p: int, q: int) -> tuple[Array, Array]:
        """(i, j) of all windows that have a pixel, as two flat arrays."""
        i, j = np.unique(np.nonzero(self.rows == p)[0]), np.unique(np.nonzero(self.columns == q)[0])
        i, j = (a.ravel() for a in np.meshgrid(i, j, indexing="ij"))
        return i, j


def pool_trace(run: Callable[[Tensor], Tensor], x: Tensor, g: Pool, taken: Tensor | None, grad: Any) -> PoolTrace:
    """Run a pooling and its backward pass by the kernels that train, and find its windows.

    Args:
        run: the pooling, a function of x.
        x: (N, C, H, W).
        g: its geometry.
        taken: the indices of `return_indices=True`, for the largest value; None for an average.
        grad: the upstream gradient; None for ones.
    """
    images, _, _, y, gy, gx, _ = trained(lambda x, w, b: run(x), x, None, None, grad)
    if g.adaptive:
        rows, columns = adaptive_map(g.h, g.oh), adaptive_map(g.w, g.ow)
    else:
        rows = window_map(g.oh, g.kh, g.sh, g.ph, g.dh, g.h)
        columns = window_map(g.ow, g.kw, g.sw, g.pw, g.dw, g.w)
    counts = None
    if taken is None:  # of an image of ones, a window gives (pixels inside) / count
        inside = (rows >= 0).sum(1)[:, None] * (columns >= 0).sum(1)
        counts = inside / array_of(run(x.new_ones((1, 1, g.h, g.w))))[0, 0]
    return PoolTrace(images, y, gy, gx, rows, columns, counts, None if taken is None else array_of(taken))


def adaptive_map(size: int, windows: int) -> Array:
    """The pixels of windows from floor(i size / windows) to before ceil((i + 1) size / windows); -1 after the last."""
    first = [i * size // windows for i in range(windows)]
    end = [-(-(i + 1) * size // windows) for i in range(windows)]
    cells = np.arange(max(e - f for f, e in zip(first, end, strict=True)))
    found = np.array(first)[:, None] + cells
    return np.where(found < np.array(end)[:, None], found, -1)
