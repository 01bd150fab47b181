"""Brightness, contrast, saturation, hue, gamma and grey: what changes the colours of pixels, and not their places.

Most of it is one equation, a mean of the image x and of a poorer image d, which is extrapolated for factors over 1:

    y = f x + (1 - f) d        brightness: d is black; contrast: the mean grey; saturation: the grey image

Tensors (..., C, H, W) are computed in float32 (float64 if they have it) and clipped to their range, [0, 1] or
0..2^b - 1; integers are cut to whole numbers. PIL images are changed by Pillow. Where a factor is taken, a batch of
tensors (N, C, H, W) may have one for each image, an array (N,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn_kernels.geometry import real, shown

from ...tensor import Tensor
from ..base import AnyImage, is_pil, pixels, sample
from .convert import convert_image_dtype

__all__ = [
    "Factor", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation", "blend",
    "by_pil", "factors", "grey", "grey_or_rgb", "highest", "permute_channels", "rgb_to_grayscale", "to_grayscale",
    "working",
]  # fmt: skip

Factor: TypeAlias = float | Sequence[float] | np.ndarray


# ------------------------------------------------------------------------------------------------------- the parts


def by_pil(name: str, image: Any, change: Callable[[Any], Any]) -> Any:
    """change(image), with an error that says what to do if Pillow cannot do that to an image of this mode."""
    try:
        return change(image)
    except (OSError, NotImplementedError, ValueError) as error:
        raise TypeError(
            f"{name}: Pillow cannot do this to an image of mode {image.mode!r} ({error}); convert it first, by "
            "image.convert('RGB') or image.convert('L')"
        ) from error


def highest(dtype: np.dtype) -> int:
    """The largest value that a pixel of this type has: 1 for floating types, 2^b - 1 for integers.

    Raises:
        TypeError: bool.
    """
    if dtype.kind not in "iuf":
        raise TypeError(f"a tensor of type {dtype} has no range of colours; convert it to uint8 or float32")
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def working(dtype: np.dtype) -> np.dtype:
    """The type to compute in: float64 for float64 and for integers that float32 does not hold, else float32."""
    wide = dtype == np.float64 or (dtype.kind in "iu" and dtype.itemsize > 2)
    return np.dtype(np.float64 if wide else np.float32)


def factors(name: str, what: str, value: Any, images: Any, low: float = 0.0, high: float = np.inf) -> np.ndarray:
    """A factor as float64, of shape () or, if a batch (N, C, H, W) has one for each image, (N, 1, 1, 1).

    Raises:
        ValueError: a factor that is not from `low` to `high`, or a number of them that is neither 1 nor N.
    """
    if isinstance(value, tuple | list | np.ndarray) and np.ndim(value):
        found = np.asarray(value, np.float64)
        if is_pil(images) or images.ndim != 4 or found.shape != (len(images),):
            raise ValueError(f"{name}: {what} should be a number, or one for each image of a batch (N, C, H, W)")
        found = found.reshape(-1, 1, 1, 1)  # (N,) -> (N, 1, 1, 1)
    else:
        found = np.asarray(real(value, name, what), np.float64)
    if not ((found >= low) & (found <= high)).all():
        limits = "not be negative" if high == np.inf else f"be in [{low}, {high}]"
        raise ValueError(f"{name}: {what} should {limits}, got {shown(value)}")
    return found


def blend(x: np.ndarray, poorer: np.ndarray | float, factor: np.ndarray) -> np.ndarray:
    """factor x + (1 - factor) poorer, clipped to the range of x; integers are cut."""
    top, work = highest(x.dtype), working(x.dtype)
    y = factor.astype(work) * x.astype(work, copy=False)
    y += (1 - factor).astype(work) * poorer
    return np.clip(y, 0, top, out=y).astype(x.dtype, copy=False)


def grey_or_rgb(name: str, image: Any) -> np.ndarray:
    """The array of a Tensor (..., C, H, W) with C of 1 or 3, or of a grey one (H, W).

    Raises:
        TypeError: another number of channels.
    """
    array = pixels(name, image)
    channels = 1 if array.ndim == 2 else array.shape[-3]
    if channels not in (1, 3):
        raise TypeError(f"{name}: takes images of 1 or 3 channels, got {channels}: shape {array.shape}")
    return array


def grey(array: np.ndarray) -> np.ndarray:
    """0.2989 R + 0.587 G + 0.114 B, (..., 3, H, W) -> (..., 1, H, W), in the working type; integers are cut."""
    work = working(array.dtype)
    red, green, blue = (array[..., i : i + 1, :, :].astype(work, copy=False) for i in range(3))
    luma = work.type(0.2989) * red + work.type(0.587) * green + work.type(0.114) * blue
    return luma if array.dtype.kind == "f" else np.floor(luma)


# --------------------------------------------------------------------------------------------- brightness to hue


def adjust_brightness(img: AnyImage, brightness_factor: Factor) -> AnyImage:
    """y = f x: 0 is black, 1 the image, 2 twice as bright.

    Args:
        img: a PIL image or a Tensor (..., C, H, W).
        brightness_factor: f, 0 or more; for a batch also one for each image.

    Raises:
        ValueError: a negative factor.

    >>> minicnn.transforms.functional.adjust_brightness(minicnn.tensor([[[0.25, 0.75]]]), 2.0)
    tensor([[[0.5000, 1.0000]]])
    """
    factor = factors("adjust_brightness", "brightness_factor", brightness_factor, sample("adjust_brightness", img))
    if is_pil(img):
        return _enhanced("adjust_brightness", "Brightness", img, factor)
    return Tensor(blend(pixels("adjust_brightness", img), 0.0, factor))


def adjust_contrast(img: AnyImage, contrast_factor: Factor) -> AnyImage:
    """y = f x + (1 - f) m, where m is the mean of the grey image: 0 is grey everywhere, 1 the image.

    Args:
        img: a PIL image or a Tensor (..., C, H, W) of 1 or 3 channels.
        contrast_factor: f, 0 or more; for a batch also one for each image.

    Raises:
        ValueError: a negative factor.
        TypeError: another number of channels.

    >>> minicnn.transforms.functional.adjust_contrast(minicnn.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.3750, 0.6250]]])
    """
    factor = factors("adjust_contrast", "contrast_factor", contrast_factor, sample("adjust_contrast", img))
    if is_pil(img):
        return _enhanced("adjust_contrast", "Contrast", img, factor)
    x = grey_or_rgb("adjust_contrast", img)
    light = grey(x) if x.ndim > 2 and x.shape[-3] == 3 else x
    axes = tuple(range(max(light.ndim - 3, 0), light.ndim))  # of each image
    mean = light.mean(axis=axes, keepdims=True, dtype=np.float64).astype(working(x.dtype))
    return Tensor(blend(x, mean, factor))


def adjust_saturation(img: AnyImage, saturation_factor: Factor) -> AnyImage:
    """y = f x + (1 - f) grey(x): 0 is the grey image, 1 the image, 2 has colours twice as strong.

    Args:
        img: a PIL image or a Tensor (..., C, H, W) of 1 or 3 channels; grey ones stay as they are.
        saturation_factor: f, 0 or more; for a batch also one for each image.

    Raises:
        ValueError: a negative factor.
        TypeError: another number of channels.

    >>> red = minicnn.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    >>> minicnn.transforms.functional.adjust_saturation(red, 0.5).flatten()
    tensor([0.6495, 0.1495, 0.1495])
    """
    factor = factors("adjust_saturation", "saturation_factor", saturation_factor, sample("adjust_saturation", img))
    if is_pil(img):
        return _enhanced("adjust_saturation", "Color", img, factor)
    x = grey_or_rgb("adjust_saturation", img)
    return Tensor(blend(x, grey(x), factor)) if x.ndim > 2 and x.shape[-3] == 3 else img


def _enhanced(name: str, kind: str, image: Any, factor: np.ndarray) -> Any:
    """One of the changes of PIL.ImageEnhance."""
    from PIL import ImageEnhance

    return by_pil(name, image, lambda image: getattr(ImageEnhance, kind)(image).enhance(float(factor)))


def adjust_hue(img: AnyImage, hue_factor: Factor) -> AnyImage:
    """Turn the colours on the colour wheel: the image in HSV, with hue_factor added to H, which runs from 0 to 1.

    1/3 makes red green, green blue and blue red; 1/2 and -1/2 give the complementary colours. Grey images stay as they
    are. For a Tensor, with V = max(R, G, B) and D = V - min(R, G, B):

        6 H = (G - B)/D if V = R,  2 + (B - R)/D if V = G,  else 4 + (R - G)/D        S = D / V
        R, G, B = V - V S clip(min(k, 4 - k), 0, 1)        k = (n + 6 H) mod 6, n = 5 for R, 3 for G, 1 for B

    Args:
        img: a PIL image or a Tensor (..., C, H, W) of 1 or 3 channels.
        hue_factor: from -0.5 to 0.5; for a batch also one for each image.

    Raises:
        ValueError: another factor.
        TypeError: another number of channels.

    Source: A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978.

    >>> red = minicnn.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    >>> minicnn.transforms.functional.adjust_hue(red, 1 / 3).flatten()
    tensor([0., 1., 0.])
    """
    factor = factors("adjust_hue", "hue_factor", hue_factor, sample("adjust_hue", img), -0.5, 0.5)
    if is_pil(img):
        return _hue_of_pil(img, float(factor))
    x = grey_or_rgb("adjust_hue", img)
    if x.ndim == 2 or x.shape[-3] == 1:
        return img
    unit = x if x.dtype.kind == "f" else pixels("adjust_hue", convert_image_dtype(img, working(x.dtype)))
    turned = _turned(unit.astype(working(x.dtype), copy=False), factor.reshape(-1, 1, 1) if factor.ndim else factor)
    return (
        convert_image_dtype(Tensor(turned), x.dtype)
        if x.dtype.kind != "f"
        else Tensor(turned.astype(x.dtype, copy=False))
    )


def _turned(rgb: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(..., 3, H, W) with `turn`, a number or (N, 1, 1), added to the hue."""
    red, green, blue = (rgb[..., i, :, :] for i in range(3))  # (..., H, W)
    value = np.maximum(np.maximum(red, green), blue)
    range_ = value - np.minimum(np.minimum(red, green), blue)
    some = np.where(range_ > 0, range_, 1)  # a grey pixel has any hue
    six_h = np.where(
        value == red,
        (green - blue) / some,
        np.where(value == green, (blue - red) / some + 2, (red - green) / some + 4),
    )
    six_h += (6 * turn).astype(rgb.dtype)
    out = np.empty_like(rgb)
    for channel, n in enumerate((5, 3, 1)):
        k = six_h + n
        k -= 6 * np.floor(k * (1 / 6))  # k mod 6; np.mod is slow
        share = np.minimum(k, 4 - k, out=k)
        out[..., channel, :, :] = value - range_ * np.clip(share, 0, 1, out=share)  # V S = D
    return out


def _hue_of_pil(image: Any, turn: float) -> Any:
    """The same in PIL's HSV, whose H has 256 steps."""
    from PIL import Image

    if image.mode in ("1", "L", "I", "F"):
        return image
    hue, saturation, value = by_pil("adjust_hue", image, lambda image: image.convert("HSV").split())
    steps = int(turn * 255) % 256
    hue = Image.fromarray(np.asarray(hue) + np.uint8(steps))  # uint8 goes round
    return Image.merge("HSV", (hue, saturation, value)).convert(image.mode)


def adjust_gamma(img: AnyImage, gamma: Factor, gain: float = 1) -> AnyImage:
    """y = gain x^gamma for x in [0, 1]: gamma > 1 makes shadows darker, gamma < 1 brighter.

    Args:
        img: a PIL image or a Tensor (..., C, H, W); integers are scaled to [0, 1] and back.
        gamma: 0 or more; for a batch also one for each image.

    Raises:
        ValueError: a negative gamma.

    >>> minicnn.transforms.functional.adjust_gamma(minicnn.tensor([[[0.5, 1.0]]]), 2.0)
    tensor([[[0.2500, 1.0000]]])
    """
    power = factors("adjust_gamma", "gamma", gamma, sample("adjust_gamma", img))
    gain = real(gain, "adjust_gamma", "gain")
    if is_pil(img):
        levels = (np.arange(256) / 255) ** float(power) * (gain * (256 - 1e-3))
        table = np.clip(levels, 0, 255).astype(int).tolist() * 3
        return by_pil("adjust_gamma", img, lambda image: image.convert("RGB").point(table).convert(image.mode))
    x = pixels("adjust_gamma", img)
    work = working(x.dtype)
    unit = x.astype(work) if x.dtype.kind == "f" else pixels("adjust_gamma", convert_image_dtype(img, work))
    y = Tensor(np.clip(work.type(gain) * unit ** power.astype(work), 0, 1))
    return convert_image_dtype(y, x.dtype)


# ------------------------------------------------------------------------------------------------------------ grey


def rgb_to_grayscale(img: AnyImage, num_output_channels: int = 1) -> AnyImage:
    """Make colours grey: 0.299 R + 0.587 G + 0.114 B, the luma of ITU-R BT.601, as `minicnn.transforms.Grayscale` does.

    Args:
        img: a PIL image, or a Tensor (..., C, H, W) of 1 or 3 channels.
        num_output_channels: 1, or 3 equal channels.

    Raises:
        ValueError: another number of output channels.
        TypeError: another number of channels.

    >>> minicnn.transforms.functional.rgb_to_grayscale(minicnn.ones(3, 32, 32)).shape
    minicnn.Size([1, 32, 32])
    """
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: num_output_channels should be 1 or 3, got {num_output_channels!r}")
    if is_pil(sample("rgb_to_grayscale", img)):
        light = by_pil("rgb_to_grayscale", img, lambda image: image.convert("L"))
        return light if num_output_channels == 1 else light.convert("RGB")
    x = grey_or_rgb("rgb_to_grayscale", img)
    if x.ndim < 3:
        raise TypeError(f"rgb_to_grayscale: the tensor should be (..., C, H, W), its shape is {x.shape}")
    light = grey(x).astype(x.dtype, copy=False) if x.shape[-3] == 3 else x
    return Tensor(np.repeat(light, num_output_channels, axis=-3))


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` for PIL images.

    Raises:
        TypeError: a Tensor, which `rgb_to_grayscale` takes.

    >>> image, label = minicnn.datasets.Digits()[0]
    >>> minicnn.transforms.functional.to_grayscale(image, 3).mode
    'RGB'
    """
    if not is_pil(img):
        raise TypeError(f"to_grayscale: takes a PIL image, got {type(img).__name__}; use rgb_to_grayscale")
    return rgb_to_grayscale(img, num_output_channels)


def permute_channels(img: AnyImage, permutation: Sequence[int]) -> AnyImage:
    """The channels in another order: channel i of the result is channel permutation[i].

    Raises:
        ValueError: not a permutation of the channels.

    >>> minicnn.transforms.functional.permute_channels(minicnn.tensor([[[1]], [[2]], [[3]]]), [2, 0, 1]).flatten()
    tensor([3, 1, 2])
    """
    if is_pil(sample("permute_channels", img)):
        from PIL import Image

        _check_order(permutation, len(img.getbands()))
        bands = img.split()
        return Image.merge(img.mode, [bands[i] for i in permutation])
    x = pixels("permute_channels", img)
    _check_order(permutation, 1 if x.ndim == 2 else x.shape[-3])
    return img if x.ndim == 2 else Tensor(x[..., list(permutation), :, :])


def _check_order(permutation: Sequence[int], channels: int) -> None:
    if sorted(permutation) != list(range(channels)):
        raise ValueError(f"permute_channels: {shown(permutation)} is not an order of the {channels} channels")
