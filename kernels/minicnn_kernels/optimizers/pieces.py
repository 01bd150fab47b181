"""An update in NumPy, piece by piece.

A piece is short enough to stay in the processor's cache from the first line of an update to the last. So the update
reads like its equations, with one NumPy operation for each, but every array is read from memory only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import GPU_TYPES, LIKE_ARRAYS, Array

BLOCK = 1 << 14  # elements of a piece: five pieces of float32 and a temporary take 400 kB


def in_pieces(
    update: Callable[..., None],
    arrays: list[Array],
    sign: float = 1.0,
    weight_decay: float = 0.0,
    shrink: float = 1.0,
) -> None:
    """Run `update(x, g, *buffers)` on one piece after the other of a parameter x, its gradient g and its buffers.

    The pieces are 1-d; on a GPU, and for LIKE_ARRAYS, the whole arrays are one piece. The update overwrites x and the
    buffers and leaves g as it is. It gets

        g = sign * gradient + weight_decay * x,  x <- shrink * x

    Args:
        update: see above.
        arrays: x, the gradient, and the buffers, of one shape, with any memory layout; a gradient of another type is
            converted piece by piece.
        sign: -1 to maximise, else 1.
        weight_decay: the factor with which x is added to the gradient.
        shrink: 1 - lr * weight_decay, where the weight decay is decoupled from the gradient.
    """

    def run(x: Array, g: Array, *buffers: Array) -> None:
        g = -g if sign < 0 else g
        if shrink != 1:
            x *= shrink
        if weight_decay:
            g = g + weight_decay * x
        update(x, g, *buffers)

    if type(arrays[0]) in GPU_TYPES or type(arrays[0]) in LIKE_ARRAYS:  # no cache to stay in: all is one piece
        run(arrays[0], arrays[1].astype(arrays[0].dtype, copy=False), *arrays[2:])
        return
    access: Any = [["readwrite"], ["readonly"], *(["readwrite"] for _ in arrays[2:])]
    types: Any = [arrays[0].dtype] * len(arrays)
    with np.nditer(
        arrays, ["buffered", "external_loop", "zerosize_ok"], access, types, casting="same_kind", buffersize=BLOCK
    ) as pieces:
        for piece in pieces:
            run(*piece)
