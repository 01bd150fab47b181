"""Errors of geometry/convolution.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

X, W = (1, 3, 5, 5), (4, 3, 3, 3)
T = (3, 4, 3, 3)

ERRORS: list[Error] = [
    (lambda: G.conv2d((3, 5, 5), W), ["conv2d: input must be 4-d (N, C, H, W)", "(3, 5, 5)", "reshape"]),
    (lambda: G.conv2d((1, 3, 0, 5), W, padding=3), ["conv2d: input must have pixels", "(1, 3, 0, 5)"]),
    (lambda: G.conv2d(X, (4, 3, 3)), ["conv2d: weight must be 4-d", "(4, 3, 3)"]),
    (lambda: G.conv2d(X, (4, 3, 0, 3)), ["conv2d: weight", "no empty side", "(4, 3, 0, 3)"]),
    (lambda: G.conv2d(X, (0, 3, 3, 3)), ["conv2d: weight", "no empty side", "(0, 3, 3, 3)"]),
    (lambda: G.conv2d((1, 4, 5, 5), (5, 2, 3, 3), groups=2), ["conv2d: groups=2", "5 output channels"]),
    (lambda: G.conv2d(X, W, groups=0), ["conv2d: groups=0"]),
    (
        lambda: G.conv2d((1, 6, 5, 5), (4, 2, 3, 3), groups=2),
        [
            "conv2d: weight (4, 2, 3, 3) expects 4 input channels (2 in each of 2 groups), but the input",
            "(1, 6, 5, 5) has 6",
            "in_channels",
        ],
    ),
    (
        lambda: G.conv2d((2, 32, 32, 3), W),
        ["the input (2, 32, 32, 3) has 32", "look like (N, H, W, C) and must be (N, C, H, W)", "x.permute(0, 3, 1, 2)"],
    ),
    (
        lambda: G.conv2d((2, 9, 3), (4, 3, 3), op="conv1d"),
        ["look like (N, L, C) and must be (N, C, L)", "x.permute(0, 2, 1)"],
    ),
    (lambda: G.conv2d(X, (4, 1, 3, 3)), ["weight (4, 1, 3, 3) expects 1 input channel, but the input (1, 3,", "has 3"]),
    (
        lambda: G.conv_transpose2d(X, (1, 4, 3, 3)),
        ["of axes (C, O/groups, ...), expects 1 input channel, but the input"],
    ),
    (lambda: G.conv2d((2, 4, 9, 9), W), ["make in_channels 4 or check the order of the axes (N, C, H, W)"]),
    (lambda: G.conv2d(X, W, (3,)), ["conv2d: bias must have shape (4,)", "(3,)"]),
    (lambda: G.conv2d((1, 3, 5, 2), W), ["conv2d: the window is larger than the input", "width 2"]),
    (lambda: G.conv2d(X, W, stride=0), ["conv2d: stride must be greater than zero"]),
    (lambda: G.conv2d(X, W, padding=-1), ["conv2d: padding must be at least 0"]),
    (lambda: G.conv2d(X, W, dilation=0), ["conv2d: dilation must be greater than zero"]),
    (lambda: G.conv2d(X, W, fit="ceil"), ["conv2d: fit must be 'floor' or 'strict'", "'ceil'"]),
    (
        lambda: G.conv2d((1, 3, 7, 7), W, stride=3, fit="strict"),
        ["conv2d: (7 + 2*0 - 3) / 3 + 1 is not whole", "Strides that fit: 1, 2, 4"],
    ),
    (lambda: G.conv2d(X, W, op="conv1d"), ["conv1d: input must be 3-d (N, C, L)", "(1, 3, 5, 5)"]),
    (
        lambda: G.conv2d((1, 3, 5), (4, 3, 3), None, (1, 2), op="conv1d"),
        ["conv1d: stride must be an int or one int", "(1, 2)"],
    ),
    (lambda: G.conv2d((1, 3, 2), (4, 3, 3), op="conv1d"), ["conv1d: the window is larger", "length 2"]),
    (lambda: G.same_padding((3, 3), 2, 1), ["conv2d: padding='same'", "stride 1", "got stride 2"]),
    (
        lambda: G.conv_transpose2d((1, 2, 5, 5), T),
        ["conv_transpose2d: weight (3, 4, 3, 3)", "3 input", "has 2; make in_channels 2"],
    ),
    (lambda: G.conv_transpose2d(X, T, groups=2), ["conv_transpose2d: groups=2", "3 input channels"]),
    (lambda: G.conv_transpose2d(X, T, (3,)), ["conv_transpose2d: bias must have shape (4,)"]),
    (
        lambda: G.conv_transpose2d(X, T, stride=2, output_padding=2),
        ["conv_transpose2d: output_padding 2", "smaller than the stride 2 or the dilation 1"],
    ),
    (lambda: G.conv_transpose2d(X, T, output_padding=-1), ["conv_transpose2d: output_padding must be at least 0"]),
    (
        lambda: G.conv_transpose2d((1, 3, 1, 5), T, padding=2),
        ["conv_transpose2d: input (1, 3, 1, 5) gives an output of -1 x 3", "less padding than (2, 2)"],
    ),
    (lambda: G.unfold((1, 0, 5, 5), 2, 1, 0, 1), ["unfold: input must be (N, C, H, W)", "(1, 0, 5, 5)"]),
    (lambda: G.unfold((1, 2, 2, 2), 3, 1, 0, 1), ["unfold: the window is larger than the input"]),
    (lambda: G.fold((2, 9, 4), 3, 2, 1, 0, 1), ["fold: input must be (N, C*2*2, L)", "(2, 9, 4)"]),
    (lambda: G.fold((2, 8, 5), 3, 2, 1, 0, 1), ["fold: images of output_size 3", "2 x 2 = 4 windows", "5 columns"]),
]
