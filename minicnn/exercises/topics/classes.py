"""Softmax and cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from ..candidates import gradients, results
from ..exercise import Case, Exercise
from ..solutions.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ..solutions.softmax import softmax_backward, softmax_forward
from .numbers import in_float32, reals, wholes

_LARGE = np.array([[1000.0, 1001.0, 998.0], [-1000.0, -999.0, 0.0]])


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _rows(make_logits: Any = wholes) -> list[tuple[str, Array]]:
    return [
        ("one row", make_logits(1, 1, 3)), ("two rows", make_logits(2, 2, 3)),
        ("as many rows as classes", make_logits(3, 3, 3)), ("large numbers", _LARGE),
        ("all at once", reals(4, 5, 7) * 3),
    ]  # fmt: skip


def _forward() -> list[Case]:
    found = [Case(title, {"x": x}) for title, x in _rows()]
    return [*found, in_float32(found[1])]


def _backward() -> list[Case]:
    found = []
    for number, (title, x) in enumerate(_rows()):
        if title != "large numbers":
            make: Any = reals if title == "all at once" else wholes
            found.append(Case(title, {"gy": make(number + 10, *x.shape), "y": _softmax(x / 2)}))
    return [*found, in_float32(found[1])]


def _losses(backward: bool) -> list[Case]:
    found = []
    for number, (title, x) in enumerate(_rows()):
        target = np.random.default_rng(number).integers(0, x.shape[1], len(x))
        if title == "large numbers":
            target = np.array([0, 1])
        first = {"gy": 1.0 if number == 0 else 2.0} if backward else {}
        found.append(Case(title, {**first, "x": x, "target": target}))
    return [*found, in_float32(found[1])]


EXERCISES = [
    Exercise(
        "softmax_forward", "classes", 1, softmax_forward, ("y",), _forward,
        (
            "np.exp(x) / np.exp(x).sum(...) is right for small numbers. keepdims=True keeps the sum as (N, 1).",
            "Subtract x.max(1, keepdims=True) from x first: then the largest exponent is 0, and nothing overflows.",
        ),
        results("softmax"),
    ),
    Exercise(
        "softmax_backward", "classes", 2, softmax_backward, ("gx",), _backward,
        (
            "Write the sum over j of gy[j] * y[j] * ([j = k] - y[k]) as two sums. The first has only one term, j = k.",
            "gx[k] = gy[k] * y[k] - y[k] * (sum over j of gy[j] * y[j]); the sum is one number for each row.",
        ),
        gradients("softmax", {"gx": "x"}, lambda args: {"x": np.log(args["y"])}, lambda args: args["y"]),
    ),
    Exercise(
        "cross_entropy_forward", "classes", 2, cross_entropy_forward, ("loss",), lambda: _losses(False),
        (
            "x[np.arange(N), target] takes the logit of the true class from each row.",
            "-log p = log(sum of e^x) - x[target]: no division, and no logarithm of a small number.",
            "With m = the largest number of the row, log(sum of e^x) = m + log(sum of e^(x - m)). At the end take the "
            "mean over the rows.",
        ),
        results("cross_entropy", names={"loss": "y"}),
    ),
    Exercise(
        "cross_entropy_backward", "classes", 2, cross_entropy_backward, ("gx",), lambda: _losses(True),
        (
            "Compute p as in softmax_forward, with the largest number of each row subtracted first.",
            "Subtract 1 at the true class of each row: p[np.arange(N), target] -= 1. Then multiply by gy / N.",
        ),
        gradients("cross_entropy", {"gx": "x"}),
    ),
]  # fmt: skip
