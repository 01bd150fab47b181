"""Mistakes in the result of batch normalisation and in its running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake


class _Norm:
    """The parts of a call: batch statistics and vectors, ready to be multiplied with x (N, C, ...)."""

    def __init__(self, call: Call) -> None:
        self.x, options = call.inputs["x"], {"training": True, "momentum": 0.1, "eps": 1e-5} | call.options
        self.training, self.momentum, self.eps = options["training"], options["momentum"], options["eps"]
        self.axes = (0, *range(2, self.x.ndim))
        self.m = self.x.size // max(1, self.x.shape[1])
        size = self.x.shape[1]
        self.w, self.b = (self.column(call.inputs.get(k, np.full(size, v))) for k, v in (("w", 1.0), ("b", 0.0)))
        self.old_mean, self.old_var = (
            self.column(call.inputs.get(k, np.full(size, v))) for k, v in (("running_mean", 0.0), ("running_var", 1.0))
        )
        self.mean, self.var = self.x.mean(self.axes, keepdims=True), self.x.var(self.axes, keepdims=True)

    def column(self, v: Array) -> Array:
        """(C,) as (1, C, 1, ...)."""
        return np.asarray(v).reshape(1, -1, *[1] * (self.x.ndim - 2))

    def statistics(self, training: bool | None = None) -> tuple[Any, Any]:
        """(mean, var) that normalise x."""
        return (
            (self.mean, self.var)
            if (self.training if training is None else training)
            else (self.old_mean, self.old_var)
        )

    def y(self, mean: Any, var: Any, w: Any = None, b: Any = None, root: Callable[[Any], Any] | None = None) -> Array:
        """The result from these parts."""
        std = np.sqrt(var + self.eps) if root is None else root(var)
        w, b = self.w if w is None else w, self.b if b is None else b
        return np.asarray((self.x - mean) / std * w + b)

    def moved(self, old: Any, new: Any, momentum: float | None = None) -> Array:
        """A running statistic after the step, (C,)."""
        share = self.momentum if momentum is None else momentum
        return np.asarray((1 - share) * old + share * new).reshape(-1)


def _of(change: Callable[[_Norm], Array | None]) -> Callable[[Call], Array | None]:
    return lambda call: change(_Norm(call))


def _train(change: Callable[[_Norm], Array | None]) -> Callable[[Call], Array | None]:
    """Of a call in training."""
    return _of(lambda n: change(n) if n.training else None)


def _over(axes: Callable[[_Norm], tuple[int, ...]]) -> Callable[[Call], Array | None]:
    """Batch statistics over other axes."""
    return _train(lambda n: n.y(n.x.mean(axes(n), keepdims=True), n.x.var(axes(n), keepdims=True)))


def _unbiased(n: _Norm) -> Any:
    return n.var * n.m / max(1, n.m - 1)


_MEAN = "mean and variance are over n, i and j: one of each for a channel"
NORM_Y = [
    Mistake("the variance is divided by M - 1", "y takes the variance with 1/M; only the running variance has "
            "1/(M - 1)", _train(lambda n: n.y(n.mean, _unbiased(n)))),
    Mistake("eps is added outside of the root", "y = (x - mean) / sqrt(var + eps)",
            _of(lambda n: n.y(*n.statistics(), root=lambda v: np.sqrt(v) + n.eps))),
    Mistake("eps is left out", "y = (x - mean) / sqrt(var + eps)", _of(lambda n: n.y(*n.statistics(), root=np.sqrt))),
    Mistake("it is divided by the variance, not by its root", "y = (x - mean) / sqrt(var + eps)",
            _of(lambda n: n.y(*n.statistics(), root=lambda v: v + n.eps))),
    Mistake("the mean is not subtracted", "y = (x - mean) / sqrt(var + eps)", _of(lambda n: n.y(0, n.statistics()[1]))),
    Mistake("mean and variance are over the batch only, one for each pixel", _MEAN, _over(lambda n: (0,))),
    Mistake("mean and variance are of each image by itself (instance normalisation)", _MEAN,
            _over(lambda n: tuple(range(2, n.x.ndim)))),
    Mistake("mean and variance are over the channels as well (one for each image: layer normalisation)", _MEAN,
            _over(lambda n: tuple(range(1, n.x.ndim)))),
    Mistake("mean and variance are over the whole array", _MEAN, _over(lambda n: tuple(range(n.x.ndim)))),
    Mistake("gamma and beta are left out", "y = gamma xhat + beta", _of(lambda n: n.y(*n.statistics(), w=1.0, b=0.0))),
    Mistake("gamma is left out", "y = gamma xhat + beta", _of(lambda n: n.y(*n.statistics(), w=1.0))),
    Mistake("beta is left out", "y = gamma xhat + beta", _of(lambda n: n.y(*n.statistics(), b=0.0))),
    Mistake("gamma and beta are swapped", "y = gamma xhat + beta", _of(lambda n: n.y(*n.statistics(), w=n.b, b=n.w))),
    Mistake("beta is scaled by gamma, too", "y = gamma xhat + beta", _of(lambda n: n.y(*n.statistics(), b=n.w * n.b))),
    Mistake("the running statistics are taken in training", "in training the batch's own, in evaluation the "
            "running ones", _train(lambda n: n.y(*n.statistics(False)))),
    Mistake("the running statistics are taken in training, after their step", "in training take the batch's own",
            _train(lambda n: n.y(n.column(n.moved(n.old_mean, n.mean)), n.column(n.moved(n.old_var, _unbiased(n)))))),
    Mistake("the statistics of the batch are taken in evaluation", "in training the batch's own, in evaluation the "
            "running ones", _of(lambda n: None if n.training else n.y(*n.statistics(True)))),
]  # fmt: skip
_STEP = "running = (1 - momentum) running + momentum batch"


def _running(old: Callable[[_Norm], Any], batch: Callable[[_Norm], Any]) -> list[Mistake]:
    """The mistakes in the step of a running statistic."""
    return [
        Mistake("the momentum is at the wrong place: (1 - momentum) of the batch is taken", _STEP,
                _train(lambda n: n.moved(old(n), batch(n), 1 - n.momentum))),
        Mistake("it does not move", _STEP, _train(lambda n: old(n).reshape(-1))),
        Mistake("it is replaced by that of the batch", _STEP, _train(lambda n: batch(n).reshape(-1))),
        Mistake("it moves in evaluation", "in evaluation the running statistics stay as they are",
                _of(lambda n: None if n.training else n.moved(old(n), batch(n)))),
    ]  # fmt: skip


RUNNING_MEAN = [
    *_running(lambda n: n.old_mean, lambda n: n.mean),
    Mistake("it gets the variance", "the running mean follows the mean of the batch",
            _train(lambda n: n.moved(n.old_mean, n.var))),
]  # fmt: skip
RUNNING_VAR = [
    Mistake("the variance is divided by M, not by M - 1", "the running variance takes the estimate with 1/(M - 1)",
            _train(lambda n: n.moved(n.old_var, n.var))),
    Mistake("the factor M/(M - 1) comes in twice", "it is in the estimate once: x.var() lacks it, x.var(ddof=1) has it",
            _train(lambda n: n.moved(n.old_var, _unbiased(n) * n.m / max(1, n.m - 1)))),
    *_running(lambda n: n.old_var, _unbiased),
    Mistake("it gets the standard deviation", "the running variance follows the variance of the batch",
            _train(lambda n: n.moved(n.old_var, np.sqrt(_unbiased(n))))),
]  # fmt: skip
