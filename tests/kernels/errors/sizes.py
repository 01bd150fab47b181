"""Errors of geometry/sizes.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

ERRORS: list[Error] = [
    (
        lambda: G.output_size(7, 3, 3, fit="strict"),
        ["conv2d", "(7 + 2*0 - 3) / 3 + 1 is not whole", "2.33", "1 of the 7"],
    ),
    (lambda: G.output_size(7, 3, 3, fit="strict"), ["Strides that fit: 1, 2, 4", "fit='floor'"]),
    (lambda: G.output_size(8, 3, 2, 1, 3, fit="strict"), ["(8 + 2*1 - (3*(3 - 1) + 1)) / 2 + 1 is not whole"]),
    (
        lambda: G.output_size(3, 5),
        ["conv2d", "height 3", "gives 3", "spans 5", "(3 + 2*0 - 5) / 1 + 1 < 1", "padding >= 1"],
    ),
    (lambda: G.output_size(2, 3, 1, 1, 3, side="width"), ["width 2 with padding 1", "spans 7", "padding >= 3"]),
    (lambda: G.output_size(7, 3, fit="round"), ["fit must be", "'round'"]),
    (lambda: G.pair((1, 2, 3), "conv2d", "stride", 1), ["conv2d: stride", "a pair of ints", "(1, 2, 3)"]),
    (lambda: G.pair(1.5, "conv2d", "stride", 1), ["conv2d: stride", "1.5"]),  # type: ignore[arg-type]
    (lambda: G.pair("34", "conv2d", "stride", 1), ["conv2d: stride", "'34'"]),  # type: ignore[arg-type]
    (lambda: G.pair((1, 0), "conv2d", "stride", 1), ["conv2d: stride must be at least 1", "(1, 0)"]),
    (lambda: G.pair(-1, "conv2d", "padding", 0), ["conv2d: padding must be at least 0", "-1"]),
    (
        lambda: G.broadcast("add", (2, 3), (4, 3)),
        ["add: shapes (2, 3) and (4, 3) do not broadcast", "equal or one of them 1"],
    ),
]
