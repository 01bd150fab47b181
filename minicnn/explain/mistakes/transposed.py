"""Mistakes in a transposed convolution and its gradients.

It is the gradient gx of a convolution, as a function of gy. So its result is a col2im, its gx is a convolution, and its
gw is that of the convolution with x and gy exchanged: the mistakes are those, made in the other direction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake
from .convolution import CONV_B, Steps, gathered, spread, steps_of, swapped
from .forward import convolved


def _back(change: Callable[[Call, Steps], Array | None]) -> Callable[[Call], Array | None]:
    """gx: the convolution of gy with w."""

    def gradient(call: Call) -> Array | None:
        inputs = {"x": call.gy, "w": call.inputs["w"]}
        return change(Call(inputs, call.options, call.y, call.gy, {"y": call.right["x"]}), steps_of(call))

    return gradient


def _weight(change: Callable[[Call, Steps], Array | None]) -> Callable[[Call], Array | None]:
    """gw: that of the convolution from y to x."""

    def gradient(call: Call) -> Array | None:
        inputs = {"x": call.gy, "w": call.inputs["w"]}
        return change(Call(inputs, call.options, call.y, call.inputs["x"], call.right), steps_of(call))

    return gradient


def _result(
    steps: Callable[[Steps], Steps] = lambda s: s, *, flip: bool = False, how: str = "add", crop: str = "both",
    bias: float = 1.0, swap: bool = False,
) -> Callable[[Call], Array | None]:  # fmt: skip
    """The result with one thing changed."""

    def result(call: Call) -> Array | None:
        w, s = call.inputs["w"], steps_of(call)
        if swap and (w.shape[0] != w.shape[1] or s.groups > 1):
            return None
        w = w.swapaxes(0, 1) if swap else np.flip(w, (2, 3)) if flip else w
        ph, pw = s.padding
        n, o, oh, ow = call.right["y"].shape
        size = (oh + 2 * ph, ow + 2 * pw) if crop == "none" else (oh, ow)
        dual = Call({"x": np.zeros((n, o, *size)), "w": w}, call.options, call.y, call.inputs["x"], {})
        corner = None if crop == "both" else (0, 0)
        y = spread(dual, w, steps(s), corner, how)
        b = call.inputs.get("b")
        return y if y is None or b is None else y + bias * b[:, None, None]

    return result


_ADD = "add (+=): the windows of neighbouring inputs overlap where the stride is smaller than the kernel"
TRANSPOSED_Y = [
    Mistake("windows that overlap are overwritten, not added: the last one stays", _ADD, _result(how="last")),
    Mistake("windows that overlap are overwritten, not added: the first one stays", _ADD, _result(how="first")),
    Mistake("the filter is flipped", "put x[i, j] * w as it is onto window (i, j)", _result(flip=True)),
    Mistake("the bias is left out", "add b[o] to each output", _result(bias=0.0)),
    Mistake("the padding is not cut off", "the result is the part [PH:PH+OH, PW:PW+OW]", _result(crop="none")),
    Mistake("the padding is cut off at the end instead of on both sides", "the result is the part [PH:PH+OH, PW:PW+OW]",
            _result(crop="end")),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW of the result",
            _result(lambda s: s._replace(stride=(1, 1)))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            _result(lambda s: s._replace(stride=swapped(s.stride)))),
    Mistake("vertical and horizontal padding are swapped", "rows go with PH, columns with PW",
            _result(lambda s: s._replace(padding=swapped(s.padding)))),
    Mistake("output and input channels of the filter are swapped", "w[c, o]: input channel first, unlike in conv2d",
            _result(swap=True)),
]  # fmt: skip
_GATHER = "gx[c, i, j] is the sum of w[c, o, a, b] * gy[o, i*SH - PH + a, j*SW - PW + b]: a convolution of gy"
TRANSPOSED: dict[str, list[Mistake]] = {
    "x": [
        Mistake("the filter is flipped", _GATHER,
                _back(lambda c, s: convolved(c, s, w=np.flip(c.inputs["w"], (2, 3))))),
        Mistake("the padding is at the wrong side: gy is not moved by it", _GATHER,
                _back(lambda c, s: convolved(c, s, pad=((0, 2 * s.padding[0]), (0, 2 * s.padding[1]))))),
        Mistake("the stride is left out", _GATHER,
                _back(lambda c, s: _start(convolved(c, s._replace(stride=(1, 1))), c))),
        Mistake("only the last output channel counts", "add over all output channels o",
                _back(lambda c, s: convolved(c, s, w=_last(c.inputs["w"])))),
    ],
    "w": [
        Mistake("only the last sample counts", "add (+=) over all samples of the batch",
                _weight(lambda c, s: gathered(c, c.inputs["x"], s, slice(-1, None)))),
        Mistake("only the first sample counts", "add (+=) over all samples of the batch",
                _weight(lambda c, s: gathered(c, c.inputs["x"], s, slice(0, 1)))),
        Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW of gy",
                _weight(lambda c, s: gathered(c, c.inputs["x"], s._replace(stride=(1, 1))))),
        Mistake("it is flipped", "gw[c, o, a, b] is the sum of x[c, i, j] * gy[o, i*SH - PH + a, j*SW - PW + b]",
                lambda c: np.flip(c.right["w"], (2, 3))),
    ],
    "b": CONV_B,
}  # fmt: skip


def _last(w: Array) -> Array:
    """Only the last channel of the second axis; the others are 0."""
    found = np.zeros_like(w)
    found[:, -1:] = w[:, -1:]
    return found


def _start(y: Array | None, call: Call) -> Array | None:
    """The first rows and columns, as many as are needed."""
    height, width = call.right["y"].shape[2:]
    return None if y is None else y[:, :, :height, :width]
