"""Random changes of colours, levels and sharpness. What they do to an image is in `functional`; here it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minicnn_kernels.geometry import KindError, real, shown, whole

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import AnyImage, OneByOne, Transform, like, one_by_one, pixels, probability, sample
from .functional.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    rgb_to_grayscale,
)
from .functional.filters import adjust_sharpness, blur_sizes, blur_widths, gaussian_blur
from .functional.images import get_image_num_channels
from .functional.levels import autocontrast, equalize, invert, posterize, solarize

__all__ = [
    "ColorJitter", "GaussianBlur", "RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize",
    "RandomGrayscale", "RandomInvert", "RandomPosterize", "RandomSolarize",
]  # fmt: skip

Span: TypeAlias = tuple[float, float]


class Jitter(NamedTuple):
    """The random numbers of a `ColorJitter`: the order of the four changes, and a factor for each, or None."""

    order: np.ndarray
    factors: tuple[float | None, ...]


_CHANGES: tuple[Callable[[Any, Any], Any], ...] = (
    adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue,
)  # fmt: skip


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue, each by a random factor, in a random order.

    Args:
        brightness, contrast, saturation: a number b stands for a factor uniform in [max(0, 1 - b), 1 + b]; or a pair
            (least, most). 0 changes nothing.
        hue: a number h from 0 to 0.5 stands for a turn uniform in [-h, h]; or a pair within -0.5 and 0.5.

    Raises:
        ValueError: negative numbers, or pairs outside these limits.
        TypeError: anything else.

    >>> minicnn.transforms.ColorJitter(brightness=0.4, hue=(-0.1, 0.2))
    ColorJitter(brightness=(0.6, 1.4), contrast=None, saturation=None, hue=(-0.1, 0.2))
    """

    keeps_shape = True

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        self.brightness = _span("brightness", brightness)
        self.contrast = _span("contrast", contrast)
        self.saturation = _span("saturation", saturation)
        self.hue = _span("hue", hue, 0.0, -0.5, 0.5)

    @staticmethod
    def get_params(
        brightness: Span | None, contrast: Span | None, saturation: Span | None, hue: Span | None
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:
        """Draw (order, brightness, contrast, saturation, hue): order (4,) has 0 for brightness ... 3 for hue."""
        order, factors = _jitter(sample_generator(), (brightness, contrast, saturation, hue))
        return Tensor(order), factors[0], factors[1], factors[2], factors[3]

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), which is changed as a whole."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for change in order.tolist():
            if factors[change] is not None:
                image = _CHANGES[change](image, factors[change])
        return sample("ColorJitter", image)

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]), each changed by factors of its own."""
        if not isinstance(images, Tensor) or images.ndim != 4:
            return one_by_one("ColorJitter", images, self)
        spans = self.brightness, self.contrast, self.saturation, self.hue
        drawn = [_jitter(generator, spans) for generator in sample_generators(len(images))]
        out = pixels("ColorJitter", images).copy()
        orders = np.array([jitter.order for jitter in drawn]).reshape(-1, 4)
        for turn in range(4):
            for change, span in enumerate(spans):
                at = np.flatnonzero(orders[:, turn] == change)  # the images whose change is this one now
                if span is not None and at.size:
                    factors = np.array([drawn[n].factors[change] for n in at])
                    out[at] = _CHANGES[change](Tensor(out[at]), factors).array
        return Tensor(out)

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness={self.brightness}, contrast={self.contrast}, saturation={self.saturation}, "
            f"hue={self.hue})"
        )


def _span(name: str, value: Any, center: float = 1.0, low: float = 0.0, high: float = float("inf")) -> Span | None:
    """The limits of a factor; None if it can only be the center, which changes nothing."""
    try:
        if isinstance(value, tuple | list) and len(value) == 2:
            least, most = (float(real(one, "ColorJitter", name)) for one in value)
        else:
            width = float(real(value, "ColorJitter", name))
            if not width >= 0:
                raise ValueError(f"ColorJitter: {name} should not be negative, got {shown(value)}")
            least, most = center - width, center + width
            least = max(least, 0.0) if low == 0 else least
    except (KindError, TypeError) as error:
        raise TypeError(f"ColorJitter: {name} should be a number or a pair of numbers, got {shown(value)}") from error
    if not low <= least <= most <= high:
        limits = f"{low} and {high}"
        raise ValueError(f"ColorJitter: {name} should be between {limits}, got {shown(value)}: {least} to {most}")
    return None if least == most == center else (least, most)


def _jitter(generator: np.random.Generator, spans: Sequence[Span | None]) -> Jitter:
    numbers = generator.random(8)  # one draw for all, as it is made for each image
    factors = [
        None if span is None else span[0] + (span[1] - span[0]) * number
        for span, number in zip(spans, numbers[4:].tolist(), strict=True)
    ]
    return Jitter(np.argsort(numbers[:4]), tuple(factors))


class GaussianBlur(OneByOne):
    """Blur by a Gaussian (`functional.gaussian_blur`) whose standard deviation is drawn, uniformly, from `sigma`.

    Args:
        kernel_size: (width, height), odd; or a number for both.
        sigma: (least, most) in pixels, or a number.

    Raises:
        ValueError: a size that is even, or a sigma that is not positive.

    >>> minicnn.transforms.GaussianBlur(3)
    GaussianBlur(kernel_size=(3, 3), sigma=(0.1, 2.0))
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        self.kernel_size = blur_sizes("GaussianBlur", kernel_size)
        self.sigma = blur_widths("GaussianBlur", sigma)
        if self.sigma[0] > self.sigma[1]:
            raise ValueError(f"GaussianBlur: sigma should be (least, most), got {shown(sigma)}")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """Draw the standard deviation."""
        return float(sample_generator().uniform(sigma_min, sigma_max))

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), blurred as a whole."""
        sigma = self.get_params(*self.sigma)
        return gaussian_blur(image, self.kernel_size, (sigma, sigma))

    def __repr__(self) -> str:
        return f"GaussianBlur(kernel_size={self.kernel_size}, sigma={self.sigma})"


# --------------------------------------------------------------------------------------- what is done or not, by chance


class Sometimes(Transform):
    """A change that an image gets with probability p, and that has no other random number."""

    keeps_shape = True

    def __init__(self, p: float) -> None:
        self.p = probability(type(self).__name__, p)

    def change(self, image: Any) -> Any:
        """The change, of a PIL image or of a Tensor (..., C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} must define change(image)")

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), changed as a whole or left as it is."""
        sample(type(self).__name__, image)
        return self.change(image) if sample_generator().random() < self.p else image

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); changed or not, each image by itself."""
        array = pixels(type(self).__name__, images)
        chosen = np.flatnonzero([generator.random() < self.p for generator in sample_generators(len(array))])
        if not chosen.size:
            return images
        some = array[chosen]
        changed = self.change(Tensor(some)).array if isinstance(images, Tensor) else _all_pil(some, self.change)
        if len(chosen) == len(array):
            return like(images, changed)
        out = array.copy()
        out[chosen] = changed
        return like(images, out)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


def _all_pil(images: np.ndarray, change: Callable[[Any], Any]) -> np.ndarray:
    """change(image) for the PIL image of each of the images (N, H, W[, C])."""
    from PIL import Image

    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


class RandomGrayscale(Sometimes):
    """Make an image grey with probability p; it keeps its number of channels.

    >>> minicnn.transforms.RandomGrayscale(p=1.0)(minicnn.rand(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, image: Any) -> Any:
        """The grey image."""
        return rgb_to_grayscale(image, get_image_num_channels(image))


class RandomInvert(Sometimes):
    """Invert the colours with probability p.

    >>> minicnn.transforms.RandomInvert(p=1.0)(minicnn.tensor([[[0.0, 0.25]]]))
    tensor([[[1.0000, 0.7500]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, image: Any) -> Any:
        """The inverted image."""
        return invert(image)


class RandomPosterize(Sometimes):
    """With probability p, keep only the upper `bits` of the 8 bits of each channel.

    >>> minicnn.transforms.RandomPosterize(1, p=1.0)(minicnn.tensor([[[100, 200]]], dtype=minicnn.uint8))
    tensor([[[  0, 128]]], dtype=minicnn.uint8)
    """

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = whole(bits, "RandomPosterize", "bits", 0)

    def change(self, image: Any) -> Any:
        """The posterized image."""
        return posterize(image, self.bits)

    def __repr__(self) -> str:
        return f"RandomPosterize(bits={self.bits},p={self.p})"


class RandomSolarize(Sometimes):
    """With probability p, invert the values that are `threshold` or more.

    >>> minicnn.transforms.RandomSolarize(0.5, p=1.0)(minicnn.tensor([[[0.25, 0.75]]]))
    tensor([[[0.2500, 0.2500]]])
    """

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = real(threshold, "RandomSolarize", "threshold")

    def change(self, image: Any) -> Any:
        """The solarized image."""
        return solarize(image, self.threshold)

    def __repr__(self) -> str:
        return f"RandomSolarize(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(Sometimes):
    """With probability p, make an image blurred (factor below 1) or sharper (above 1).

    >>> minicnn.transforms.RandomAdjustSharpness(2, p=0.3)
    RandomAdjustSharpness(sharpness_factor=2,p=0.3)
    """

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = real(sharpness_factor, "RandomAdjustSharpness", "sharpness_factor")
        if not self.sharpness_factor >= 0:
            raise ValueError(f"RandomAdjustSharpness: sharpness_factor should not be negative, got {sharpness_factor}")

    def change(self, image: Any) -> Any:
        """The sharper image."""
        return adjust_sharpness(image, self.sharpness_factor)

    def __repr__(self) -> str:
        return f"RandomAdjustSharpness(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomAutocontrast(Sometimes):
    """With probability p, stretch the values of each channel to the whole range.

    >>> minicnn.transforms.RandomAutocontrast(p=1.0)(minicnn.tensor([[[0.25, 0.5, 0.75]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, image: Any) -> Any:
        """The image with stretched values."""
        return autocontrast(image)


class RandomEqualize(Sometimes):
    """With probability p, spread the levels of each channel evenly (`functional.equalize`).

    >>> minicnn.transforms.RandomEqualize(p=1.0)(minicnn.arange(64).byte().repeat(1, 8, 1)).max()
    tensor(255, dtype=minicnn.uint8)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, image: Any) -> Any:
        """The equalized image."""
        return equalize(image)
