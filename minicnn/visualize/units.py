"""What units look for and give: patches and reconstructions, images that excite them, maps, filters."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.geometry import ShapeError

from ..explain.patches import TopPatches
from ..tensor import Array, Tensor
from .mosaic import Scale, draw, limit_of, picture, shades, signed, tiled
from .style import GREY, bare, drawing, heading, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None


def patches(
    found: TopPatches | Sequence[TopPatches], *, scale: Scale | None = None, title: str | None = None, out: Out = None
) -> Figure:
    """The patches that excite channels most, and beside them what the deconvnet makes of each.

    The strongest patch is at the top left. A patch at the border of its image is completed with grey. Reconstructions
    are drawn around 0: of grey images red is above 0 and blue below, of colour images grey is 0. Each has its own
    scale.

    Args:
        found: the result of `explain.top_patches`, of one channel or of several.
        scale: (mean, std) that the images were normalised with; None: the least is drawn black, the largest white.
        title: above all; None: the layer.
        out: a file to write.

    Raises:
        ValueError: there is nothing to draw.
        ShapeError: the images have other than 1 or 3 channels.

    >>> from minicnn.explain import top_patches
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> figure = minicnn.visualize.patches(top_patches(net, minicnn.rand(20, 1, 8, 8), "1", channel=2, k=4))
    """
    units = [found] if isinstance(found, TopPatches) else list(found)
    if not units or not all(len(unit) for unit in units):
        raise ValueError("patches: there are no patches to draw")
    _check("patches", units[0].images)
    both = units[0].reconstructions is not None
    wide = 2 if both else 1
    beside = min(len(units), 3 if both else 5)
    rows = -(-len(units) // beside)
    with drawing(1.75 * wide * beside + 0.2, 2.05 * rows + 0.45, out) as figure:
        heading(figure, title or f"{units[0].layer}: the patches that excite a channel most")
        grid = figure.subplots(rows, wide * beside, squeeze=False)
        for axes in grid.flat:
            bare(axes)
        for i, unit in enumerate(units):
            left, *right = grid[i // beside, wide * (i % beside) : wide * (i % beside + 1)]
            columns = math.ceil(math.sqrt(len(unit)))
            size = max(b.height for b in unit.boxes), max(b.width for b in unit.boxes)
            images = [
                _cut(picture(image, scale), box, size) for image, box in zip(unit.images, unit.boxes, strict=True)
            ]
            draw(left, tiled(images, columns), f"channel {unit.channel}")
            for axes in right:
                assert unit.reconstructions is not None
                parts = [
                    _cut(signed(image, limit_of(part.cpu().numpy())), box, size)
                    for image, part, box in zip(unit.reconstructions, unit.reconstructed, unit.boxes, strict=True)
                ]
                draw(axes, tiled(parts, columns), "reconstructed")
    return figure


def _cut(image: Array, box: Any, size: tuple[int, int]) -> Array:
    """The part of an image in a box, as if it had the size of a box that is not cut by the border."""
    whole = np.full((*size, 3), 0.88)
    part = image[box.top : box.bottom + 1, box.left : box.right + 1]
    top = size[0] - box.height if box.top == 0 else 0
    left = size[1] - box.width if box.left == 0 else 0
    whole[top : top + box.height, left : left + box.width] = part
    return whole


def excited(
    images: Tensor, labels: Sequence[str] | None = None, *, scale: Scale | None = None,
    title: str = "Images that excite a unit", out: Out = None,
) -> Figure:  # fmt: skip
    """A grid of images that were made to excite units, as by `explain.maximize_activation`.

    Args:
        images: (N, 1, H, W) or (N, 3, H, W).
        labels: a text for each, such as "channel 3".
        scale: (mean, std) that the net's images are normalised with; None: each is drawn from its least number to its
            largest.
        title: above all.
        out: a file to write.

    Raises:
        ShapeError: images are not such images.
        ValueError: there are none, or not as many labels.

    >>> figure = minicnn.visualize.excited(minicnn.rand(2, 3, 8, 8), ["unit 1", "unit 2"])
    """
    _check("excited", images)
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"excited: {len(images)} images need as many labels, got {len(labels)}")
    columns = min(len(images), 6)
    rows = -(-len(images) // columns)
    with drawing(1.55 * columns + 0.2, 1.8 * rows + 0.45, out) as figure:
        heading(figure, title)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for i, (axes, image) in enumerate(zip(grid.flat, images, strict=False)):
            axes.set_visible(True)
            draw(axes, picture(image, scale), "" if labels is None else labels[i])
    return figure


def maps(
    found: Mapping[str, Tensor], image: Tensor | None = None, *, channels: int = 10, scale: Scale | None = None,
    title: str = "Feature maps", out: Out = None,
) -> Figure:  # fmt: skip
    """The feature maps of one image through the stack: a row for each layer, with its first channels.

    Each layer has its own scale. Where a layer gives negative numbers, red is above 0, blue below and white is 0;
    otherwise 0 is white and the largest dark.

    Args:
        found: the result of `explain.feature_maps`: (N, C, h, w) by the name of the layer; the first image is drawn.
        image: (C, H, W) or (1, C, H, W), drawn above them.
        channels: how many of each layer.
        scale: (mean, std) that the image was normalised with.
        title: above all.
        out: a file to write.

    Raises:
        ValueError: there are no maps.
        ShapeError: something is not (N, C, h, w).

    >>> from minicnn.explain import feature_maps
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> figure = minicnn.visualize.maps(feature_maps(net, minicnn.rand(1, 1, 8, 8)))
    """
    if not found:
        raise ValueError("maps: there are no feature maps; the net gives none, or no layer was chosen")
    for name, y in found.items():
        if y.ndim != 4 or not len(y):
            raise ShapeError(f"maps: {name!r} must be (N, C, h, w), got shape {tuple(y.shape)}")
    beside = min(channels, max(y.shape[1] for y in found.values()))
    rows = len(found) + (image is not None)
    with drawing(0.95 * beside + 1.7, 1.0 * rows + 0.5, out) as figure:
        heading(figure, title)
        grid = figure.subplots(rows, beside, squeeze=False)
        for axes in grid.flat:
            bare(axes)
        if image is not None:
            given = image[0] if image.ndim == 4 else image
            draw(grid[0, 0], picture(given, scale))
            _name(grid[0, 0], "image", tuple(given.shape))
        for row, (name, y) in zip(grid[rows - len(found) :], found.items(), strict=True):
            values = y[0].detach().cpu().numpy()
            limit, negative = limit_of(values), bool((values < 0).any())
            for axes, one in zip(row, values, strict=False):
                bare(axes, frame=True)
                axes.imshow(signed(one, limit) if negative else shades(one, limit))
            _name(row[0], name, values.shape)
    return figure


def _name(axes: Any, name: str, shape: Sequence[int]) -> None:
    """Write what a row shows at its left."""
    axes.set_ylabel(f"{name}\n{size_of(shape)}", rotation=0, ha="right", va="center", fontsize=9)


def changed(before: Any, after: Any, *, out: Out = None) -> Figure:
    """The filters of a convolution before training and after it, and the change, all on one scale.

    Filters of three input channels are in colour around grey; of others, the mean over the input channels is drawn,
    red above 0 and blue below.

    Args:
        before, after: (O, C, KH, KW), such as `model.conv1.weight` of two nets.
        out: a file to write.

    Raises:
        ShapeError: these are not two weights of one shape.

    >>> figure = minicnn.visualize.changed(minicnn.rand(4, 1, 3, 3), minicnn.rand(4, 1, 3, 3))
    """
    first, last = (np.asarray(w.detach().cpu().numpy() if isinstance(w, Tensor) else w) for w in (before, after))
    if first.shape != last.shape or first.ndim != 4 or not first.size:
        raise ShapeError(
            f"changed: two weights (O, C, KH, KW) of one shape are needed, got {first.shape} and {last.shape}"
        )
    if first.shape[1] != 3:
        first, last = first.mean(1, keepdims=True), last.mean(1, keepdims=True)
    limit = max(float(np.abs(w).max()) for w in (first, last)) or 1.0
    columns = math.ceil(math.sqrt(len(first)))
    moved = float(np.linalg.norm(last - first) / (np.linalg.norm(first) or 1.0))
    shape = tiled([signed(one, limit) for one in first], columns).shape
    with drawing(8.6, 2.6 * shape[0] / shape[1] + 1.1, out) as figure:
        figure.get_layout_engine().set(w_pad=0.12)  # type: ignore[union-attr,call-arg]
        heading(figure, f"{len(first)} filters before and after training; they moved by {moved:.0%} of their length")
        for axes, w, name in zip(
            figure.subplots(1, 3), (first, last, last - first), ("before", "after", "change"), strict=True
        ):
            draw(axes, tiled([signed(one, limit) for one in w], columns), name)
        what = "grey is 0" if first.shape[1] == 3 else "red is above 0, blue below"
        figure.supxlabel(f"{what}; the strongest colour is {limit:.2g}", fontsize=9, color=GREY)
    return figure


def _check(op: str, images: Tensor) -> None:
    if not len(images):
        raise ValueError(f"{op}: there are no images to draw")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ShapeError(f"{op}: images must be (N, 1, H, W) or (N, 3, H, W), got shape {tuple(images.shape)}")
