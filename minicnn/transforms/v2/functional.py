"""The functions of `minicnn.transforms.functional`, and those that only torchvision's second version has."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from minicnn_kernels.geometry import whole

from ...compat.missing import answer as _answer
from ...tensor import Tensor
from ..base import AnyImage, is_pil, kind_error, pixels, sample
from ..functional import *  # noqa: F403
from ..functional import __all__ as _both
from ..functional import convert_image_dtype, get_image_num_channels, hflip, rgb_to_grayscale, vflip
from ..functional.convert import chw, image_dtype, kept, to_pil_image

__all__ = [
    "get_num_channels",
    "get_size",
    "grayscale_to_rgb",
    "horizontal_flip",
    "jpeg",
    "to_dtype",
    "to_image",
    "vertical_flip",
]
__all__ += [name for name in _both if name not in __all__]

horizontal_flip, vertical_flip, get_num_channels = hflip, vflip, get_image_num_channels


def get_size(inpt: AnyImage) -> list[int]:
    """[H, W] of a PIL image or a Tensor (..., C, H, W).

    >>> from minicnn.transforms import v2
    >>> v2.functional.get_size(minicnn.zeros(3, 32, 24))
    [32, 24]
    """
    if is_pil(sample("get_size", inpt)):
        return [inpt.height, inpt.width]
    return list(pixels("get_size", inpt).shape[-2:])


def to_image(inpt: Any) -> Tensor:
    """A PIL image or an array (H, W[, C]) -> Tensor (C, H, W) of the same type; a Tensor stays as it is.

    Raises:
        TypeError: anything else.

    >>> from minicnn.transforms import v2
    >>> v2.functional.to_image(np.zeros((2, 4, 3), np.uint8)).shape
    minicnn.Size([3, 2, 4])
    """
    if isinstance(inpt, Tensor):
        return inpt
    if not is_pil(inpt) and not isinstance(inpt, np.ndarray):
        raise kind_error("to_image", inpt, "a PIL image, an array (H, W[, C]) or a Tensor")
    return kept("to_image", chw("to_image", inpt, as_bits=True))


def to_dtype(inpt: Tensor, dtype: Any = np.float32, scale: bool = False) -> Tensor:
    """A Tensor in another number type; with `scale`, its values scaled to the range of that type.

    >>> from minicnn.transforms import v2
    >>> v2.functional.to_dtype(minicnn.tensor([[[0, 255]]], dtype=minicnn.uint8), minicnn.float32, scale=True)
    tensor([[[0., 1.]]])
    """
    if not isinstance(inpt, Tensor):
        raise kind_error("to_dtype", inpt, "a Tensor")
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(image_dtype("to_dtype", dtype))


def grayscale_to_rgb(inpt: AnyImage) -> AnyImage:
    """A grey image as one of three equal channels; an image of 3 channels stays as it is.

    Raises:
        TypeError: another number of channels.

    >>> from minicnn.transforms import v2
    >>> v2.functional.grayscale_to_rgb(minicnn.zeros(1, 2, 4)).shape
    minicnn.Size([3, 2, 4])
    """
    if is_pil(sample("grayscale_to_rgb", inpt)):
        return inpt if inpt.mode == "RGB" else inpt.convert("RGB")
    return inpt if get_image_num_channels(inpt) == 3 else rgb_to_grayscale(inpt, 3)


def jpeg(image: AnyImage, quality: int) -> AnyImage:
    """The image after it was written as JPEG and read again, with the errors of that format.

    Args:
        image: a PIL image, or a Tensor (..., C, H, W) of uint8 with 1 or 3 channels.
        quality: from 1 to 100.

    Raises:
        ValueError: another quality.
        TypeError: a Tensor of another type.

    >>> from minicnn.transforms import v2
    >>> v2.functional.jpeg(minicnn.full((1, 8, 8), 100, dtype=minicnn.uint8), 90)[0, 0, 0]
    tensor(100, dtype=minicnn.uint8)
    """
    from PIL import Image

    level = whole(quality, "jpeg", "quality", 1)
    if level > 100:
        raise ValueError(f"jpeg: the quality should be from 1 to 100, got {quality}")
    if is_pil(sample("jpeg", image)):
        if image.mode not in ("L", "RGB"):
            raise TypeError(f"jpeg: takes PIL images of mode 'L' or 'RGB', got {image.mode!r}; convert it first")
        file = io.BytesIO()
        image.save(file, "JPEG", quality=level)
        return Image.open(file).convert(image.mode)
    array = pixels("jpeg", image)
    if array.dtype != np.uint8 or array.ndim < 3 or array.shape[-3] not in (1, 3):
        raise kind_error("jpeg", image, "tensors (..., C, H, W) of uint8 with 1 or 3 channels")
    singles = array.reshape(-1, *array.shape[-3:])
    done = [chw("jpeg", jpeg(to_pil_image(Tensor(single)), level)) for single in singles]
    return Tensor(np.stack(done).reshape(array.shape))


_answer(globals())
