"""Mistakes in the gradients of a convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array

from .base import OVER_BATCH, Call, Mistake


class Steps(NamedTuple):
    """Of a convolution, (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def steps_of(call: Call) -> Steps:
    """The steps of a call, with the usual defaults."""
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | call.options
    stride, padding, dilation = (
        geometry.pair(options[name], "conv2d", name, 0) for name in ("stride", "padding", "dilation")
    )
    return Steps(stride, padding, dilation, options["groups"])


def spread(call: Call, w: Array, steps: Steps, crop: tuple[int, int] | None = None, how: str = "add") -> Array | None:
    """The gradient gx by col2im: each window's part is added to the padded image, which is then cropped."""
    n, c, height, width = call.inputs["x"].shape
    (sh, sw), (ph, pw), (dh, dw), groups = steps
    gy = call.gy
    oh, ow = gy.shape[2:]
    parts = np.einsum(
        "ngoij,gocab->ngcabij", gy.reshape(n, groups, -1, oh, ow), w.reshape(groups, -1, *w.shape[1:]), optimize=True
    ).reshape(n, c, *w.shape[2:], oh, ow)
    large = (oh - 1) * sh + dh * (w.shape[2] - 1) + 1, (ow - 1) * sw + dw * (w.shape[3] - 1) + 1
    image = np.zeros((n, c, max(large[0], height + 2 * ph), max(large[1], width + 2 * pw)))
    order = [(i, j) for i in range(oh) for j in range(ow)]
    for i, j in reversed(order) if how == "first" else order:
        rows, columns = i * sh + np.arange(w.shape[2]) * dh, j * sw + np.arange(w.shape[3]) * dw
        place = (slice(None), slice(None), rows[:, None], columns)
        image[place] = parts[..., i, j] + (image[place] if how == "add" else 0)
    top, left = (ph, pw) if crop is None else crop
    found: Array = image[:, :, top : top + height, left : left + width]
    return found if found.shape == call.inputs["x"].shape else None


def gathered(call: Call, x: Array, steps: Steps, samples: slice = slice(None)) -> Array | None:
    """The gradient gw of a convolution: gy of each window, times the window."""
    w = call.inputs["w"]
    (sh, sw), (ph, pw), (dh, dw), groups = steps
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    n, c = x.shape[:2]
    oh, ow = call.gy.shape[2:]
    found = np.zeros_like(w)
    for a in range(w.shape[2]):
        for b in range(w.shape[3]):
            rows, columns = np.arange(oh) * sh + a * dh, np.arange(ow) * sw + b * dw
            if rows[-1] >= padded.shape[2] or columns[-1] >= padded.shape[3]:
                return None
            under = padded[:, :, rows[:, None], columns].reshape(n, groups, c // groups, oh, ow)[samples]
            up = call.gy.reshape(n, groups, -1, oh, ow)[samples]
            found[:, :, a, b] = np.einsum("ngoij,ngcij->goc", up, under, optimize=True).reshape(w.shape[:2])
    return found


def _conv_x(change: Callable[[Call, Steps], Array | None]) -> Callable[[Call], Array | None]:
    return lambda call: change(call, steps_of(call))


def swapped(pair: tuple[int, int]) -> tuple[int, int]:
    """(horizontal, vertical)."""
    return pair[1], pair[0]


def one_for_both(result: Callable[[Call, Steps], Array | None]) -> list[Mistake]:
    """The number of one axis, such as stride[0], is used for both; `result` computes with other steps."""

    def changed(name: str, axis: int) -> Callable[[Call], Array | None]:
        def gradient(call: Call) -> Array | None:
            steps = steps_of(call)
            given: dict[str, Any] = {name: (getattr(steps, name)[axis],) * 2}
            return result(call, steps._replace(**given))

        return gradient

    return [
        Mistake(f"the {which} {name} is used for both axes", f"{name} is a pair: the first is for rows, the second for "
                "columns", changed(name, axis))
        for name in ("stride", "padding", "dilation") for axis, which in enumerate(("vertical", "horizontal"))
    ]  # fmt: skip


def _last_filter(w: Array, groups: int) -> Array:
    """Only the last filter of each group; the others are 0."""
    each = len(w) // groups
    return np.where((np.arange(len(w)) % each == each - 1)[:, None, None, None], w, 0.0)


def _square(w: Array, steps: Steps) -> bool:
    return w.shape[0] == w.shape[1] and steps.groups == 1


_ADD = "add (+=) every window's part to the image: a pixel lies in several windows"
CONV_X = [
    Mistake("windows that overlap are overwritten, not added: the last one stays", _ADD,
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s, how="last"))),
    Mistake("filters and windows are overwritten, not added: the last one stays", "add (+=) over all output channels, "
            "and over all windows that have the pixel",
            _conv_x(lambda c, s: spread(c, _last_filter(c.inputs["w"], s.groups), s, how="last"))),
    Mistake("windows that overlap are overwritten, not added: the first one stays", _ADD,
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s, how="first"))),
    Mistake("the filter is flipped", "put w as it is onto the windows; only where the gradient is written as a "
            "convolution of gy is it turned by 180 degrees",
            _conv_x(lambda c, s: spread(c, np.flip(c.inputs["w"], (2, 3)), s))),
    Mistake("the padding is cut off at the end instead of on both sides", "return the part [PH:PH+H, PW:PW+W] of the "
            "padded gradient", _conv_x(lambda c, s: spread(c, c.inputs["w"], s, crop=(0, 0)))),
    Mistake("the padding is cut off at the beginning only", "return the part [PH:PH+H, PW:PW+W] of the padded gradient",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s, crop=(2 * s.padding[0], 2 * s.padding[1])))),
    Mistake("vertical and horizontal padding are swapped", "rows go with PH, columns with PW",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s, crop=swapped(s.padding)))),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s._replace(stride=(1, 1))))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s._replace(stride=swapped(s.stride))))),
    Mistake("the dilation is left out", "cell (a, b) lies a*DH rows and b*DW columns into the window",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s._replace(dilation=(1, 1))))),
    Mistake("vertical and horizontal dilation are swapped", "rows go with DH, columns with DW",
            _conv_x(lambda c, s: spread(c, c.inputs["w"], s._replace(dilation=swapped(s.dilation))))),
    Mistake("the weight is transposed: output and input channels are swapped", "sum over o of gy[n, o] * w[o, c]",
            _conv_x(lambda c, s: spread(c, c.inputs["w"].swapaxes(0, 1), s) if _square(c.inputs["w"], s) else None)),
    Mistake("rows and columns of the filter are swapped", "a counts rows, b columns",
            _conv_x(lambda c, s: spread(c, c.inputs["w"].swapaxes(2, 3), s)
                    if c.inputs["w"].shape[2] == c.inputs["w"].shape[3] else None)),
    *one_for_both(lambda c, s: spread(c, c.inputs["w"], s)),
]  # fmt: skip
_OVER_WINDOWS = "add (+=) over all windows: each of them uses the weight"


def _last_window(samples: slice) -> Callable[[Call, Steps], Array | None]:
    """gw of the last window alone, of some images."""

    def result(call: Call, steps: Steps) -> Array | None:
        last = np.zeros_like(call.gy)
        last[..., -1:, -1:] = call.gy[..., -1:, -1:]
        return gathered(call._replace(gy=last), call.inputs["x"], steps, samples)

    return result


CONV_W = [
    Mistake("windows are overwritten, not added: the last one stays", _OVER_WINDOWS,
            _conv_x(_last_window(slice(None)))),
    Mistake("images and windows are overwritten, not added: the last window of the last image stays",
            f"{_OVER_WINDOWS}, and over all images", _conv_x(_last_window(slice(-1, None)))),
    Mistake("only the last sample counts", OVER_BATCH,
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s, slice(-1, None)))),
    Mistake("only the first sample counts", OVER_BATCH,
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s, slice(0, 1)))),
    Mistake("the padding is lost: windows are taken from x without its border", "pad x as in the forward pass",
            _conv_x(lambda c, s: gathered(c, _shifted(c.inputs["x"], s), s))),
    Mistake("the stride is left out", "window (i, j) begins at row i*SH and column j*SW",
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s._replace(stride=(1, 1))))),
    Mistake("vertical and horizontal stride are swapped", "rows go with SH, columns with SW",
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s._replace(stride=swapped(s.stride))))),
    Mistake("the dilation is left out", "cell (a, b) lies a*DH rows and b*DW columns into the window",
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s._replace(dilation=(1, 1))))),
    Mistake("vertical and horizontal dilation are swapped", "rows go with DH, columns with DW",
            _conv_x(lambda c, s: gathered(c, c.inputs["x"], s._replace(dilation=swapped(s.dilation))))),
    *one_for_both(lambda c, s: gathered(c, _beyond(c.inputs["x"]), s)),
]  # fmt: skip


def _beyond(x: Array) -> Array:
    """x with zeros after its end, twice as large: a loop that checks its indices reads nothing there."""
    return np.pad(x, ((0, 0), (0, 0), (0, 2 * x.shape[2]), (0, 2 * x.shape[3])))


def _shifted(x: Array, steps: Steps) -> Array:
    """x moved so that window (0, 0) begins at pixel (0, 0), with zeros after its end."""
    (ph, pw), (height, width) = steps.padding, x.shape[2:]
    wide = np.pad(x, ((0, 0), (0, 0), (0, 2 * ph), (0, 2 * pw)))
    return wide[:, :, ph : ph + height, pw : pw + width]


def _sum_over(axes: tuple[int, ...], mean: bool = False) -> Callable[[Call], Array | None]:
    def gradient(call: Call) -> Array | None:
        found: Array = call.gy.mean(axes) if mean else call.gy.sum(axes)
        return found if found.shape == call.right["b"].shape else None

    return gradient


CONV_B = [
    Mistake("outputs are overwritten, not added: the last one stays", "add (+=) gy over n, i and j",
            lambda c: c.gy[:, :, -1, -1].sum(0) if c.gy.size else None),
    Mistake("images and outputs are overwritten, not added: the last output of the last image stays",
            "add (+=) gy over n, i and j", lambda c: c.gy[-1, :, -1, -1] if c.gy.size else None),
    Mistake("the mean is taken, not the sum", "add gy over n, i and j", _sum_over((0, 2, 3), mean=True)),
    Mistake("only the last sample counts", OVER_BATCH, lambda c: c.gy[-1].sum((1, 2))),
    Mistake("only the first sample counts", OVER_BATCH, lambda c: c.gy[0].sum((1, 2))),
    Mistake("it is summed over the channels as well", "add over n, i and j only",
            lambda c: np.full_like(c.right["b"], c.gy.sum())),
    Mistake("it is summed over the wrong axes, (1, 2, 3)", "add over the axes (0, 2, 3)", _sum_over((1, 2, 3))),
    Mistake("it is summed over the wrong axes, (0, 1, 2)", "add over the axes (0, 2, 3)", _sum_over((0, 1, 2))),
    Mistake("it is summed over the wrong axes, (0, 1, 3)", "add over the axes (0, 2, 3)", _sum_over((0, 1, 3))),
]  # fmt: skip
