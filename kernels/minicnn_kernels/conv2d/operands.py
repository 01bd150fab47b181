"""Images, columns and weights as operands of `gemm_cuda`: where their rows and columns are in memory."""

from __future__ import annotations

from ..arrays import Array
from ..cuda import Axis, Stack
from ..gemm import ONE, Operand, axis
from ..geometry import Conv
from ..layout import is_channels_last


def of_images(x: Array, groups: int = 1, *, rows: int = 0, first: int = 0) -> Operand:
    """Images (N, C, H, W) in dense memory as matrices (C/G, N*H*W), one for each group.

    With `rows`, only as many rows of each image, from row `first` on.
    """
    n, c, h, w = x.shape
    pixel, channel = (c, 1) if is_channels_last(x) or h * w == 1 else (1, h * w)
    pixels = Axis((rows or h) * w, max(1, n), pixel, c * h * w, 0)
    return Operand(x, Stack(first * w * pixel, axis(groups, c // groups * channel), axis(c // groups, channel), pixels))


def of_strided_images(x: Array, g: Conv) -> Operand:
    """The pixels of images (N, C, H, W) that 1x1 filters see, as a matrix (C, N*OH*OW)."""
    if (g.oh, g.ow) == (g.h, g.w):
        return of_images(x)
    pixel, channel = (g.c, 1) if is_channels_last(x) else (1, g.h * g.w)
    pixels = Axis(g.ow, g.oh, g.sw * pixel, g.sh * g.w * pixel, g.c * g.h * g.w)
    return Operand(x, Stack(0, ONE, axis(g.c, channel), pixels))


def of_weights(w: Array, g: Conv, inside: bool = False) -> Operand:
    """Weights (O, C/G, KH, KW) in C order as matrices (O/G, K), one for each group.

    The K cells (c, a, b) have their order in memory, or with `inside` the order (a, b, c).
    """
    og, cg, cells = g.o // g.groups, g.c // g.groups, g.kh * g.kw
    k = Axis(max(1, cg), g.kw, cells, 1, g.kw) if inside else axis(cg * cells, 1)
    return Operand(w, Stack(0, axis(g.groups, og * cg * cells), axis(og, cg * cells), k))


def of_columns(col: Array, g: Conv, pixels: int, inside: bool) -> Operand:
    """The columns that `im2col/columns.cu` writes, as matrices (K, N*P), one for each group; P is `pixels`."""
    k, images = g.c // g.groups * g.kh * g.kw, max(1, g.n)
    groups = axis(g.groups, pixels * k)
    if inside:  # (N, G, P, K)
        return Operand(col, Stack(0, groups, axis(k, 1), Axis(pixels, images, k, g.groups * pixels * k, 0)))
    return Operand(col, Stack(0, groups, axis(k, pixels), Axis(pixels, images, 1, g.groups * k * pixels, 0)))
