"""Augmentations that draw operations and strengths: AutoAugment, RandAugment, TrivialAugment, AugMix.

They share 15 operations of one strength each. A strength is taken from a scale of a few equal steps, and shears,
translations, rotations and the four enhancements go either way, by chance:

    ShearX ShearY             a shear by the strength: x + m y, y + m x        AutoContrast Equalize Invert
    TranslateX TranslateY     in pixels                                        Identity: have no strength
    Rotate                    in degrees
    Brightness Color Contrast Sharpness      factor 1 + m
    Posterize                 the bits that are left
    Solarize                  the threshold, as a share of the largest value
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minicnn_kernels.geometry import real, shown, whole

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator
from .autoaugment_policies import POLICIES, SubPolicy
from .base import AnyImage, OneByOne, is_pil, sample, spatial_size
from .functional import (
    InterpolationMode,
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_sharpness,
    affine,
    autocontrast,
    equalize,
    invert,
    pil_to_tensor,
    posterize,
    rotate,
    solarize,
    to_pil_image,
)
from .functional.colour import highest, working

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]

Scale: TypeAlias = tuple[np.ndarray | None, bool]  # the strengths, and whether they go either way


class Limits(NamedTuple):
    """The ends of the scales: the largest strengths, and the bits that posterizing starts from and ends at."""

    shear: float
    translate: float  # a share of the image's side, or pixels if it is above 1
    rotate: float
    enhance: float
    bits: tuple[int, int]


_MODERATE = Limits(shear=0.3, translate=150 / 331, rotate=30, enhance=0.9, bits=(8, 4))
_WIDE = Limits(shear=0.99, translate=32, rotate=135, enhance=0.99, bits=(8, 2))
_MIXED = Limits(shear=0.3, translate=1 / 3, rotate=30, enhance=0.9, bits=(4, 0))


def scales(limits: Limits, bins: int, size: tuple[int, int]) -> dict[str, Scale]:
    """The scale of each operation, in `bins` steps from the weakest to the strongest, for an image (H, W)."""

    def up_to(most: float) -> Scale:
        return np.linspace(0, most, bins), True

    height, width = (limits.translate * side if limits.translate <= 1 else limits.translate for side in size)
    first, last = limits.bits
    enhance = {name: up_to(limits.enhance) for name in ("Brightness", "Color", "Contrast", "Sharpness")}
    return {
        "Identity": (None, False),
        "ShearX": up_to(limits.shear),
        "ShearY": up_to(limits.shear),
        "TranslateX": up_to(width),
        "TranslateY": up_to(height),
        "Rotate": up_to(limits.rotate),
        **enhance,
        "Posterize": (first - np.rint(np.linspace(0, first - last, bins)), False),
        "Solarize": (np.linspace(1, 0, bins), False),
        "AutoContrast": (None, False),
        "Equalize": (None, False),
    }


def _sheared(image: Any, x: float, y: float, how: dict[str, Any]) -> Any:
    degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=degrees, center=[0, 0], **how)


def _moved(image: Any, x: float, y: float, how: dict[str, Any]) -> Any:
    return affine(image, angle=0.0, translate=[int(x), int(y)], scale=1.0, shear=[0.0, 0.0], **how)


def _solarized(image: Any, share: float, _: dict[str, Any]) -> Any:
    return solarize(image, share * (255 if is_pil(image) else highest(image.dtype)))


# (image, strength, {"interpolation": ..., "fill": ...}) -> image
_OPERATIONS: dict[str, Callable[[Any, float, dict[str, Any]], Any]] = {
    "Identity": lambda image, m, how: image,
    "ShearX": lambda image, m, how: _sheared(image, m, 0.0, how),
    "ShearY": lambda image, m, how: _sheared(image, 0.0, m, how),
    "TranslateX": lambda image, m, how: _moved(image, m, 0.0, how),
    "TranslateY": lambda image, m, how: _moved(image, 0.0, m, how),
    "Rotate": lambda image, m, how: rotate(image, m, **how),
    "Brightness": lambda image, m, how: adjust_brightness(image, 1 + m),
    "Color": lambda image, m, how: adjust_saturation(image, 1 + m),
    "Contrast": lambda image, m, how: adjust_contrast(image, 1 + m),
    "Sharpness": lambda image, m, how: adjust_sharpness(image, 1 + m),
    "Posterize": lambda image, m, how: posterize(image, int(m)),
    "Solarize": _solarized,
    "AutoContrast": lambda image, m, how: autocontrast(image),
    "Equalize": lambda image, m, how: equalize(image),
    "Invert": lambda image, m, how: invert(image),
}


class _Augment(OneByOne):
    """What the four have in common: how an operation is applied."""

    interpolation: InterpolationMode
    fill: Any

    def _operate(self, image: Any, name: str, strength: float) -> Any:
        """The operation, on a PIL image or a Tensor (..., C, H, W)."""
        how = {"interpolation": self.interpolation, "fill": self.fill}
        return _OPERATIONS[name](image, strength, how)

    def _scales(self, limits: Limits, bins: int, image: Any) -> dict[str, Scale]:
        return scales(limits, bins, spatial_size(type(self).__name__, sample(type(self).__name__, image)))


def _strength(scale: Scale, step: int, generator: np.random.Generator) -> float:
    """The strength at a step of a scale, with a random sign if it goes either way."""
    strengths, signed = scale
    if strengths is None:
        return 0.0
    return float(strengths[step]) * (-1 if signed and generator.random() < 0.5 else 1)


class AutoAugmentPolicy(Enum):
    """The policies of `AutoAugment`, by the data set that they were learned on.

    >>> minicnn.transforms.AutoAugmentPolicy("cifar10")
    <AutoAugmentPolicy.CIFAR10: 'cifar10'>
    """

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


class AutoAugment(_Augment):
    """One of 25 learned pairs of operations, each of which has its own probability and strength.

    Args:
        policy: an `AutoAugmentPolicy`: the pairs that were best on ImageNet, CIFAR-10 or SVHN.
        interpolation: of shears, translations and rotations.
        fill: the colour of the places that they leave empty; None is black.

    Source: E. Cubuk et al., "AutoAugment: Learning augmentation strategies from data", CVPR 2019.

    >>> minicnn.transforms.AutoAugment(minicnn.transforms.AutoAugmentPolicy.CIFAR10)
    AutoAugment(policy=AutoAugmentPolicy.CIFAR10, fill=None)
    """

    _BINS = 10

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        if not isinstance(policy, AutoAugmentPolicy):
            names = ", ".join(str(member) for member in AutoAugmentPolicy)
            raise ValueError(f"AutoAugment: the policy should be one of {names}, got {shown(policy)}")
        self.policy, self.interpolation, self.fill = policy, interpolation, fill
        self.policies: tuple[SubPolicy, ...] = POLICIES[policy.value]

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """Draw the number of a pair; for its operations, numbers (2,) to compare with probabilities, and signs (2,)."""
        generator = sample_generator()
        pair = int(generator.integers(transform_num))
        return pair, Tensor(generator.random(2, np.float32)), Tensor(generator.integers(0, 2, 2))

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        table = self._scales(_MODERATE, self._BINS, image)
        pair, chances, signs = self.get_params(len(self.policies))
        for (name, p, step), chance, sign in zip(self.policies[pair], chances.tolist(), signs.tolist(), strict=True):
            if chance <= p:
                strengths, signed = table.get(name, (None, False))  # Invert has no scale
                strength = 0.0 if strengths is None or step is None else float(strengths[step])
                image = self._operate(image, name, -strength if signed and sign == 0 else strength)
        return image

    def __repr__(self) -> str:
        return f"AutoAugment(policy={self.policy}, fill={self.fill})"


class RandAugment(_Augment):
    """`num_ops` random operations, one after the other, all at the same step of their scales.

    Args:
        num_ops: how many.
        magnitude: the step of the scales, from 0, the weakest, to num_magnitude_bins - 1.
        num_magnitude_bins: how many steps the scales have.
        interpolation, fill: as in `AutoAugment`.

    Raises:
        ValueError: a magnitude that is not on the scale.

    Source: E. Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space",
    CVPR Workshops 2020.

    >>> minicnn.transforms.RandAugment(2, 9)(minicnn.rand(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        self.num_ops = whole(num_ops, "RandAugment", "num_ops", 0)
        self.num_magnitude_bins = whole(num_magnitude_bins, "RandAugment", "num_magnitude_bins", 2)
        self.magnitude = whole(magnitude, "RandAugment", "magnitude", 0)
        if self.magnitude >= self.num_magnitude_bins:
            raise ValueError(
                f"RandAugment: the magnitude {magnitude} is not on a scale of {num_magnitude_bins} steps, "
                f"0 to {num_magnitude_bins - 1}"
            )
        self.interpolation, self.fill = interpolation, fill

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        table = self._scales(_MODERATE, self.num_magnitude_bins, image)
        generator, names = sample_generator(), list(table)
        for _ in range(self.num_ops):
            name = names[int(generator.integers(len(names)))]
            image = self._operate(image, name, _strength(table[name], self.magnitude, generator))
        return image

    def __repr__(self) -> str:
        return (
            f"RandAugment(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(_Augment):
    """One random operation at a random step of a wide scale: nothing has to be tuned.

    Args:
        num_magnitude_bins: how many steps the scales have.
        interpolation, fill: as in `AutoAugment`.

    Source: S. Müller and F. Hutter, "TrivialAugment: Tuning-free yet state-of-the-art data augmentation", ICCV 2021.

    >>> minicnn.transforms.TrivialAugmentWide()(minicnn.rand(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        self.num_magnitude_bins = whole(num_magnitude_bins, "TrivialAugmentWide", "num_magnitude_bins", 2)
        self.interpolation, self.fill = interpolation, fill

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        table = self._scales(_WIDE, self.num_magnitude_bins, image)
        generator, names = sample_generator(), list(table)
        name = names[int(generator.integers(len(names)))]
        step = int(generator.integers(self.num_magnitude_bins))
        return self._operate(image, name, _strength(table[name], step, generator))

    def __repr__(self) -> str:
        return (
            f"TrivialAugmentWide(num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, "
            f"fill={self.fill})"
        )


class AugMix(_Augment):
    """A random mean of an image and of several chains of weak operations on it.

        y = m x + (1 - m) sum_i w_i chain_i(x)        (m, 1 - m) and w are drawn from Dirichlet(alpha, ...)

    Args:
        severity: the strengths are of the first `severity` of 10 steps; 1 to 10.
        mixture_width: how many chains.
        chain_depth: how many operations a chain has; -1: 1, 2 or 3, by chance.
        alpha: of the Dirichlet distributions: small: nearly one of the images, large: nearly equal shares.
        all_ops: with Brightness, Color, Contrast and Sharpness, which are among the corruptions of the usual test
            of robustness.
        interpolation, fill: as in `AutoAugment`.

    Raises:
        ValueError: numbers out of range.

    Source: D. Hendrycks et al., "AugMix: A simple data processing method to improve robustness and uncertainty",
    ICLR 2020.

    >>> minicnn.transforms.AugMix()(minicnn.rand(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    _BINS = 10

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        self.severity = whole(severity, "AugMix", "severity", 1)
        if self.severity > self._BINS:
            raise ValueError(f"AugMix: the severity should be from 1 to {self._BINS}, got {severity}")
        self.mixture_width = whole(mixture_width, "AugMix", "mixture_width", 1)
        self.chain_depth = whole(chain_depth, "AugMix", "chain_depth")
        self.alpha, self.all_ops = real(alpha, "AugMix", "alpha"), all_ops
        if not self.alpha > 0:
            raise ValueError(f"AugMix: alpha should be a number > 0, got {shown(alpha)}")
        self.interpolation, self.fill = interpolation, fill

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image, which is mixed as a Tensor of uint8, or a Tensor (..., C, H, W)."""
        if is_pil(sample("AugMix", image)):
            return to_pil_image(self.forward(pil_to_tensor(image)), image.mode)
        table = self._scales(_MIXED, self._BINS, image)
        enhancements = {"Brightness", "Color", "Contrast", "Sharpness"}
        names = [name for name in table if name != "Identity" and (self.all_ops or name not in enhancements)]
        generator, work = sample_generator(), working(image.dtype)
        own, rest = generator.dirichlet([self.alpha] * 2)
        weights = rest * generator.dirichlet([self.alpha] * self.mixture_width)
        mixed = work.type(own) * image.array.astype(work)
        for weight in weights:
            mixed += work.type(weight) * self._chain(image, names, table, generator).array
        return Tensor(mixed.astype(image.dtype))

    def _chain(self, image: Tensor, names: Sequence[str], table: dict[str, Scale], draw: np.random.Generator) -> Tensor:
        """A few random operations, one after the other."""
        depth = self.chain_depth if self.chain_depth > 0 else int(draw.integers(1, 4))
        for _ in range(depth):
            name = names[int(draw.integers(len(names)))]
            image = self._operate(image, name, _strength(table[name], int(draw.integers(self.severity)), draw))
        return image

    def __repr__(self) -> str:
        return (
            f"AugMix(severity={self.severity}, mixture_width={self.mixture_width}, chain_depth={self.chain_depth}, "
            f"alpha={self.alpha}, all_ops={self.all_ops}, interpolation={self.interpolation}, fill={self.fill})"
        )
