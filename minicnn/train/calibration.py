"""Calibration: is a net right as often as it says? Of answers with a probability of 80 %, 80 % should be right.

C. Guo et al., "On calibration of modern neural networks", ICML 2017, https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn_kernels.geometry import whole

from ..tensor import Array, Tensor
from .metrics import _check_classes, _on_cpu


class Reliability(NamedTuple):
    """Answers in bins by their confidence, which is the probability of the answer.

    Attributes:
        edges: of the bins, (bins + 1,); a bin holds the confidences above its lower edge, up to its upper one.
        counts: the answers in each bin, (bins,).
        confidence: their mean confidence, (bins,); NaN in an empty bin.
        accuracy: the share of them that are right, (bins,); NaN in an empty bin.
    """

    edges: Array
    counts: Array
    confidence: Array
    accuracy: Array

    @property
    def gaps(self) -> Array:
        """Confidence minus accuracy, (bins,): above 0, the net is too sure. NaN in an empty bin."""
        gaps: Array = self.confidence - self.accuracy
        return gaps

    @property
    def ece(self) -> float:
        """The expected calibration error: sum over bins of counts/N |confidence - accuracy|."""
        return float(np.nansum(self.counts / self.counts.sum() * np.abs(self.gaps)))

    @property
    def mce(self) -> float:
        """The maximum calibration error: the largest |confidence - accuracy| of a bin."""
        return float(np.nanmax(np.abs(self.gaps)))


def reliability(probabilities: Tensor | Array, targets: Tensor | Array, bins: int = 15) -> Reliability:
    """How often answers are right, by how sure the net was.

    Args:
        probabilities: (N, classes); of scores, take `softmax(scores)`.
        targets: the classes, (N,).
        bins: of equal width, from 0 to 1.

    Raises:
        ValueError: there are no samples, the shapes do not fit, rows are no probabilities, or a target is no class.

    >>> found = minicnn.train.reliability(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]), bins=10)
    >>> [round(float(x), 3) for x in (found.confidence[8], found.accuracy[8], found.ece)]  # 90 % sure, half are right
    [0.9, 0.5, 0.4]
    """
    count = whole(bins, "reliability", "bins", 1)
    p, true = _checked("reliability", probabilities, targets)
    sure, right = p.max(axis=1), p.argmax(axis=1) == true  # (N,)
    edges = np.linspace(0, 1, count + 1)
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, count - 1)  # (N,): the bin of each answer
    counts = np.bincount(place, minlength=count)
    sums = [np.bincount(place, weights=values, minlength=count) for values in (sure, right)]
    means = [np.divide(s, counts, out=np.full(count, np.nan), where=counts > 0) for s in sums]
    return Reliability(edges, counts, *means)


def brier_score(probabilities: Tensor | Array, targets: Tensor | Array) -> float:
    """The mean squared distance to the one-hot targets, 1/N sum_n sum_k (p[n, k] - [k = t_n])^2: from 0 to 2.

    It is small only if the answers are right and as sure as they should be. G. W. Brier, 1950.

    Raises:
        ValueError: as in `reliability`.

    >>> minicnn.train.brier_score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]))  # (0 + 0.25 + 0.25) / 2
    0.25
    """
    p, true = _checked("brier_score", probabilities, targets)
    # sum_k (p_k - [k = t])^2 = sum_k p_k^2 - 2 p_t + 1
    return float(np.mean((p * p).sum(axis=1) - 2 * p[np.arange(len(p)), true] + 1))


def fit_temperature(scores: Tensor | Array, targets: Tensor | Array) -> float:
    """The temperature T for which softmax(scores / T) has the smallest cross entropy; divide later scores by it.

    T above 1 makes the answers less sure, and changes none of them, as the order of the scores stays. Fit it to the
    validation set. The cross entropy is convex in 1/T, so there is one minimum; T is searched from 0.01 to 100.

    Raises:
        ValueError: there are no samples, the shapes do not fit, scores are not finite, or a target is no class.

    >>> scores = np.log([[0.9, 0.1]] * 4)  # 90 % sure, and right in 3 of 4 cases: log 9 must become log 3
    >>> round(minicnn.train.fit_temperature(scores, np.array([0, 0, 0, 1])), 3)
    2.0
    """
    from scipy.optimize import minimize_scalar

    op = "fit_temperature"
    x, true = _shaped(op, "scores", scores, targets)
    if not np.isfinite(x).all():
        raise ValueError(f"{op}: the scores must be finite, and {np.count_nonzero(~np.isfinite(x))} are not")
    x = x - x.max(axis=1, keepdims=True)
    own = x[np.arange(len(x)), true]  # (N,)

    def cross_entropy(log_t: float) -> float:
        y = x / np.exp(log_t)
        return float(np.mean(np.log(np.exp(y).sum(axis=1)) - own / np.exp(log_t)))

    best = minimize_scalar(
        cross_entropy, bounds=(np.log(0.01), np.log(100.0)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0  # such as for scores that are all equal


def _shaped(op: str, name: str, values: Tensor | Array, targets: Tensor | Array) -> tuple[Array, Array]:
    x, true = np.asarray(_on_cpu(values), np.float64), np.asarray(_on_cpu(targets))
    if x.ndim != 2 or true.shape != x.shape[:1]:
        raise ValueError(f"{op}: expected {name} (N, classes) and targets (N,), got {x.shape} and {true.shape}")
    if not x.size:
        raise ValueError(f"{op}: there are no samples")
    _check_classes(op, "target", true, x.shape[1])
    return x, true


def _checked(op: str, probabilities: Tensor | Array, targets: Tensor | Array) -> tuple[Array, Array]:
    p, true = _shaped(op, "probabilities", probabilities, targets)
    if not ((p >= -1e-6).all() and (np.abs(p.sum(axis=1) - 1) < 1e-3).all()):
        raise ValueError(
            f"{op}: the rows must be probabilities, from 0 to 1 with the sum 1; make them of scores by "
            "minicnn.train.softmax(scores)"
        )
    return p, true
