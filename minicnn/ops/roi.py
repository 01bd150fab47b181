"""Regions of interest: the features inside boxes, resampled to one size, under torchvision's names.

`roi_align` takes samples between the pixels, by bilinear interpolation, and averages them in each bin. A sample's
weights are products of one weight for its row and one for its column, and so are the averages. So for box k, image b

    y[k, c] = R x[b, c] S^T,    R (PH, H), S (PW, W)

where the rows of R and S hold the weights of a bin: two small matrix products for each box, and their transposes for
the gradient. K. He et al., "Mask R-CNN", 2017, https://arxiv.org/abs/1703.06870.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array, host, xp
from minicnn_kernels.geometry import IntOrPair, ShapeError, pair

from ..tensor import Tensor
from .tensor.concatenate import cat
from .tensor.creation import tensor
from .tensor.linear_map import LinearMapRow, Map
from .tensor.zeros_like import full_like

__all__ = ["ps_roi_align", "roi_align", "roi_pool"]

Boxes = Tensor | Sequence[Tensor]


class Region(NamedTuple):
    """A box: its image, the pixels that its bins use, and the bins' weights of these rows (PH, h), columns (PW, w)."""

    image: int
    rows: slice
    columns: slice
    of_rows: np.ndarray
    of_columns: np.ndarray


class Regions(NamedTuple):
    """All boxes of a call, and the size of the result."""

    each: tuple[Region, ...]
    size: tuple[int, int]


def boxes_with_image(op: str, input: Tensor, boxes: Boxes) -> Tensor:
    """Return boxes as (K, 5): the number of the image, x1, y1, x2, y2. A list has boxes (L, 4) for each image.

    Raises:
        AssertionError: boxes of another shape.
        ShapeError: the input is not (N, C, H, W).
        IndexError: a box belongs to no image.
    """
    if input.ndim != 4:
        raise ShapeError(f"{op}: the input must be (N, C, H, W), its shape is {tuple(input.shape)}")
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
        rois = boxes
    elif isinstance(boxes, (list, tuple)):
        if any(each.ndim != 2 or each.shape[1] != 4 for each in boxes):
            raise AssertionError("The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]")
        rois = cat([cat([full_like(each[:, :1], n), each], 1) for n, each in enumerate(boxes)])
    else:
        raise AssertionError("boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")
    images = host(rois.array[:, 0])
    if len(images) and not 0 <= images.min() <= images.max() < len(input):
        raise IndexError(
            f"{op}: boxes belong to images 0 to {len(input) - 1}, a box has {images.min()}, {images.max()}"
        )
    return rois


def _weights(start: Any, extent: Any, bins: int, ratio: int, size: int) -> tuple[slice, np.ndarray]:
    """Return the pixels that the samples of one axis use, and each bin's weights of them: (bins, pixels).

    A sample more than one pixel outside the image counts as 0; one that is nearer takes the pixel at the border.
    """
    samples = ratio if ratio > 0 else max(math.ceil(extent / bins), 0)
    inside_bin = (np.arange(samples) + 0.5) / max(samples, 1)
    at = start + (np.arange(bins)[:, None] + inside_bin) * (extent / bins)  # (bins, samples)
    weight = ((at >= -1) & (at <= size)) / max(samples, 1)
    at = np.clip(at, 0, size - 1)
    low = at.astype(np.int64)
    matrix = np.zeros((bins, size + 1))
    rows = np.arange(bins)[:, None]
    np.add.at(matrix, (rows, low), weight * (1 - (at - low)))
    np.add.at(matrix, (rows, low + 1), weight * (at - low))  # at the last pixel the weight of the next one is 0
    used = slice(int(low.min()), int(low.max()) + 2) if samples else slice(0, 0)
    used = slice(used.start, min(used.stop, size))
    return used, matrix[:, used]


def _regions(
    rois: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], scale: float, ratio: int, half: bool
) -> Regions:
    found = []
    offset = 0.5 if half else 0.0
    for image, *box in rois:
        x1, y1, x2, y2 = (edge * rois.dtype.type(scale) - rois.dtype.type(offset) for edge in box)
        width, height = (x2 - x1, y2 - y1) if half else (max(x2 - x1, 1), max(y2 - y1, 1))
        rows, of_rows = _weights(y1, height, size[0], ratio, shape[2])
        columns, of_columns = _weights(x1, width, size[1], ratio, shape[3])
        found.append(Region(int(image), rows, columns, of_rows, of_columns))
    return Regions(tuple(found), size)


def _pooled(x: Array, regions: Regions) -> Array:
    module = xp(x)
    y = module.empty((len(regions.each), x.shape[1], *regions.size), x.dtype)
    for k, one in enumerate(regions.each):
        r, s = (module.asarray(weights, x.dtype) for weights in (one.of_rows, one.of_columns))
        y[k] = r @ x[one.image, :, one.rows, one.columns] @ s.T  # (PH, h) (C, h, w) (w, PW) -> (C, PH, PW)
    return y


def _spread(gy: Array, shape: tuple[int, ...], regions: Regions) -> Array:
    module = xp(gy)
    gx = module.zeros(shape, gy.dtype)
    for k, one in enumerate(regions.each):
        r, s = (module.asarray(weights, gy.dtype) for weights in (one.of_rows, one.of_columns))
        gx[one.image, :, one.rows, one.columns] += r.T @ gy[k] @ s
    return gx


ALIGN = LinearMapRow("RoiAlign", _pooled, _spread, lambda shape, regions: (len(regions.each), shape[1], *regions.size))


def roi_align(
    input: Tensor, boxes: Boxes, output_size: IntOrPair, spatial_scale: float = 1.0, sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:  # fmt: skip
    """Average bilinear samples of the input in PH x PW bins of each box: (K, C, PH, PW).

    The gradient is that of the input; boxes get none.

    Args:
        input: features (N, C, H, W).
        boxes: (K, 5) with the number of the image, x1, y1, x2, y2, or a list with the boxes (L, 4) of each image.
        output_size: PH and PW, or one number for both.
        spatial_scale: pixels of the features per unit of the boxes, such as 1/16.
        sampling_ratio: samples along each side of a bin; from 0 down: as many as the bin has pixels, rounded up.
        aligned: pixel (0, 0) has its centre at (0.5, 0.5) in the boxes' coordinates, as it should; else at (0, 0), and
            sides are at least 1.

    >>> from minicnn.ops import roi_align
    >>> x = minicnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, [minicnn.tensor([[0.0, 0.0, 4.0, 4.0]])], 2, aligned=True)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    rois = boxes_with_image("roi_align", input, boxes)
    size = pair(output_size, "roi_align", "output_size", least=1)
    regions = _regions(host(rois.array), input.shape, size, spatial_scale, sampling_ratio, aligned)
    found: Tensor = Map.apply(input, ALIGN, regions)
    return found


def ps_roi_align(
    input: Tensor, boxes: Boxes, output_size: IntOrPair, spatial_scale: float = 1.0, sampling_ratio: int = -1
) -> Tensor:
    """Position-sensitive `roi_align`: each bin has channels of its own: (K, C / (PH PW), PH, PW).

    The channel of the input for channel c of the result and the bin (i, j) is (c PH + i) PW + j. Pixels have their
    centres at (0.5, 0.5). The arguments are those of `roi_align`. Z. Li et al., "Light-head R-CNN", 2017,
    https://arxiv.org/abs/1711.07264.

    >>> from minicnn.ops import ps_roi_align
    >>> x = minicnn.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 3, 3)
    >>> ps_roi_align(x, [minicnn.tensor([[0.0, 0.0, 3.0, 3.0]])], 2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    height, width = pair(output_size, "ps_roi_align", "output_size", least=1)
    if input.ndim == 4 and input.shape[1] % (height * width):
        raise ShapeError(f"ps_roi_align: {input.shape[1]} channels are not a multiple of {height} x {width} bins")
    y = roi_align(input, boxes, (height, width), spatial_scale, sampling_ratio, aligned=True)
    y = y.reshape(len(y), input.shape[1] // (height * width), height, width, height, width)
    # (K, C', i of the channel, j of it, i of the bin, j of it)
    return y.diagonal(0, 2, 4).diagonal(0, 2, 3)  # (K, C', j, j, i) -> (K, C', i, j)


def roi_pool(input: Tensor, boxes: Boxes, output_size: IntOrPair, spatial_scale: float = 1.0) -> Tensor:
    """Take the maximum of the input in PH x PW bins of each box, whose edges are rounded to pixels: (K, C, PH, PW).

    A bin without pixels gives 0. The arguments are those of `roi_align`. R. Girshick, "Fast R-CNN", 2015,
    https://arxiv.org/abs/1504.08083.

    >>> from minicnn.ops import roi_pool
    >>> x = minicnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_pool(x, [minicnn.tensor([[0.0, 0.0, 3.0, 3.0]])], 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    rois = host(boxes_with_image("roi_pool", input, boxes).array)
    (rows, columns), (_, channels, height, width) = pair(output_size, "roi_pool", "output_size", least=1), input.shape
    x = host(input.array)
    places = np.zeros((len(rois), channels, rows, columns), np.int64)  # in the image, row by row
    without = np.zeros((len(rois), 1, rows, columns), bool)
    for k, (image, *box) in enumerate(rois):
        # halves are rounded away from 0, as C's `round` does
        x1, y1, x2, y2 = (math.floor(abs(e) * spatial_scale + 0.5) * (1 if e >= 0 else -1) for e in box)
        for i, (top, bottom) in enumerate(_bins(y1, y2, rows, height)):
            for j, (left, right) in enumerate(_bins(x1, x2, columns, width)):
                block = x[int(image), :, top:bottom, left:right].reshape(channels, -1)
                if not block.size:
                    without[k, 0, i, j] = top >= bottom or left >= right
                    continue
                row, column = np.divmod(block.argmax(1), right - left)
                places[k, :, i, j] = (top + row) * width + left + column
    index: tuple[Any, ...] = (
        rois[:, 0].astype(np.int64)[:, None, None, None],
        np.arange(channels)[:, None, None],
        places,
    )
    index = tuple(tensor(each, device=input.device) for each in index)
    return input.flatten(2)[index].masked_fill(tensor(without, device=input.device), 0)


def _bins(start: int, end: int, bins: int, size: int) -> list[tuple[int, int]]:
    """Return the pixels from and to of each bin between the pixels `start` and `end`, these included."""
    step = max(end - start + 1, 1) / bins
    edges = [(math.floor(b * step) + start, math.ceil((b + 1) * step) + start) for b in range(bins)]
    return [(min(max(low, 0), size), min(max(high, 0), size)) for low, high in edges]
