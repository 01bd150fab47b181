"""How good the predictions are. Scores are (N, classes), targets (N,); only the order of a row's scores matters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Array, Tensor


def ranks(scores: Tensor | Array, targets: Tensor | Array) -> Array:
    """The rank of the true class when the classes are sorted by falling score, (N,); 0: it has the highest score.

    Among equal scores the lower class comes first, as in `argmax`.

    Raises:
        ValueError: the shapes do not fit, a target is not a class, or scores are NaN, which have no order.
    """
    scores, targets = _checked(scores, targets)
    true = scores[np.arange(len(scores)), targets][:, None]  # (N, 1)
    higher = scores > true
    earlier = (scores == true) & (np.arange(scores.shape[1]) < targets[:, None])
    return np.count_nonzero(higher | earlier, axis=1)  # (N,)


def accuracy(scores: Tensor | Array, targets: Tensor | Array, topk: tuple[int, ...] = (1,)) -> list[float]:
    """For each k, the share of samples whose true class is among the k with the highest scores, from 0 to 1.

    Raises:
        ValueError: there are no samples, or a k is outside 1..classes; or an error of `ranks`.
    """
    place = ranks(scores, targets)
    classes = np.shape(_raw(scores))[1]
    if not len(place):
        raise ValueError("accuracy: there are no samples, and the accuracy over nothing is undefined")
    for k in topk:
        if not 1 <= k <= classes:
            raise ValueError(f"accuracy: top-{k} of {classes} classes is undefined; k must be from 1 to {classes}")
    return [float(np.mean(place < k)) for k in topk]


def confusion_matrix(predictions: Tensor | Array, targets: Tensor | Array, num_classes: int) -> Array:
    """m[t, p] is the number of samples of class t that were predicted as class p; (num_classes, num_classes) int64.

    The diagonal holds the correct predictions; the sum of a row is the number of samples of its class.

    Raises:
        ValueError: the lengths differ, or a class is outside 0..num_classes - 1.
    """
    said, true = (np.asarray(_raw(classes)) for classes in (predictions, targets))
    if said.shape != true.shape or said.ndim != 1:
        raise ValueError(
            f"confusion_matrix: predictions and targets must both be (N,), got {said.shape} and {true.shape}; "
            "turn scores (N, classes) into predictions by argmax(1)"
        )
    for name, classes in (("prediction", said), ("target", true)):
        _check_classes("confusion_matrix", name, classes, num_classes)
    cells = true.astype(np.int64) * num_classes + said  # (N,): the number of the cell, row by row
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class_accuracy(matrix: Array) -> Array:
    """The share of each class that is predicted correctly (its recall), (classes,); NaN for a class without samples."""
    totals = matrix.sum(axis=1)  # (classes,)
    return np.divide(np.diag(matrix), totals, out=np.full(len(matrix), np.nan), where=totals > 0)


def softmax(scores: Tensor | Array) -> Array:
    """p[n, k] = exp(x[n, k]) / sum_j exp(x[n, j]), where the row's maximum is subtracted first to avoid overflow."""
    x = np.asarray(_raw(scores), dtype=np.float64)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Running:
    """The mean loss and the top-1 accuracy of the samples so far; every sample has the same weight."""

    def __init__(self) -> None:
        self.samples = 0
        self._loss, self._correct = 0.0, 0

    def add(self, loss: float, scores: Tensor | Array, targets: Tensor | Array) -> None:
        """Add one batch, given its mean loss."""
        place = ranks(scores, targets)
        self.samples += len(place)
        self._loss += loss * len(place)
        self._correct += int(np.count_nonzero(place == 0))

    @property
    def loss(self) -> float:
        """The mean loss over the samples; NaN before the first sample."""
        return self._loss / self.samples if self.samples else float("nan")

    @property
    def top1(self) -> float:
        """The share of correct predictions, from 0 to 1; NaN before the first sample."""
        return self._correct / self.samples if self.samples else float("nan")


def _raw(values: Tensor | Array) -> Any:
    return values.array if isinstance(values, Tensor) else values


def _check_classes(where: str, name: str, classes: Array, count: int) -> None:
    if classes.dtype.kind not in "iu":
        raise ValueError(f"{where}: {name}s must be integer class indices, got {classes.dtype}")
    if ((classes < 0) | (classes >= count)).any():
        bad = classes[(classes < 0) | (classes >= count)][0]
        raise ValueError(f"{where}: the {name} {bad} is not a class; there are {count}, 0 to {count - 1}")


def _checked(scores: Tensor | Array, targets: Tensor | Array) -> tuple[Array, Array]:
    x, t = np.asarray(_raw(scores)), np.asarray(_raw(targets))
    if x.ndim != 2 or t.shape != x.shape[:1]:
        raise ValueError(f"accuracy: expected scores (N, classes) and targets (N,), got {x.shape} and {t.shape}")
    _check_classes("accuracy", "target", t, x.shape[1])
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(
            f"accuracy: {np.isnan(x).any(axis=1).sum()} of {len(x)} samples have NaN scores, so they have no class; "
            "the net has diverged or got NaN as input: find the layer with minicnn.autograd.detect_anomaly()"
        )
    return x, t
