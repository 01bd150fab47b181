"""Images as what they are and as what a net gets: tables of numbers, random versions, responses to kernels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError

from ..explain.known_kernels import known_kernels, respond, sample_image
from ..explain.versions import picture, versions
from .style import INK, TIMES, bare, drawing, size_of
from .window import SIGNED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
LUMA = (0.299, 0.587, 0.114)  # brightness of red, green and blue: ITU-R BT.601
MOST = 32  # rows or columns of numbers
CHANNELS = {1: (("grey", "white"),), 3: (("red", "red"), ("green", "lime"), ("blue", "blue"))}  # at full brightness


def number_grid(image: Any, *, out: Out = None) -> Figure:
    """Draw an image, and beside it its numbers, a table for each channel: what a computer sees.

    Args:
        image: a PIL image, a tensor (1, H, W) or (3, H, W), or an array (H, W); up to 32 x 32 pixels.
        out: a file.

    Raises:
        TypeError: it is no such image.
        ShapeError: it is larger.

    >>> image, label = minicnn.datasets.Digits()[0]
    >>> figure = minicnn.visualize.number_grid(image)  # also number_grid(image, out="digit.png")
    >>> [axes.get_title() for axes in figure.axes]
    ['8×8×1', 'grey']
    """
    from matplotlib.colors import LinearSegmentedColormap

    values = picture(image)
    height, width = values.shape[:2]
    if not 0 < max(height, width) <= MOST or not values.size:
        raise ShapeError(
            f"number_grid: {height} x {width} pixels cannot be shown as numbers; resize the image to at most {MOST} x "
            f"{MOST}"
        )
    planes = values[..., None] if values.ndim == 2 else values
    count = planes.shape[2]
    side = min(max(0.34 * max(height, width), 2.6), 9.0)
    with drawing((side + 0.2) * (count + 1), side * height / max(height, width) + 0.8, out) as figure:
        first, *rest = figure.subplots(1, count + 1)
        _image(first, values, *_range([values]))
        first.set_title(f"{size_of((height, width, count))}", fontsize=11, loc="center")
        first.set_xlabel("height \N{MULTIPLICATION SIGN} width \N{MULTIPLICATION SIGN} depth", fontsize=9)
        low, high = _range([values])
        size = min(10.0, 105 * side / max(height, width) / (4 if values.dtype.kind in "ui" else 5))
        for axes, (name, full), plane in zip(rest, CHANNELS[count], np.moveaxis(planes, 2, 0), strict=True):
            shades = LinearSegmentedColormap.from_list(name, ["black", full])
            axes.imshow(plane, cmap=shades, vmin=low, vmax=high)
            for (i, j), value in np.ndenumerate(plane):
                bright = np.dot(shades((float(value) - low) / ((high - low) or 1))[:3], LUMA)
                axes.text(
                    j,
                    i,
                    _number(value),
                    ha="center",
                    va="center",
                    fontsize=size,
                    color=INK if bright > 0.45 else "white",
                )
            bare(axes, frame=True)
            axes.set_anchor("N")
            axes.set_title(name, fontsize=11, loc="center")
    return figure


def _number(value: Any) -> str:
    """3 -> "3", 0.25 -> ".25", 10.25 -> "10.25"."""
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    text = f"{float(value):.2f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _range(images: list[Array]) -> tuple[float, float]:
    """What is drawn black and white: 0 and 255, 0 and 1, or the least and largest of all values."""
    low, high = min(float(a.min()) for a in images), max(float(a.max()) for a in images)
    if all(a.dtype == np.uint8 for a in images):
        return 0.0, 255.0
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _image(axes: Any, values: Array, low: float, high: float) -> None:
    bare(axes, frame=True)
    axes.set_anchor("N")
    if values.ndim == 2:
        axes.imshow(values, cmap="gray", vmin=low, vmax=high)
    else:
        axes.imshow(np.clip((values.astype(float) - low) / ((high - low) or 1), 0, 1))


def gallery(images: Mapping[str, Any], *, columns: int | None = None, out: Out = None) -> Figure:
    """Draw images beside each other, each with its name above it, all with the same black and white.

        gallery({"image": image, "brighter": (image + 0.2).clamp(0, 1), "mirrored": image.flip(-1)})

    Args:
        images: by their names: PIL images, tensors (1, H, W) or (3, H, W), or arrays (H, W). Numbers from
            0 to 1, or of uint8, are drawn as they are; others from the least of all images to the largest.
        columns: images in a row; None for up to 6.
        out: a file.

    Raises:
        ValueError: there are no images.
        TypeError: something is no image.
    """
    found = {name: picture(image) for name, image in images.items()}
    if not found:
        raise ValueError("gallery: there are no images to draw")
    low, high = _range(list(found.values()))
    wide = min(len(found), 6) if columns is None else columns
    rows = -(-len(found) // wide)
    ratio = max(values.shape[0] / values.shape[1] for values in found.values())
    side = min(1.9, 11 / wide)
    with drawing(side * wide + 0.2, (side * ratio + 0.35) * rows + 0.1, out) as figure:
        grid = figure.subplots(rows, wide, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for axes, (name, values) in zip(grid.flat, found.items(), strict=False):
            axes.set_visible(True)
            _image(axes, values, low, high)
            axes.set_title(name, fontsize=10, fontweight="normal", loc="center", pad=4)
    return figure


def augmentations(
    source: Any, transform: Callable[[Any], Any], *, n: int = 7, images: int = 4, seed: int = 0, out: Out = None
) -> Figure:
    """Draw images and beside each one what a random transform makes of it.

    Args:
        source: an image, as `transform` takes it, or a dataset of (image, target), whose first images are drawn.
        transform: of `minicnn.transforms`, or any function of an image.
        n: versions of each image.
        images: of a dataset.
        seed: of the random numbers; the program's own stay as they were.
        out: a file.

    Raises:
        TypeError: image or result are no images.
        ValueError: the dataset is empty.

    >>> image = minicnn.datasets.Digits()[0][0]
    >>> figure = minicnn.visualize.augmentations(image, minicnn.transforms.RandomCrop(8, padding=2), n=3)
    >>> len(figure.axes)
    4
    """
    given = [source] if not hasattr(source, "__getitem__") or _is_image(source) else _first(source, images)
    if not given:
        raise ValueError("augmentations: there are no images to draw")
    rows = [[picture(one), *versions(one, transform, n, seed=seed + i)] for i, one in enumerate(given)]
    before, after = _range([row[0] for row in rows]), _range([one for row in rows for one in row[1:]])
    with drawing(1.3 * (n + 1), 1.35 * len(rows) + 0.4, out) as figure:
        grid = figure.subplots(len(rows), n + 1, squeeze=False)
        for line, row in zip(grid, rows, strict=True):
            for number, (axes, values) in enumerate(zip(line, row, strict=True)):
                _image(axes, values, *(before if number == 0 else after))
        grid[0][0].set_title("image", fontsize=10, loc="center")
        grid[0][1].set_title("random versions", fontsize=10)
    return figure


def _is_image(source: Any) -> bool:
    return hasattr(source, "getbands") or hasattr(source, "ndim")


def _first(dataset: Any, images: int) -> list[Any]:
    found = [dataset[i] for i in range(min(images, len(dataset)))]
    return [one[0] if isinstance(one, (tuple, list)) else one for one in found]


def kernels(image: Any = None, known: Mapping[str, Array] | None = None, *, out: Out = None) -> Figure:
    """Draw kernels, and below each one its response to an image.

    Of a kernel whose sum is 0, the response to the brightness is drawn: red above 0, blue below, white at 0. Others
    give an image again, and each colour is filtered by itself.

    Args:
        image: (H, W), or (H, W, 3) in 0..1; None for a photograph that comes with scikit-learn.
        known: kernels with odd sides by their names; None for those of `minicnn.explain.known_kernels`.
        out: a file.

    Raises:
        ShapeError: the image or a kernel has another shape.
        ValueError: there are no kernels.

    >>> figure = minicnn.visualize.kernels(known={"box": np.full((3, 3), 1 / 9)})
    >>> len(figure.axes)
    6
    """
    photo = sample_image() if image is None else np.asarray(image)
    bank = known_kernels() if known is None else dict(known)
    if not bank:
        raise ValueError("kernels: there are no kernels to draw")
    if photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] != 3):
        raise ShapeError(f"kernels: the image must be (H, W) or (H, W, 3), got shape {photo.shape}")
    grey = photo if photo.ndim == 2 else photo @ np.array(LUMA)
    columns = min((3, 4, 5), key=lambda c: (-(len(bank) + 1) % c, -c))  # as few empty places as possible
    rows = -(-(len(bank) + 1) // columns)
    ratio = photo.shape[0] / photo.shape[1]
    with drawing(2.4 * columns, rows * (2.3 * ratio + 1.5) + 0.2, out) as figure:
        heights = [1.0, 2.3 * ratio] * rows
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=heights)
        for axes in grid.ravel():
            axes.set_visible(False)
        cells = [
            (grid[2 * (k // columns), k % columns], grid[2 * (k // columns) + 1, k % columns])
            for k in range(len(bank) + 1)
        ]
        cells[0][1].set_visible(True)
        _image(cells[0][1], photo, *_range([photo]))
        cells[0][1].set_title("image", fontsize=11)
        for (above, below), (name, kernel) in zip(cells[1:], bank.items(), strict=True):
            above.set_visible(True)
            below.set_visible(True)
            _kernel(above, name, np.asarray(kernel))
            total = float(np.asarray(kernel).sum())
            if abs(total) <= 1e-6 * float(np.abs(kernel).sum()):
                found = respond(grey, kernel)
                limit = float(np.percentile(np.abs(found), 99.5)) or 1.0
                bare(below, frame=True)
                below.imshow(found, cmap=SIGNED, vmin=-limit, vmax=limit)
            else:
                _image(below, respond(photo, kernel) / total, *_range([photo]))
    return figure


def _kernel(axes: Any, name: str, kernel: Array) -> None:
    limit = float(np.abs(kernel).max()) or 1.0
    axes.imshow(kernel, cmap=SIGNED, vmin=-limit, vmax=limit)
    bare(axes, frame=True)
    axes.set_title(name, fontsize=10, loc="center", pad=4)
    if max(kernel.shape) <= 3:
        for (i, j), value in np.ndenumerate(kernel):
            strong = abs(value) > 0.6 * limit
            text = f"{value:g}".replace("-", "\N{MINUS SIGN}")
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if strong else INK)
    else:
        axes.set_xlabel(f"{kernel.shape[0]}{TIMES}{kernel.shape[1]}", fontsize=8, labelpad=1)
