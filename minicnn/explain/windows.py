"""Which numbers meet in a convolution: the places of the factors of every term, for an output, a pixel and a weight.

Along each axis, a map says which pixel is under cell a of window i. Padding, stride and dilation are in it, and nothing
else is needed:

    rows[i, a] = i*SH - PH + a*DH         -1 outside of the image

Letters: `minicnn_kernels/conv2d/__init__.py`. A place is a tuple of index arrays, one for each axis, as for `x[place]`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

Place = tuple[Array, ...]


def window_map(windows: int, cells: int, stride: int, padding: int, dilation: int, size: int) -> Array:
    """map[i, a] = i*stride - padding + a*dilation, or -1 if that is outside of 0 .. size - 1.

    >>> from minicnn.explain import window_map
    >>> window_map(windows=3, cells=3, stride=1, padding=1, dilation=1, size=3)
    array([[-1,  0,  1],
           [ 0,  1,  2],
           [ 1,  2, -1]])
    """
    at = np.arange(windows)[:, None] * stride - padding + np.arange(cells) * dilation
    return np.where((at >= 0) & (at < size), at, -1)


class Windows(NamedTuple):
    """The windows of a convolution of images (N, C, H, W) with filters (O, C/G, KH, KW) to maps (N, O, OH, OW).

    Attributes:
        rows: (OH, KH), the row of the image under each row of each window; -1 in the padding.
        columns: (OW, KW), the same for columns.
        images: N.
        channels: C/G, of a group.
        filters: O/G, of a group.
    """

    rows: Array
    columns: Array
    images: int
    channels: int
    filters: int

    def of_output(self, n: int, o: int, i: int, j: int) -> tuple[Place, Place]:
        """The pixels of a window, and the weights over them, in the order (c, a, b)."""
        c, a, b = np.ogrid[: self.channels, : self.rows.shape[1], : self.columns.shape[1]]
        first = o // self.filters * self.channels
        return _place(n, first + c, self.rows[i][a], self.columns[j][b]), _place(o, c, a, b)

    def of_pixel(self, n: int, c: int, p: int, q: int) -> tuple[Place, Place]:
        """The outputs whose windows have a pixel, and the weight over the pixel in each, in the order (o, i, j)."""
        group, channel = divmod(c, self.channels)
        o = (np.arange(self.filters) + group * self.filters)[:, None, None]
        (i, a), (j, b) = np.nonzero(self.rows == p), np.nonzero(self.columns == q)
        return _place(n, o, i[:, None], j), _place(o, channel, a[:, None], b)

    def of_weight(self, o: int, c: int, a: int, b: int) -> tuple[Place, Place]:
        """All outputs of a filter, and the pixel under a weight in the window of each, in the order (n, i, j)."""
        n, i, j = np.ogrid[: self.images, : self.rows.shape[0], : self.columns.shape[0]]
        first = o // self.filters * self.channels
        return _place(n, o, i, j), _place(n, first + c, self.rows[i, a], self.columns[j, b])


def _place(*axes: Array | int) -> Place:
    """Flat index arrays of one length."""
    return tuple(a.ravel() for a in np.broadcast_arrays(*axes))
