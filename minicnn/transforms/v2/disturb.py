"""Random disturbances of colours and pixels that only torchvision's second version has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import real, shown

from ...tensor import Tensor
from ...utils.data.randomness import sample_generator
from ..base import AnyImage, OneByOne, probability, sample, whole_numbers
from ..functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    gaussian_noise,
    get_image_num_channels,
    permute_channels,
)
from .functional import jpeg

__all__ = ["JPEG", "GaussianNoise", "RandomChannelPermutation", "RandomPhotometricDistort"]


class RandomPhotometricDistort(OneByOne):
    """Change brightness, contrast, saturation, hue and the order of the channels, each with probability p.

    Contrast is changed before saturation and hue, or after them, by chance.

    Args:
        brightness, contrast, saturation: (least, most) of the factor, which is uniform.
        hue: (least, most) of the turn.
        p: the probability of each change.

    Source: W. Liu et al., "SSD: Single shot multibox detector", ECCV 2016.

    >>> from minicnn.transforms import v2
    >>> v2.RandomPhotometricDistort()(minicnn.rand(3, 8, 8)).shape
    minicnn.Size([3, 8, 8])
    """

    def __init__(
        self,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-0.05, 0.05),
        p: float = 0.5,
    ) -> None:
        self.p = probability("RandomPhotometricDistort", p)
        self.brightness = _limits("brightness", brightness, 0, np.inf)
        self.contrast = _limits("contrast", contrast, 0, np.inf)
        self.saturation = _limits("saturation", saturation, 0, np.inf)
        self.hue = _limits("hue", hue, -0.5, 0.5)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        generator = sample_generator()
        channels = get_image_num_channels(sample("RandomPhotometricDistort", image))
        contrast = adjust_contrast, self.contrast
        changes: list[Any] = [(adjust_saturation, self.saturation), (adjust_hue, self.hue)]
        changes = [contrast, *changes] if generator.random() < 0.5 else [*changes, contrast]
        for change, limits in [(adjust_brightness, self.brightness), *changes]:
            if generator.random() < self.p:
                image = change(image, float(generator.uniform(*limits)))
        if generator.random() < self.p:
            image = permute_channels(image, generator.permutation(channels).tolist())
        return image

    def __repr__(self) -> str:
        return (
            f"RandomPhotometricDistort(brightness={self.brightness}, contrast={self.contrast}, hue={self.hue}, "
            f"saturation={self.saturation}, p={self.p})"
        )


def _limits(what: str, limits: Sequence[float], low: float, high: float) -> tuple[float, float]:
    found = [float(real(limit, "RandomPhotometricDistort", what)) for limit in limits]
    if len(found) != 2 or not low <= found[0] <= found[1] <= high:
        raise ValueError(
            f"RandomPhotometricDistort: {what} should be (least, most) within {low} and {high}, got {shown(limits)}"
        )
    return found[0], found[1]


class RandomChannelPermutation(OneByOne):
    """The channels in a random order.

    >>> from minicnn.transforms import v2
    >>> v2.RandomChannelPermutation()(minicnn.arange(3).reshape(3, 1, 1)).sum()
    tensor(3)
    """

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        channels = get_image_num_channels(sample("RandomChannelPermutation", image))
        return permute_channels(image, sample_generator().permutation(channels).tolist())


class GaussianNoise(OneByOne):
    """Add noise of a normal distribution to each value (`functional.gaussian_noise`).

    Args:
        mean, sigma: of the noise.
        clip: clip to [0, 1], or for uint8 to 0..255.

    >>> from minicnn.transforms import v2
    >>> v2.GaussianNoise(mean=0.5, sigma=0.0)(minicnn.zeros(1, 1, 2))
    tensor([[[0.5000, 0.5000]]])
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        self.mean, self.sigma, self.clip = (
            real(mean, "GaussianNoise", "mean"),
            real(sigma, "GaussianNoise", "sigma"),
            clip,
        )
        if not self.sigma >= 0:
            raise ValueError(f"GaussianNoise: sigma should not be negative, got {shown(sigma)}")

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W) of a floating type or uint8."""
        return gaussian_noise(image, self.mean, self.sigma, self.clip)

    def __repr__(self) -> str:
        return f"GaussianNoise(mean={self.mean}, sigma={self.sigma}, clip={self.clip})"


class JPEG(OneByOne):
    """The image after it was written as JPEG of a random quality and read again.

    Args:
        quality: from 1 to 100, or (least, most).

    >>> from minicnn.transforms import v2
    >>> v2.JPEG((10, 90))(minicnn.zeros(3, 8, 8, dtype=minicnn.uint8)).shape
    minicnn.Size([3, 8, 8])
    """

    def __init__(self, quality: int | Sequence[int]) -> None:
        text = "quality should be a whole number from 1 to 100, or two, (least, most)"
        least, most = (whole_numbers("JPEG", text, quality, (1, 2), 1) * 2)[:2]
        if not least <= most <= 100:
            raise ValueError(f"JPEG: {text}, got {shown(quality)}")
        self.quality = least, most

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image, or a Tensor (..., C, H, W) of uint8."""
        return jpeg(image, int(sample_generator().integers(self.quality[0], self.quality[1] + 1)))

    def __repr__(self) -> str:
        return f"JPEG(quality={list(self.quality)})"
