"""Padding layers: `functional.pad` with stored arguments.

`padding` is an int for all sides, or (left, right) for a signal, or (left, right, top, bottom) for an image;
for a volume (left, right, top, bottom, front, back).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.pad import pad
from ..tensor import Tensor
from .module import Module
from .tuples import _ntuple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """(N, C, H, W) -> (N, C, H + top + bottom, W + left + right); likewise for a signal, and without the batch axis."""

    rank: int
    mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding: Any = _ntuple(2 * self.rank)(padding)

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"{self.padding}"


class _ConstantPadNd(_Pad):
    """A constant around."""

    mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        return pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Adds `value` at both ends of a signal.

    >>> nn.ConstantPad1d((1, 2), 9.0)(minicnn.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9., 9.]])
    """

    rank = 1


class ConstantPad2d(_ConstantPadNd):
    """Adds `value` around an image.

    >>> nn.ConstantPad2d(1, 9.0)(minicnn.tensor([[[1.0, 2.0]]]))
    tensor([[[9., 9., 9., 9.],
             [9., 1., 2., 9.],
             [9., 9., 9., 9.]]])
    """

    rank = 2


class ConstantPad3d(_ConstantPadNd):
    """Adds `value` around a volume.

    >>> nn.ConstantPad3d((0, 1, 0, 0, 1, 0), 9.0)(minicnn.tensor([[[[1.0, 2.0]]]]))  # right and front
    tensor([[[[9., 9., 9.]],
    <BLANKLINE>
             [[1., 2., 9.]]]])
    """

    rank = 3


class ZeroPad1d(ConstantPad1d):
    """Adds zeros at both ends of a signal.

    >>> nn.ZeroPad1d((1, 2))(minicnn.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0., 0.]])
    """

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ZeroPad2d(ConstantPad2d):
    """Adds zeros around an image.

    >>> nn.ZeroPad2d((1, 0, 0, 1))(minicnn.tensor([[[1.0, 2.0]]]))  # left, right, top, bottom
    tensor([[[0., 1., 2.],
             [0., 0., 0.]]])
    """

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ZeroPad3d(ConstantPad3d):
    """Adds zeros around a volume.

    >>> nn.ZeroPad3d(1)(minicnn.ones(1, 2, 2, 2)).shape
    minicnn.Size([1, 4, 4, 4])
    """

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ReflectionPad1d(_Pad):
    """Mirrors a signal at its ends, which are not repeated.

    >>> nn.ReflectionPad1d(2)(minicnn.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Mirrors an image at its edges, which are not repeated.

    >>> nn.ReflectionPad2d((1, 1, 0, 0))(minicnn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 1., 2., 3., 2.]]])
    """

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Mirrors a volume at its faces, which are not repeated.

    >>> nn.ReflectionPad3d((1, 1, 0, 0, 0, 0))(minicnn.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[2., 1., 2., 3., 2.]]]])
    """

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Repeats the ends of a signal.

    >>> nn.ReplicationPad1d(2)(minicnn.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Repeats the edges of an image.

    >>> nn.ReplicationPad2d(1)(minicnn.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.],
             [1., 1., 2., 2.],
             [1., 1., 2., 2.]]])
    """

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Repeats the faces of a volume.

    >>> nn.ReplicationPad3d((1, 2, 0, 0, 0, 0))(minicnn.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2., 2.]]]])
    """

    rank, mode = 3, "replicate"


class _CircularPadNd(_Pad):
    """Circular padding, which checks the number of axes."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        if input.ndim not in (self.rank + 1, self.rank + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {self.rank + 1}D or {self.rank + 2}D input (got {input.ndim}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Continues a signal with its other end.

    >>> nn.CircularPad1d(2)(minicnn.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    rank = 1


class CircularPad2d(_CircularPadNd):
    """Continues an image on each side with its opposite side, as on a torus.

    >>> nn.CircularPad2d((1, 1, 0, 0))(minicnn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1., 2., 3., 1.]]])
    """

    rank = 2


class CircularPad3d(_CircularPadNd):
    """Continues a volume on each side with its opposite side.

    >>> nn.CircularPad3d((1, 1, 0, 0, 0, 0))(minicnn.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[3., 1., 2., 3., 1.]]]])
    """

    rank = 3
