"""Layers that move channels into pixels and back."""

from __future__ import annotations

from ..ops import pixel_shuffle
from ..tensor import Tensor
from .module import Module

__all__ = ["ChannelShuffle", "PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """(N, C*r*r, H, W) -> (N, C, H*r, W*r); see `functional.pixel_shuffle`.

    >>> nn.PixelShuffle(2)(minicnn.zeros(1, 12, 8, 8)).shape
    minicnn.Size([1, 3, 16, 16])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Shuffle."""
        return pixel_shuffle.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(N, C, H*r, W*r) -> (N, C*r*r, H, W); see `functional.pixel_unshuffle`.

    >>> nn.PixelUnshuffle(2)(minicnn.zeros(1, 3, 16, 16)).shape
    minicnn.Size([1, 12, 8, 8])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Shuffle back."""
        return pixel_shuffle.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Takes the channels of the groups in turn, (N, C, ...) -> (N, C, ...); see `functional.channel_shuffle`.

    >>> nn.ChannelShuffle(2)(minicnn.arange(6.0).reshape(1, 6, 1)).flatten()
    tensor([0., 3., 1., 4., 2., 5.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """Shuffle."""
        return pixel_shuffle.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"groups={self.groups}"
