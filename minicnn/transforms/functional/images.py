"""What an image is like: its size and channels; checks of numbers, points, and the colour of new cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn_kernels.geometry import KindError, real, shown

from ...tensor import Tensor
from ..base import AnyImage, is_pil, sample, spatial_size

__all__ = [
    "Fill", "centre", "checked_fill", "get_dimensions", "get_image_num_channels", "get_image_size", "number", "numbers",
    "pil_fill", "tensor_fill",
]  # fmt: skip

Fill: TypeAlias = float | Sequence[float] | None


def get_dimensions(img: AnyImage) -> list[int]:
    """[C, H, W] of a PIL image or a Tensor (..., C, H, W); a Tensor (H, W) has one channel.

    >>> minicnn.transforms.functional.get_dimensions(minicnn.zeros(8, 3, 32, 24))
    [3, 32, 24]
    """
    height, width = spatial_size("get_dimensions", sample("get_dimensions", img))
    return [get_image_num_channels(img), height, width]


def get_image_size(img: AnyImage) -> list[int]:
    """[W, H] of a PIL image or a Tensor (..., C, H, W): the width is first, as in PIL.

    >>> minicnn.transforms.functional.get_image_size(minicnn.zeros(3, 32, 24))
    [24, 32]
    """
    height, width = spatial_size("get_image_size", sample("get_image_size", img))
    return [width, height]


def get_image_num_channels(img: AnyImage) -> int:
    """The number of channels C of a PIL image or a Tensor (..., C, H, W).

    >>> minicnn.transforms.functional.get_image_num_channels(minicnn.zeros(3, 32, 24))
    3
    """
    if is_pil(sample("get_image_num_channels", img)):
        return len(img.getbands())
    if img.ndim < 2:
        raise TypeError(f"get_image_num_channels: the tensor should be (..., C, H, W), its shape is {tuple(img.shape)}")
    return 1 if img.ndim == 2 else img.shape[-3]


def checked_fill(name: str, fill: Any) -> Fill:
    """A fill as arguments give it: None, a number, or a sequence of numbers.

    Raises:
        TypeError: anything else.
    """
    several = fill if isinstance(fill, tuple | list) else [] if fill is None else [fill]
    if not all(isinstance(value, int | float | np.number) for value in several) or fill in ((), []):
        raise TypeError(f"{name}: fill should be a number or one number per channel, got {shown(fill)}")
    return fill


def pil_fill(name: str, image: Any, fill: Fill) -> Any:
    """The fill of a PIL image: one whole number for each channel, or a float in mode "F". None is 0.

    Raises:
        ValueError: a number of values that is neither 1 nor that of the channels.
    """
    bands = len(image.getbands())
    values: list[Any] = list(fill) if isinstance(fill, tuple | list) else [0 if fill is None else fill]
    if len(values) not in (1, bands):
        raise ValueError(f"{name}: fill has {len(values)} values for an image of {bands} channels: {fill}")
    values = values * (bands // len(values))
    whole = values if image.mode == "F" else [int(value) for value in values]
    return tuple(whole) if bands > 1 else whole[0]


def tensor_fill(name: str, image: Tensor, fill: Fill) -> np.ndarray | None:
    """The fill of a Tensor (..., C, H, W) as an array (C,) of float64; None stays None.

    Raises:
        ValueError: a number of values that is neither 1 nor C.
    """
    if fill is None:
        return None
    channels, values = get_image_num_channels(image), np.atleast_1d(np.asarray(fill, np.float64))
    if values.size not in (1, channels):
        raise ValueError(f"{name}: fill has {values.size} values for an image of {channels} channels: {fill}")
    return np.repeat(values, channels // values.size)


# -------------------------------------------------------------------------------------------------- numbers and points


def number(name: str, what: str, value: Any) -> float:
    """A finite real number."""
    try:
        found = float(real(value, name, what))
    except (KindError, TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise KindError(f"{name}: {what} should be a finite number, got {shown(value)}")
    return found


def numbers(name: str, what: str, values: Any, counts: tuple[int, ...]) -> tuple[float, ...]:
    """A sequence of finite numbers; `counts` are the lengths it may have."""
    if not isinstance(values, tuple | list | np.ndarray | Tensor) or len(values) not in counts:
        lengths = " or ".join(map(str, counts))
        raise KindError(f"{name}: {what} should be a sequence of {lengths} numbers, got {shown(values)}")
    return tuple(number(name, what, value) for value in values)


def centre(name: str, center: Any) -> tuple[float, ...] | None:
    """A point (x, y), or None."""
    return None if center is None else numbers(name, "center (x, y)", center, (2,))
