"""Mistakes in inverted dropout: y = x mask / (1 - p) in training, and y = x in evaluation.

Of a call, `options` has the mask (what is kept), p, and whether it is in training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake


def _mistakes(
    of: Callable[[Call], Array], name: str, *, first: tuple[Mistake, ...] = ()
) -> list[Mistake]:  # fmt: skip
    """The mistakes in y, made from x, and those in gx, made from gy."""

    def change(what: Callable[[Array, Array, float], Array], training: bool = True) -> Callable[[Call], Array | None]:
        def wrong(call: Call) -> Array | None:
            if call.options.get("training", True) is not training:
                return None
            return np.asarray(what(of(call), np.asarray(call.options["mask"], float), call.options["p"]))

        return wrong

    scale = f"divide what is kept by 1 - p: the mean of {name} stays the same"
    return [
        *first,
        Mistake("the scale is missing", scale, change(lambda a, m, p: a * m)),
        Mistake("it is divided by p, not by 1 - p", scale, change(lambda a, m, p: a * m / np.float64(p))),
        Mistake("it is multiplied by 1 - p, not divided", scale, change(lambda a, m, p: a * m * (1 - p))),
        Mistake("it is multiplied by p", scale, change(lambda a, m, p: a * m * p)),
        Mistake("the mask is inverted: what should be kept is dropped", "p is the probability to drop: keep where "
                "u >= p", change(lambda a, m, p: a * (1 - m) / (1 - p))),
        Mistake("the mask is inverted and the scale is that for p", "p is the probability to drop: keep where u >= p",
                change(lambda a, m, p: a * (1 - m) / np.float64(p))),
        Mistake("nothing is dropped", "multiply by the mask", change(lambda a, m, p: a / (1 - p))),
        Mistake("nothing happens in training", "multiply by the mask and divide by 1 - p", change(lambda a, m, p: a)),
        Mistake("it is divided by the share that was kept here", "divide by 1 - p, which is known before",
                change(lambda a, m, p: a * m / m.mean())),
        Mistake("values are dropped in evaluation", "in evaluation the result is x itself",
                change(lambda a, m, p: a * m / (1 - p), training=False)),
        Mistake("in evaluation it is scaled by 1 - p", "inverted dropout scales in training; evaluation leaves x as it "
                "is", change(lambda a, m, p: a * (1 - p), training=False)),
    ]  # fmt: skip


DROPOUT_Y = _mistakes(lambda c: c.inputs["x"], "y")
DROPOUT_X = _mistakes(
    lambda c: c.gy, "gx",
    first=(
        Mistake("the mask is that of y: where y is not 0", "take the mask itself: a kept value can be 0",
                lambda c: np.where(c.y != 0, c.gy / (1 - c.options["p"]), 0.0)
                if c.options.get("training", True) else None),
        Mistake("it is y, not the gradient", "multiply gy, not x, by the mask", lambda c: c.y),
    ),
)  # fmt: skip


def another_mask(call: Call, found: Array) -> tuple[str, str] | None:
    """(name, remedy), if a gradient is that of another mask: each number is 0 or gy / (1 - p), at the wrong places."""
    kept = call.gy / (1 - call.options["p"])
    plausible = np.isclose(found, kept, rtol=1e-6, atol=0) | (found == 0)
    if not call.options.get("training", True) or not plausible.all() or not found.any() or (found != 0).all():
        return None
    return (
        "another mask is drawn for the backward pass",
        "keep the mask of the forward pass, or the seed that it was drawn with",
    )  # fmt: skip
