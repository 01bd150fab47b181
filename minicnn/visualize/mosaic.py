"""Many small images as one, with gaps: pixels of images, and of numbers around 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Array, Tensor
from .style import SEQUENTIAL, bare
from .window import SIGNED

Scale = tuple[Any, Any]  # the mean and the standard deviation that an image was normalised with, one for each channel
SHARE = 99.5  # percent of the numbers of a map that have a colour of their own; the largest share one


def picture(image: Tensor | Array, scale: Scale | None = None) -> Array:
    """An image (C, H, W) with 1 or 3 channels as RGB (H, W, 3) from 0 to 1.

    Args:
        image: as the net takes it.
        scale: undo this normalisation; None: the least number is black, the largest white.
    """
    values = _numbers(image).astype(float)
    if scale is not None:
        mean, std = (np.asarray(one, float).reshape(-1, 1, 1) for one in scale)
        values = values * std + mean
    else:
        low, high = float(values.min()), float(values.max())
        values = (values - low) / (high - low or 1.0)
    return np.broadcast_to(np.moveaxis(np.clip(values, 0, 1), 0, 2), (*values.shape[1:], 3))  # (C, H, W) -> (H, W, 3)


def signed(image: Tensor | Array, limit: float | None = None) -> Array:
    """Numbers around 0 as RGB (H, W, 3): of one channel red above 0 and blue below, of three as colours around grey.

    Args:
        image: (H, W), or (C, H, W) with 1 or 3 channels.
        limit: the absolute value with the strongest colour; None: nearly the largest in the image.
    """
    values = _numbers(image).astype(float)
    limit = limit or limit_of(values)
    if values.ndim == 3 and len(values) == 3:
        return np.clip(np.moveaxis(np.nan_to_num(values), 0, 2) / (2 * limit) + 0.5, 0, 1)
    return _coloured((values if values.ndim == 2 else values[0]) / (2 * limit) + 0.5, SIGNED)


def shades(image: Tensor | Array, limit: float | None = None) -> Array:
    """Numbers from 0 up, (H, W), as RGB from white to dark."""
    values = _numbers(image).astype(float)
    return _coloured(values / (limit or limit_of(values)), SEQUENTIAL)


def limit_of(values: Array) -> float:
    """What has the strongest colour: nearly the largest absolute value, above 0."""
    finite = np.abs(values[np.isfinite(values)])
    return (float(np.percentile(finite, SHARE)) or float(finite.max())) if finite.size and finite.max() else 1.0


def tiled(images: Sequence[Array], columns: int, gap: int | None = None) -> Array:
    """RGB images of one size, row by row in a grid with white gaps."""
    height, width = images[0].shape[:2]
    gap = max(1, round(max(height, width) / 16)) if gap is None else gap
    rows = -(-len(images) // columns)
    whole = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, 3))
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[top : top + height, left : left + width] = image
    return whole


def draw(axes: Any, image: Array, title: str = "") -> None:
    """Draw an RGB image without an axis, with a title above it."""
    bare(axes)
    axes.imshow(np.clip(image, 0, 1))
    if title:
        axes.set_title(title, fontsize=10, fontweight="normal", loc="center", pad=4)


def _coloured(shares: Array, colours: str) -> Array:
    import matplotlib

    return np.asarray(matplotlib.colormaps[colours](np.clip(np.nan_to_num(shares), 0, 1)))[..., :3]


def _numbers(image: Tensor | Array) -> Array:
    return image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
