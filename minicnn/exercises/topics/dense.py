"""Linear layers, ReLU and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..candidates import both, gradients, results
from ..exercise import Arguments, Case, Exercise
from ..solutions.dense import dropout, linear_backward, relu_backward
from .numbers import in_float32, reals, wholes


def _linear() -> list[Case]:
    rows = [
        ("one sample", 1, 2, 3), ("a batch of two", 2, 3, 2), ("as many inputs as outputs", 2, 3, 3),
        ("as many samples as inputs and outputs", 2, 2, 2), ("all at once", 5, 7, 4),
    ]  # fmt: skip
    found = []
    for number, (title, n, k, o) in enumerate(rows):
        make: Any = reals if title == "all at once" else wholes
        gy, x, w = make(3 * number, n, o), make(3 * number + 1, n, k), make(3 * number + 2, o, k)
        found.append(Case(title, {"gy": gy, "x": x, "w": w}))
    return [*found, in_float32(found[1])]


def _relu() -> list[Case]:
    found = [
        Case("one row", {"gy": wholes(0, 5), "x": wholes(1, 5)}),
        Case("zeros in x", {"gy": wholes(2, 2, 3), "x": np.array([[0.0, 1, -1], [2, 0, -3]])}),
        Case("zeros in gy", {"gy": np.array([0.0, -1, 2, 0]), "x": np.array([1.0, 2, -3, -4])}),
        Case("four axes", {"gy": reals(3, 2, 3, 4, 5), "x": reals(4, 2, 3, 4, 5)}),
    ]
    return [*found, in_float32(found[0])]


def _dropout() -> list[Case]:
    found = []
    for number, (title, shape, p) in enumerate((
        ("p = 1/2", (2, 3), 0.5), ("p = 1/4", (2, 4), 0.25), ("p = 0.8, and zeros in x", (3, 4), 0.8),
        ("nothing is dropped, p = 0", (2, 2), 0.0), ("four axes", (2, 3, 4, 5), 0.3),
    )):  # fmt: skip
        x, gy = wholes(2 * number, *shape), wholes(2 * number + 1, *shape)
        u = np.round(np.random.default_rng(number).random(shape), 2)
        if "zeros" in title:
            x[:, ::2] = 0
            u[0, 0], u[1, 2], u[2, 1] = 0.9, 0.95, 0.9  # kept; the first two are 0
        if number == 1:
            u[0, 0] = p  # is kept
        found.append(Case(title, {"x": x, "gy": gy, "u": u, "p": p, "training": True}))
    evaluation = [
        Case(f"{case.title}, in evaluation", {**case.args, "training": False}) for case in (found[1], found[4])
    ]
    return [*found, *evaluation, in_float32(found[0])]


def _mask(args: Arguments) -> Arguments:
    return {"mask": args["u"] >= args["p"]}


EXERCISES = [
    Exercise(
        "linear_backward", "dense", 1, linear_backward, ("gx", "gw", "gb"), _linear,
        (
            "Write the forward pass as loops over n, o, k. Each product in it gives a part to gx and a part to gw.",
            "As matrix products: gx = gy @ w and gw = gy.T @ x. Check the shapes: (N, O) @ (O, K) and (O, N) @ (N, K).",
            "gb = gy.sum(0): the bias is added to each sample, so each gives it a part.",
        ),
        gradients("linear", {"gx": "x", "gw": "w", "gb": "b"}),
    ),
    Exercise(
        "relu_backward", "dense", 1, relu_backward, ("gx",), _relu,
        ("Where x is positive, y = x, and the gradient passes. Where it is not, y = 0 whatever x is.",
         "gy * (x > 0)"),
        gradients("relu", {"gx": "x"}, None, lambda args: np.maximum(args["x"], 0)),
    ),
    Exercise(
        "dropout", "dense", 1, dropout, ("y", "gx"), _dropout,
        (
            "mask = u >= p is an array of True and False, which count as 1 and 0 in a product.",
            "y = x * mask / (1 - p), and gx is the same with gy, by the same mask. In evaluation nothing is changed; "
            "return copies.",
        ),
        both(results("dropout", _mask), gradients(
            "dropout", {"gx": "x"}, _mask,
            lambda args: args["x"] * (args["u"] >= args["p"]) / (1 - args["p"]) if args["training"] else args["x"])),
    ),
]  # fmt: skip
