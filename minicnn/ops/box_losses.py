"""Losses of detectors, under torchvision's names: of boxes, and of rare classes."""

from __future__ import annotations

import math

from ..tensor import Tensor
from .loss.pointwise import binary_cross_entropy_with_logits
from .tensor.clamp import maximum, minimum

__all__ = ["complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss", "sigmoid_focal_loss"]


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() if loss.numel() else 0.0 * loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
    )


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """Binary cross-entropy with less weight for what is right already: -a_t (1 - p_t)^gamma log p_t.

    p_t is the probability of the true answer: p = sigmoid(inputs) where the target is 1, and 1 - p where it is 0; a_t
    is alpha and 1 - alpha. T.-Y. Lin et al., "Focal loss for dense object detection", 2017,
    https://arxiv.org/abs/1708.02002.

    Args:
        inputs: scores before the sigmoid, of any shape.
        targets: 0 or 1, of the same shape.
        alpha: the weight of the positive class in [0, 1]; -1 leaves weights out.
        gamma: 0 gives the cross-entropy; the larger, the less count right answers.
        reduction: "none", "mean" or "sum".

    >>> from minicnn.ops import sigmoid_focal_loss
    >>> sigmoid_focal_loss(minicnn.tensor([0.0, 3.0]), minicnn.tensor([1.0, 1.0]))
    tensor([4.3322e-02, 2.7321e-05])
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    p = inputs.sigmoid()
    wrong = p * (1 - targets) + (1 - p) * targets  # 1 - p_t
    loss = binary_cross_entropy_with_logits(inputs, targets, reduction="none") * wrong**gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return _reduced(loss, reduction)


def _parts(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the intersections and unions (...) of pairs of boxes (..., 4), and the sides of the boxes around both."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = boxes1.unbind(-1), boxes2.unbind(-1)
    width, height = minimum(ax2, bx2) - maximum(ax1, bx1), minimum(ay2, by2) - maximum(ay1, by1)
    both = width * height * ((width > 0) & (height > 0)).to(width.dtype)
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - both
    return both, union, maximum(ax2, bx2) - minimum(ax1, bx1), maximum(ay2, by2) - minimum(ay1, by1)


def _float(boxes: Tensor) -> Tensor:
    return boxes if boxes.dtype.kind == "f" and boxes.dtype.itemsize >= 4 else boxes.float()


def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 - GIoU of pairs of boxes (..., 4), with `eps` added to divisors; see `generalized_box_iou`.

    >>> from minicnn.ops import generalized_box_iou_loss
    >>> generalized_box_iou_loss(minicnn.tensor([0.0, 0.0, 1.0, 1.0]), minicnn.tensor([3.0, 0.0, 4.0, 1.0]))
    tensor(1.5000)
    """
    both, union, width, height = _parts(_float(boxes1), _float(boxes2))
    area = width * height
    return _reduced(1 - (both / (union + eps) - (area - union) / (area + eps)), reduction)


def _distance(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return 1 - DIoU, and the IoU."""
    both, union, width, height = _parts(boxes1, boxes2)
    iou = both / (union + eps)
    centres = [(boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2)]
    return 1 - iou + ((centres[0] - centres[1]) ** 2).sum(-1) / (width**2 + height**2 + eps), iou


def distance_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 - DIoU of pairs of boxes (..., 4), with `eps` added to divisors; see `distance_box_iou`.

    >>> from minicnn.ops import distance_box_iou_loss
    >>> distance_box_iou_loss(minicnn.tensor([0.0, 0.0, 2.0, 2.0]), minicnn.tensor([1.0, 0.0, 3.0, 2.0]))
    tensor(0.7436)
    """
    return _reduced(_distance(_float(boxes1), _float(boxes2), eps)[0], reduction)


def complete_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 - CIoU of pairs of boxes (..., 4), with `eps` added to divisors; see `complete_box_iou`.

    >>> from minicnn.ops import complete_box_iou_loss
    >>> complete_box_iou_loss(minicnn.tensor([0.0, 0.0, 2.0, 2.0]), minicnn.tensor([0.0, 0.0, 4.0, 1.0]))
    tensor(0.7470)
    """
    boxes1, boxes2 = _float(boxes1), _float(boxes2)
    loss, iou = _distance(boxes1, boxes2, 1e-7)  # torchvision passes its eps on to the weight alone
    angles = [((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])).atan() for b in (boxes2, boxes1)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return _reduced(loss + (v / (1 - iou + v + eps)).detach() * v, reduction)
