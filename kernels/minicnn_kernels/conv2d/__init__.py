"""2-d convolution (cross-correlation), the one table of its algorithms.

    y[n, o, i, j] = b[o] + sum_{c, a, b} w[o, c, a, b] * x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]

    x   (N, C, H, W)          zero outside
    w   (O, C/G, KH, KW)      output channel o sees the C/G input channels of its group, o // (O/G)
    b   (O,) or None
    y   (N, O, OH, OW)

What the literature of networks calls convolution does not flip the kernel; signal processing calls it
cross-correlation. The gradients, for an upstream gradient gy of y's shape:

    gb[o]          = sum_{n, i, j} gy[n, o, i, j]
    gw[o, c, a, b] = sum_{n, i, j} gy[n, o, i, j] * x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gx[n, c, p, q] = sum of gy[n, o, i, j] * w[o, c, a, b] over all (o, i, j, a, b) whose product used x[n, c, p, q]

Every forward is called as `forward(x, w, b, g)` and every backward as `backward(gy, x, w, g, need)`, with `g` a
`geometry.Conv` and `need` three booleans: which of (gx, gw, gb) to compute. The others are returned as None. gx does
not depend on x and gw not on w, so that x may be None where gw is not wanted, and w where gx is not.

A transposed convolution is this one's gx as a function of gy; its gradients are y and gw. It needs no kernels of its
own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dispatch import BACKENDS, Table
from ..geometry import Conv
from ..layout import Array, is_channels_last
from . import depthwise, direct, fft, im2col, implicit, pointwise, registers, winograd

# The algorithms, a file each, in order of preference: where one has a function `supports(g)`, it cannot do every
# geometry.
ALGORITHMS = {
    "im2col": im2col,
    "direct": direct,
    "winograd": winograd,
    "pointwise": pointwise,
    "depthwise": depthwise,
    "registers": registers,
    "implicit": implicit,
    "fft": fft,
}
LIMITS = {name: module.supports for name, module in ALGORITHMS.items() if hasattr(module, "supports")}


def rule(g: Conv, gradient: str, last: bool, dtype: Any) -> str:
    """The fastest algorithm for a geometry, as measured by `benchmarks/conv_layers.py`, of those whose errors are
    relative to what an output sees: `fft` is not among them, and `winograd` is (`winograd_repair.py`).

    Args:
        g: the geometry.
        gradient: "" for the forward pass, "gx" or "gw".
        last: whether the memory of the pictures is channels last.
        dtype: of the pictures.
    """
    if pointwise.supports(g):
        return "pointwise"
    if g.groups > 1:
        return "depthwise" if depthwise.supports(g) else "im2col"
    single = dtype == np.float32
    may_be_implicit = single and implicit.supports(g) and 2 <= g.c <= 64 and g.o >= 16
    if _few_channels(g, gradient, last, np.dtype(dtype).itemsize, may_be_implicit):
        return "registers"
    least = 33 if gradient == "gw" else 17 if gradient == "gx" and g.c == g.o else 16
    if single and winograd.supports(g) and min(g.c, g.o) >= least:
        return "winograd"
    if may_be_implicit:
        large = g.kh * g.kw > 9 or g.sh * g.sw > 1  # in NCHW memory, x has to be reordered first
        if g.c >= 16 if gradient == "gx" else last or large or gradient == "gw":
            return "implicit"
    return "im2col"


def _few_channels(g: Conv, gradient: str, last: bool, itemsize: int, may_be_implicit: bool) -> bool:
    """Whether `registers` is the fastest."""
    if not registers.supports(g) or g.c > 16 or (gradient == "gx" and g.c < 3):
        return False
    if gradient == "gw":
        return g.c < 16 and g.o <= 64 and not (last and may_be_implicit)
    if registers.fills_tiles(g, gradient, last, itemsize):
        return g.o <= (64 if g.c < 16 else 32) and not (last and g.c < 4 and g.o > 16 and may_be_implicit)
    return g.c < 16 and g.o <= 32 and not (last and not gradient and may_be_implicit)


def _forward_rule(x: Array, w: Array, b: Array | None, g: Conv) -> str:
    return rule(g, "", is_channels_last(x), x.dtype)


def _backward_rule(gy: Array, x: Array | None, w: Array | None, g: Conv, need: tuple[bool, ...]) -> str:
    return rule(g, "gx" if need[0] else "gw", is_channels_last(gy if x is None else x), gy.dtype)


FORWARD = Table(
    "conv2d",
    {(name, kind): getattr(module, f"forward_{kind}") for name, module in ALGORITHMS.items() for kind in BACKENDS},
    {name: lambda x, w, b, g, able=able: able(g) for name, able in LIMITS.items()},
    _forward_rule,
)
BACKWARD = Table(
    "conv2d backward",
    {(name, kind): getattr(module, f"backward_{kind}") for name, module in ALGORITHMS.items() for kind in BACKENDS},
    {name: lambda gy, x, w, g, need, able=able: able(g) for name, able in LIMITS.items()},
    _backward_rule,
)
