"""Samples of images at the places of a grid, of affine grids, and of distances in pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, Sample, Shape, apart


def looked_up(lib: Any, x: Any, grid: Any, **options: Any) -> Any:
    """Images at places between pixels, some of them outside."""
    return lib.nn.functional.grid_sample(x, grid.tanh() * 1.7, **options)


def between(rng: np.random.Generator, s: Shape) -> np.ndarray:
    return rng.standard_normal(s) * 0.7


def samples(mode: str, *shapes: Shape) -> list[Sample]:
    """Each way to continue the image, with and without align_corners."""
    return [
        S(*shapes, mode=mode, padding_mode=padding, align_corners=corners)
        for padding in ("zeros", "border", "reflection")
        for corners in (False, True)
    ]


OPS = {
    "grid_sample": Op(
        looked_up,
        [
            *samples("bilinear", (2, 3, 4, 5), (2, 3, 2, 2)),
            *samples("bilinear", (1, 2, 3, 4, 2), (1, 2, 3, 1, 3)),
            *samples("bicubic", (2, 2, 4, 5), (2, 2, 3, 2)),
            S((0, 2, 3, 3), (0, 2, 2, 2), align_corners=False),
        ],
        linear=(0,),
        draw=between,
    ),
    "grid_sample (nearest)": Op(
        looked_up, samples("nearest", (2, 3, 4, 5), (2, 3, 2, 2))[::3], linear=(0,), draw=between
    ),
    "affine_grid": Op(
        "nn.functional.affine_grid",
        [
            S((2, 2, 3), size=(2, 1, 3, 4), align_corners=True),
            S((2, 2, 3), size=(2, 1, 3, 1), align_corners=False),
            S((1, 3, 4), size=(1, 2, 3, 2, 4), align_corners=False),
        ],
        linear=(0,),
    ),
    "pdist": Op("nn.functional.pdist", [S((5, 3)), S((4, 2), p=1.0), S((3, 4), p=3.5), S((1, 3))], draw=apart),
}
