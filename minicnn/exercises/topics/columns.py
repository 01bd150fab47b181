"""im2col, col2im, and the convolution as a matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array

from ..candidates import results
from ..exercise import Candidate, Case, Exercise, Wrong
from ..solutions.columns import col2im, im2col
from ..solutions.products import conv2d_product, conv2d_product_backward
from .numbers import in_float32, reals, wholes

# title, x, kernel, stride, padding, dilation
_ROWS: list[tuple[str, tuple[int, ...], tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]] = [
    ("one window", (1, 1, 2, 3), (2, 3), (1, 1), (0, 0), (1, 1)),
    ("windows that overlap", (1, 1, 2, 3), (1, 2), (1, 1), (0, 0), (1, 1)),
    ("more than one row of windows", (1, 1, 3, 3), (2, 2), (1, 1), (0, 0), (1, 1)),
    ("two channels", (1, 2, 2, 3), (2, 2), (1, 1), (0, 0), (1, 1)),
    ("a batch of two images", (2, 1, 2, 2), (2, 1), (1, 1), (0, 0), (1, 1)),
    ("stride (2, 1), and the last row fills no window", (1, 1, 5, 3), (2, 2), (2, 1), (0, 0), (1, 1)),
    ("padding (1, 0)", (1, 1, 2, 3), (2, 2), (1, 1), (1, 0), (1, 1)),
    ("dilation (1, 2)", (1, 1, 2, 4), (2, 2), (1, 1), (0, 0), (1, 2)),
    ("all at once", (2, 3, 6, 7), (3, 2), (1, 2), (1, 1), (2, 1)),
]


def _cases(back: bool) -> list[Case]:
    found = []
    for number, (title, x, kernel, stride, padding, dilation) in enumerate(_ROWS):
        make: Any = reals if title == "all at once" else wholes
        g = geometry.unfold(x, kernel, dilation, padding, stride)
        first = {"col": make(number, *g.col_shape), "size": x[2:]} if back else {"x": make(number, *x)}
        found.append(
            Case(title, {**first, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation})
        )
    return [*found, in_float32(found[3])]


def _products(backward: bool) -> list[Case]:
    # title, N, (O, C, KH, KW), (OH, OW)
    rows = [
        ("one window, one filter", 1, (1, 1, 2, 2), (1, 1)), ("two windows, one filter", 1, (1, 1, 1, 2), (1, 2)),
        ("three filters", 1, (3, 1, 1, 2), (2, 1)), ("two channels, a batch of two", 2, (2, 2, 1, 2), (1, 3)),
        ("a filter that is not square", 1, (2, 1, 2, 1), (2, 2)),
        ("all at once", 3, (4, 3, 3, 2), (4, 5)),
    ]  # fmt: skip
    found = []
    for number, (title, n, w, size) in enumerate(rows):
        make: Any = reals if title == "all at once" else wholes
        col, weight = make(3 * number, n, w[1] * w[2] * w[3], size[0] * size[1]), make(3 * number + 1, *w)
        if backward:
            found.append(Case(title, {"gy": make(3 * number + 2, n, w[0], *size), "col": col, "w": weight}))
        else:
            found.append(Case(title, {"col": col, "w": weight, "b": make(3 * number + 2, w[0]), "size": size}))
    return found


def _of_product(args: dict[str, Any], right: dict[str, Array], exercise: Exercise) -> dict[str, list[Candidate]]:
    y, b = right["y"], args["b"][:, None, None]
    n, o = y.shape[:2]
    return {
        "y": [
            Candidate("the bias is left out", "add b[o] to row o of the product", y - b),
            Candidate("the sum is in the right order, but the result is reshaped as (N, OH, OW, O)",
                      "the product is (O, OH*OW): reshape it to (O, OH, OW)",
                      y.reshape(n, o, -1).swapaxes(1, 2).reshape(y.shape)),
            Candidate("the windows are put in the order (j, i): down the columns", "column i*OW + j is output (i, j)",
                      y.reshape(n, o, y.shape[3], y.shape[2]).swapaxes(2, 3)),
        ]
    }  # fmt: skip


def _fortran(col: Array, w: Array, b: Array, size: tuple[int, int]) -> Array:
    flat = w.reshape(len(w), -1, order="F")
    return (flat @ col + b[:, None]).reshape(len(col), len(w), *size)


def _channels_last(col: Array, w: Array, b: Array, size: tuple[int, int]) -> Array:
    flat = w.transpose(0, 2, 3, 1).reshape(len(w), -1)
    return (flat @ col + b[:, None]).reshape(len(col), len(w), *size)


def _last_sample(gy: Array, col: Array, w: Array) -> tuple[Array, ...]:
    return conv2d_product_backward(gy[-1:], col[-1:], w)


def _mean_bias(gy: Array, col: Array, w: Array) -> tuple[Array, ...]:
    gcol, gw, gb = conv2d_product_backward(gy, col, w)
    return gcol, gw / len(gy), gb / gy[:, 0].size


def _not_transposed(gy: Array, col: Array, w: Array) -> tuple[Array, ...]:
    up = gy.reshape(len(gy), len(w), -1)
    flat = w.reshape(-1, len(w))  # reshaped instead of transposed
    return flat @ up, np.einsum("nop,nkp->ko", up, col).reshape(w.shape), up.sum((1, 2))


EXERCISES = [
    Exercise(
        "im2col", "columns", 2, im2col, ("col",), lambda: _cases(False),
        (
            "Make col with np.zeros, and copy pixel by pixel in loops over n, c, a, b and i, j.",
            "The row of col is k = (c*KH + a)*KW + b, its column i*OW + j.",
            "p = i*SH - PH + a*DH and q = j*SW - PW + b*DW: copy only if 0 <= p < H and 0 <= q < W.",
        ),
        results("unfold", names={"col": "y"}),
    ),
    Exercise(
        "col2im", "columns", 2, col2im, ("x",), lambda: _cases(True),
        (
            "Take the loops of im2col: the same n, c, a, b, i, j and the same k, p, q. C is the number of rows of col "
            "divided by KH*KW.",
            "im2col copied x[n, c, p, q] to col[n, k, i*OW + j]. Now col[n, k, i*OW + j] goes back to x[n, c, p, q]: "
            "with +=, since a pixel was copied to several places.",
        ),
        results("fold", lambda args: {"x": args["col"]}, {"x": "y"}),
    ),
    Exercise(
        "conv2d_product", "columns", 1, conv2d_product, ("y",), lambda: _products(False),
        (
            "w.reshape(O, -1) is the matrix W: a filter becomes a row, in the order (c, a, b) of the rows of col.",
            "W @ col makes the product for all images at once: NumPy takes the last two axes of col as the matrix.",
            "Add b[:, None], which is (O, 1), and reshape the result to (N, O, OH, OW).",
        ),
        _of_product,
        (
            Wrong("the filters are flattened in another order (order='F')", "w.reshape(O, -1) has the order (c, a, b), "
                  "as the rows of col", _fortran),
            Wrong("the filters are flattened in the order (a, b, c)", "w.reshape(O, -1) has the order (c, a, b), as "
                  "the rows of col", _channels_last),
        ),
    ),
    Exercise(
        "conv2d_product_backward", "columns", 2, conv2d_product_backward, ("gcol", "gw", "gb"), lambda: _products(True),
        (
            "For a matrix product Y = W X the gradients are gW = gY X^T and gX = W^T gY: the shapes leave no choice.",
            "Reshape gy to (N, O, OH*OW) first. gw is a sum over the images: += in a loop over n, or np.einsum.",
            "gb adds gy over all images and all outputs of a channel: sum over the axes 0, 2, 3.",
        ),
        None,
        (
            Wrong("only the last sample counts", "add (+=) over all samples of the batch", _last_sample),
            Wrong("a mean is taken, not the sum", "add over n and over the columns; do not divide", _mean_bias),
            Wrong("the matrix is reshaped, not transposed; or summed over the wrong axes",
                  "W^T is w.reshape(O, -1).T; gb adds over the axes 0, 2, 3", _not_transposed),
        ),
    ),
]  # fmt: skip
