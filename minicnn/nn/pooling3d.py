"""Pooling layers of volumes (N, C, D, H, W), or (C, D, H, W); arguments are those of the function of the same name."""

from __future__ import annotations

from ..ops import pooling3d
from . import pooling

__all__ = [
    "AdaptiveAvgPool3d", "AdaptiveMaxPool3d", "AvgPool3d", "FractionalMaxPool3d", "LPPool3d", "MaxPool3d",
    "MaxUnpool3d",
]  # fmt: skip


class MaxPool3d(pooling._MaxPool):
    """The largest value of each window: (N, C, D, H, W) -> (N, C, OD, OH, OW); see `functional.max_pool3d`.

    >>> nn.MaxPool3d(2)(minicnn.arange(16.0).reshape(1, 1, 4, 2, 2)).flatten()
    tensor([ 7., 15.])
    """

    pool = staticmethod(pooling3d.max_pool3d)


class AvgPool3d(pooling._AvgPoolNd):
    """The mean of each window: (N, C, D, H, W) -> (N, C, OD, OH, OW); see `functional.avg_pool3d`.

    >>> nn.AvgPool3d(2)(minicnn.arange(16.0).reshape(1, 1, 4, 2, 2)).flatten()
    tensor([ 3.5000, 11.5000])
    """

    pool = staticmethod(pooling3d.avg_pool3d)


class AdaptiveAvgPool3d(pooling._AdaptiveAvgPool):
    """The mean of each of OD x OH x OW windows of nearly equal size: (N, C, D, H, W) -> (N, C, OD, OH, OW).

    >>> nn.AdaptiveAvgPool3d(1)(minicnn.ones(8, 512, 4, 7, 7)).shape  # global average pooling
    minicnn.Size([8, 512, 1, 1, 1])
    """

    pool = staticmethod(pooling3d.adaptive_avg_pool3d)


class AdaptiveMaxPool3d(pooling._AdaptiveMaxPool):
    """The largest value of each of OD x OH x OW windows of nearly equal size: (N, C, D, H, W) -> (N, C, OD, OH, OW).

    >>> nn.AdaptiveMaxPool3d((2, 1, 1))(minicnn.arange(8.0).reshape(1, 2, 2, 2)).flatten()
    tensor([3., 7.])
    """

    pool = staticmethod(pooling3d.adaptive_max_pool3d)


class FractionalMaxPool3d(pooling._FractionalMaxPool):
    """The largest value of each of OD x OH x OW windows at random positions; see `functional.fractional_max_pool3d`.

    >>> nn.FractionalMaxPool3d(2, output_size=(3, 8, 8))(minicnn.zeros(1, 3, 6, 12, 12)).shape
    minicnn.Size([1, 3, 3, 8, 8])
    """

    pool, dims = staticmethod(pooling3d.fractional_max_pool3d), 3


class MaxUnpool3d(pooling._MaxUnpool):
    """Puts values back where `MaxPool3d(..., return_indices=True)` took them from: -> (N, C, D, H, W).

    >>> y, where = nn.MaxPool3d(2, return_indices=True)(minicnn.arange(8.0).reshape(1, 2, 2, 2))
    >>> nn.MaxUnpool3d(2)(y, where).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """

    pool, dims = staticmethod(pooling3d.max_unpool3d), 3


class LPPool3d(pooling._LPPool):
    """The p-norm of each window: (N, C, D, H, W) -> (N, C, OD, OH, OW); see `functional.lp_pool2d`.

    >>> nn.LPPool3d(2, (2, 2, 1))(minicnn.ones(1, 1, 2, 2, 1)).flatten()  # sqrt(1 + 1 + 1 + 1)
    tensor([2.])
    """

    pool = staticmethod(pooling3d.lp_pool3d)
