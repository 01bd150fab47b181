"""Random elastic and lens distortion, as steps of a chain; `functional/distortion.py` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator
from .base import AnyImage, probability
from .functional.distortion import (
    check_lens,
    elastic_grids,
    elastic_transform,
    lens_distortion,
    lens_grids,
    smooth_fields,
)
from .functional.images import Fill, centre, number, numbers
from .functional.resizing import InterpolationMode
from .warping import RandomWarp, angle_range, between

__all__ = ["ElasticTransform", "RandomLensDistortion"]


class ElasticTransform(RandomWarp):
    """Distort an image as if it was drawn on rubber: each pixel comes from a random place nearby, smoothly.

    The places are moved by random numbers, uniform in [-1, 1), which a Gaussian blurs, times alpha / 2 pixels. With
    sigma = 5 the blur leaves about 1/18 of their size: alpha = 50 moves by one or two pixels.

    Args:
        alpha: the strength, one number or (along x, along y).
        sigma: the deviation of the Gaussian in pixels, one number or (along x, along y): the larger, the smoother.
        interpolation: nearest or bilinear.
        fill: the value of what comes from outside: one number, or one per channel.

    P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003: the augmentation of their record on MNIST.

    >>> minicnn.transforms.ElasticTransform(alpha=34.0, sigma=4.0)(minicnn.zeros(1, 28, 28)).shape
    minicnn.Size([1, 28, 28])
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Fill = 0,
    ) -> None:
        self.alpha, self.sigma = (
            list(numbers("ElasticTransform", what, value, (1, 2)))
            if isinstance(value, tuple | list | np.ndarray)
            else [number("ElasticTransform", what, value)]
            for what, value in (("alpha", alpha), ("sigma", sigma))
        )
        self.alpha, self.sigma = self.alpha * (2 // len(self.alpha)), self.sigma * (2 // len(self.sigma))
        if min(self.sigma) < 0:
            raise ValueError(f"ElasticTransform: sigma should not be negative, got {sigma}")
        self._style("ElasticTransform", interpolation, fill)
        several: Any = self.fill
        self.fill = [float(value) for value in (several if isinstance(several, tuple | list) else [several])]

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """Draw a displacement field (1, H, W, 2) for `elastic_transform`, for an image of `size` (H, W)."""
        return Tensor(smooth_fields(_noise(sample_generator(), size)[None], alpha, sigma))

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        return self.alpha, self.sigma, size

    def _random(self, generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        return _noise(generator, size)

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        """The displacement fields (N, H, W, 2)."""
        alpha, sigma, _ = arguments
        return smooth_fields(u, alpha, sigma)

    @staticmethod
    def _named(row: np.ndarray) -> Tensor:
        return Tensor(row[None])

    def _changed(self, image: AnyImage, params: Tensor) -> AnyImage:
        return elastic_transform(image, params, self.interpolation, self.fill)

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        return elastic_grids(rows)

    def __repr__(self) -> str:
        text = f"alpha={self.alpha}, sigma={self.sigma}, interpolation={self.interpolation}, fill={self.fill}"
        return f"{type(self).__name__}({text})"


def _noise(generator: np.random.Generator, size: Sequence[int]) -> np.ndarray:
    """(2, H, W), uniform in [-1, 1): along x and along y."""
    noise = generator.random((2, *size), np.float32)
    noise *= 2
    noise -= 1
    return noise


class RandomLensDistortion(RandomWarp):
    """Bend an image as a lens does, with probability `p` (not in torchvision): `functional.lens_distortion`.

    Args:
        k1: the range (min, max) of the first coefficient, or a number d for (-d, d). Positive numbers give a barrel,
            negative ones a pincushion.
        k2: the same for the second coefficient.
        p: the probability of a change.
        interpolation: nearest or bilinear.
        fill: the value of what comes from outside.
        center: the middle of the lens (x, y) in pixels from the upper left corner; None is the middle of the image.

    Raises:
        ValueError: coefficients in the ranges that would fold the image.

    R. Wu, S. Yan, Y. Shan, Q. Dang and G. Sun, "Deep Image: scaling up image recognition", 2015, augment with it.

    >>> minicnn.transforms.RandomLensDistortion(k1=(0.1, 0.4))(minicnn.zeros(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    draws = 2

    def __init__(
        self,
        k1: float | Sequence[float] = 0.2,
        k2: float | Sequence[float] = 0.0,
        p: float = 1.0,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Fill = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        name = "RandomLensDistortion"
        self.k1, self.k2, self.p = angle_range(name, "k1", k1), angle_range(name, "k2", k2), probability(name, p)
        for corner in product(self.k1, self.k2):  # the condition is linear in both
            check_lens(name, *corner)
        self.center = center
        centre(name, center)
        self._style(name, interpolation, fill)

    @staticmethod
    def get_params(
        k1: Sequence[float], k2: Sequence[float], generator: np.random.Generator | None = None
    ) -> tuple[float, float]:
        """Draw (k1, k2) from their ranges."""
        found: tuple[float, float] = RandomLensDistortion._drawn(generator, k1, k2)
        return found

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        """(N, 2): k1, k2."""
        low, high = np.array(arguments, np.float64).T
        return between(low, high, u)

    @staticmethod
    def _named(row: np.ndarray) -> tuple[float, float]:
        return float(row[0]), float(row[1])

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        return self.k1, self.k2

    def _changed(self, image: AnyImage, params: Any) -> AnyImage:
        k1, k2 = params
        return lens_distortion(image, k1, k2, self.interpolation, self.fill, self.center)

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        return lens_grids(rows, self.center, size, dtype)

    def __repr__(self) -> str:
        text = f"k1={self.k1}, k2={self.k2}, p={self.p}, interpolation={self.interpolation.value}, fill={self.fill}"
        return f"{type(self).__name__}({text})"
