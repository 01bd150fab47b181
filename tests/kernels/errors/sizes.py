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
    (lambda: G.pair((1, 0), "conv2d", "stride", 1), ["conv2d: stride must be greater than zero", "(1, 0)"]),
    (lambda: G.pair(-1, "conv2d", "padding", 0), ["conv2d: padding must be at least 0", "-1"]),
    (
        lambda: G.pair((2**31, 1), "conv2d", "stride", 1),
        ["conv2d: stride must be at most 2147483647", "(2147483648, 1)"],
    ),
    (
        lambda: G.pair(2**63, "conv2d", "stride", 1),
        ["conv2d: stride must be an integer of 64 bits", "9223372036854775808"],
    ),
    (lambda: G.pair((), "conv2d", "stride", 1), ["conv2d: stride must be an int or a pair of ints", "() (tuple)"]),
    (lambda: G.whole(True, "topk", "k"), ["topk: k must be an int, got True (bool)"]),
    (lambda: G.whole(0, "topk", "k", 1), ["topk: k must be at least 1, got 0"]),
    (lambda: G.wholes([1, None], "zeros", "size"), ["zeros: size must be ints, got [1, None] (list)"]),
    (lambda: G.real("1", "elu", "alpha"), ["elu: alpha must be a number, got '1' (str)"]),
    (lambda: G.real([1.0] * 99, "elu", "alpha"), ["elu: alpha must be a number, got [1.0", "... (list)"]),
    (
        lambda: G.fits("zeros", (2**40, 2), 8),
        ["zeros: a result of shape (1099511627776, 2) takes 17,592,186,044,416 bytes", "this machine's memory"],
    ),
    (
        lambda: G.broadcast("add", (2, 3), (4, 3)),
        ["add: shapes (2, 3) and (4, 3) do not broadcast", "equal or one of them 1"],
    ),
]
