"""Mistakes in the gradients of activations, softmax and cross-entropy, and in the results of the last two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake


def _scaled(by: Callable[[Array, Array, Array], Array]) -> Callable[[Call], Array | None]:
    """gy times a factor of (x, y, gy)."""
    return lambda call: call.gy * by(call.inputs["x"], call.y, call.gy)


RELU = [
    Mistake("the mask is that of gy: where the upstream gradient is positive", "take gy where x > 0",
            _scaled(lambda x, y, gy: gy > 0)),
    Mistake("there is no mask", "take gy where x > 0, else 0", _scaled(lambda x, y, gy: np.ones_like(x))),
    Mistake("the mask is inverted", "take gy where x > 0, not where x < 0", _scaled(lambda x, y, gy: x <= 0)),
    Mistake("the mask is x or y itself", "take gy where x > 0: the mask is 1 there, not x",
            _scaled(lambda x, y, gy: y)),
    Mistake("the mask has x > 0 and gy > 0 (guided backpropagation)", "take gy where x > 0, also if it is negative",
            _scaled(lambda x, y, gy: (x > 0) & (gy > 0))),
    Mistake("at x = 0 it is gy", "take gy where x > 0; PyTorch's gradient at 0 is 0", _scaled(lambda x, y, gy: x >= 0)),
]  # fmt: skip
TANH = [
    Mistake("x is taken instead of y", "gx = gy (1 - y^2), with y = tanh(x)", _scaled(lambda x, y, gy: 1 - x * x)),
    Mistake("the square is missing", "gx = gy (1 - y^2)", _scaled(lambda x, y, gy: 1 - y)),
    Mistake("tanh is applied twice", "y is tanh(x) already: gx = gy (1 - y^2)",
            _scaled(lambda x, y, gy: 1 - np.tanh(y) ** 2)),
]  # fmt: skip
SIGMOID = [
    Mistake("x is taken instead of y", "gx = gy y (1 - y), with y = sigmoid(x)", _scaled(lambda x, y, gy: x * (1 - x))),
    Mistake("the factor y is missing", "gx = gy y (1 - y)", _scaled(lambda x, y, gy: 1 - y)),
    Mistake("the factor 1 - y is missing", "gx = gy y (1 - y)", _scaled(lambda x, y, gy: y)),
    Mistake("the sigmoid is applied twice", "y is sigmoid(x) already: gx = gy y (1 - y)",
            _scaled(lambda x, y, gy: np.exp(-y) / (1 + np.exp(-y)) ** 2)),
]  # fmt: skip


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _onehot(call: Call) -> Array:
    return np.asarray(np.arange(call.inputs["x"].shape[1]) == call.options["target"][:, None], float)


SOFTMAX = [
    Mistake("only the diagonal of the Jacobian is taken, y (1 - y)", "gx = y (gy - sum of gy y over the row)",
            _scaled(lambda x, y, gy: y * (1 - y))),
    Mistake("the sum over the row is missing", "gx = y (gy - sum of gy y over the row)", _scaled(lambda x, y, gy: y)),
    Mistake("the factor y is missing", "gx = y (gy - sum of gy y over the row)",
            lambda c: c.gy - (c.gy * c.y).sum(1, keepdims=True)),
]  # fmt: skip
CROSS_ENTROPY = [
    Mistake("the mean over the batch is missing", "gx = gy (softmax(x) - onehot)/N",
            lambda c: c.gy * (_softmax(c.inputs["x"]) - _onehot(c))),
    Mistake("the one-hot target is not subtracted", "gx = gy (softmax(x) - onehot)/N",
            lambda c: c.gy * _softmax(c.inputs["x"]) / len(c.inputs["x"])),
    Mistake("x is taken instead of softmax(x)", "gx = gy (softmax(x) - onehot)/N",
            lambda c: c.gy * (c.inputs["x"] - _onehot(c)) / len(c.inputs["x"])),
    Mistake("softmax is taken over the batch, not over the classes", "softmax over axis 1",
            lambda c: c.gy * (_softmax(c.inputs["x"].T).T - _onehot(c)) / len(c.inputs["x"])),
]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- results


def _plain(x: Array) -> Array:
    """Softmax without the largest value subtracted: it overflows."""
    e = np.exp(x)
    return np.asarray(e / e.sum(1, keepdims=True))


def _shifted(x: Array) -> Array:
    return np.asarray(np.exp(x - x.max(1, keepdims=True)))


_STABLE = "subtract the largest value of the row first: e^(x - max) is at most 1"
SOFTMAX_Y = [
    Mistake("it overflows: the largest value is not subtracted", _STABLE, lambda c: _plain(c.inputs["x"])),
    Mistake("the sum is over the batch, not over the classes", "softmax over axis 1: each row adds up to 1",
            lambda c: _softmax(c.inputs["x"].T).T),
    Mistake("the sum is over the whole array", "softmax over axis 1: each row adds up to 1",
            lambda c: _shifted(c.inputs["x"]) / _shifted(c.inputs["x"]).sum()),
    Mistake("the division by the sum is missing", "divide by the sum of the row", lambda c: _shifted(c.inputs["x"])),
    Mistake("the largest value is subtracted in the numerator only", _STABLE,
            lambda c: _shifted(c.inputs["x"]) / np.exp(c.inputs["x"]).sum(1, keepdims=True)),
    Mistake("e^ is missing", "softmax divides e^x by the sum of e^x",
            lambda c: c.inputs["x"] / c.inputs["x"].sum(1, keepdims=True)),
    Mistake("it is the logarithm of softmax", "return the probabilities themselves",
            lambda c: np.log(_softmax(c.inputs["x"]))),
]  # fmt: skip


def _true(p: Array, call: Call) -> Array:
    return np.asarray(p[np.arange(len(p)), call.options["target"]])


def _loss(change: Callable[[Array, Call], Any]) -> Callable[[Call], Array | None]:
    return lambda call: np.asarray(change(call.inputs["x"], call))


_NLL = "loss = mean over n of log(sum of e^(x - max)) - (x[t] - max)"
CROSS_ENTROPY_Y = [
    Mistake("the logarithm is taken of a probability that has become 0", f"{_NLL}: no logarithm of e^",
            _loss(lambda x, c: -np.log(_true(_softmax(x), c)).mean())),
    Mistake("the sum over the batch is taken, not the mean", _NLL,
            _loss(lambda x, c: -np.log(_true(_softmax(x), c)).sum())),
    Mistake("it overflows: the largest value is not subtracted", _STABLE,
            _loss(lambda x, c: -np.log(_true(_plain(x), c)).mean())),
    Mistake("the sign is wrong", "the loss is minus the logarithm",
            _loss(lambda x, c: np.log(_true(_softmax(x), c)).mean())),
    Mistake("the mean is over all classes, too", "divide by N, not by N K",
            _loss(lambda x, c: -np.log(_true(_softmax(x), c)).sum() / x.size)),
    Mistake("the logarithm is missing", _NLL, _loss(lambda x, c: -_true(_softmax(x), c).mean())),
    Mistake("it is 1 minus the probability", _NLL, _loss(lambda x, c: (1 - _true(_softmax(x), c)).mean())),
    Mistake("softmax is taken over the batch, not over the classes", "softmax over axis 1",
            _loss(lambda x, c: -np.log(_true(_softmax(x.T).T, c)).mean())),
    Mistake("the logarithm has the base 2", "take the natural logarithm",
            _loss(lambda x, c: -np.log2(_true(_softmax(x), c)).mean())),
    Mistake("the logarithm has the base 10", "take the natural logarithm",
            _loss(lambda x, c: -np.log10(_true(_softmax(x), c)).mean())),
    Mistake("the largest value is not added back: log(sum of e^(x - max)) - x[t]", _NLL,
            _loss(lambda x, c: (np.log(_shifted(x).sum(1)) - _true(x, c)).mean())),
    Mistake("the logits are taken for probabilities: softmax is missing", _NLL,
            _loss(lambda x, c: -np.log(_true(x, c)).mean())),
    Mistake("the log-probabilities of all classes are added", "take that of the true class only",
            _loss(lambda x, c: -np.log(_softmax(x)).sum(1).mean())),
]  # fmt: skip
