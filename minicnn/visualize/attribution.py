"""Which pixels speak for a class: maps of `minicnn.explain` beside the images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError

from ..nn import functional as F
from ..tensor import Tensor, array_of
from .style import SEQUENTIAL, bare, drawing, show
from .window import SIGNED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE = 99.5  # percent of the numbers of a map that have a colour of their own; the largest share one


def attribution(
    x: Tensor, found: Mapping[str, Tensor], *, labels: Sequence[str] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Figure:  # fmt: skip
    """Draw images, one in each row, and beside them what was found about them, one map in each column.

    A map with negative numbers is summed over the channels: red speaks for the class, blue against it, white is 0. Of
    another one the largest channel is drawn, from white for 0 to dark. Each map has its own scale. A small map, as of
    `grad_cam`, is brought to the size of the image.

    Args:
        x: images (N, 1, H, W) or (N, 3, H, W), of any numbers: the least is drawn black, the largest white.
        found: maps (N, C, h, w) of these images by their titles: {"saliency": saliency(model, x), ...}.
        labels: a text for each image, such as its class.
        out: a file.

    Raises:
        ShapeError: x is not such images, or a map is not of as many.
        ValueError: there are not as many labels as images.

    Returns:
        The figure.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise ShapeError(f"attribution: x must be images (N, 1, H, W) or (N, 3, H, W), got shape {tuple(x.shape)}")
    for title, maps in found.items():
        if maps.ndim != 4 or len(maps) != len(x):
            raise ShapeError(
                f"attribution: {title!r} must be {len(x)} maps (N, C, h, w), got shape {tuple(maps.shape)}"
            )
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"attribution: {len(x)} images need as many labels, got {len(labels)}")
    columns = 1 + len(found)
    with drawing(1.6 * columns, 1.6 * len(x) + 0.4, out) as figure:
        grid = figure.subplots(len(x), columns, squeeze=False)
        for row, axes in enumerate(grid):
            show(axes[0], _image(x[row]))
            if labels is not None:
                axes[0].set_ylabel(labels[row], rotation=0, ha="right", va="center", fontsize=10)
            for place, maps in zip(axes[1:], found.values(), strict=True):
                _map(place, _sized(maps[row : row + 1], tuple(x.shape[2:])))
        for axes, title in zip(grid[0], ["image", *found], strict=True):
            axes.set_title(title.replace("_", "\n"), fontsize=10, loc="center")
    return figure


def _image(x: Tensor) -> Array:
    """One image for `style.show`: (H, W), or RGB in 0..1."""
    values = array_of(x).astype(float)
    low, high = float(values.min()), float(values.max())
    values = (values - low) / (high - low or 1.0)
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, 2)


def _sized(maps: Tensor, size: tuple[int, ...]) -> Array:
    """One map (C, H, W), in the size of the image."""
    maps = maps.detach().cpu().float()
    if tuple(maps.shape[2:]) != size:
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    return array_of(maps[0])


def _map(axes: Any, values: Array) -> None:
    bare(axes, frame=True)
    if (values < 0).any():
        drawn = values.sum(0)
        limit = _limit(np.abs(drawn))
        axes.imshow(drawn, cmap=SIGNED, vmin=-limit, vmax=limit)
    else:
        drawn = values.max(0)
        axes.imshow(drawn, cmap=SEQUENTIAL, vmin=0, vmax=_limit(drawn))


def _limit(values: Array) -> float:
    """What has the darkest colour."""
    finite = values[np.isfinite(values)]
    return (float(np.percentile(finite, SHARE)) or float(finite.max())) if finite.size and finite.max() else 1.0
