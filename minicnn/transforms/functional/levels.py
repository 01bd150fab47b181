"""Invert, posterize, solarize, autocontrast, equalize: each level of a channel becomes another level."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.geometry import real, shown, whole

from ...tensor import Tensor
from ..base import AnyImage, is_pil, pixels, sample
from .colour import Factor, by_pil, factors, highest, working
from .convert import convert_image_dtype

__all__ = ["autocontrast", "equalize", "invert", "posterize", "solarize"]


def invert(img: AnyImage) -> AnyImage:
    """y = 1 - x; for integers 2^b - 1 - x.

    >>> minicnn.transforms.functional.invert(minicnn.tensor([[[0.0, 0.25]]]))
    tensor([[[1.0000, 0.7500]]])
    """
    if is_pil(sample("invert", img)):
        from PIL import ImageOps

        return by_pil("invert", img, ImageOps.invert)
    return Tensor(_inverted(pixels("invert", img)))


def _inverted(x: np.ndarray) -> np.ndarray:
    return x.dtype.type(highest(x.dtype)) - x


def posterize(img: AnyImage, bits: int) -> AnyImage:
    """Keep the upper `bits` of the 8 bits of each channel: 2^bits levels are left.

    Floating-point values become the multiples of 2^-bits below them.

    Args:
        img: a PIL image, or a Tensor (..., C, H, W) of type uint8 or a floating type.
        bits: from 0 to 8.

    Raises:
        ValueError: another number of bits.
        TypeError: a tensor of another type.

    >>> minicnn.transforms.functional.posterize(minicnn.tensor([[[100, 200]]], dtype=minicnn.uint8), 1)
    tensor([[[  0, 128]]], dtype=minicnn.uint8)
    """
    kept = whole(bits, "posterize", "bits")
    if not 0 <= kept <= 8:
        raise ValueError(f"posterize: bits should be a whole number from 0 to 8, got {shown(bits)}")
    if is_pil(sample("posterize", img)):
        from PIL import ImageOps

        black = [0] * 256 * len(img.getbands())  # Pillow itself takes 1 to 8
        return by_pil("posterize", img, lambda image: ImageOps.posterize(image, kept) if kept else image.point(black))
    x = pixels("posterize", img)
    if x.dtype.kind == "f":
        levels = 1 << kept
        return Tensor(np.clip(np.floor(x * levels), 0, levels - 1) / x.dtype.type(levels))
    if x.dtype != np.uint8:
        raise TypeError(f"posterize: takes tensors of type uint8 or of a floating type, got {x.dtype}")
    return Tensor(x & np.uint8(256 - (1 << (8 - kept))))


def solarize(img: AnyImage, threshold: Factor) -> AnyImage:
    """Invert the values that are `threshold` or more.

    Args:
        img: a PIL image or a Tensor (..., C, H, W).
        threshold: in the range of the image: to 255 for PIL and uint8, to 1 for floating types; for a batch also one
            for each image.

    Raises:
        TypeError: a threshold above the range, as if the tensor were of another type.

    >>> minicnn.transforms.functional.solarize(minicnn.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.2500, 0.2500]]])
    """
    if is_pil(sample("solarize", img)):
        from PIL import ImageOps

        limit = real(threshold, "solarize", "threshold")
        return by_pil("solarize", img, lambda image: ImageOps.solarize(image, limit))
    x = pixels("solarize", img)
    limits, top = factors("solarize", "threshold", threshold, img, -np.inf), highest(x.dtype)
    if (limits > top).any():
        raise TypeError(
            f"solarize: the threshold should be at most {top} for the type {x.dtype}, got {shown(threshold)}"
        )
    above = x >= (limits.astype(x.dtype) if x.dtype.kind == "f" else limits)
    return Tensor(np.where(above, _inverted(x), x))


def autocontrast(img: AnyImage) -> AnyImage:
    """Stretch each channel so that its smallest value becomes 0 and its largest 1 (or 2^b - 1).

        y = (x - min) / (max - min)        a channel of one value stays as it is

    >>> minicnn.transforms.functional.autocontrast(minicnn.tensor([[[0.25, 0.5, 0.75]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    if is_pil(sample("autocontrast", img)):
        from PIL import ImageOps

        return by_pil("autocontrast", img, ImageOps.autocontrast)
    x = pixels("autocontrast", img)
    top, work = highest(x.dtype), working(x.dtype)
    y = x.astype(work, copy=False)
    low, high = y.min(axis=(-2, -1), keepdims=True), y.max(axis=(-2, -1), keepdims=True)
    span = high - low
    stretch = span > 0
    low, scale = np.where(stretch, low, 0), np.where(stretch, top / np.where(stretch, span, 1), 1)
    return Tensor(np.clip((y - low) * scale.astype(work), 0, top).astype(x.dtype, copy=False))


def equalize(img: AnyImage) -> AnyImage:
    """Spread the levels of each channel so that each range of levels holds about as many pixels as any other.

    With h[l] pixels of level l, and s = (the number of pixels without those of the highest level) // 255:

        y = min(255, (s // 2 + sum_(l < x) h[l]) // s)        a channel with s = 0 stays as it is

    Floating-point values are equalized in 256 levels.

    Args:
        img: a PIL image, or a Tensor (..., C, H, W) of type uint8 or a floating type.

    Raises:
        TypeError: a tensor of another type.

    >>> ramp = minicnn.arange(64).byte().repeat(1, 8, 1)
    >>> minicnn.transforms.functional.equalize(ramp)[0, 0, [0, 31, 63]]
    tensor([  0, 248, 255], dtype=minicnn.uint8)
    """
    if is_pil(sample("equalize", img)):
        from PIL import ImageOps

        return by_pil("equalize", img, ImageOps.equalize)
    x = pixels("equalize", img)
    if x.dtype.kind == "f":
        return convert_image_dtype(equalize(convert_image_dtype(img, np.uint8)), x.dtype)
    if x.dtype != np.uint8:
        raise TypeError(f"equalize: takes tensors of type uint8 or of a floating type, got {x.dtype}")
    flat = x.reshape(-1, x.shape[-2] * x.shape[-1]).astype(np.intp)  # (channels of all images, H W)
    first = 256 * np.arange(len(flat))[:, None]
    histogram = np.bincount((flat + first).ravel(), minlength=256 * len(flat)).reshape(-1, 256)
    at_highest = np.take_along_axis(histogram, flat.max(axis=1, keepdims=True), axis=1)
    step = (flat.shape[1] - at_highest) // 255  # (channels, 1)
    below = np.cumsum(histogram, axis=1) - histogram
    table = np.minimum((below + step // 2) // np.maximum(step, 1), 255)
    table = np.where(step > 0, table, np.arange(256))
    return Tensor(np.take_along_axis(table, flat, axis=1).astype(np.uint8).reshape(x.shape))
