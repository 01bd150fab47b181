"""Images looked up at the places of a grid, as arrays and without a gradient: what transforms of images run on.

The images are those of a loader, on the CPU. So the backend that a program has chosen for its net does not count here.
"""

from __future__ import annotations

import numpy as np

from minicnn_kernels import warp as kernels
from minicnn_kernels.dispatch import usual_backend

__all__ = ["projective_grid", "warped"]


def projective_grid(matrices: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """The grids (N, OH, OW, 2) of the maps with matrices (N, 3, 3), at outputs with coordinates xs (OW,) and ys (OH,).

        (a, b, c) = M[n] (xs[j], ys[i], 1)        grid[n, i, j] = (a / c, b / c)

    >>> from minicnn.ops.warp import projective_grid
    >>> projective_grid(np.diag([2.0, 1, 1])[None], np.array([-0.5, 0.5]), np.array([0.25]))
    array([[[[-1.  ,  0.25],
             [ 1.  ,  0.25]]]])
    """
    return kernels.GRID(matrices, xs, ys, backend=usual_backend())


def warped(x: np.ndarray, grid: np.ndarray, mode: str, fill: np.ndarray | None = None) -> np.ndarray:
    """The images x (N, C, H, W) at the places of a grid (N, OH, OW, 2), in half widths and heights from the middle.

    Args:
        mode: "bilinear" or "nearest".
        fill: the colour (C,) of what is outside the image; None takes 0 there.

    Raises:
        ValueError: shapes that do not fit.

    >>> from minicnn.ops.warp import warped
    >>> warped(np.array([[[[1.0, 3.0]]]]), np.array([[[[0.0, 0.0], [0.5, 0.0]]]]), "bilinear")
    array([[[[2., 3.]]]])
    """
    if x.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or len(grid) != len(x) or 0 in x.shape[2:]:
        raise ValueError(
            f"warped: images (N, C, H, W) with H, W > 0 need a grid (N, OH, OW, 2), the shapes are {x.shape} and "
            f"{grid.shape}"
        )
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"warped: mode should be 'bilinear' or 'nearest', got {mode!r}")
    if fill is not None and fill.shape != x.shape[1:2]:
        raise ValueError(f"warped: fill should have {x.shape[1]} values, one per channel, its shape is {fill.shape}")
    return kernels.WARP(x, grid, mode, fill, backend=usual_backend())
