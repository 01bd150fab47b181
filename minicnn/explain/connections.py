"""A convolution is a fully connected layer in which most weights are 0 and the others are shared.

    y.flatten() = M x.flatten()          M[(o, i, j), (c, p, q)] = w[o, c, a, b] where pixel (p, q) is under cell (a, b)
                                         of the window of (i, j); 0 elsewhere

Each row of M has C KH KW numbers that are not 0 (local connectivity),
and all rows of a filter have the same ones (shared
weights). The matrix is never built by a convolution: here it is, to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array, host
from minicnn_kernels.geometry import IntOrPair

from ..tensor import Tensor
from .windows import window_map

LARGEST = 4_000_000  # entries of the matrix


@dataclass(frozen=True)
class Connections:
    """The matrix of a convolution of one image.

    Attributes:
        matrix: (O*OH*OW, C*H*W).
        weight: of the same shape, the number of the weight in w.flatten() that stands there; -1: no connection.
        w: (O, C, KH, KW).
        image: (C, H, W) of the input.
        output: (O, OH, OW).
    """

    matrix: Array
    weight: Array
    w: Array
    image: tuple[int, int, int]
    output: tuple[int, int, int]

    @property
    def connected(self) -> int:
        """The number of connections: entries that are not left out. A weight of 0 is a connection, too."""
        return int(np.count_nonzero(self.weight >= 0))


def connections(
    w: Any, size: tuple[int, int, int], stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1,
    groups: int = 1,
) -> Connections:  # fmt: skip
    """The matrix that a convolution multiplies an image by, when the image is one long vector.

    Args:
        w: (O, C/G, KH, KW).
        size: (C, H, W) of the image.
        stride, padding, dilation, groups: as for `nn.functional.conv2d`.

    Raises:
        ShapeError: the shapes do not fit together.
        ValueError: the matrix would have more than 4 million entries.

    >>> from minicnn.explain import connections
    >>> connections(minicnn.tensor([[[[1., 2.]]]]), (1, 1, 4)).matrix
    array([[1., 2., 0., 0.],
           [0., 1., 2., 0.],
           [0., 0., 1., 2.]], dtype=float32)
    """
    weights = np.asarray(host(w.detach().array) if isinstance(w, Tensor) else w)
    g = geometry.conv2d((1, *size), weights.shape, None, stride, padding, dilation, groups)
    if g.o * g.oh * g.ow * g.c * g.h * g.w > LARGEST:
        raise ValueError(
            f"connections: the matrix would be {g.o * g.oh * g.ow:,} x {g.c * g.h * g.w:,}; give a smaller image"
        )
    rows = window_map(g.oh, g.kh, g.sh, g.ph, g.dh, g.h)  # (OH, KH)
    columns = window_map(g.ow, g.kw, g.sw, g.pw, g.dw, g.w)  # (OW, KW)
    o, c, i, j, a, b = np.ix_(*map(np.arange, (g.o, g.c // g.groups, g.oh, g.ow, g.kh, g.kw)))
    p, q = rows[i, a], columns[j, b]
    channel = o // (g.o // g.groups) * (g.c // g.groups) + c
    output, pixel, number, inside = np.broadcast_arrays(
        (o * g.oh + i) * g.ow + j,
        (channel * g.h + p) * g.w + q,
        ((o * (g.c // g.groups) + c) * g.kh + a) * g.kw + b,
        (p >= 0) & (q >= 0),
    )
    weight = np.full((g.o * g.oh * g.ow, g.c * g.h * g.w), -1)
    weight[output[inside], pixel[inside]] = number[inside]
    matrix = np.where(weight >= 0, weights.ravel()[weight], 0)
    return Connections(matrix, weight, weights, (g.c, g.h, g.w), (g.o, g.oh, g.ow))
