"""2-d convolution (cross-correlation): its definition, its eight algorithms, and the rule that chooses among them.

    y[n, o, i, j] = b[o] + sum_{c, a, b} w[o, c, a, b] * x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]

    x   (N, C, H, W)          zero outside
    w   (O, C/G, KH, KW)      output channel o sees the C/G input channels of its group, o // (O/G)
    b   (O,) or None
    y   (N, O, OH, OW)

In the literature of neural networks a convolution does not flip the filter; signal processing calls this operation
cross-correlation. The gradients, for an upstream gradient gy of y's shape:

    gb[o]          = sum_{n, i, j} gy[n, o, i, j]
    gw[o, c, a, b] = sum_{n, i, j} gy[n, o, i, j] * x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gx[n, c, p, q] = sum of gy[n, o, i, j] * w[o, c, a, b] over all (o, i, j, a, b) whose product used x[n, c, p, q]

Every forward is called as `forward(x, w, b, g)` and every backward as `backward(gy, x, w, g, needs_grad)`, with `g`
a `geometry.Conv` and `needs_grad` three booleans: which of (gx, gw, gb) to compute. The others are returned as None. gx
does not depend on x, and gw does not depend on w. So x may be None if gw is not wanted, and w if gx is not wanted.

A transposed convolution is gx of a convolution as a function of gy; its gradients are y and gw of that convolution. So
it has no kernels of its own.

The algorithms, in the order in which to read them, each with what it changes:

    1  direct      the definition, as loops
    2  im2col      every window is copied into a column of a matrix; BLAS computes the sums
    3  pointwise   2 for filters of 1x1: x is already that matrix, and nothing is copied
    4  implicit    2 without writing the matrix: the windows are read directly from x
    5  registers   1, but a tile of outputs stays in registers until its sums are complete
    6  depthwise   every channel has its own filters: no sum over channels, so the goal is to read memory only once
    7  winograd    filters of 3x3 with 2.25 or 4 times fewer multiplications, which are matrix products as in 2
    8  fft         the number of multiplications does not depend on the size of the filter

An algorithm is one file, or a folder. The mathematics, the python and the numpy functions are in the file or in the
folder's `__init__.py`; the compiled loops are there too, or in the other files of the folder. `rule` says which
algorithm is the fastest for which call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array, on_gpu
from ..dispatch import Table
from ..geometry import Conv
from ..layout import as_order, is_channels_last
from ..runtime import threads
from . import depthwise, direct, fft, im2col, implicit, pointwise, registers, winograd

# The geometries that an algorithm can do. `im2col`, `direct` and `fft` are not here: they can do all of them.
LIMITS = {
    "winograd": winograd.supports,
    "pointwise": pointwise.supports,
    "depthwise": depthwise.supports,
    "registers": registers.supports,
    "implicit": implicit.supports,
}


def rule(g: Conv, gradient: str, channels_last: bool, dtype: Any) -> str:
    """The fastest algorithm for a geometry, as measured by `benchmarks/conv_layers.py`.

    Only algorithms whose error is relative to the pixels that an output sees are chosen. `winograd` is one of them
    (`weak_tiles.py`), `fft` is not.

    Args:
        g: the geometry.
        gradient: "" for the forward pass, "gx" or "gw".
        channels_last: whether the images are in channels-last memory.
        dtype: the type of the images.

    Example: the first layer of the README, `Conv2d(1, 6, 5)` on float32 images of 32x32. Its filters are not 1x1, so it
    is not `pointwise`; it has one group, so it is not `depthwise`. In the forward pass, `_few_channels` is True: C = 1
    and O = 6 are few, and a row of 28 outputs fills most of the 32 places of two AVX-512 vectors. The rule returns
    `registers`, for gw too. gx, which this layer does not need, would be `im2col`: of one channel, it fills no tile.
    """
    return _rule(g, gradient, channels_last, dtype, threads())


@functools.lru_cache(4096)  # a net asks the same in each step, and the answer takes longer than to find it again
def _rule(g: Conv, gradient: str, channels_last: bool, dtype: Any, threads: int) -> str:
    if pointwise.supports(g):
        return "pointwise"
    single = dtype == np.float32
    if g.groups > 1:
        if depthwise.supports(g) or depthwise.fills_vectors(g, np.dtype(dtype).itemsize):
            return "depthwise"
        return "implicit" if single and implicit.supports(g) else "im2col"
    if im2col.is_one_window(g):
        return "im2col"  # which copies nothing then
    may_be_implicit = single and implicit.supports(g) and 2 <= g.c <= 64 and g.o >= 16
    if _few_channels(g, gradient, channels_last, np.dtype(dtype).itemsize, may_be_implicit):
        return "registers"
    if single and winograd.supports(g) and min(g.c, g.o) >= _channels_for_winograd(g, gradient):
        return "winograd"
    if may_be_implicit and _implicit_is_fast(g, gradient, channels_last):
        return "implicit"
    return "im2col"


def _few_channels(g: Conv, gradient: str, channels_last: bool, itemsize: int, may_be_implicit: bool) -> bool:
    """Whether `registers` is the fastest: few channels, and tiles that are full."""
    if not registers.supports(g) or g.c > 16 or (gradient == "gx" and g.c < 3):
        return False
    if gradient == "gw":
        return g.c < 16 and g.o <= 64 and not (channels_last and may_be_implicit)
    if registers.fills_tiles(g, gradient, channels_last, itemsize):
        return g.o <= (64 if g.c < 16 else 32) and not (channels_last and g.c < 4 and g.o > 16 and may_be_implicit)
    return g.c < 16 and g.o <= 32 and not (channels_last and not gradient and may_be_implicit)


def _channels_for_winograd(g: Conv, gradient: str) -> int:
    """The number of input channels and of output channels from which `winograd` is the fastest."""
    if gradient == "gw":
        return 33  # with up to 32 channels, `implicit` is faster
    if gradient == "gx" and g.c == g.o:
        return 17  # from 16 to 16 channels, `implicit` is faster
    return 16  # with fewer, the matrix products between the transforms are too small


def _implicit_is_fast(g: Conv, gradient: str, channels_last: bool) -> bool:
    """Whether `implicit` is faster than `im2col`, for a geometry and type of which it can be."""
    if gradient == "gw":
        return True  # im2col would write all windows, to read them only once
    if gradient == "gx":
        return g.c >= 16 and implicit.fills_tiles(-(-g.w // g.sw))  # gx has C channels, and fewer do not fill the tiles
    if not implicit.fills_tiles(g.ow):
        return False
    if channels_last:
        return True  # the windows are in x already
    # In NCHW memory, x has to be reordered first, which pays only for a large filter or a stride.
    return g.kh * g.kw > 9 or g.sh * g.sw > 1


def in_best_order(x: Array, channels: int, order: str) -> Array:
    """NCHW images on the CPU in channels-last memory, where a net is faster so; else x itself.

    With many channels, most kernels are faster on channels-last memory: a pixel's channels are the vector that they
    work on. With few channels, as in LeNet-5, rows of pixels are better vectors. So images of two or three colours are
    copied if the convolution has many channels after it, and later results if they have many.

    Args:
        x: the images.
        channels: their number after the convolution.
        order: what `chosen_order` says.
    """
    if order == "contiguous_format" or not x.flags.c_contiguous or on_gpu(x):
        return x
    c = x.shape[1]
    if order or (x.dtype == np.float32 and channels >= MANY and (1 < c <= 3 or c >= MANY // 2)):
        return as_order(x, True)
    return x


MANY = 16  # channels


def _forward_rule(x: Array, w: Array, b: Array | None, g: Conv) -> str:
    return rule(g, "", is_channels_last(x), x.dtype)


def _backward_rule(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: tuple[bool, ...]) -> str:
    return rule(g, "gx" if needs_grad[0] else "gw", is_channels_last(gy if x is None else x), gy.dtype)


def _rule_of_cupy(*args: Any) -> str:
    """The numpy row with the fewest launches and the least memory: only where im2col would waste both, not im2col."""
    g = args[3]
    if pointwise.supports(g):
        return "pointwise"
    return "depthwise" if g.groups > 1 and depthwise.supports(g) else "im2col"


def _rule_of_cuda(*args: Any) -> str:
    """The algorithm of a GPU kernel, forward or backward; not yet measured on a GPU.

    - `pointwise` where it can: x is the matrix already, so there is nothing to find out about windows.
    - `depthwise` where it can: without a sum over channels, a tile of a product would be almost empty.
    - else `implicit`: it reads x once for 64 output channels, and its tiles do not depend on the order of memory.

    `im2col` writes and reads KH*KW copies of x, for the same products. `direct` reads memory for every product.
    """
    g = args[3]
    if pointwise.supports(g):
        return "pointwise"
    return "depthwise" if g.groups > 1 and depthwise.supports(g) else "implicit"


def _of_call(able: Callable[[Conv], bool]) -> Callable[..., bool]:
    """The same limit as a function of the arguments of a call, forward or backward: the geometry is the fourth."""

    @functools.wraps(able)  # the docstring too, which errors show
    def supports(*args: Any) -> bool:
        return able(args[3])

    return supports


def _depthwise_or_few_in_a_group(*args: Any) -> bool:
    """Whether every group is one input channel, or several groups fill a vector of the processor."""
    g = args[3]
    return depthwise.supports(g) or depthwise.fills_vectors(g, args[0].itemsize)


_SUPPORTS: dict[Any, Any] = {name: _of_call(able) for name, able in LIMITS.items()}
_SUPPORTS["implicit", "cuda"] = None  # it can do all geometries
_SUPPORTS["depthwise", "numba"] = _depthwise_or_few_in_a_group

FORWARD = Table(
    "conv2d",
    {
        ("im2col", "python"): im2col.forward_python,
        ("im2col", "numpy"): im2col.forward_numpy,
        ("im2col", "numba"): im2col.forward_numba,
        ("im2col", "cuda"): im2col.forward_cuda,
        ("direct", "python"): direct.forward_python,
        ("direct", "numpy"): direct.forward_numpy,
        ("direct", "numba"): direct.forward_numba,
        ("direct", "cuda"): direct.forward_cuda,
        ("winograd", "python"): winograd.forward_python,
        ("winograd", "numpy"): winograd.forward_numpy,
        ("winograd", "numba"): winograd.forward_numba,
        ("pointwise", "python"): pointwise.forward_python,
        ("pointwise", "numpy"): pointwise.forward_numpy,
        ("pointwise", "numba"): pointwise.forward_numba,
        ("pointwise", "cuda"): pointwise.forward_cuda,
        ("depthwise", "python"): depthwise.forward_python,
        ("depthwise", "numpy"): depthwise.forward_numpy,
        ("depthwise", "numba"): depthwise.forward_numba,
        ("depthwise", "cuda"): depthwise.forward_cuda,
        ("registers", "python"): registers.forward_python,
        ("registers", "numpy"): registers.forward_numpy,
        ("registers", "numba"): registers.forward_numba,
        ("implicit", "python"): implicit.forward_python,
        ("implicit", "numpy"): implicit.forward_numpy,
        ("implicit", "numba"): implicit.forward_numba,
        ("implicit", "cuda"): implicit.forward_cuda,
        ("fft", "python"): fft.forward_python,
        ("fft", "numpy"): fft.forward_numpy,
        ("fft", "numba"): fft.forward_numba,
    },
    _SUPPORTS,
    {"numba": _forward_rule, "cuda": _rule_of_cuda, "cupy": _rule_of_cupy},
)
BACKWARD = Table(
    "conv2d backward",
    {
        ("im2col", "python"): im2col.backward_python,
        ("im2col", "numpy"): im2col.backward_numpy,
        ("im2col", "numba"): im2col.backward_numba,
        ("im2col", "cuda"): im2col.backward_cuda,
        ("direct", "python"): direct.backward_python,
        ("direct", "numpy"): direct.backward_numpy,
        ("direct", "numba"): direct.backward_numba,
        ("direct", "cuda"): direct.backward_cuda,
        ("winograd", "python"): winograd.backward_python,
        ("winograd", "numpy"): winograd.backward_numpy,
        ("winograd", "numba"): winograd.backward_numba,
        ("pointwise", "python"): pointwise.backward_python,
        ("pointwise", "numpy"): pointwise.backward_numpy,
        ("pointwise", "numba"): pointwise.backward_numba,
        ("pointwise", "cuda"): pointwise.backward_cuda,
        ("depthwise", "python"): depthwise.backward_python,
        ("depthwise", "numpy"): depthwise.backward_numpy,
        ("depthwise", "numba"): depthwise.backward_numba,
        ("depthwise", "cuda"): depthwise.backward_cuda,
        ("registers", "python"): registers.backward_python,
        ("registers", "numpy"): registers.backward_numpy,
        ("registers", "numba"): registers.backward_numba,
        ("implicit", "python"): implicit.backward_python,
        ("implicit", "numpy"): implicit.backward_numpy,
        ("implicit", "numba"): implicit.backward_numba,
        ("implicit", "cuda"): implicit.backward_cuda,
        ("fft", "python"): fft.backward_python,
        ("fft", "numpy"): fft.backward_numpy,
        ("fft", "numba"): fft.backward_numba,
    },
    _SUPPORTS,
    {"numba": _backward_rule, "cuda": _rule_of_cuda, "cupy": _rule_of_cupy},
)
