"""Padding, cropping and mirroring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import fits

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import (
    Picture,
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

__all__ = ["CenterCrop", "Pad", "RandomCrop", "RandomHorizontalFlip"]

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _like(picture: Any, array: np.ndarray) -> Any:
    """The array as the kind of picture that came in."""
    return Tensor(array) if isinstance(picture, Tensor) else array


def _sample(name: str, picture: Any) -> Any:
    """`picture` if it is one that a transform may be called on; arrays are for `batch()`."""
    if not is_pil(picture) and not isinstance(picture, Tensor):
        raise kind_error(name, picture)
    return picture


def _spatial(picture: Any, rows: slice, columns: slice) -> tuple[Any, ...]:
    """The index of a window of a Tensor (..., C, H, W) or of pictures (N, H, W[, C])."""
    return (..., rows, columns) if row_axis(picture) == -2 else (slice(None), rows, columns)


def _crop(name: str, picture: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window of `height` x `width` cells at (top, left), which lies inside the picture."""
    if is_pil(picture):
        return picture.crop((left, top, left + width, top + height))
    window = _spatial(picture, slice(top, top + height), slice(left, left + width))
    return _like(picture, np.array(pixels(name, picture)[window], order="C"))


class Pad(Transform):
    """Add cells around a picture: (..., H, W) -> (..., top + H + bottom, left + W + right).

    Args:
        padding: one number for all sides, (left/right, top/bottom), or (left, top, right, bottom), 0 or more:
            nothing is cropped here, that is what `CenterCrop` and `functional.pad` are for.
        fill: the value of new cells in mode "constant"; for PIL pictures also one per channel.
        padding_mode: "constant"; "edge" repeats the last cell; "reflect" mirrors without repeating it (c b | a b c),
            "symmetric" with repeating it (b a | a b c).

    Raises:
        ValueError, TypeError: another mode or padding, or a fill that does not fit the picture.
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

    def __call__(self, picture: Picture) -> Picture:
        """A PIL picture or a Tensor (..., C, H, W)."""
        if not is_pil(_sample("Pad", picture)):
            return self.batch(picture)
        if self.padding_mode != "constant":
            return self._mirror_pil(picture)
        from PIL import ImageOps

        bands = len(picture.getbands())
        left, top, right, bottom = self._sides
        fits("Pad", (picture.height + top + bottom, picture.width + left + right, bands), what="picture")
        values = list(self.fill) if isinstance(self.fill, tuple | list) else [self.fill] * bands
        if len(values) != bands:
            raise ValueError(f"Pad: fill has {len(values)} values for a picture of {bands} channels: {self.fill}")
        fill: Any = tuple(values if picture.mode == "F" else map(int, values))
        return ImageOps.expand(picture, self._sides, fill if bands > 1 else fill[0])

    def _mirror_pil(self, picture: Any) -> Any:
        """Pad each channel of a PIL picture by its own cells."""
        from PIL import Image

        left, top, right, bottom = self._sides
        bands = [
            Image.fromarray(np.pad(np.asarray(band), ((top, bottom), (left, right)), mode=self.padding_mode))  # type: ignore[call-overload]
            for band in picture.split()
        ]
        padded = bands[0] if len(bands) == 1 else Image.merge(picture.mode, bands)
        if picture.mode == "P":
            padded.putpalette(picture.getpalette())
        return padded

    def batch(self, pictures: Any) -> Any:
        """A Tensor (..., C, H, W) or pictures (N, H, W[, C])."""
        array, axis = pixels("Pad", pictures), row_axis(pictures) % pictures.ndim
        left, top, right, bottom = self._sides
        widths = [(0, 0)] * array.ndim
        widths[axis : axis + 2] = (top, bottom), (left, right)
        shape = [size + sum(width) for size, width in zip(array.shape, widths, strict=True)]
        fits("Pad", shape, array.itemsize, "picture")
        if self.padding_mode != "constant":
            return _like(pictures, np.pad(array, widths, mode=self.padding_mode))  # type: ignore[call-overload]
        fill = np.asarray(self.fill)
        channels = array.shape[3] if isinstance(pictures, np.ndarray) and array.ndim == 4 else 1
        if fill.size not in (1, channels):
            raise ValueError(f"Pad: fill has {fill.size} values, here it should be 1 or {channels}: {self.fill}")
        if array.dtype.kind in "iu" and not (fill.astype(array.dtype) == fill).all():
            raise ValueError(f"Pad: the fill {self.fill} is not a value of type {array.dtype}")
        padded = np.empty(shape, array.dtype)
        padded[...] = fill
        height, width = array.shape[axis : axis + 2]
        padded[_spatial(pictures, slice(top, top + height), slice(left, left + width))] = array
        return _like(pictures, padded)

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop(Transform):
    """The window of `size` (h, w), or size x size, in the middle; a smaller picture is first padded with zeros."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = edge_size("CenterCrop", size)

    def __call__(self, picture: Picture) -> Picture:
        """A PIL picture or a Tensor (..., C, H, W)."""
        return self.batch(_sample("CenterCrop", picture))

    def batch(self, pictures: Any) -> Any:
        """A Tensor (..., C, H, W) or pictures (N, H, W[, C])."""
        (out_h, out_w), (height, width) = self.size, spatial_size("CenterCrop", pictures)
        if out_h > height or out_w > width:
            more_h, more_w = max(out_h - height, 0), max(out_w - width, 0)
            pad = Pad((more_w // 2, more_h // 2, (more_w + 1) // 2, (more_h + 1) // 2))
            pictures = pad(pictures) if is_pil(pictures) else pad.batch(pictures)
            height, width = height + more_h, width + more_w
        top, left = round((height - out_h) / 2), round((width - out_w) / 2)
        return _crop("CenterCrop", pictures, top, left, out_h, out_w)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class RandomCrop(Transform):
    """A window of `size` at a random place, uniform over the places where it fits.

    Args:
        size: (h, w), or a number for a square.
        padding: pad first, as `Pad` takes it; None: do not.
        pad_if_needed: pad a picture that is smaller than the window, by what it lacks on each side.
        fill, padding_mode: as `Pad` takes them.

    Raises:
        ValueError: the window is larger than the (padded) picture.
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
        self._pad = Pad(0 if padding is None else padding, fill, padding_mode)  # checks the arguments now

    @staticmethod
    def get_params(picture: Picture, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw a window: (top, left, height, width)."""
        return _window(sample_generator(), spatial_size("RandomCrop", picture), output_size)

    def __call__(self, picture: Picture) -> Picture:
        """A PIL picture or a Tensor (..., C, H, W), which gets one window for all its leading dimensions."""
        picture = self._padded(_sample("RandomCrop", picture))
        return _crop("RandomCrop", picture, *self.get_params(picture, self.size))

    def batch(self, pictures: Any) -> Any:
        """A Tensor (N, C, H, W) or pictures (N, H, W[, C]); each gets a window of its own."""
        pictures = self._padded(pictures)
        size, count = spatial_size("RandomCrop", pictures), len(pictures)
        windows = [_window(generator, size, self.size) for generator in sample_generators(count)]
        array = pixels("RandomCrop", pictures)
        shape = list(array.shape)
        axis = row_axis(pictures) % array.ndim
        shape[axis : axis + 2] = self.size
        out = np.empty(shape, array.dtype)
        for sample, (top, left, height, width) in enumerate(windows):
            rows, columns = slice(top, top + height), slice(left, left + width)
            out[sample] = array[sample][(..., rows, columns) if isinstance(pictures, Tensor) else (rows, columns)]
        return _like(pictures, out)

    def _padded(self, pictures: Any) -> Any:
        """The picture or batch with what `padding` and `pad_if_needed` add."""
        pads = [] if self.padding is None else [self._pad]
        if self.pad_if_needed:
            height, width = spatial_size("RandomCrop", pictures)
            if pads:
                left, top, right, bottom = self._pad._sides
                height, width = height + top + bottom, width + left + right
            lacks = (max(self.size[1] - width, 0), max(self.size[0] - height, 0))
            pads += [Pad(lacks, self.fill, self.padding_mode)] if any(lacks) else []
        for pad in pads:
            pictures = pad(pictures) if is_pil(pictures) else pad.batch(pictures)
        return pictures

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


def _window(
    generator: np.random.Generator, size: tuple[int, int], window: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a window placed at random; nothing is drawn where there is one place only."""
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
    """Left and right exchanged with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("RandomHorizontalFlip", p)

    def __call__(self, picture: Picture) -> Picture:
        """A PIL picture or a Tensor (..., C, H, W), mirrored as a whole or not."""
        _sample("RandomHorizontalFlip", picture)
        if sample_generator().random() >= self.p:
            return picture
        if is_pil(picture):
            return picture.transpose(0)  # PIL's FLIP_LEFT_RIGHT
        return _like(picture, np.array(pixels("RandomHorizontalFlip", picture)[..., ::-1], order="C"))

    def batch(self, pictures: Any) -> Any:
        """A Tensor (N, C, H, W) or pictures (N, H, W[, C]); each is mirrored or not on its own."""
        array = pixels("RandomHorizontalFlip", pictures)
        chosen = [generator.random() < self.p for generator in sample_generators(len(array))]
        out = array.copy()
        mirror = _spatial(pictures, slice(None), slice(None, None, -1))
        out[chosen] = array[mirror][chosen]
        return _like(pictures, out)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"
