"""Images as points: a map of them, the images themselves in their places, and neighbours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.geometry import ShapeError

from ..explain.embedding import Neighbours
from ..tensor import Array, Tensor
from .mosaic import Scale, draw, picture
from .style import BLUE, GREY, INK, ORANGE, bare, drawing, heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None

# A class is told by its colour and its marker. Colours: M. Okabe, K. Ito, "Color universal design", 2008.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK, "#B5A800")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")


def embedding(
    points: Array | Mapping[str, Array], labels: Any = None, classes: Sequence[str] | None = None, *,
    title: str = "Images as points", out: Out = None,
) -> Figure:  # fmt: skip
    """A map of images as points, each class in a colour and a marker of its own.

    Args:
        points: (N, 2), such as the result of `explain.tsne`; or several by their titles, for panels side by side:
            {"pixels": ..., "input of fc": ...}.
        labels: the class of each image, (N,); None: all alike.
        classes: the names of the classes; None: their numbers.
        title: above all.
        out: a file to write.

    Raises:
        ShapeError: points are not (N, 2), or there are not as many labels.

    >>> figure = minicnn.visualize.embedding(np.array([[0.0, 1.0], [2.0, 3.0]]), [0, 1], ["cat", "dog"])
    """
    panels = dict(points) if isinstance(points, Mapping) else {"": points}
    for name, place in panels.items():
        _check("embedding", np.asarray(place), None if labels is None else len(labels), name)
    given = None if labels is None else np.asarray(labels)
    kinds = [] if given is None else np.unique(given).tolist()
    with drawing(5.2 * len(panels) + (1.4 if kinds else 0.2), 5.3, out) as figure:
        heading(figure, title)
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (name, place) in zip(grid, panels.items(), strict=True):
            bare(axes, frame=True)
            axes.set_title(name, fontsize=11, fontweight="normal", loc="center")
            place = np.asarray(place)
            axes.set_aspect("equal", adjustable="datalim")
            if given is None:
                axes.scatter(place[:, 0], place[:, 1], s=10, color=BLUE, linewidths=0)
            for i, kind in enumerate(kinds):
                own = place[given == kind]
                colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
                label = str(kind) if classes is None else str(classes[int(kind)])
                axes.scatter(
                    own[:, 0], own[:, 1], s=13, color=colour, marker=marker, linewidths=0, alpha=0.8, label=label
                )
        if kinds:
            figure.legend(
                *grid[0].get_legend_handles_labels(), loc="outside right center", frameon=False, markerscale=1.8
            )
    return figure


def tiles(
    points: Array, images: Tensor, *, grid: int = 24, scale: Scale | None = None,
    title: str = "Images in their places", out: Out = None,
) -> Figure:  # fmt: skip
    """The images of a map in their places: a grid, in each cell the image whose point is nearest to its centre.

    Cells without a point stay white.

    Args:
        points: (N, 2), such as the result of `explain.tsne`.
        images: (N, 1, H, W) or (N, 3, H, W).
        grid: cells along each side.
        scale: (mean, std) that the images were normalised with.
        title: above all.
        out: a file to write.

    Raises:
        ShapeError: points are not (N, 2), or not as many as images.
        ValueError: there are no cells.

    >>> figure = minicnn.visualize.tiles(np.array([[0.0, 1.0], [2.0, 3.0]]), minicnn.rand(2, 1, 8, 8), grid=4)
    """
    place = np.asarray(points, float)
    _check("tiles", place, len(images), "")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ShapeError(f"tiles: images must be (N, 1, H, W) or (N, 3, H, W), got shape {tuple(images.shape)}")
    if grid < 1:
        raise ValueError(f"tiles: grid must be at least 1, got {grid}")
    low, high = place.min(0), place.max(0)
    at = (place - low) / np.where(high > low, high - low, 1) * grid  # 0 .. grid
    cells = np.minimum(at.astype(int), grid - 1)  # (N, 2): column, row from below
    away = ((at - cells - 0.5) ** 2).sum(1)
    height, width = images.shape[2:]
    whole = np.ones((grid * height, grid * width, 3))
    for i in np.argsort(-away, kind="stable"):  # the nearest is drawn last
        column, row = cells[i, 0], grid - 1 - cells[i, 1]
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture(images[int(i)], scale)
    with drawing(8.0, 8.0 * height / width + 0.4, out) as figure:
        heading(figure, title)
        draw(figure.subplots(), whole)
    return figure


def neighbours(
    asked: Tensor, images: Tensor, found: Neighbours, labels: Any = None, classes: Sequence[str] | None = None, *,
    scale: Scale | None = None, title: str = "Nearest images", out: Out = None,
) -> Figure:  # fmt: skip
    """Images, one in each row, and beside them those that are nearest to them, with their distances.

    A neighbour of the same class has a blue frame, one of another class a dashed orange one and its class as text.

    Args:
        asked: (M, C, H, W), what `explain.nearest` was asked about.
        images: the dataset's, (N, C, H, W).
        found: the result of `explain.nearest`.
        labels: the classes of `asked`, (M,).
        classes: the names of the classes.
        scale: (mean, std) that the images were normalised with.
        title: above all.
        out: a file to write.

    Raises:
        ShapeError: there are not as many images as rows of neighbours.

    >>> from minicnn.explain import nearest
    >>> images = minicnn.rand(10, 1, 8, 8)
    >>> figure = minicnn.visualize.neighbours(images[:2], images, nearest(None, images, images[:2], k=3))
    """
    rows, k = found.indices.shape
    if len(asked) != rows or not rows or not k or found.indices.max() >= len(images):
        raise ShapeError(
            f"neighbours: {len(asked)} images, with neighbours among {len(images)}, need (M, k) indices of these, got "
            f"{found.indices.shape}"
        )
    true = None if labels is None else np.asarray(labels)
    with drawing(1.12 * (k + 1) + 0.9, 1.3 * rows + 0.5, out) as figure:
        heading(figure, title)
        grid = figure.subplots(rows, k + 1, squeeze=False)
        for i, row in enumerate(grid):
            draw(row[0], picture(asked[i], scale))
            if true is not None:
                row[0].set_ylabel(_name(true[i], classes), rotation=0, ha="right", va="center", fontsize=10)
            for axes, index, distance, j in zip(row[1:], found.indices[i], found.distances[i], range(k), strict=True):
                draw(axes, picture(images[int(index)], scale))
                text = f"{distance:.3g}"
                if true is not None and found.labels is not None:
                    same = found.labels[i, j] == true[i]
                    text += "" if same else f" {_name(found.labels[i, j], classes)}"
                    style: dict[str, Any] = {"linewidth": 1.6, "linestyle": "-" if same else "--"}
                    for spine in axes.spines.values():
                        spine.set(visible=True, color=BLUE if same else ORANGE, **style)
                axes.set_title(text, fontsize=8, fontweight="normal", loc="center", pad=3, color=GREY)
        grid[0, 0].set_title("image", fontsize=9, fontweight="normal", loc="center", pad=3)
    return figure


def _name(kind: Any, classes: Sequence[str] | None) -> str:
    return str(kind) if classes is None else str(classes[int(kind)])


def _check(op: str, points: Array, count: int | None, name: str) -> None:
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ShapeError(f"{op}: points {name}must be (N, 2), got shape {points.shape}")
    if count is not None and count != len(points):
        raise ShapeError(f"{op}: {len(points)} points do not fit {count} labels or images")
