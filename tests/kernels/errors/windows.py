"""Errors of geometry/windows.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

ERRORS: list[Error] = [
    (lambda: G.pool2d((5, 5), 2), ["max_pool2d: input must be 4-d (N, C, H, W) or 3-d (C, H, W)", "(5, 5)", "reshape"]),
    (lambda: G.pool2d((5,), 2, op="max_pool1d", dims=1), ["max_pool1d: input must be 3-d (N, C, L) or 2-d (C, L)"]),
    (lambda: G.pool2d((2, 3, 0, 4), 2, padding=1), ["max_pool2d: Expected 3D or 4D", "(2, 3, 0, 4)"]),
    (lambda: G.pool2d((2, 0, 4, 4), 2), ["max_pool2d: Expected 3D or 4D", "non-zero size", "(2, 0, 4, 4)"]),
    (lambda: G.pool2d((1, 3, 5), (2, 2), dims=1), ["kernel_size must be an int or a tuple of one, got (2, 2)"]),
    (lambda: G.pool2d((1, 3, 5), 6, op="max_pool1d", dims=1), ["max_pool1d: the window is larger", "length 5"]),
    (lambda: G.pool2d((1, 3, 5, 5), 0, op="avg_pool2d"), ["avg_pool2d: kernel_size must be greater than zero"]),
    (lambda: G.pool2d((1, 3, 5, 5), 3, padding=(2, 0)), ["max_pool2d: padding (2, 0)", "half of kernel_size (3, 3)"]),
    (lambda: G.pool2d((1, 3, 5, 5), (4, 3), padding=(2, 2)), ["max_pool2d: padding (2, 2)", "kernel_size (4, 3)"]),
    (
        lambda: G.pool2d((1, 3, 5, 5), 3, padding=2),
        ["max_pool2d: padding (2, 2)", "half of kernel_size (3, 3)", "pad the"],
    ),
    (
        lambda: G.pool2d((1, 3, 5, 5), 2, op="avg_pool2d", fit="strict"),
        ["avg_pool2d", "(5 + 2*0 - 2) / 2 + 1 is not whole"],
    ),
    (lambda: G.adaptive_pool2d((3, 5), 2), ["adaptive_avg_pool2d: input must be 4-d", "(3, 5)"]),
    (lambda: G.adaptive_pool2d((3, 0, 5), 2), ["adaptive_avg_pool2d: Expected 3D or 4D", "(3, 0, 5)"]),
    (lambda: G.adaptive_pool2d((3, 5, 5), (2,)), ["adaptive_avg_pool2d: output_size must be an int or a pair", "(2,)"]),
    (lambda: G.adaptive_pool2d((3, 5, 5), 2**31), ["adaptive_avg_pool2d: a result of shape", "bytes"]),
    (
        lambda: G.max_unpool2d((1, 2, 2), (1, 2, 2), 2, size=(1, 2, 3, 4, 5)),
        ["max_unpool2d: output_size must have 2 or 4"],
    ),
    (lambda: G.adaptive_pool2d((3, 5, 5), -1), ["adaptive_avg_pool2d: output_size must be at least 0"]),
    (
        lambda: G.fractional_pool((1, 2, 5, 6), (2, 3), 5),
        ["fractional_max_pool2d: 5 x 5 windows of 2 x 3 do not fit into 5 x 6", "at most 4 x 4"],
    ),
    (lambda: G.fractional_pool((1, 5, 6), (2,), 2), ["kernel_size must either be a single int or 2 ints", "(2,)"]),
    (lambda: G.fractional_pool((5, 6), 2, 2), ["Expected input (N, C, H, W) or (C, H, W)", "(5, 6)"]),
    (
        lambda: G.max_unpool2d((1, 2, 3, 3), (1, 2, 3, 2), 2),
        ["max_unpool2d: indices must have the shape of the input, (1, 2, 3, 3), got (1, 2, 3, 2)"],
    ),
    (
        lambda: G.max_unpool2d((1, 2, 3, 3), (1, 2, 3, 3), 2, size=(8, 7)),
        ["max_unpool2d: output_size (8, 7) does not pool to (3, 3)", "from (6, 6) by less than the stride (2, 2)"],
    ),
    (
        lambda: G.max_unpool2d((1, 2, 3), (1, 2, 3), 2, size=(4, 6), op="max_unpool1d", dims=1),
        ["max_unpool1d: output_size must have 1 or 3 entries, got (4, 6)"],
    ),
    (
        lambda: G.max_unpool2d((2, 1, 1), (2, 1, 1), 1, padding=2),
        ["max_unpool2d: padding (2, 2) leaves an output of (-3, -3)"],
    ),
]
