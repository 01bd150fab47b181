"""Batch normalisation 4 of 4, channels: on a GPU, as kernels in CUDA C++: `channels.cu`.

The order of memory decides which threads are side by side: those of a run of one channel in NCHW memory, those of the
channels of a pixel in channels-last memory (`device/channels.cuh`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, contiguous
from ..cuda import BLOCK, launch, launch_blocks, scalar
from ..geometry import Channels
from ..layout import alike, dense, empty_beside, is_channels_last
from .definition import Gradients, Vector

_FILE = "batchnorm/channels.cu"
_TILE = 64  # channels side by side in a block
_EACH = 8  # values of a thread in a pass over all values, as in device/channels.cuh
_BLOCKS = 1024  # blocks for sums: some on each processor of a large GPU, but the same number on all, for the same bits


def channels_of(x: Array) -> Channels:
    """Dense memory as (rows, C, S)."""
    size = 1 if is_channels_last(x) else math.prod(x.shape[2:])
    many = x.shape[1]
    return Channels(x.size // max(1, many * size), many, size, 1 if size > 1 else max(1, -(-many // _TILE)))


def channel_sums(file: str, kernel: str, x: Array, v: Channels, *args: Any) -> tuple[Array, int]:
    """Run a kernel that sums over channels: partial sums (C, 2, parts), and how many parts there are; 0 of nothing."""
    wide = v.channels if v.size > 1 else v.tiles  # blocks side by side
    at_once = BLOCK if v.size > 1 else BLOCK // -(-max(1, v.channels) // v.tiles)  # values of a channel
    most = v.rows * v.size // (16 * at_once)  # so that a thread has 16 values or more
    parts = max(1, min(_BLOCKS // max(1, wide), most)) if x.size else 0
    partial = empty_beside(x, (v.channels, 2, parts), dtype=np.float64)
    launch_blocks(file, kernel, (wide, parts), (BLOCK,), *args, partial, v)
    return partial, parts


def _each_value(kernel: str, x: Array, v: Channels, *args: Any) -> None:
    """Run a kernel over all values of x."""
    if v.size > 1:
        blocks = -(-v.rows * v.channels * -(-v.size // (32 * _EACH)) * 32 // BLOCK)
    else:
        blocks = -(-v.rows // (BLOCK // -(-max(1, v.channels) // v.tiles) * _EACH)) * v.tiles
    if x.size:
        launch_blocks(_FILE, f"{kernel}<{scalar(x)}>", (blocks,), (BLOCK,), *args, v)


def vectors(x: Array, *given: Vector) -> list[Vector]:
    """Vectors (C,), contiguous and of x's type; None stays None."""
    return [None if v is None else contiguous(v, x.dtype) for v in given]


def training_cuda(x: Array, gamma: Vector, beta: Vector, eps: float, relu: bool = False) -> tuple[Array, ...]:
    """One pass for the statistics, one for y, which has the memory order of x."""
    x = dense(x)
    v, kind = channels_of(x), scalar(x)
    gamma, beta = vectors(x, gamma, beta)
    mean, var, invstd = (empty_beside(x, (v.channels,)) for _ in range(3))
    partial, parts = channel_sums(_FILE, f"moments<{kind}>", x, v, x)
    args = x, partial, parts, float(eps), mean, var, invstd, v
    launch(_FILE, f"statistics<{kind}>", 32 * v.channels, *args)
    y = empty_beside(x, x.shape, is_channels_last(x))
    _each_value("scale", x, v, x, gamma, beta, mean, invstd, None, float(eps), relu, y)
    return y, mean, var, invstd


def evaluation_cuda(
    x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, relu: bool = False
) -> Array:  # fmt: skip
    """One pass; y has the memory order of x."""
    x = dense(x)
    gamma, beta, middle, spread = vectors(x, gamma, beta, mean, var)
    y = empty_beside(x, x.shape, is_channels_last(x))
    _each_value("scale", x, channels_of(x), x, gamma, beta, middle, None, spread, float(eps), relu, y)
    return y


def training_backward_cuda(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """One pass for the sums, one for gx, which has the memory order of x."""
    return _gradients(gy, x, [gamma, beta, mean, invstd, None], 0.0, needs_grad, relu, True)


def evaluation_backward_cuda(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """The pass for the sums only if ggamma or gbeta is wanted."""
    return _gradients(gy, x, [gamma, beta, mean, None, var], eps, needs_grad, relu, False)


def _gradients(
    gy: Array, x: Array, given: list[Vector], eps: float, needs_grad: Sequence[bool], relu: bool, training: bool
) -> Gradients:  # fmt: skip
    """The wanted gradients; `given` are gamma, beta, mean, invstd and var."""
    x, gy = alike(x, gy)
    v, kind = channels_of(x), scalar(x)
    args = gy, x, *vectors(x, *given), float(eps), relu
    gx = ggamma = gbeta = means = None
    if training or needs_grad[1] or needs_grad[2]:
        partial, parts = channel_sums(_FILE, f"gradient_sums<{kind}>", x, v, *args)
        ggamma, gbeta, means = vector_gradients(x, partial, parts, v)
    if needs_grad[0]:
        gx = empty_beside(x, x.shape, is_channels_last(x))
        _each_value("gradient", x, v, *args, means if training else None, gx)
    return gx, ggamma if needs_grad[1] else None, gbeta if needs_grad[2] else None


def vector_gradients(x: Array, partial: Array, parts: int, v: Channels) -> tuple[Array, Array, Array]:
    """ggamma and gbeta, (C,), from partial sums of g and of g xhat, and the means of both, (C, 2)."""
    ggamma, gbeta, means = (empty_beside(x, shape) for shape in ((v.channels,), (v.channels,), (v.channels, 2)))
    launch(_FILE, f"vector_gradients<{scalar(x)}>", 32 * v.channels, partial, parts, ggamma, gbeta, means, v)
    return ggamma, gbeta, means
