"""A step of SGD with momentum, and of Adam."""

from __future__ import annotations

import numpy as np

from ..candidates import results
from ..exercise import Case, Exercise
from ..solutions.optimizers import adam_step, sgd_step
from .numbers import in_float32, wholes


def _sgd() -> list[Case]:
    # title, lr, momentum, weight_decay, nesterov
    rows = [
        ("plain SGD, the first step", 0.25, 0.0, 0.0, False), ("momentum, the first step", 0.25, 0.5, 0.0, False),
        ("momentum, a later step", 0.25, 0.5, 0.0, False), ("weight decay", 0.25, 0.0, 0.125, False),
        ("momentum and weight decay", 0.125, 0.75, 0.25, False), ("Nesterov's momentum", 0.25, 0.75, 0.0, True),
        ("all at once", 0.05, 0.9, 0.3, True), ("two axes", 0.2, 0.7, 0.4, False),
    ]  # fmt: skip
    found = []
    for number, (title, lr, momentum, decay, nesterov) in enumerate(rows):
        shape = (2, 3) if title == "two axes" else (3,)
        x, g, v = (wholes(3 * number + k, *shape) for k in range(3))
        v = np.zeros(shape) if "first" in title else v
        numbers = {"lr": lr, "momentum": momentum, "weight_decay": decay, "nesterov": nesterov}
        found.append(Case(title, {"x": x, "g": g, "v": v, **numbers}))
    return [*found, in_float32(found[2])]


def _adam() -> list[Case]:
    # title, t, lr, beta1, beta2, eps
    rows = [
        ("the first step", 1, 0.5, 0.5, 0.75, 0.25), ("the second step", 2, 0.5, 0.5, 0.75, 0.25),
        ("a later step, other betas", 5, 0.1, 0.9, 0.99, 0.1), ("gradients of 0", 3, 0.1, 0.8, 0.9, 0.05),
        ("the usual numbers", 10, 1e-3, 0.9, 0.999, 1e-8), ("two axes", 4, 0.2, 0.6, 0.7, 0.01),
    ]  # fmt: skip
    found = []
    for number, (title, t, lr, beta1, beta2, eps) in enumerate(rows):
        shape = (2, 3) if title == "two axes" else (3,)
        x, g, m = (wholes(4 * number + k, *shape) for k in range(3))
        v = np.abs(wholes(4 * number + 3, *shape))
        if t == 1:
            m, v = np.zeros(shape), np.zeros(shape)
        if "of 0" in title:
            g[0] = 0
        numbers = {"t": t, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
        found.append(Case(title, {"x": x, "g": g, "m": m, "v": v, **numbers}))
    return [*found, in_float32(found[1])]


EXERCISES = [
    Exercise(
        "sgd_step", "optimisers", 1, sgd_step, ("x", "v"), _sgd,
        (
            "Three lines, one for each equation. Write v = momentum * v + d, not v *= momentum: the arguments must "
            "stay as they are.",
            "With nesterov, the step takes d + momentum * v with the new v, instead of v.",
        ),
        results("sgd"),
    ),
    Exercise(
        "adam_step", "optimisers", 2, adam_step, ("x", "m", "v"), _adam,
        (
            "One line for each equation, with new names: m = beta1 * m + (1 - beta1) * g.",
            "The corrected means are only for the step of x; m and v are returned without the correction.",
            "eps is added to the root, not under it: np.sqrt(vhat) + eps.",
        ),
        results("adam"),
    ),
]  # fmt: skip
