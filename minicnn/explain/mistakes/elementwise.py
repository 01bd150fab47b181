"""Mistakes in the gradients of activations, softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

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
