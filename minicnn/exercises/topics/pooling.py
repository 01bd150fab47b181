"""Max pooling and average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry

from ..candidates import gradients, results
from ..exercise import Case, Exercise
from ..solutions.average import avg_pool2d_backward, avg_pool2d_forward
from ..solutions.largest import max_pool2d_backward, max_pool2d_forward
from .numbers import in_float32, reals, wholes

# title, x, kernel, stride, padding
_ROWS: list[tuple[str, tuple[int, ...], tuple[int, int], tuple[int, int], tuple[int, int]]] = [
    ("one window", (1, 1, 2, 2), (2, 2), (2, 2), (0, 0)),
    ("windows side by side", (1, 1, 2, 4), (2, 2), (2, 2), (0, 0)),
    ("two channels, and a batch of two", (2, 2, 2, 2), (1, 2), (1, 2), (0, 0)),
    ("the last row and column fill no window", (1, 1, 3, 5), (2, 2), (2, 2), (0, 0)),
    ("windows that overlap", (1, 1, 3, 3), (2, 2), (1, 1), (0, 0)),
    ("a window that is not square, stride (1, 2)", (1, 1, 3, 4), (3, 2), (1, 2), (0, 0)),
    ("padding (1, 0), and negative numbers", (1, 1, 3, 3), (2, 3), (2, 1), (1, 0)),
    ("padding (1, 1)", (1, 1, 3, 3), (3, 2), (2, 2), (1, 1)),
    ("equal numbers", (1, 1, 2, 4), (2, 2), (1, 1), (0, 0)),
    ("all at once", (2, 3, 7, 8), (3, 2), (2, 1), (1, 1)),
]


def _cases(largest: bool, backward: bool) -> list[Case]:
    found = []
    for number, (title, x, kernel, stride, padding) in enumerate(_ROWS):
        make: Any = reals if title == "all at once" else wholes
        values = make(2 * number, *x)
        if "negative" in title:
            values = -np.abs(values)
        if "equal" in title:
            values = np.array([[[[3.0, 3, 1, 3], [3, 2, 3, 3]]]])
        g = geometry.pool2d(x, kernel, stride, padding)
        args: dict[str, Any] = {"gy": make(2 * number + 1, *g.y_shape)} if backward else {}
        args |= {"x": values} if largest or not backward else {"size": x[2:]}
        found.append(Case(title, {**args, "kernel": kernel, "stride": stride, "padding": padding}))
    return [*found, in_float32(found[4])]


_WINDOW = (
    "Loop over n, c, i, j of the result, and inside over the cells a, b of the window: p = i*SH - PH + a, "
    "q = j*SW - PW + b."
)
EXERCISES = [
    Exercise(
        "max_pool2d_forward", "pooling", 1, max_pool2d_forward, ("y",), lambda: _cases(True, False),
        (_WINDOW, "Begin each window with best = -np.inf; skip (p, q) outside of the image."),
        results("max_pool2d"),
    ),
    Exercise(
        "max_pool2d_backward", "pooling", 2, max_pool2d_backward, ("gx",), lambda: _cases(True, True),
        (
            _WINDOW,
            "In each window find where the largest value is: remember (p, q) whenever a value is greater (>) than the "
            "best so far. Then the first of equal values stays.",
            "gx[n, c, p, q] += gy[n, c, i, j] there: a value can be the largest of several windows.",
        ),
        gradients("max_pool2d", {"gx": "x"}),
    ),
    Exercise(
        "avg_pool2d_forward", "pooling", 1, avg_pool2d_forward, ("y",), lambda: _cases(False, False),
        (_WINDOW, "Add the values inside of the image, and divide by KH*KW at the end, also at the border."),
        results("avg_pool2d"),
    ),
    Exercise(
        "avg_pool2d_backward", "pooling", 1, avg_pool2d_backward, ("gx",), lambda: _cases(False, True),
        (_WINDOW, "gx[n, c, p, q] += gy[n, c, i, j] / (KH*KW) for each cell inside of the image."),
        gradients("avg_pool2d", {"gx": "x"}, lambda args: {"x": np.zeros((*args["gy"].shape[:2], *args["size"]))}),
    ),
]  # fmt: skip
