"""Padding, cropping and mirroring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import fits

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import (
    AnyImage,
    Transform,
    edge_size,
    is_pil,
    kind_error,
    pixels,
    probability,
    row_axis,
    spatial_size,
    whole_numbers,
)

__all__ = ["CenterCrop", "Pad", "RandomCrop", "RandomHorizontalFlip", "RandomVerticalFlip"]

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _like(image: Any, array: np.ndarray) -> Any:
    """The array as the same kind of image as `image`."""
    return Tensor(array) if isinstance(image, Tensor) else array


def _sample(name: str, image: Any) -> Any:
    """`image`, checked to be a PIL image or a Tensor: arrays are for `batch()` only."""
    if not is_pil(image) and not isinstance(image, Tensor):
        raise kind_error(name, image)
    return image


def _spatial(image: Any, rows: slice, columns: slice) -> tuple[Any, ...]:
    """The index of a window of a Tensor (..., C, H, W) or of images (N, H, W[, C])."""
    return (..., rows, columns) if row_axis(image) == -2 else (slice(None), rows, columns)


def _crop(name: str, image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window of `height` x `width` cells at (top, left), which lies inside the image."""
    if is_pil(image):
        return image.crop((left, top, left + width, top + height))
    window = _spatial(image, slice(top, top + height), slice(left, left + width))
    return _like(image, np.array(pixels(name, image)[window], order="C"))


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
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"Pad: padding_mode should be one of {_PADDING_MODES}, got {padding_mode!r}")
        if not isinstance(fill, int | float | np.number | tuple | list):
            raise TypeError(f"Pad: fill should be a number or one number per channel, got {fill!r}")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        self._sides = sides * (4 // len(sides))  # left, top, right, bottom

    def __call__(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        if not is_pil(_sample("Pad", image)):
            return self.batch(image)
        if self.padding_mode != "constant":
            return self._mirror_pil(image)
        from PIL import ImageOps

        bands = len(image.getbands())
        left, top, right, bottom = self._sides
        fits("Pad", (image.height + top + bottom, image.width + left + right, bands), what="image")
        values = list(self.fill) if isinstance(self.fill, tuple | list) else [self.fill] * bands
        if len(values) != bands:
            raise ValueError(f"Pad: fill has {len(values)} values for an image of {bands} channels: {self.fill}")
        fill: Any = tuple(values if image.mode == "F" else map(int, values))
        return ImageOps.expand(image, self._sides, fill if bands > 1 else fill[0])

    def _mirror_pil(self, image: Any) -> Any:
        """Pad each channel of a PIL image by its own cells."""
        from PIL import Image

        left, top, right, bottom = self._sides
        bands = [
            Image.fromarray(np.pad(np.asarray(band), ((top, bottom), (left, right)), mode=self.padding_mode))  # type: ignore[call-overload]
            for band in image.split()
        ]
        padded = bands[0] if len(bands) == 1 else Image.merge(image.mode, bands)
        if image.mode == "P":
            padded.putpalette(image.getpalette())
        return padded

    def batch(self, images: Any) -> Any:
        """A Tensor (..., C, H, W) or images (N, H, W[, C])."""
        array, axis = pixels("Pad", images), row_axis(images) % images.ndim
        left, top, right, bottom = self._sides
        widths = [(0, 0)] * array.ndim
        widths[axis : axis + 2] = (top, bottom), (left, right)
        shape = [size + sum(width) for size, width in zip(array.shape, widths, strict=True)]
        fits("Pad", shape, array.itemsize, "image")
        if self.padding_mode != "constant":
            return _like(images, np.pad(array, widths, mode=self.padding_mode))  # type: ignore[call-overload]
        fill = np.asarray(self.fill)
        channels = array.shape[3] if isinstance(images, np.ndarray) and array.ndim == 4 else 1
        if fill.size not in (1, channels):
            raise ValueError(
                f"Pad: fill has {fill.size} values; for these images it should have 1 or {channels}: {self.fill}"
            )
        if array.dtype.kind in "iu" and not (fill.astype(array.dtype) == fill).all():
            raise ValueError(f"Pad: the fill {self.fill} is not a value of type {array.dtype}")
        padded = np.empty(shape, array.dtype)
        padded[...] = fill
        height, width = array.shape[axis : axis + 2]
        padded[_spatial(images, slice(top, top + height), slice(left, left + width))] = array
        return _like(images, padded)

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

    def __call__(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        return self.batch(_sample("CenterCrop", image))

    def batch(self, images: Any) -> Any:
        """A Tensor (..., C, H, W) or images (N, H, W[, C])."""
        (out_h, out_w), (height, width) = self.size, spatial_size("CenterCrop", images)
        if out_h > height or out_w > width:
            more_h, more_w = max(out_h - height, 0), max(out_w - width, 0)
            pad = Pad((more_w // 2, more_h // 2, (more_w + 1) // 2, (more_h + 1) // 2))
            images = pad(images) if is_pil(images) else pad.batch(images)
            height, width = height + more_h, width + more_w
        top, left = round((height - out_h) / 2), round((width - out_w) / 2)
        return _crop("CenterCrop", images, top, left, out_h, out_w)

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

    def __call__(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), which gets one window for all its leading dimensions."""
        image = self._padded(_sample("RandomCrop", image))
        return _crop("RandomCrop", image, *self.get_params(image, self.size))

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
        for sample, (top, left, height, width) in enumerate(windows):
            rows, columns = slice(top, top + height), slice(left, left + width)
            out[sample] = array[sample][(..., rows, columns) if isinstance(images, Tensor) else (rows, columns)]
        return _like(images, out)

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
            images = pad(images) if is_pil(images) else pad.batch(images)
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

    _name, _pil = "RandomHorizontalFlip", 0  # PIL's FLIP_LEFT_RIGHT
    _mirror = slice(None), slice(None, None, -1)  # of the rows and of the columns

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(self._name, p)

    def __call__(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), mirrored as a whole or left as it is."""
        _sample(self._name, image)
        if sample_generator().random() >= self.p:
            return image
        if is_pil(image):
            return image.transpose(self._pil)
        return _like(image, np.array(pixels(self._name, image)[_spatial(image, *self._mirror)], order="C"))

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); mirrored or not, each image by itself."""
        array = pixels(self._name, images)
        chosen = [generator.random() < self.p for generator in sample_generators(len(array))]
        out = array.copy()
        out[chosen] = array[_spatial(images, *self._mirror)][chosen]
        return _like(images, out)

    def __repr__(self) -> str:
        return f"{self._name}(p={self.p})"


class RandomVerticalFlip(RandomHorizontalFlip):
    """Turn an image upside down, as in a mirror, with probability `p`.

    >>> minicnn.transforms.RandomVerticalFlip(p=1.0)(minicnn.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """

    _name, _pil = "RandomVerticalFlip", 1  # PIL's FLIP_TOP_BOTTOM
    _mirror = slice(None, None, -1), slice(None)
