"""Which pixels speak for a class: maps of `minicnn.explain` beside the images."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError

from ..nn import functional as F
from ..tensor import Tensor, array_of
from .mosaic import Scale, limit_of, picture
from .style import SEQUENTIAL, bare, drawing, show
from .window import SIGNED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LETTERS = 14  # in a line of a title, so that it does not run into the next one


def attribution(
    x: Tensor, found: Mapping[str, Tensor], *, labels: Sequence[str] | None = None, scale: Scale | None = None,
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
        scale: (mean, std) that the images were normalised with, to undo it.
        out: a file.

    Raises:
        ShapeError: x is not such images, or a map is not of as many.
        ValueError: there are not as many labels as images.

    Returns:
        The figure.

    >>> from minicnn.explain import saliency
    >>> net, x = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), minicnn.rand(2, 1, 8, 8)
    >>> figure = minicnn.visualize.attribution(x, {"saliency": saliency(net, x)})
    >>> len(figure.axes)
    4
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
            image = picture(x[row], scale)
            show(axes[0], image if x.shape[1] == 3 else image[..., 0])
            if labels is not None:
                axes[0].set_ylabel(labels[row], rotation=0, ha="right", va="center", fontsize=10)
            for place, maps in zip(axes[1:], found.values(), strict=True):
                _map(place, _sized(maps[row : row + 1], tuple(x.shape[2:])))
        for axes, title in zip(grid[0], ["image", *found], strict=True):
            lines = [textwrap.fill(part, MOST_LETTERS) for part in title.split("_")]
            axes.set_title("\n".join(lines), fontsize=10, loc="center")
    return figure


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
        limit = limit_of(drawn)
        axes.imshow(drawn, cmap=SIGNED, vmin=-limit, vmax=limit)
    else:
        drawn = values.max(0)
        axes.imshow(drawn, cmap=SEQUENTIAL, vmin=0, vmax=limit_of(drawn))
