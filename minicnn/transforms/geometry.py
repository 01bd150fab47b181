"""Padding, cropping and mirroring, as steps of a chain; `functional/geometry.py` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import (
    AnyImage,
    Transform,
    edge_size,
    like,
    pixels,
    probability,
    row_axis,
    sample,
    spatial_size,
    whole_numbers,
)
from .functional.geometry import center_cropped, cropped, mirrored, padded, padding_mode_of
from .functional.images import checked_fill

__all__ = ["CenterCrop", "Pad", "RandomCrop", "RandomHorizontalFlip", "RandomVerticalFlip"]


class Pad(Transform):
    """Add cells around an image: (..., H, W) -> (..., top + H + bottom, left + W + right).

    Args:
        padding: one number for all sides, (left/right, top/bottom), or (left, top, right, bottom), all 0 or more.
            To crop, use `CenterCrop` or `functional.pad`.
        fill: the value of new cells in mode "constant"; for PIL images also one per channel.
        padding_mode: "constant"; "edge" repeats the last cell; "reflect" mirrors without repeating that cell
            (c b | a b c), "symmetric" mirrors and repeats it (b a | a b c).

    Raises:
        ValueError, TypeError: another mode or padding, or a fill that does not fit the image.

    >>> minicnn.transforms.Pad(1)(minicnn.ones(1, 1, 2))
    tensor([[[0., 0., 0., 0.],
             [0., 1., 1., 0.],
             [0., 0., 0., 0.]]])
    """

    def __init__(
        self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"
    ) -> None:
        sides = whole_numbers("Pad", "padding should be 1, 2 or 4 whole numbers >= 0", padding, (1, 2, 4), 0)
        self.padding, self.fill = padding, checked_fill("Pad", fill)
        self.padding_mode = padding_mode_of("Pad", padding_mode)
        self._sides = sides * (4 // len(sides))  # left, top, right, bottom

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        return self.batch(sample("Pad", image))

    def batch(self, images: Any) -> Any:
        """A Tensor (..., C, H, W) or images (N, H, W[, C])."""
        return padded("Pad", images, self._sides, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop(Transform):
    """The window of `size` (h, w), or size x size, in the middle; a smaller image is first padded with zeros.

    >>> minicnn.transforms.CenterCrop(2)(minicnn.arange(16).reshape(1, 4, 4))
    tensor([[[ 5,  6],
             [ 9, 10]]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = edge_size("CenterCrop", size)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        return self.batch(sample("CenterCrop", image))

    def batch(self, images: Any) -> Any:
        """A Tensor (..., C, H, W) or images (N, H, W[, C])."""
        return center_cropped("CenterCrop", images, self.size)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class RandomCrop(Transform):
    """A window of `size` at a random place, uniform over the places where it fits.

    Args:
        size: (h, w), or a number for a square.
        padding: pad first, as in `Pad`; None: do not pad.
        pad_if_needed: pad an image that is smaller than the window, on each side by the difference.
        fill, padding_mode: as in `Pad`.

    Raises:
        ValueError: the window is larger than the (padded) image.

    >>> minicnn.transforms.RandomCrop(32, padding=4)(minicnn.zeros(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = edge_size("RandomCrop", size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode
        self._pad = Pad(
            0 if padding is None else padding, fill, padding_mode
        )  # made here, so that wrong arguments are found now

    @staticmethod
    def get_params(image: AnyImage, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw a window: (top, left, height, width)."""
        return _window(sample_generator(), spatial_size("RandomCrop", image), output_size)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), which gets one window for all its leading dimensions."""
        image = self._padded(sample("RandomCrop", image))
        return cropped("RandomCrop", image, *self.get_params(image, self.size))

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); each gets a window of its own."""
        images = self._padded(images)
        size, count = spatial_size("RandomCrop", images), len(images)
        windows = [_window(generator, size, self.size) for generator in sample_generators(count)]
        array = pixels("RandomCrop", images)
        shape = list(array.shape)
        axis = row_axis(images) % array.ndim
        shape[axis : axis + 2] = self.size
        out = np.empty(shape, array.dtype)
        for n, (top, left, height, width) in enumerate(windows):
            rows, columns = slice(top, top + height), slice(left, left + width)
            out[n] = array[n][(..., rows, columns) if isinstance(images, Tensor) else (rows, columns)]
        return like(images, out)

    def _padded(self, images: Any) -> Any:
        """The image or batch, padded as `padding` and `pad_if_needed` say."""
        pads = [] if self.padding is None else [self._pad]
        if self.pad_if_needed:
            height, width = spatial_size("RandomCrop", images)
            if pads:
                left, top, right, bottom = self._pad._sides
                height, width = height + top + bottom, width + left + right
            lacks = (max(self.size[1] - width, 0), max(self.size[0] - height, 0))
            pads += [Pad(lacks, self.fill, self.padding_mode)] if any(lacks) else []
        for pad in pads:
            images = pad.batch(images)
        return images

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


def _window(
    generator: np.random.Generator, size: tuple[int, int], window: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a window placed at random; if there is only one place, no number is drawn."""
    (height, width), (out_h, out_w) = size, window
    if out_h > height or out_w > width:
        raise ValueError(
            f"RandomCrop: required crop size {window} is larger than input image size {size}; "
            "give padding, or pad_if_needed=True"
        )
    if size == window:
        return 0, 0, height, width
    top = int(generator.integers(0, height - out_h + 1))
    left = int(generator.integers(0, width - out_w + 1))
    return top, left, out_h, out_w


class RandomHorizontalFlip(Transform):
    """Mirror an image, left to right, with probability `p`.

    >>> minicnn.transforms.RandomHorizontalFlip(p=1.0)(minicnn.tensor([[[1, 2, 3]]]))
    tensor([[[3, 2, 1]]])
    """

    _name, _vertically = "RandomHorizontalFlip", False
    keeps_shape = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(self._name, p)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), mirrored as a whole or left as it is."""
        sample(self._name, image)
        return mirrored(self._name, image, self._vertically) if sample_generator().random() < self.p else image

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); mirrored or not, each image by itself."""
        array = pixels(self._name, images)
        chosen = [generator.random() < self.p for generator in sample_generators(len(array))]
        out = array.copy()
        axis = row_axis(images) % array.ndim + (0 if self._vertically else 1)
        out[chosen] = np.flip(array, axis)[chosen]
        return like(images, out)

    def __repr__(self) -> str:
        return f"{self._name}(p={self.p})"


class RandomVerticalFlip(RandomHorizontalFlip):
    """Turn an image upside down, as in a mirror, with probability `p`.

    >>> minicnn.transforms.RandomVerticalFlip(p=1.0)(minicnn.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """

    _name, _vertically = "RandomVerticalFlip", True
