"""Mistakes in the gradients of a linear layer and of batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .base import OVER_BATCH, Call, Mistake


def _if_fits(call: Call, name: str, product: Callable[[], Array]) -> Array | None:
    try:
        found = product()
    except ValueError:  # shapes that do not fit
        return None
    return found if found.shape == call.right[name].shape else None


LINEAR = {
    "x": [Mistake("the weight is transposed", "gx = gy @ w for w (O, K)",
                  lambda c: _if_fits(c, "x", lambda: c.gy @ c.inputs["w"].T))],
    "w": [Mistake("only the last sample counts", OVER_BATCH, lambda c: np.outer(c.gy[-1], c.inputs["x"][-1])),
          Mistake("only the first sample counts", OVER_BATCH, lambda c: np.outer(c.gy[0], c.inputs["x"][0]))],
    "b": [Mistake("the mean is taken, not the sum", "add gy over the batch", lambda c: c.gy.mean(0)),
          Mistake("only the last sample counts", OVER_BATCH, lambda c: c.gy[-1]),
          Mistake("it is summed over the wrong axis", "add over axis 0",
                  lambda c: _if_fits(c, "b", lambda: c.gy.sum(1)))],
}  # fmt: skip


def _norm(change: Callable[[Array, Array, Array, Any, Array], Array]) -> Callable[[Call], Array | None]:
    """A function of (gy, xhat, 1/std, mean over the batch and the pixels, gamma), each ready to be multiplied."""

    def gradient(call: Call) -> Array | None:
        x = call.inputs["x"]
        axes = (0, *range(2, x.ndim))
        gamma = call.inputs.get("w", np.ones(x.shape[1])).reshape(1, -1, *[1] * (x.ndim - 2))

        def mean(a: Array) -> Array:
            return a.mean(axes, keepdims=True)

        invstd = 1 / np.sqrt(x.var(axes, keepdims=True) + call.options.get("eps", 1e-5))
        return change(call.gy, (x - mean(x)) * invstd, invstd, mean, gamma)

    return gradient


_GX = "gx = gamma/std (gy - mean(gy) - xhat mean(gy xhat))"
NORM_X = [
    Mistake("the term with mean(gy) is missing: the mean depends on x, too", _GX,
            _norm(lambda g, h, s, m, w: w * s * (g - h * m(g * h)))),
    Mistake("the term with xhat is missing: the variance depends on x, too", _GX,
            _norm(lambda g, h, s, m, w: w * s * (g - m(g)))),
    Mistake("mean and variance are taken for constants", _GX, _norm(lambda g, h, s, m, w: w * s * g)),
    Mistake("gamma is missing", _GX, _norm(lambda g, h, s, m, w: s * (g - m(g) - h * m(g * h)))),
    Mistake("the division by the standard deviation is missing", _GX,
            _norm(lambda g, h, s, m, w: w * (g - m(g) - h * m(g * h)))),
    Mistake("sums are taken instead of means", _GX,
            _norm(lambda g, h, s, m, w: w * s * (g - (g.size / s.size) * (m(g) + h * m(g * h))))),
    Mistake("it is divided by the variance, not by the standard deviation", _GX,
            _norm(lambda g, h, s, m, w: w * s * s * (g - m(g) - h * m(g * h)))),
]  # fmt: skip


def _per_channel(change: Callable[[Array, Array, Array], Array]) -> Callable[[Call], Array | None]:
    """A function of (gy, xhat, x), summed over the batch and the pixels."""

    def gradient(call: Call) -> Array | None:
        x = call.inputs["x"]
        found = _norm(lambda g, h, s, m, w: change(g, h, x))(call)
        return None if found is None else found.sum((0, *range(2, x.ndim)))

    return gradient


NORM_W = [
    Mistake("x is taken instead of xhat", "ggamma = sum of gy xhat", _per_channel(lambda g, h, x: g * x)),
    Mistake("xhat is missing", "ggamma = sum of gy xhat; beta's is the sum of gy", _per_channel(lambda g, h, x: g)),
]  # fmt: skip
NORM_B = [Mistake("xhat is in it", "gbeta = sum of gy", _per_channel(lambda g, h, x: g * h))]
