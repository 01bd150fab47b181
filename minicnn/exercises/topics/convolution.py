"""Convolution: forward and backward, in groups, depthwise, transposed."""

from __future__ import annotations

from typing import Any

from minicnn_kernels import geometry

from ..candidates import gradients, results
from ..exercise import Case, Exercise
from ..solutions.depthwise import depthwise_conv2d
from ..solutions.direct import (
    conv2d_backward,
    conv2d_forward,
    conv2d_groups,
    conv_transpose2d,
    conv_transpose2d_backward,
)
from .numbers import in_float32, reals, wholes

# title, x, w, stride, padding, dilation
_ROWS: list[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, int], tuple[int, int], tuple[int, int]]] = [
    ("one window", (1, 1, 2, 2), (1, 1, 2, 2), (1, 1), (0, 0), (1, 1)),
    ("a window that slides", (1, 1, 3, 4), (1, 1, 2, 2), (1, 1), (0, 0), (1, 1)),
    ("two channels, three filters", (1, 2, 3, 3), (3, 2, 2, 2), (1, 1), (0, 0), (1, 1)),
    ("a batch of two images", (2, 1, 2, 3), (1, 1, 2, 2), (1, 1), (0, 0), (1, 1)),
    ("as many images as channels and filters", (2, 2, 3, 3), (2, 2, 2, 2), (1, 1), (0, 0), (1, 1)),
    ("a filter that is not square", (1, 1, 3, 4), (1, 1, 1, 3), (1, 1), (0, 0), (1, 1)),
    ("stride (2, 1)", (1, 1, 4, 3), (1, 1, 2, 2), (2, 1), (0, 0), (1, 1)),
    ("stride 2, and the last column fills no window", (1, 1, 4, 5), (1, 1, 2, 2), (2, 2), (0, 0), (1, 1)),
    ("stride (3, 1), and the windows are one below the other", (1, 1, 5, 2), (1, 1, 2, 2), (3, 1), (0, 0), (1, 1)),
    ("padding (1, 0)", (1, 1, 3, 3), (1, 1, 3, 2), (1, 1), (1, 0), (1, 1)),
    ("padding (1, 2) and stride (1, 2)", (1, 1, 3, 3), (1, 1, 2, 3), (1, 2), (1, 2), (1, 1)),
    ("dilation (1, 2)", (1, 1, 3, 4), (1, 1, 2, 2), (1, 1), (0, 0), (1, 2)),
    ("dilation (2, 1) and stride 2", (1, 1, 3, 3), (1, 1, 2, 2), (2, 2), (0, 0), (2, 1)),
    ("dilation (2, 1) and padding (2, 1)", (1, 1, 3, 3), (1, 1, 3, 2), (1, 1), (2, 1), (2, 1)),
    ("all at once", (2, 3, 7, 8), (4, 3, 3, 2), (2, 1), (1, 2), (1, 2)),
]


def _cases(backward: bool) -> list[Case]:
    found = []
    for number, (title, x, w, stride, padding, dilation) in enumerate(_ROWS):
        make: Any = reals if title == "all at once" else wholes
        g = geometry.conv2d(x, w, None, stride, padding, dilation)
        first = {"gy": make(3 * number, *g.y_shape)} if backward else {}
        last = {} if backward else {"b": make(3 * number, w[0])}
        steps = {"stride": stride, "padding": padding, "dilation": dilation}
        found.append(
            Case(title, {**first, "x": make(3 * number + 1, *x), "w": make(3 * number + 2, *w), **last, **steps})
        )
    return [*found, in_float32(found[2])]


def _in_groups(depthwise: bool) -> list[Case]:
    # title, x, w, stride, padding, groups
    rows = [
        ("two groups of one channel", (1, 2, 2, 3), (2, 1, 2, 2), (1, 1), (0, 0), 2),
        ("two filters for each channel", (1, 2, 2, 3), (4, 1, 2, 2), (1, 1), (0, 0), 2),
        ("three channels, and a batch of two images", (2, 3, 2, 3), (6, 1, 1, 2), (1, 1), (0, 0), 3),
        ("padding (1, 0) and stride (1, 2)", (1, 2, 2, 4), (4, 1, 3, 2), (1, 2), (1, 0), 2),
    ]
    if not depthwise:
        rows = [
            ("one group: a plain convolution", (1, 2, 2, 3), (2, 2, 2, 2), (1, 1), (0, 0), 1),
            rows[0],
            ("two groups of two channels", (1, 4, 2, 2), (4, 2, 2, 2), (1, 1), (0, 0), 2),
            ("two groups, and more outputs than inputs", (1, 4, 2, 2), (6, 2, 1, 2), (1, 1), (0, 0), 2),
            ("padding (0, 1) and stride (2, 1)", (1, 4, 3, 2), (4, 2, 2, 2), (2, 1), (0, 1), 2),
        ]
    large = ((2, 6, 6, 7), (12, 1 if depthwise else 2, 3, 2), (2, 1), (1, 2), 6 if depthwise else 3)
    rows.append(("all at once", *large))
    found = []
    for number, (title, x, w, stride, padding, groups) in enumerate(rows):
        make: Any = reals if title == "all at once" else wholes
        arrays = {"x": make(3 * number, *x), "w": make(3 * number + 1, *w), "b": make(3 * number + 2, w[0])}
        last = {} if depthwise else {"groups": groups}
        found.append(Case(title, {**arrays, "stride": stride, "padding": padding, **last}))
    return found


def _transposed(backward: bool) -> list[Case]:
    # title, x, w, stride, padding, output_padding
    rows = [
        ("one number puts down one filter", (1, 1, 1, 1), (1, 1, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("two windows side by side", (1, 1, 1, 2), (1, 1, 2, 2), (2, 2), (0, 0), (0, 0)),
        ("windows that overlap", (1, 1, 2, 2), (1, 1, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("two channels in, three out", (1, 2, 2, 2), (2, 3, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("two channels in, two out", (1, 2, 1, 2), (2, 2, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("stride (2, 1), and a filter that is not square", (1, 1, 2, 2), (1, 1, 3, 2), (2, 1), (0, 0), (0, 0)),
        ("padding (1, 0)", (1, 1, 2, 3), (1, 1, 3, 2), (2, 1), (1, 0), (0, 0)),
        ("one more row", (1, 1, 2, 2), (1, 1, 2, 2), (2, 2), (0, 0), (1, 0)),
        ("a batch of two images", (2, 1, 1, 2), (1, 1, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("as many images as channels", (2, 2, 1, 1), (2, 2, 2, 2), (1, 1), (0, 0), (0, 0)),
        ("all at once", (2, 3, 4, 5), (3, 4, 3, 2), (2, 3), (1, 1), (1, 2)),
    ]
    found = []
    for number, (title, x, w, stride, padding, more) in enumerate(rows):
        make: Any = reals if title == "all at once" else wholes
        arrays = {"x": make(3 * number, *x), "w": make(3 * number + 1, *w)}
        steps = {"stride": stride, "padding": padding}
        if not backward:
            b = make(3 * number + 2, w[1])
            found.append(Case(title, {**arrays, "b": b, **steps, "output_padding": more}))
        elif title != "one more row":
            g = geometry.conv_transpose2d(x, w, None, stride, padding)  # its x is the result
            found.append(Case(title, {"gy": make(3 * number + 2, *g.x_shape), **arrays, **steps}))
    return [*found, in_float32(found[3])]


EXERCISES = [
    Exercise(
        "conv2d_forward", "convolution", 1, conv2d_forward, ("y",), lambda: _cases(False),
        (
            "Make y with np.zeros, and write a loop over its four indices n, o, i, j (np.ndindex(*y.shape) is all four "
            "in one).",
            "Inside, begin with total = b[o], and add w[o, c, a, k] * x[n, c, p, q] in three more loops over c, a, k.",
            "p = i*SH - PH + a*DH can be outside of the image: then there is nothing to add. Test 0 <= p < H; x[-1] is "
            "the last row in Python.",
        ),
        results("conv2d"),
    ),
    Exercise(
        "conv2d_backward", "convolution", 2, conv2d_backward, ("gx", "gw", "gb"), lambda: _cases(True),
        (
            "Make gx, gw and gb with np.zeros, and take the loops of the forward pass: n, o, i, j, and inside c, a, k.",
            "In each step, the product w[o, c, a, k] * x[n, c, p, q] was added to y[n, o, i, j]. So add to gx and to "
            "gw what the statement says, with += since the same pixel and the same weight come again.",
            "gb[o] gets gy[n, o, i, j] once for each output: in the outer loops.",
        ),
        gradients("conv2d", {"gx": "x", "gw": "w", "gb": "b"}),
    ),
    Exercise(
        "conv2d_groups", "convolution", 2, conv2d_groups, ("y",), lambda: _in_groups(False),
        (
            "Take your convolution without groups. Only the number of the input channel changes.",
            "Let cg = C // groups and og = O // groups. Output channel o is in the group o // og, and its input "
            "channel number c is o // og * cg + c.",
        ),
        results("conv2d"),
    ),
    Exercise(
        "depthwise_conv2d", "convolution", 2, depthwise_conv2d, ("y",), lambda: _in_groups(True),
        (
            "There is no sum over channels: loops over n, o, i, j, and inside over a, k only.",
            "M = O // C filters belong to each channel, side by side: output channel o reads x[n, o // M].",
        ),
        results("conv2d", lambda args: {"groups": args["x"].shape[1]}),
    ),
    Exercise(
        "conv_transpose2d", "convolution", 3, conv_transpose2d, ("y",), lambda: _transposed(False),
        (
            "Make `full` with np.zeros: (H - 1)*SH + KH rows and (W - 1)*SW + KW columns are where windows reach. Loop "
            "over n, c, i, j of x and o, a, k of w.",
            "Add (+=) x[n, c, i, j] * w[c, o, a, k] to full[n, o, i*SH + a, j*SW + k].",
            "The result begins at row PH and column PW of full and has OH x OW numbers. With output_padding it can end "
            "below full, so make full EH rows and EW columns larger. Add the bias at the end.",
        ),
        results("conv_transpose2d"),
    ),
    Exercise(
        "conv_transpose2d_backward", "convolution", 3, conv_transpose2d_backward, ("gx", "gw", "gb"),
        lambda: _transposed(True),
        (
            "Take the loops of the forward pass over n, c, i, j and o, a, k. Instead of adding to y[n, o, p, q], read "
            "gy[n, o, p, q] there, if it is inside.",
            "Add (+=) gy[n, o, p, q] * w[c, o, a, k] to gx[n, c, i, j], and gy[n, o, p, q] * x[n, c, i, j] to "
            "gw[c, o, a, k].",
            "gb = gy.sum((0, 2, 3)): the bias was added once to each output.",
        ),
        gradients("conv_transpose2d", {"gx": "x", "gw": "w", "gb": "b"}),
    ),
]  # fmt: skip
