"""Random crops with resizing, crops of corners and middle, and erased windows; `functional` does the work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import shown

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import AnyImage, Transform, edge_size, kind_error, pixels, probability, sample, spatial_size
from .functional.geometry import corners_and_center, cropped, erase, mirrored
from .functional.images import numbers
from .functional.resizing import InterpolationMode, ResizeRule

__all__ = ["FiveCrop", "RandomErasing", "RandomResizedCrop", "TenCrop"]


class _Windows:
    """Draws windows whose area and aspect ratio are random: the area uniform, the ratio uniform in its logarithm."""

    def __init__(self, name: str, scale: Any, ratio: Any) -> None:
        (self.low, self.high), ends = numbers(name, "scale", scale, (2,)), numbers(name, "ratio", ratio, (2,))
        if not 0 <= self.low <= self.high:
            raise ValueError(f"{name}: scale should be (min, max) with 0 <= min <= max, got {tuple(scale)}")
        if not 0 < ends[0] <= ends[1]:
            raise ValueError(f"{name}: ratio should be (min, max) with 0 < min <= max, got {tuple(ratio)}")
        self.log_low, self.log_high = math.log(ends[0]), math.log(ends[1])

    def draw(self, generator: np.random.Generator, area: int) -> tuple[float, float, float, float]:
        """(sqrt(area ratio), sqrt(area / ratio), u, v): the sides of a window, and two numbers for its place."""
        a, b, u, v = generator.random(4).tolist()
        size = math.sqrt(area * (self.low + (self.high - self.low) * a))
        root = math.exp((self.log_low + (self.log_high - self.log_low) * b) / 2)
        return size * root, size / root, u, v


class RandomResizedCrop(Transform):
    """A random window of random area and shape, resized to `size`.

    Args:
        size: (h, w), or a number for a square.
        scale: the range of the window's share of the area.
        ratio: the range of its width / height.
        interpolation, antialias: as in `Resize`.

    If ten windows drawn in a row do not fit, the largest one in the middle is taken whose ratio is in the range.

    C. Szegedy et al., "Going deeper with convolutions", CVPR 2015, trained on such windows.

    >>> minicnn.transforms.RandomResizedCrop(24)(minicnn.zeros(3, 32, 40)).shape
    minicnn.Size([3, 24, 24])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.size, self.antialias = edge_size("RandomResizedCrop", size), antialias
        self._rule = ResizeRule.of("RandomResizedCrop", self.size, interpolation, None, antialias)
        self.interpolation = self._rule.mode
        _Windows("RandomResizedCrop", scale, ratio)
        self.scale, self.ratio = scale, ratio

    @staticmethod
    def get_params(
        img: AnyImage, scale: Sequence[float], ratio: Sequence[float], generator: np.random.Generator | None = None
    ) -> tuple[int, int, int, int]:
        """Draw a window of an image: (top, left, height, width)."""
        size = spatial_size("RandomResizedCrop", img)
        windows = _Windows("RandomResizedCrop", scale, ratio)
        return _resized_window(windows, size, sample_generator() if generator is None else generator)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), which gets one window for all its leading dimensions."""
        sample("RandomResizedCrop", image)
        window = self.get_params(image, self.scale, self.ratio)
        return self._rule.apply(cropped("RandomResizedCrop", image, *window))

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); each gets a window of its own."""
        name = "RandomResizedCrop"
        array, size = pixels(name, images), spatial_size(name, images)
        windows = _Windows(name, self.scale, self.ratio)
        found = []
        for n, generator in enumerate(sample_generators(len(array))):
            top, left, height, width = _resized_window(windows, size, generator)
            rows, columns = slice(top, top + height), slice(left, left + width)
            if isinstance(images, Tensor):
                window = array[n, ..., rows, columns]
                found.append(window if window.shape[-2:] == self.size else self._rule.resized(window, *self.size))
            else:
                found.append(self._rule.apply_to_batch(array[n : n + 1, rows, columns])[0])
        if not found:
            return cropped(name, images, 0, 0, *self.size)
        return Tensor(np.stack(found)) if isinstance(images, Tensor) else np.stack(found)

    def __repr__(self) -> str:
        scale, ratio = (
            tuple(x if isinstance(x, int) else round(float(x), 4) for x in ends) for ends in (self.scale, self.ratio)
        )
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def _resized_window(
    windows: _Windows, size: tuple[int, int], generator: np.random.Generator
) -> tuple[int, int, int, int]:
    height, width = size
    for _ in range(10):
        across, down, u, v = windows.draw(generator, height * width)
        w, h = round(across), round(down)
        if 0 < w <= width and 0 < h <= height:
            return int(u * (height - h + 1)), int(v * (width - w + 1)), h, w
    low, high = math.exp(windows.log_low), math.exp(windows.log_high)
    h, w = height, width
    if width / height < low:
        h = max(round(width / low), 1)
    elif width / height > high:
        w = max(round(height * high), 1)
    return (height - h) // 2, (width - w) // 2, h, w


class FiveCrop(Transform):
    """The windows of `size` at the four corners and in the middle, as a tuple of five images.

    A batch of them for a net: `Lambda(lambda crops: minicnn.stack([to_tensor(crop) for crop in crops]))`.

    Raises:
        ValueError: a window larger than the image.

    >>> [crop.shape for crop in minicnn.transforms.FiveCrop(28)(minicnn.zeros(3, 32, 32))][:2]
    [minicnn.Size([3, 28, 28]), minicnn.Size([3, 28, 28])]
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = edge_size("FiveCrop", size)

    def forward(self, image: AnyImage) -> tuple[AnyImage, ...]:
        """A PIL image or a Tensor (..., C, H, W) -> (top left, top right, bottom left, bottom right, centre)."""
        return corners_and_center("FiveCrop", sample("FiveCrop", image), self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(Transform):
    """The five windows of `FiveCrop`, then those of the mirrored image, as a tuple of ten images.

    Args:
        vertical_flip: mirror upside down instead of left to right.

    >>> len(minicnn.transforms.TenCrop(28)(minicnn.zeros(3, 32, 32)))
    10
    """

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        self.size, self.vertical_flip = edge_size("TenCrop", size), vertical_flip

    def forward(self, image: AnyImage) -> tuple[AnyImage, ...]:
        """A PIL image or a Tensor (..., C, H, W)."""
        mirror = mirrored("TenCrop", sample("TenCrop", image), bool(self.vertical_flip))
        return tuple(x for one in (image, mirror) for x in corners_and_center("TenCrop", one, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class RandomErasing(Transform):
    """Write a value over a random window of a Tensor, with probability `p`. It comes after `ToTensor`.

    Args:
        p: the probability of a change.
        scale: the range of the window's share of the area.
        ratio: the range of its height / width.
        value: a number, one number per channel, or "random": each pixel gets a number of the normal distribution.
        inplace: write into the given tensor.

    If ten windows drawn in a row do not fit, the image stays as it is.

    Z. Zhong, L. Zheng, G. Kang, S. Li and Y. Yang, "Random erasing data augmentation", AAAI 2020.

    >>> erase = minicnn.transforms.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1, 1))
    >>> erase(minicnn.ones(1, 8, 8)).sum()   # 4 x 4 pixels are 0
    tensor(48.)
    """

    keeps_shape = True

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0,
        inplace: bool = False,
    ) -> None:
        name = "RandomErasing"
        self.p = probability(name, p)
        if _Windows(name, scale, ratio).high > 1:
            raise ValueError(f"{name}: scale should be between 0 and 1, got {tuple(scale)}")
        if isinstance(value, str):
            if value != "random":
                raise ValueError(f"{name}: value should be numbers or 'random', got {value!r}")
        elif not isinstance(value, int | float | np.number | tuple | list):
            raise TypeError(f"{name}: value should be a number, one per channel, or 'random', got {shown(value)}")
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
        generator: np.random.Generator | None = None,
    ) -> tuple[int, int, int, int, Tensor]:
        """Draw a window of a Tensor (..., C, H, W) and its values, for `erase`: (row, column, h, w, values).

        `value` None draws the values.
        """
        generator = sample_generator() if generator is None else generator
        windows, (channels, height, width) = _Windows("RandomErasing", scale, ratio), img.shape[-3:]
        for _ in range(10):
            down, across, u, v = windows.draw(generator, height * width)
            h, w = round(down), round(across)
            if h < height and w < width:
                fresh = generator.standard_normal((channels, h, w), np.float32) if value is None else None
                values = np.asarray(value, np.float32).reshape(-1, 1, 1) if fresh is None else fresh
                return int(u * (height - h + 1)), int(v * (width - w + 1)), h, w, Tensor(values)
        return 0, 0, height, width, img

    def _values(self, image: Tensor) -> Sequence[float] | None:
        """The values as a sequence; None draws them."""
        name = "RandomErasing"
        if not isinstance(image, Tensor) or image.ndim < 3:
            raise kind_error(name, image, "a Tensor (..., C, H, W) (ToTensor comes first)")
        pixels(name, image.detach())
        if isinstance(self.value, str):
            return None
        values = self.value if isinstance(self.value, tuple | list) else [self.value]
        if len(values) not in (1, image.shape[-3]):
            raise ValueError(
                f"{name}: value should have 1 or {image.shape[-3]} numbers, as many as channels, got {self.value}"
            )
        return values

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W), which gets one window for all its leading dimensions."""
        values = self._values(image)
        if sample_generator().random() >= self.p:
            return image
        return erase(image, *self.get_params(image, self.scale, self.ratio, values), self.inplace)

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W); each image gets a window of its own."""
        values = self._values(images)
        result = images if self.inplace else Tensor(images.array.copy())
        for n, generator in enumerate(sample_generators(len(images))):
            if generator.random() < self.p:
                one = images[n]
                i, j, h, w, v = self.get_params(one, self.scale, self.ratio, values, generator)
                result.array[n, ..., i : i + h, j : j + w] = v.array
        return result

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )
