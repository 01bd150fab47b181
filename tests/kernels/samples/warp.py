"""Samples of grids and of looking images up at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .foundation import Arguments, Sample, normal

Shape = tuple[int, ...]


def projective(count: int, oh: int, ow: int, affine: bool = False) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        matrices = np.eye(3) + 0.2 * rng.standard_normal((count, 3, 3))
        if affine:
            matrices[:, 2] = 0, 0, 1
        xs, ys = np.linspace(-1, 1, ow), np.linspace(-0.8, 0.9, oh)
        return matrices.astype(dtype), xs.astype(dtype), ys.astype(dtype)

    return make


def warp(shape: Shape, out: tuple[int, int], mode: str, filled: bool, spread: float = 0.7) -> Sample:
    """A grid over the image, its edges and the surroundings."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        grid = (spread * rng.standard_normal((shape[0], *out, 2))).astype(dtype)
        fill = normal(rng, dtype, (shape[1],)) if filled else None
        return normal(rng, dtype, shape), grid, mode, fill

    return make


def special(rng: np.random.Generator, dtype: Any) -> Arguments:
    """NaN and Inf in the image, and places that are none, or far away; corners, edges and centres exactly."""
    x = normal(rng, dtype, (1, 2, 3, 5))
    x[0, 0, 0, 0], x[0, 1, 2, 4], x[0, 0, 1, 2] = np.nan, np.inf, -np.inf
    places = [-1, -0.8, -0.4, 0, 0.2, 0.6, 1, np.nan, np.inf, -np.inf, 1e30, -3, -1.21, 1.19]
    grid = np.array([[[(gx, gy) for gx in places] for gy in places]], dtype)
    return x, grid, "bilinear", np.array([0.5, -2], dtype)


def special_nearest(rng: np.random.Generator, dtype: Any) -> Arguments:
    x, grid, _, fill = special(rng, dtype)
    return x, grid, "nearest", fill


SAMPLES: dict[str, list[Sample]] = {
    "warp grid": [
        projective(2, 3, 4),
        projective(3, 5, 2, affine=True),
        projective(1, 1, 1),
        projective(0, 3, 4),
        projective(2, 0, 4),
    ],
    "warp": [
        warp((2, 3, 5, 4), (4, 6), "bilinear", False),
        warp((2, 3, 5, 4), (4, 6), "bilinear", True),
        warp((2, 1, 4, 7), (3, 3), "nearest", True),
        warp((1, 2, 6, 3), (5, 2), "nearest", False),
        warp((1, 1, 1, 1), (4, 4), "bilinear", True, 2.0),
        warp((1, 3, 2, 9), (3, 4), "bilinear", True, 1.5),
        warp((0, 3, 5, 4), (4, 6), "bilinear", True),
        warp((2, 3, 5, 4), (0, 6), "bilinear", False),
        special,
        special_nearest,
    ],
}
