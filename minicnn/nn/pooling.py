"""Pooling layers: fewer pixels, no parameters. The arguments are those of the function of the same name.

Shapes: (N, C, H, W) or (C, H, W) for layers of images, (N, C, L) or (C, L) for layers of signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minicnn_kernels.geometry import IntOrPair

from ..ops import adaptive_pooling, pooling
from ..tensor import Tensor
from .module import Module
from .tuples import _ntuple, _single

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "FractionalMaxPool2d", "LPPool1d", "LPPool2d", "MaxPool1d", "MaxPool2d", "MaxUnpool1d", "MaxUnpool2d",
]  # fmt: skip

SizeOrNone = adaptive_pooling.SizeOrNone


class _Pooling(Module):
    """A layer that calls `pool` with its own attributes, some of which the repr shows."""

    pool: Callable[..., Any]
    shown: tuple[str, ...]

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class _MaxPool(_Pooling):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        """Return the largest values, and with `return_indices` also their positions."""
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        return self.pool(input, *window, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest value of each window: (N, C, L) -> (N, C, OL); see `functional.max_pool1d`.

    >>> nn.MaxPool1d(2)(minicnn.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[3., 2.]]])
    """

    pool = staticmethod(pooling.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value of each window: (N, C, H, W) -> (N, C, OH, OW); arguments as in `functional.max_pool2d`.

    >>> x = minicnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> nn.MaxPool2d(2)(x)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    >>> nn.MaxPool2d(3, stride=2, padding=1)(x).shape
    minicnn.Size([1, 1, 2, 2])
    """

    pool = staticmethod(pooling.max_pool2d)


class AvgPool1d(_Pooling):
    """The mean of each window: (N, C, L) -> (N, C, OL); see `functional.avg_pool1d`.

    >>> nn.AvgPool1d(2)(minicnn.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[2., 1.]]])
    """

    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = _single(kernel_size), _single(padding)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, OL)."""
        window = self.kernel_size, self.stride, self.padding
        return pooling.avg_pool1d(input, *window, self.ceil_mode, self.count_include_pad)


class _AvgPoolNd(_Pooling):
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        window = self.kernel_size, self.stride, self.padding
        found: Tensor = self.pool(input, *window, self.ceil_mode, self.count_include_pad, self.divisor_override)
        return found


class AvgPool2d(_AvgPoolNd):
    """The mean of each window: (N, C, H, W) -> (N, C, OH, OW); arguments as in `functional.avg_pool2d`.

    >>> nn.AvgPool2d(2)(minicnn.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """

    pool = staticmethod(pooling.avg_pool2d)


class _AdaptiveAvgPool(_Pooling):
    shown = ("output_size",)

    def __init__(self, output_size: SizeOrNone) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Return a result of the given size."""
        found: Tensor = self.pool(input, self.output_size)
        return found


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of OL windows of nearly equal size: (N, C, L) -> (N, C, OL).

    >>> nn.AdaptiveAvgPool1d(2)(minicnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    tensor([[[1.5000, 3.5000]]])
    """

    pool = staticmethod(adaptive_pooling.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of each of OH x OW windows of nearly equal size: (N, C, H, W) -> (N, C, OH, OW).

    `functional.adaptive_avg_pool2d` says where the windows begin and end.

    >>> nn.AdaptiveAvgPool2d(1)(minicnn.ones(8, 512, 7, 7)).shape  # global average pooling
    minicnn.Size([8, 512, 1, 1])
    >>> nn.AdaptiveAvgPool2d((2, None))(minicnn.arange(4.0).reshape(1, 4, 1))
    tensor([[[0.5000],
             [2.5000]]])
    """

    pool = staticmethod(adaptive_pooling.adaptive_avg_pool2d)


class _AdaptiveMaxPool(_Pooling):
    shown = ("output_size",)

    def __init__(self, output_size: SizeOrNone, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        """Return a result of the given size, and with `return_indices` also the positions of its values."""
        return self.pool(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest value of each of OL windows of nearly equal size: (N, C, L) -> (N, C, OL).

    >>> nn.AdaptiveMaxPool1d(2)(minicnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    tensor([[[2., 4.]]])
    """

    pool = staticmethod(adaptive_pooling.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest value of each of OH x OW windows of nearly equal size: (N, C, H, W) -> (N, C, OH, OW).

    The windows are those of `functional.adaptive_avg_pool2d`.

    >>> nn.AdaptiveMaxPool2d(2)(minicnn.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    pool = staticmethod(adaptive_pooling.adaptive_max_pool2d)


class _FractionalMaxPool(_Pooling):
    shown = ()
    dims: int

    def __init__(
        self,
        kernel_size: IntOrPair,
        output_size: IntOrPair | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, each = type(self).__name__, _ntuple(self.dims)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name}: exactly one of output_size and output_ratio must be given, got {output_size} and "
                f"{output_ratio}"
            )
        self.kernel_size, self.return_indices = each(kernel_size), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each(output_size)
        self.output_ratio = None if output_ratio is None else each(output_ratio)
        if self.output_ratio and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")

    def forward(self, input: Tensor) -> Any:
        """Return the largest values, and with `return_indices` also their positions."""
        window = self.kernel_size, self.output_size, self.output_ratio
        return self.pool(input, *window, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest value of each of OH x OW windows at random positions: (N, C, H, W) -> (N, C, OH, OW).

    Arguments and source are those of `functional.fractional_max_pool2d`.

    Raises:
        ValueError: neither or both of output_size and output_ratio are given, or a ratio is not between 0 and 1.

    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(minicnn.zeros(1, 3, 20, 20)).shape
    minicnn.Size([1, 3, 14, 14])
    """

    pool, dims = staticmethod(adaptive_pooling.fractional_max_pool2d), 2


class _MaxUnpool(_Pooling):
    shown = ("kernel_size", "stride", "padding")
    dims: int

    def __init__(
        self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.padding = _ntuple(self.dims)(kernel_size), _ntuple(self.dims)(padding)
        self.stride = self.kernel_size if stride is None else _ntuple(self.dims)(stride)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the size before pooling; `output_size` is needed if the windows did not fit exactly."""
        found: Tensor = self.pool(input, indices, self.kernel_size, self.stride, self.padding, output_size)
        return found


class MaxUnpool1d(_MaxUnpool):
    """Puts values back where `MaxPool1d(..., return_indices=True)` took them from: (N, C, OL) -> (N, C, L).

    >>> y, where = nn.MaxPool1d(2, return_indices=True)(minicnn.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    >>> nn.MaxUnpool1d(2)(y, where)
    tensor([[[0., 3., 2., 0.]]])
    """

    pool, dims = staticmethod(adaptive_pooling.max_unpool1d), 1


class MaxUnpool2d(_MaxUnpool):
    """Puts values back where `MaxPool2d(..., return_indices=True)` took them from: (N, C, OH, OW) -> (N, C, H, W).

    >>> y, where = nn.MaxPool2d(2, return_indices=True)(minicnn.arange(16.0).reshape(1, 4, 4))
    >>> nn.MaxUnpool2d(2)(y, where)[0]
    tensor([[ 0.,  0.,  0.,  0.],
            [ 0.,  5.,  0.,  7.],
            [ 0.,  0.,  0.,  0.],
            [ 0., 13.,  0., 15.]])
    """

    pool, dims = staticmethod(adaptive_pooling.max_unpool2d), 2


class _LPPool(_Pooling):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: IntOrPair, stride: IntOrPair | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Return the p-norm of each window."""
        found: Tensor = self.pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
        return found


class LPPool1d(_LPPool):
    """The p-norm of each window: (N, C, L) -> (N, C, OL); see `functional.lp_pool2d`.

    >>> nn.LPPool1d(2, 2)(minicnn.tensor([[[3.0, 4.0, 0.0, 1.0]]]))
    tensor([[[5., 1.]]])
    """

    pool = staticmethod(pooling.lp_pool1d)


class LPPool2d(_LPPool):
    """The p-norm of each window: (N, C, H, W) -> (N, C, OH, OW); see `functional.lp_pool2d`.

    >>> nn.LPPool2d(2, 2)(minicnn.ones(1, 1, 2, 2))  # sqrt(1 + 1 + 1 + 1)
    tensor([[[[2.]]]])
    """

    pool = staticmethod(pooling.lp_pool2d)
