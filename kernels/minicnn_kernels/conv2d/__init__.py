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

from collections.abc import Callable
from typing import Any

from ..dispatch import Table
from ..geometry import Conv
from ..layout import Array, is_channels_last
from . import direct, im2col, registers

# An algorithm that cannot do every geometry has a function `supports(g)`, named here.
LIMITS: dict[str, Callable[[Conv], bool]] = {"registers": registers.supports}


def rule(g: Conv, gradient: str, last: bool, dtype: Any) -> str:
    """The fastest algorithm for a geometry, as measured by `benchmarks/conv_layers.py`.

    Args:
        g: the geometry.
        gradient: "" for the forward pass, "gx" or "gw".
        last: whether the memory of the pictures is channels last.
        dtype: of the pictures.
    """
    return "im2col"


def _forward_rule(x: Array, w: Array, b: Array | None, g: Conv) -> str:
    return rule(g, "", is_channels_last(x), x.dtype)


def _backward_rule(gy: Array, x: Array | None, w: Array | None, g: Conv, need: tuple[bool, ...]) -> str:
    return rule(g, "gx" if need[0] else "gw", is_channels_last(gy if x is None else x), gy.dtype)


FORWARD = Table(
    "conv2d",
    {
        ("im2col", "python"): im2col.forward_python,
        ("im2col", "numpy"): im2col.forward_numpy,
        ("im2col", "numba"): im2col.forward_numba,
        ("direct", "python"): direct.forward_python,
        ("direct", "numpy"): direct.forward_numpy,
        ("direct", "numba"): direct.forward_numba,
        ("registers", "python"): registers.forward_python,
        ("registers", "numpy"): registers.forward_numpy,
        ("registers", "numba"): registers.forward_numba,
    },
    {name: lambda x, w, b, g, able=able: able(g) for name, able in LIMITS.items()},
    _forward_rule,
)
BACKWARD = Table(
    "conv2d backward",
    {
        ("im2col", "python"): im2col.backward_python,
        ("im2col", "numpy"): im2col.backward_numpy,
        ("im2col", "numba"): im2col.backward_numba,
        ("direct", "python"): direct.backward_python,
        ("direct", "numpy"): direct.backward_numpy,
        ("direct", "numba"): direct.backward_numba,
        ("registers", "python"): registers.backward_python,
        ("registers", "numpy"): registers.backward_numpy,
        ("registers", "numba"): registers.backward_numba,
    },
    {name: lambda gy, x, w, g, need, able=able: able(g) for name, able in LIMITS.items()},
    _backward_rule,
)
