"""Padding layers: `functional.pad` with its arguments kept.

`padding` is an int for all sides, or (left, right) of a signal, (left, right, top, bottom) of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.pad import pad
from ..tensor import Tensor
from .module import Module
from .tuples import _ntuple

__all__ = [
    "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
]  # fmt: skip


class _Pad(Module):
    """(N, C, H, W) -> (N, C, H + top + bottom, W + left + right); a signal likewise, and without the batch axis."""

    rank: int
    mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding: Any = _ntuple(2 * self.rank)(padding)

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
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
        """As PyTorch prints it."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """`value` at both ends of a signal."""

    rank = 1


class ConstantPad2d(_ConstantPadNd):
    """`value` around a picture."""

    rank = 2


class ZeroPad1d(ConstantPad1d):
    """Zeros at both ends of a signal."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ZeroPad2d(ConstantPad2d):
    """Zeros around a picture."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ReflectionPad1d(_Pad):
    """A signal mirrored at its ends, which are not repeated."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A picture mirrored at its edges, which are not repeated."""

    rank, mode = 2, "reflect"


class ReplicationPad1d(_Pad):
    """The ends of a signal repeated."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edges of a picture repeated."""

    rank, mode = 2, "replicate"


class CircularPad1d(_Pad):
    """A signal that begins anew."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """A picture that begins anew on each side, as on a torus."""

    rank, mode = 2, "circular"
