"""What a confusion matrix says about each class: precision, recall and F1, and their means over the classes.

    precision of k = correct answers k / all answers k         how often an answer k is right
    recall of k    = correct answers k / all samples of k      how many of the class are found
    F1 of k        = 2 precision recall / (precision + recall)

The functions take a confusion matrix m[true, predicted] of counts, as `confusion_matrix` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..analysis.table import Table
from ..tensor import Array
from .metrics import _on_cpu

AVERAGES = ("macro", "micro", "weighted")


class ClassScores(NamedTuple):
    """Precision, recall and F1: arrays (classes,), or numbers if they are means.

    Attributes:
        precision, recall, f1: from 0 to 1.
        support: the number of samples of each class, or of all.
    """

    precision: Array
    recall: Array
    f1: Array
    support: Array


def precision_recall_f1(matrix: Array, average: str | None = None, *, zero_division: float = 0.0) -> ClassScores:
    """Precision, recall and F1 of each class, or a mean of them.

    Args:
        matrix: m[true, predicted], counts.
        average: None: of each class. "macro": the mean over the classes. "weighted": over the samples, so that a class
            counts as often as it has samples. "micro": of all answers together; then all three are the accuracy.
        zero_division: what stands for 0/0, as for the precision of a class that was never answered. NaN is left out of
            the means.

    Raises:
        ValueError: the matrix is not square, has no samples, or has counts below 0; or `average` is another word.

    >>> scores = minicnn.train.precision_recall_f1(np.array([[1, 1], [0, 2]]))
    >>> scores.precision.round(3), scores.recall, scores.f1.round(3)
    (array([1.   , 0.667]), array([0.5, 1. ]), array([0.667, 0.8  ]))
    """
    m = _counts("precision_recall_f1", matrix)
    if average is not None and average not in AVERAGES:
        raise ValueError(
            f"precision_recall_f1: average must be None or one of {', '.join(map(repr, AVERAGES))}, got {average!r}"
        )
    right, said, true = np.diag(m).astype(np.float64), m.sum(axis=0), m.sum(axis=1)  # (classes,) each
    if average == "micro":
        right, said, true = right.sum(), said.sum(), true.sum()
    precision, recall = _ratio(right, said, zero_division), _ratio(right, true, zero_division)
    f1 = _ratio(2 * right, said + true, zero_division)  # the same as 2 p r / (p + r), and defined where p or r is not
    if average in (None, "micro"):
        return ClassScores(precision, recall, f1, true)
    weights = true if average == "weighted" else np.ones(len(m))
    return ClassScores(_mean(precision, weights), _mean(recall, weights), _mean(f1, weights), true.sum())


def balanced_accuracy(matrix: Array) -> float:
    """The mean recall of the classes that have samples: each class counts the same, however rare it is.

    A net that always answers the most frequent class has an accuracy as large as this class is frequent, and a balanced
    accuracy of 1/classes.

    Raises:
        ValueError: as in `precision_recall_f1`.

    >>> minicnn.train.balanced_accuracy(np.array([[98, 0], [2, 0]]))
    0.5
    """
    recall = precision_recall_f1(_counts("balanced_accuracy", matrix), zero_division=math.nan).recall
    return float(np.nanmean(recall))


def classification_report(matrix: Array, classes: Sequence[str] | None = None) -> Table:
    """A table with precision, recall, F1 and samples of each class, and the means.

    Args:
        matrix: m[true, predicted], counts.
        classes: the names of the classes; None: their numbers.

    Raises:
        ValueError: as in `precision_recall_f1`, or there are not as many names.

    >>> report = minicnn.train.classification_report(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
    >>> report["dog", "recall"], report["macro", "recall"]
    (0.9, 0.85)
    """
    m = _counts("classification_report", matrix)
    names = [str(k) for k in range(len(m))] if classes is None else list(classes)
    if len(names) != len(m):
        raise ValueError(f"classification_report: {len(names)} names for a matrix of {len(m)} classes")
    each = precision_recall_f1(m)
    rows: list[list[object]] = []
    for k, name in enumerate(names):
        rows.append([name, *(float(values[k]) for values in each[:3]), int(each.support[k])])
    for average in ("macro", "weighted"):
        p, r, f1, support = precision_recall_f1(m, average)
        rows.append([average, round(float(p), 12), round(float(r), 12), round(float(f1), 12), int(support)])
    right, total = int(np.trace(m)), int(m.sum())
    notes = [f"accuracy: {right:,} of {total:,}, {right / total:.2%}; balanced: {balanced_accuracy(m):.2%}"]
    return Table("Precision, recall and F1", ["class", "precision", "recall", "F1", "samples"], rows, notes)


def _counts(op: str, matrix: Array) -> Array:
    m = np.asarray(_on_cpu(matrix))
    what = f"{op}: expected a square matrix of counts [true, predicted], as confusion_matrix gives it, got"
    if m.ndim != 2 or m.shape[0] != m.shape[1] or not m.size:
        raise ValueError(f"{what} the shape {m.shape}")
    if m.dtype.kind not in "biuf":
        raise ValueError(f"{what} the type {m.dtype}")
    if not (np.isfinite(m) & (m >= 0)).all():
        raise ValueError(f"{what} {m[~(np.isfinite(m) & (m >= 0))][0]} among the counts")
    if not m.sum():
        raise ValueError(f"{op}: the matrix has no samples")
    return m


def _ratio(part: Array, whole: Array, otherwise: float) -> Array:
    return np.divide(part, whole, out=np.full(np.shape(part), float(otherwise)), where=np.asarray(whole) > 0)


def _mean(values: Array, weights: Array) -> Array:
    known = ~np.isnan(values) & (weights > 0)
    return np.average(values[known], weights=weights[known]) if known.any() else np.float64(math.nan)  # type: ignore[return-value]
