"""Mistakes in pooling and in its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array

from .base import Call, Mistake

Window = tuple[int, int, Array, Array]
Sides = dict[str, tuple[int, int]]


def _sides(call: Call) -> Sides:
    """kernel, stride, padding and dilation as pairs."""
    options = {"padding": 0, "dilation": 1, "stride": None} | call.options
    kernel = geometry.pair(options["kernel_size"], "pool", "kernel_size", 1)
    stride = kernel if options["stride"] is None else geometry.pair(options["stride"], "pool", "stride", 1)
    padding, dilation = (geometry.pair(options[name], "pool", name, 0) for name in ("padding", "dilation"))
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def _windows(call: Call, size: tuple[int, ...] | None = None, **changes: tuple[int, int]) -> list[Window]:
    """(i, j, rows, columns) of each window, inside the image; `size` is (OH, OW)."""
    sides = _sides(call) | changes
    kernel, stride, padding, dilation = (sides[name] for name in ("kernel", "stride", "padding", "dilation"))
    oh, ow = call.gy.shape[2:] if size is None else size
    size, found = call.inputs["x"].shape[2:], []
    for i in range(oh):
        for j in range(ow):
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


# ------------------------------------------------------------------------------------------------------------- results


def _pooled(
    value: Callable[[Array, Call], Array], *, zeros: bool = False, **changes: Callable[[Sides], Any]
) -> Callable[[Call], Array | None]:  # fmt: skip
    """The pooling where `value` of a window (N, C, P) is taken; `zeros` of the padding belong to it."""

    def result(call: Call) -> Array | None:
        right = _sides(call)
        sides = right | {name: change(right) for name, change in changes.items()}
        x, y = call.inputs["x"], call.right["y"]
        sizes = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(x.shape[2:], *(sides[e] for e in ("padding", "dilation", "kernel", "stride")),
                                     strict=True)
        ]  # fmt: skip
        if min(sizes) < 1:
            return None
        cells = sides["kernel"][0] * sides["kernel"][1]
        found = np.empty((*y.shape[:2], *sizes))
        for i, j, rows, columns in _windows(call, tuple(sizes), **sides):
            window = x[:, :, rows[:, None], columns].reshape(*x.shape[:2], -1)
            if zeros and window.shape[2] < cells:
                window = np.pad(window, ((0, 0), (0, 0), (0, cells - window.shape[2])))
            if not window.shape[2]:
                return None
            found[:, :, i, j] = value(window, call)
        return found

    return result


def _swap(name: str) -> Callable[[Sides], tuple[int, int]]:
    return lambda sides: (sides[name][1], sides[name][0])


def _steps(value: Callable[[Array, Call], Array], zeros: bool = False) -> list[Mistake]:
    """Mistakes in the places of the windows."""
    return [
        Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
                _pooled(value, zeros=zeros, stride=lambda sides: (1, 1))),
        Mistake("the stride is that of the window", "the stride is given: window (i, j) begins at row i*SH",
                _pooled(value, zeros=zeros, stride=lambda sides: sides["kernel"])),
        Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
                _pooled(value, zeros=zeros, stride=_swap("stride"))),
        Mistake("height and width of the window are swapped", "rows go with KH, columns with KW",
                _pooled(value, zeros=zeros, kernel=_swap("kernel"))),
        Mistake("the padding is left out", "windows begin PH rows above and PW columns left of the image",
                _pooled(value, zeros=zeros, padding=lambda sides: (0, 0))),
        Mistake("vertical and horizontal padding are swapped", "rows go with PH, columns with PW",
                _pooled(value, zeros=zeros, padding=_swap("padding"))),
    ]  # fmt: skip


def _max(window: Array, call: Call) -> Array:
    return np.asarray(window.max(2))


def _mean(window: Array, call: Call) -> Array:
    return np.asarray(window.sum(2) / _cells(call))


MAX_POOL_Y = [
    Mistake("the padding counts as 0", "the padding is minus infinity: a window of negative numbers has a negative "
            "largest value", _pooled(_max, zeros=True)),
    Mistake("the search begins at 0: negative numbers are lost", "begin with minus infinity or with the first value",
            _pooled(lambda w, c: np.maximum(w.max(2), 0))),
    Mistake("the mean is taken, not the largest value", "take the largest value", _pooled(lambda w, c: w.mean(2))),
    Mistake("the value of largest size is taken, whatever its sign", "take the largest value",
            _pooled(lambda w, c: np.abs(w).max(2))),
    Mistake("the smallest value is taken", "take the largest value", _pooled(lambda w, c: w.min(2))),
    *_steps(_max),
]  # fmt: skip
AVG_POOL_Y = [
    Mistake("the sum is not divided", "divide by KH KW", _pooled(lambda w, c: w.sum(2))),
    Mistake("it is divided by the pixels inside the image only", "divide by KH KW: zeros of the padding count "
            "(count_include_pad)", _pooled(lambda w, c: w.mean(2))),
    Mistake("the largest value is taken, not the mean", "take the mean", _pooled(_max)),
    Mistake("it is divided by KH only", "divide by KH KW",
            _pooled(lambda w, c: w.sum(2) / _sides(c)["kernel"][0])),
    *_steps(_mean),
]  # fmt: skip
