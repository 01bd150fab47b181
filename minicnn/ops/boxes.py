"""Boxes around objects, under torchvision's names: forms, areas, overlaps, and non-maximum suppression.

A box is (x1, y1, x2, y2) in pixels, with x1 < x2 from left to right and y1 < y2 from top to bottom. The overlap of
boxes A and B is their intersection over union, IoU = |A n B| / |A u B|.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn_kernels.arrays import host

from ..tensor import Tensor
from .tensor.clamp import maximum, minimum
from .tensor.concatenate import stack
from .tensor.creation import empty, tensor, zeros
from .tensor.types import is_floating_point

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "complete_box_iou", "distance_box_iou",
    "generalized_box_iou", "masks_to_boxes", "nms", "remove_small_boxes",
]  # fmt: skip

_FORMS = ("xyxy", "xywh", "cxcywh")


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Return boxes (..., 4) in another form.

    Args:
        boxes: the boxes.
        in_fmt, out_fmt: "xyxy" for two corners, "xywh" for the upper left corner, width and height, or "cxcywh" for the
            centre, width and height.

    Raises:
        ValueError: the form is unknown; rotated boxes are not supported.

    >>> from minicnn.ops import box_convert
    >>> box_convert(minicnn.tensor([[1.0, 2.0, 5.0, 4.0]]), "xyxy", "cxcywh")
    tensor([[3., 3., 4., 2.]])
    """
    if in_fmt not in _FORMS or out_fmt not in _FORMS:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}; there are "
            f"{', '.join(_FORMS)}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return stack([a, b, c, d], -1)


def _wide(x: Tensor) -> Tensor:
    """Return a type in which areas do not overflow."""
    if is_floating_point(x):
        return x if x.dtype.itemsize >= 4 else x.float()
    return x if x.dtype.itemsize >= 4 else x.int()


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Return the areas (...) of boxes (..., 4).

    Args:
        boxes: the boxes.
        fmt: their form, as in `box_convert`.

    >>> from minicnn.ops import box_area
    >>> box_area(minicnn.tensor([[1.0, 2.0, 5.0, 4.0], [0.0, 0.0, 1.0, 1.0]]))
    tensor([8., 1.])
    """
    if fmt not in _FORMS:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}; there are {', '.join(_FORMS)}")
    a, b, c, d = _wide(boxes).unbind(-1)
    return (c - a) * (d - b) if fmt == "xyxy" else c * d


def _overlap(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the intersections and unions (..., N, M)."""
    upper = maximum(boxes1[..., :, None, :2], boxes2[..., None, :, :2])  # (..., N, M, 2)
    lower = minimum(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])
    sides = _wide(lower - upper).clamp(min=0)
    both = sides[..., 0] * sides[..., 1]
    return both, box_area(boxes1)[..., :, None] + box_area(boxes2)[..., None, :] - both


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Return the intersection over union of each of boxes1 (..., N, 4) with each of boxes2 (..., M, 4): (..., N, M).

    Args:
        boxes1, boxes2: the boxes.
        fmt: their form, as in `box_convert`.

    >>> from minicnn.ops import box_iou
    >>> boxes = minicnn.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]])
    >>> box_iou(boxes, boxes)
    tensor([[1.0000, 0.3333],
            [0.3333, 1.0000]])
    """
    if fmt not in _FORMS:
        raise ValueError(f"Unsupported format '{fmt}'. Supported axis-aligned formats: {_FORMS}.")
    if fmt != "xyxy":
        boxes1, boxes2 = (box_convert(boxes, fmt, "xyxy") for boxes in (boxes1, boxes2))
    both, union = _overlap(boxes1, boxes2)
    return both / union


def _around(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the sides (..., N, M, 2) of the smallest boxes around both."""
    upper = minimum(boxes1[..., :, None, :2], boxes2[..., None, :, :2])
    lower = maximum(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])
    return _wide(lower - upper).clamp(min=0)


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """GIoU = IoU - (|C| - |A u B|) / |C|, where C is the smallest box around A and B: (..., N, M).

    It is in (-1, 1], and less than 0 for boxes that are far from each other. H. Rezatofighi et al., 2019,
    https://arxiv.org/abs/1902.09630.

    >>> from minicnn.ops import generalized_box_iou
    >>> generalized_box_iou(minicnn.tensor([[0.0, 0.0, 1.0, 1.0]]), minicnn.tensor([[3.0, 0.0, 4.0, 1.0]]))
    tensor([[-0.5000]])
    """
    both, union = _overlap(boxes1, boxes2)
    sides = _around(boxes1, boxes2)
    area = sides[..., 0] * sides[..., 1]
    return both / union - (area - union) / area


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """DIoU = IoU - d^2 / c^2: d from centre to centre, c the diagonal of the smallest box around both: (..., N, M).

    `eps` is added to c^2. Z. Zheng et al., "Distance-IoU loss", 2020, https://arxiv.org/abs/1911.08287.

    >>> from minicnn.ops import distance_box_iou
    >>> distance_box_iou(minicnn.tensor([[0.0, 0.0, 2.0, 2.0]]), minicnn.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.2564]])
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    sides = _around(boxes1, boxes2)
    diagonal = (sides**2).sum(-1) + eps
    centres = [(boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2)]
    distance = ((centres[0][..., :, None, :] - centres[1][..., None, :, :]) ** 2).sum(-1)
    return box_iou(boxes1, boxes2) - distance / diagonal


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """CIoU = DIoU - a v, where v = 4/pi^2 (atan(w1/h1) - atan(w2/h2))^2 compares the shapes: (..., N, M).

    The weight a = v / (1 - IoU + v + eps) counts as a constant. The paper is that of `distance_box_iou`.

    >>> from minicnn.ops import complete_box_iou
    >>> complete_box_iou(minicnn.tensor([[0.0, 0.0, 2.0, 2.0]]), minicnn.tensor([[0.0, 0.0, 4.0, 1.0]]))
    tensor([[0.2530]])
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    iou = box_iou(boxes1, boxes2)
    angles = [((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])).atan() for b in (boxes1, boxes2)]
    v = 4 / math.pi**2 * (angles[0][..., :, None] - angles[1][..., None, :]) ** 2
    weight = (v / (1 - iou + v + eps)).detach()
    return distance_box_iou(boxes1, boxes2, eps) - weight * v


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return boxes (..., 4) whose corners are moved into an image of `size` (height, width).

    >>> from minicnn.ops import clip_boxes_to_image
    >>> clip_boxes_to_image(minicnn.tensor([[-3.0, 2.0, 9.0, 4.0]]), (3, 8))
    tensor([[0., 2., 8., 3.]])
    """
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return stack([x, y], -1).reshape(boxes.shape)  # (..., 2, 2): a row for a corner


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Return the indices of the boxes (N, 4) whose width and height are at least `min_size`.

    >>> from minicnn.ops import remove_small_boxes
    >>> remove_small_boxes(minicnn.tensor([[0.0, 0.0, 1.0, 9.0], [0.0, 0.0, 4.0, 9.0]]), 2)
    tensor([1])
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    found: Tensor = (sides >= min_size).all(-1).nonzero(as_tuple=True)[0]
    return found


def masks_to_boxes(masks: Tensor) -> Tensor:
    """Return the box (N, 4) around the pixels that are not zero in each mask (N, H, W); zeros for an empty mask.

    x2 and y2 are the last column and row with such a pixel, not the next ones.

    >>> from minicnn.ops import masks_to_boxes
    >>> mask = minicnn.zeros(1, 5, 6)
    >>> mask[0, 1:3, 2:5] = 1
    >>> masks_to_boxes(mask)
    tensor([[2., 1., 4., 2.]])
    """
    if masks.numel() == 0:
        return zeros(0, 4, device=masks.device)
    filled = masks != 0
    sides = []
    for axis in (1, 2):  # columns, then rows
        some = filled.any(axis).int()
        last = some.shape[1] - 1 - some.flip(1).argmax(1)
        sides.append((some.argmax(1), last * some.amax(1)))
    (x1, x2), (y1, y2) = sides
    return stack([x1, y1, x2, y2], 1).float()


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: the indices of the boxes (N, 4) to keep, highest scores (N,) first.

    A box is left out if its IoU with a kept box of a higher score is above the threshold.

    Raises:
        RuntimeError: the shapes do not fit.

    >>> from minicnn.ops import nms
    >>> boxes = minicnn.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.2], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, minicnn.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    _check_scores(boxes, scores)
    return _suppress(boxes, scores, iou_threshold, np.zeros(len(scores), np.int64))


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression in which only boxes of the same category suppress each other.

    Args:
        boxes: (N, 4).
        scores: (N,).
        idxs: the categories (N,).
        iou_threshold: the overlap above which the box of the lower score is left out.

    Returns:
        The indices of the boxes to keep, highest scores first.

    >>> from minicnn.ops import batched_nms
    >>> boxes = minicnn.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.2], [0.0, 0.0, 2.1, 2.2]])
    >>> batched_nms(boxes, minicnn.tensor([0.5, 0.9, 0.7]), minicnn.tensor([1, 0, 0]), 0.5)
    tensor([1, 0])
    """
    _check_scores(boxes, scores)
    return _suppress(boxes, scores, iou_threshold, host(idxs.array))


def _check_scores(boxes: Tensor, scores: Tensor) -> None:
    if boxes.ndim != 2:
        raise RuntimeError(f"nms: boxes should be a 2d tensor, got {boxes.ndim}D")
    if boxes.shape[1] != 4:
        raise RuntimeError(f"nms: boxes should have 4 elements in dimension 1, got {boxes.shape[1]}")
    if scores.ndim != 1:
        raise RuntimeError(f"nms: scores should be a 1d tensor, got {scores.ndim}D")
    if len(boxes) != len(scores):
        raise RuntimeError(
            "nms: boxes and scores should have same number of elements in dimension 0, got "
            f"{len(boxes)} and {len(scores)}"
        )


def _suppress(boxes: Tensor, scores: Tensor, threshold: float, categories: np.ndarray) -> Tensor:
    """The greedy choice, which goes from box to box: on the CPU."""
    corners, order = host(boxes.array), np.argsort(-host(scores.array), kind="stable")
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        upper = np.maximum(corners[best, :2], corners[rest, :2])
        lower = np.minimum(corners[best, 2:], corners[rest, 2:])
        both = np.clip(lower - upper, 0, None).prod(1)
        with np.errstate(divide="ignore", invalid="ignore"):  # boxes without an area suppress nothing
            above = both / (areas[best] + areas[rest] - both) > threshold
        order = rest[~(above & (categories[best] == categories[rest]))]
    if not kept:
        return empty(0, dtype=np.int64, device=boxes.device)
    return tensor(kept, dtype=np.int64, device=boxes.device)
