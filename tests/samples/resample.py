"""Samples of interpolation."""

from __future__ import annotations

from .table import Op, S, Sample

LINES = [("linear", (2, 3, 5)), ("bilinear", (2, 3, 4, 5)), ("trilinear", (1, 2, 3, 4, 2)), ("bicubic", (2, 2, 5, 4))]


def smooth() -> list[Sample]:
    """Larger, smaller, both (one along each axis), the same size, to one pixel, from one pixel; both align_corners."""
    found = []
    for mode, shape in LINES:
        axes = len(shape) - 2
        sizes = [(9, 7, 6), (2, 3, 2), (7, 2, 3), shape[2:], (1, 1, 1)]
        for size in (size[:axes] for size in sizes):
            found += [S(shape, size=size, mode=mode, align_corners=corners) for corners in (False, True)]
        found += [
            S((*shape[:2], *(1,) * axes), size=3, mode=mode),
            S(shape, scale_factor=1.7, mode=mode),  # computed with 1.7
            S(shape, scale_factor=1.7, mode=mode, recompute_scale_factor=True),  # with the quotient of the sizes
            S(shape, scale_factor=(0.6, 2.3, 1.5)[:axes], mode=mode, recompute_scale_factor=False),
            S((0, *shape[1:]), scale_factor=2, mode=mode),
        ]
    return found


OPS = {
    "interpolate": Op("nn.functional.interpolate", smooth(), linear=(0,)),
    "interpolate (nearest)": Op(
        "nn.functional.interpolate",
        [
            S(shape, **size, mode=mode)
            for mode in ("nearest", "nearest-exact", "area")
            for shape in ((2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 2, 4))
            for size in ({"size": 7}, {"size": 2}, {"scale_factor": 2}, {"scale_factor": 0.7}, {"scale_factor": 1.6})
        ]
        + [S((1, 2, 4, 3), size=(7, 2)), S((0, 2, 4, 3), size=(7, 2)), S((1, 1, 2, 2), scale_factor=(1.5, 3))],
        linear=(0,),
    ),
    "interpolate (antialias)": Op(
        "nn.functional.interpolate",
        [
            S((1, 2, 9, 7), **size, mode=mode, align_corners=corners, antialias=True)
            for mode in ("bilinear", "bicubic")
            for corners in (False, True)
            for size in ({"size": (3, 2)}, {"size": (4, 12)}, {"scale_factor": 0.45}, {"size": (9, 7)}, {"size": 1})
        ],
        linear=(0,),
    ),
}
