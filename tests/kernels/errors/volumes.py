"""Errors of geometry/volumes.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

X, W = (1, 2, 4, 5, 6), (3, 2, 2, 3, 3)
ERRORS: list[Error] = [
    (lambda: G.conv3d(X[1:], W), ["conv3d: input must be 5-d (N, C, D, H, W)", "(2, 4, 5, 6)", "reshape"]),
    (
        lambda: G.conv3d((1, 4, 5, 6, 2), W),
        ["conv3d: weight (3, 2, 2, 3, 3) expects 2 input channels", "(N, D, H, W, C)", "x.permute(0, 4, 1, 2, 3)"],
    ),
    (lambda: G.conv3d(X, (3, 2, 5, 3, 3)), ["conv3d: the window is larger than the input: depth 4", "spans 5"]),
    (lambda: G.conv3d(X, W, stride=(1, 2)), ["conv3d: stride must be an int or three ints (depth,", "(1, 2)"]),
    (
        lambda: G.conv_transpose3d(X, (2, 3, 2, 3, 3), output_padding=(0, 0, 1)),
        ["conv_transpose3d: output_padding (0, 0, 1) must be smaller than the stride 1"],
    ),
    (
        lambda: G.conv_transpose3d(X, (2, 3, 2, 3, 3), padding=(3, 1, 1)),
        ["conv_transpose3d: input (1, 2, 4, 5, 6) gives an output of depth -1", "less padding than (3, 1, 1)"],
    ),
    (lambda: G.same_padding3d((3, 3, 3), (1, 2, 1), 1), ["conv3d: padding='same' keeps the size only with stride 1"]),
    (lambda: G.pool3d((2, 3), 2), ["max_pool3d: input must be 5-d (N, C, D, H, W) or 4-d (C, D, H, W)", "(2, 3)"]),
    (lambda: G.pool3d((2, 0, 3, 3, 3), 2), ["max_pool3d: Expected 4D or 5D", "non-zero size", "(2, 0, 3, 3, 3)"]),
    (
        lambda: G.pool3d(X, (3, 4, 4), padding=2),
        ["max_pool3d: padding (2, 2, 2) must be at most half of kernel_size (3, 4, 4)", "pad the input"],
    ),
    (lambda: G.adaptive_pool3d(X, (2, 3)), ["adaptive_avg_pool3d: output_size must be an int or three", "(2, 3)"]),
    (
        lambda: G.max_unpool3d(X, (1, 2, 4, 5, 5), 2),
        ["max_unpool3d: indices must have the shape of the input, (1, 2, 4, 5, 6), got (1, 2, 4, 5, 5)"],
    ),
    (
        lambda: G.max_unpool3d(X, X, 2, size=(8, 10)),
        ["max_unpool3d: output_size must have 3 or 5 entries, got (8, 10)"],
    ),
    (
        lambda: G.max_unpool3d(X, X, 2, size=(8, 10, 14)),
        ["max_unpool3d: output_size (8, 10, 14) does not pool to (4, 5, 6)", "from (8, 10, 12)", "stride (2, 2, 2)"],
    ),
    (
        lambda: G.max_unpool3d((2, 1, 1, 1), (2, 1, 1, 1), 1, padding=2),
        ["max_unpool3d: padding (2, 2, 2) leaves an output of (-3, -3, -3)"],
    ),
    (lambda: G.triple((1, 2, 0), "conv3d", "stride", 1), ["conv3d: stride must be greater than zero, got (1, 2, 0)"]),
]
