"""Mistakes in the gradients of pooling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array

from .base import Call, Mistake


def _windows(call: Call) -> list[tuple[int, int, Array, Array]]:
    """(i, j, rows, columns) of each window, inside the image."""
    options = {"padding": 0, "dilation": 1, "stride": None} | call.options
    kernel = geometry.pair(options["kernel_size"], "pool", "kernel_size", 1)
    stride = kernel if options["stride"] is None else geometry.pair(options["stride"], "pool", "stride", 1)
    padding, dilation = (geometry.pair(options[name], "pool", name, 0) for name in ("padding", "dilation"))
    size, found = call.inputs["x"].shape[2:], []
    for i in range(call.gy.shape[2]):
        for j in range(call.gy.shape[3]):
            places = [at * stride[e] - padding[e] + np.arange(kernel[e]) * dilation[e] for e, at in enumerate((i, j))]
            rows, columns = (at[(at >= 0) & (at < size[e])] for e, at in enumerate(places))
            found.append((i, j, rows, columns))
    return found


def _routed(weights: Callable[[Array, Call], Array], add: bool = True) -> Callable[[Call], Array | None]:
    """The gradient of pooling, where `weights` of a window (N, C, KH, KW) say who gets how much of its gradient."""

    def gradient(call: Call) -> Array | None:
        x = call.inputs["x"]
        gx = np.zeros_like(x)
        for i, j, rows, columns in _windows(call):
            place = (slice(None), slice(None), rows[:, None], columns)
            part = weights(x[place], call) * call.gy[:, :, i, j][:, :, None, None]
            gx[place] = part + gx[place] if add else np.where(part != 0, part, gx[place])
        return gx

    return gradient


def _largest(window: Array, call: Call, last: bool = False) -> Array:
    """1 at the first (or last) largest value of each window."""
    flat = window.reshape(*window.shape[:2], -1)
    at = flat.shape[2] - 1 - flat[..., ::-1].argmax(2) if last else flat.argmax(2)
    return (np.arange(flat.shape[2]) == at[..., None]).reshape(window.shape).astype(float)


MAX_POOL = [
    Mistake("all values of a window get the gradient", "only the largest value of a window gets it",
            _routed(lambda window, call: np.ones_like(window))),
    Mistake("the gradient is spread equally, as for an average", "the largest value of a window gets all of it",
            _routed(lambda window, call: np.full_like(window, 1 / (window.shape[2] * window.shape[3])))),
    Mistake("of several equal largest values, all get the gradient", "only the first of them gets it",
            _routed(lambda window, call: (window == window.max((2, 3), keepdims=True)).astype(float))),
    Mistake("of several equal largest values, the last gets the gradient", "the first of them gets it",
            _routed(lambda window, call: _largest(window, call, last=True))),
    Mistake("windows that overlap are overwritten, not added", "add (+=): a value can be the largest of several",
            _routed(_largest, add=False)),
    Mistake("the gradient is multiplied by the value", "pass gy itself to the largest value",
            _routed(lambda window, call: _largest(window, call) * window)),
]  # fmt: skip
AVG_POOL = [
    Mistake("the division by the size of the window is missing", "each value gets gy/(KH KW)",
            _routed(lambda window, call: np.ones_like(window))),
    Mistake("the whole gradient goes to the largest value", "each value of the window gets gy/(KH KW)",
            _routed(_largest)),
    Mistake("windows that overlap are overwritten, not added", "add (+=): a value lies in several windows",
            _routed(lambda window, call: np.full_like(window, 1 / _cells(call)), add=False)),
]  # fmt: skip


def _cells(call: Call) -> int:
    kernel = geometry.pair(call.options["kernel_size"], "pool", "kernel_size", 1)
    return kernel[0] * kernel[1]
