"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..candidates import gradients, results
from ..exercise import Case, Exercise
from ..solutions.normalization import batch_norm_backward, batch_norm_forward
from .numbers import in_float32, reals, wholes

_SHAPES = [
    ("one channel", (1, 1, 2, 2)), ("two channels", (1, 2, 1, 3)), ("a batch of two", (2, 1, 1, 3)),
    ("two channels, a batch of three", (3, 2, 1, 2)), ("values far from 0", (2, 2, 2, 1)),
    ("all at once", (4, 3, 2, 5)),
]  # fmt: skip


def _x(number: int, title: str, shape: tuple[int, ...]) -> Any:
    make: Any = reals if title == "all at once" else wholes
    return make(number, *shape) + (100 if "far" in title else 0)


def _forward() -> list[Case]:
    found = []
    for training in (True, False):
        for number, (title, shape) in enumerate(_SHAPES):
            if not training and number not in (1, 3, 5):
                continue
            c = shape[1]
            vectors = {"gamma": wholes(number + 20, c), "beta": wholes(number + 30, c)}
            running = {"running_mean": wholes(number + 40, c), "running_var": np.abs(wholes(number + 50, c)) + 0.5}
            rest = {"momentum": 0.25, "eps": 0.5 if number < 5 else 1e-3, "training": training}
            where = "in training" if training else "in evaluation"
            found.append(Case(f"{title}, {where}", {"x": _x(number, title, shape), **vectors, **running, **rest}))
    return [*found, in_float32(found[3])]


def _backward() -> list[Case]:
    found = []
    for number, (title, shape) in enumerate(_SHAPES):
        make: Any = reals if title == "all at once" else wholes
        args = {"gy": make(number + 10, *shape), "x": _x(number, title, shape), "gamma": wholes(number + 20, shape[1])}
        found.append(Case(title, {**args, "eps": 0.5 if number < 5 else 1e-3}))
    return [*found, in_float32(found[3])]


EXERCISES = [
    Exercise(
        "batch_norm_forward", "normalisation", 2, batch_norm_forward, ("y", "running_mean", "running_var"), _forward,
        (
            "x.mean((0, 2, 3)) and x.var((0, 2, 3)) are vectors (C,). With keepdims=True they are (1, C, 1, 1), which "
            "NumPy combines with x; a vector v becomes that by v[:, None, None].",
            "x.var divides by M, which is right for y. The running variance takes var * M/(M - 1).",
            "Write running = (1 - momentum) * running + momentum * batch, not running += ..., which changes the "
            "argument. In evaluation return the running statistics as they were.",
        ),
        results("batch_norm"),
    ),
    Exercise(
        "batch_norm_backward", "normalisation", 3, batch_norm_backward, ("gx", "ggamma", "gbeta"), _backward,
        (
            "Compute mean, var and xhat as in the forward pass, with axis (0, 2, 3) and keepdims=True.",
            "gbeta = gy.sum((0, 2, 3)) and ggamma = (gy * xhat).sum((0, 2, 3)).",
            "gx has three terms, since the mean and the variance depend on x, too: gy, minus its mean, minus xhat "
            "times the mean of gy * xhat; all times gamma / std.",
        ),
        gradients("batch_norm", {"gx": "x", "ggamma": "w", "gbeta": "b"}),
    ),
]  # fmt: skip
