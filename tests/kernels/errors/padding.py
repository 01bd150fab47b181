"""Errors of geometry/padding.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

ERRORS: list[Error] = [
    (lambda: G.pad((2, 3), 5, "constant"), ["pad: the padding must be a list of ints, got 5 (int)"]),  # type: ignore[arg-type]
    (lambda: G.pad((2, 3), (1.5, 1), "constant"), ["pad: the padding must be a list of ints", "1.5"]),  # type: ignore[list-item]
    (lambda: G.pad((2, 3), (1,), "constant"), ["pad: [1] must have two numbers (before, after)", "2 axes of (2, 3)"]),
    (lambda: G.pad((3,), (1, 1, 1, 1), "constant"), ["pad: [1, 1, 1, 1]", "at most 1 axes"]),
    (lambda: G.pad((3,), (1, 1), "reflect"), ["pad: mode 'reflect' pads the last 1, 2 or 3", "[1, 1]", "(3,)"]),
    (lambda: G.pad((2, 2, 2, 3), (1, 1), "circular"), ["pad: mode 'circular' pads", "reshape"]),
    (lambda: G.pad((2, 0, 3), (1, 1), "replicate"), ["pad: mode 'replicate'", "only the batch may be empty"]),
    (lambda: G.pad((2, 3), (-2, -2), "constant"), ["pad: [-2, -2] leaves nothing of (2, 3): 3 + -2 + -2"]),
    (lambda: G.pad((2, 3), (-3, 0), "replicate"), ["pad: [-3, 0] leaves nothing"]),
    (lambda: G.pad((2, 3), (-4, 5), "constant"), ["pad: [-4, 5] leaves nothing"]),
    (lambda: G.pad((2, 3), (3, 0), "reflect"), ["pad: mode 'reflect' adds at most 2 pixels", "[3, 0]"]),
    (lambda: G.pad((2, 3), (0, 4), "circular"), ["pad: mode 'circular' adds at most the 3 pixels", "[0, 4]"]),
]
