"""How good the predictions are. Scores are (N, classes), targets (N,); only the order of a row's scores matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array, host, on_device_of, on_gpu, xp

from ..tensor import Array, Tensor

NO_CLASS, NAN_SCORES = -1, -2  # instead of a rank
FETCH = 50  # batches whose results are fetched from a GPU together


def ranks(scores: Tensor | Array, targets: Tensor | Array) -> Array:
    """The rank of the true class when the classes are sorted by falling score, (N,); 0: it has the highest score.

    Among equal scores the lower class comes first, as in `argmax`. Scores on a GPU give ranks there; then a sample
    without a rank gets `NO_CLASS` or `NAN_SCORES` instead of an error, for which the program would have to wait.

    Raises:
        ValueError: the shapes do not fit, a target is not a class, or scores are NaN, which have no order.

    >>> from minicnn.train.metrics import ranks
    >>> ranks(minicnn.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]), minicnn.tensor([1, 2]))
    array([0, 2])
    """
    x, targets = _checked(_raw(scores), _raw(targets))
    with on_device_of(x):
        classes = xp(x).arange(x.shape[1])
        classes_of = np.clip(targets, 0, max(x.shape[1] - 1, 0)) if on_gpu(x) else targets
        true = x[xp(x).arange(len(x)), classes_of][:, None]  # (N, 1)
        higher = x > true
        earlier = (x == true) & (classes < targets[:, None])
        place: Array = np.count_nonzero(higher | earlier, axis=1)  # (N,)
        if on_gpu(x):
            place = np.where(np.isnan(x).any(axis=1), NAN_SCORES, np.where(classes_of == targets, place, NO_CLASS))
        return place


def accuracy(scores: Tensor | Array, targets: Tensor | Array, topk: tuple[int, ...] = (1,)) -> list[float]:
    """For each k, the share of samples whose true class is among the k with the highest scores, from 0 to 1.

    Raises:
        ValueError: there are no samples, or a k is outside 1..classes; or an error of `ranks`.

    >>> scores = minicnn.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    >>> minicnn.train.accuracy(scores, minicnn.tensor([1, 1]), topk=(1, 2))
    [0.5, 1.0]
    """
    place = ranks(_on_cpu(scores), _on_cpu(targets))
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

    >>> minicnn.train.confusion_matrix(minicnn.tensor([0, 1, 1]), minicnn.tensor([0, 0, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    said, true = _on_cpu(predictions), _on_cpu(targets)
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
    """The share of each class that is predicted correctly (its recall), (classes,); NaN for a class without samples.

    >>> minicnn.train.per_class_accuracy(np.array([[1, 1], [0, 1]]))
    array([0.5, 1. ])
    """
    totals = matrix.sum(axis=1)  # (classes,)
    return np.divide(np.diag(matrix), totals, out=np.full(len(matrix), np.nan), where=totals > 0)


def softmax(scores: Tensor | Array) -> Array:
    """p[n, k] = exp(x[n, k]) / sum_j exp(x[n, j]), where the row's maximum is subtracted first to avoid overflow.

    >>> minicnn.train.softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    x = _on_cpu(scores).astype(np.float64)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Running:
    """The mean loss and the accuracies of the samples so far; every sample has the same weight.

    On a GPU, the numbers of up to `FETCH` batches stay there before they are fetched together: the program waits for
    every fetch. `settle` fetches what is left.

    Attributes:
        samples: how many samples there were.
        batches: how many batches.
        diverged: the first batch, counted from 1, whose loss is NaN or infinite, and this loss. It and all later
            batches count for nothing.
    """

    def __init__(self) -> None:
        self.samples = self.batches = self._correct = self._in_top5 = 0
        self.first = self._loss = 0.0
        self.diverged: tuple[int, float] | None = None
        self._waiting: list[tuple[Array, Array]] = []  # of each batch its loss, 0-d, and the ranks of its samples, (N,)

    def add(self, loss: Tensor | float, scores: Tensor | Array, targets: Tensor | Array) -> None:
        """Add one batch, given its mean loss.

        Raises:
            ValueError: the loss is not one number; or an error of `ranks`.
        """
        value = _raw(loss)
        if np.size(value) != 1:
            raise ValueError(f"the loss must be one number, got the shape {loss.shape}; average it over the batch")  # type: ignore[union-attr]
        if not on_gpu(value):
            number = float(value)
            self._count(number, ranks(scores, targets) if math.isfinite(number) else None)
            return
        self._waiting.append((value.reshape(()), ranks(scores, targets)))
        if len(self._waiting) == FETCH:
            self.settle()

    def settle(self) -> None:
        """Fetch and count the batches whose numbers are still on a GPU; the program waits for it.

        Raises:
            ValueError: a target was not a class, or scores were NaN while the loss was finite.
        """
        if not self._waiting:
            return
        losses, places = zip(*self._waiting, strict=True)
        self._waiting = []
        with on_device_of(losses[0]):
            numbers, joined = host(np.stack(losses)).tolist(), host(np.concatenate(places))
        for number, place in zip(numbers, np.split(joined, np.cumsum([len(p) for p in places])[:-1]), strict=True):
            if math.isfinite(number) and (place < 0).any():
                raise ValueError(
                    f"accuracy: in batch {self.batches + 1}, {np.count_nonzero(place == NO_CLASS)} targets are not a "
                    f"class, and {np.count_nonzero(place == NAN_SCORES)} samples have NaN scores"
                )
            self._count(number, place)

    def _count(self, loss: float, place: Array | None) -> None:
        self.batches += 1
        if self.diverged is not None:
            return
        if place is None or not math.isfinite(loss):
            self.diverged = self.batches, loss
            return
        self.first = loss if self.batches == 1 else self.first
        self.samples += len(place)
        self._loss += loss * len(place)
        self._correct += int(np.count_nonzero(place == 0))
        self._in_top5 += int(np.count_nonzero(place < 5))

    def state_dict(self) -> dict[str, Any]:
        """The sums as numbers, to continue from them later."""
        self.settle()
        return {name: value for name, value in vars(self).items() if name not in ("_waiting", "diverged")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`."""
        vars(self).update(state)

    @property
    def loss(self) -> float:
        """The mean loss; NaN without samples."""
        return self._loss / self.samples if self.samples else math.nan

    @property
    def top1(self) -> float:
        """The top-1 accuracy, from 0 to 1; NaN without samples."""
        return self._correct / self.samples if self.samples else math.nan

    @property
    def top5(self) -> float:
        """The top-5 accuracy, from 0 to 1; NaN without samples."""
        return self._in_top5 / self.samples if self.samples else math.nan


def _raw(values: Any) -> Any:
    return values.array if isinstance(values, Tensor) else values


def _on_cpu(values: Tensor | Array) -> Array:
    return host(_raw(values))


def _check_classes(where: str, name: str, classes: Array, count: int) -> None:
    if classes.dtype.kind not in "iu":
        raise ValueError(f"{where}: {name}s must be integer class indices, got {classes.dtype}")
    if ((classes < 0) | (classes >= count)).any():
        bad = classes[(classes < 0) | (classes >= count)][0]
        raise ValueError(f"{where}: the {name} {bad} is not a class; there are {count}, 0 to {count - 1}")


def _checked(scores: Any, targets: Any) -> tuple[Array, Array]:
    """The arguments as arrays, after checking them; on a GPU only their shapes, which needs no wait."""
    x, t = as_array(scores), as_array(targets)
    if x.ndim != 2 or t.shape != x.shape[:1]:
        raise ValueError(f"accuracy: expected scores (N, classes) and targets (N,), got {x.shape} and {t.shape}")
    if on_gpu(x):
        return x, t
    _check_classes("accuracy", "target", t, x.shape[1])
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(
            f"accuracy: {np.isnan(x).any(axis=1).sum()} of {len(x)} samples have NaN scores, so they have no class; "
            "the net has diverged or got NaN as input: find the layer with minicnn.autograd.detect_anomaly()"
        )
    return x, t
