from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicnn
from minicnn.train import accuracy, confusion_matrix, per_class_accuracy, softmax
from minicnn.train.metrics import Running, ranks

# The course's exercise: five score vectors over seven classes, and the true classes.
SCORES = np.array([
    [15, 10, 2, 5, 20, 8, 1],
    [2, 5, 10, 8, 4, 12, 3],
    [12, 2, 1, 6, 4, 5, 9],
    [1, 2, 3, 4, 5, 6, 7],
    [7, 6, 5, 4, 3, 2, 1],
])  # fmt: skip
TARGETS = np.array([0, 2, 2, 6, 1])


def test_course_exercise() -> None:
    assert accuracy(SCORES, TARGETS, topk=(1, 5)) == [0.2, 0.8]
    assert ranks(SCORES, TARGETS).tolist() == [1, 1, 6, 0, 1]
    assert accuracy(minicnn.tensor(SCORES), minicnn.tensor(TARGETS), topk=(7,)) == [1.0]


@given(hnp.arrays(np.float32, (6, 4), elements=st.integers(-2, 2)), hnp.arrays(np.int64, 6, elements=st.integers(0, 3)))
def test_top1_is_argmax_and_topk_sorts(scores: np.ndarray, targets: np.ndarray) -> None:
    """Many ties on purpose: the lower class wins them, as in argmax and in a stable sort."""
    order = np.argsort(-scores, axis=1, kind="stable")
    for k in range(1, 5):
        expected = np.mean([target in row[:k] for row, target in zip(order, targets, strict=True)])
        assert accuracy(scores, targets, (k,)) == [expected]
    assert accuracy(scores, targets) == [np.mean(scores.argmax(1) == targets)]


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (SCORES, TARGETS[:4], "got .5, 7. and .4,."),
        (SCORES, TARGETS - 1, "target -1 is not a class; there are 7"),
        (SCORES, TARGETS + 5, "target 7 is not a class"),
        (SCORES, TARGETS.astype(float), "integer class indices, got float64"),
        (np.where(SCORES == 20, np.nan, SCORES), TARGETS, "1 of 5 samples have NaN"),
        (SCORES[:0], TARGETS[:0], "no samples"),
    ],
)
def test_accuracy_refuses(scores: np.ndarray, targets: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy(scores, targets)


@pytest.mark.parametrize("k", [0, 8, -1])
def test_accuracy_refuses_k(k: int) -> None:
    with pytest.raises(ValueError, match="k must be from 1 to 7"):
        accuracy(SCORES, TARGETS, (k,))


def test_infinite_scores_have_an_order() -> None:
    assert accuracy(np.array([[0.0, np.inf], [-np.inf, 0.0]]), np.array([1, 1])) == [1.0]


def test_confusion_matrix() -> None:
    matrix = confusion_matrix(np.array([1, 0, 2, 1, 1]), np.array([1, 1, 2, 0, 1]), 4)
    assert matrix.tolist() == [[0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    shares = per_class_accuracy(matrix)
    assert shares[:3].tolist() == [0.0, 2 / 3, 1.0]
    assert math.isnan(shares[3])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_confusion_matrix_counts(pairs: list[tuple[int, int]]) -> None:
    said, true = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    matrix = confusion_matrix(said, true, 5)
    assert all(matrix[t, p] == pairs.count((p, t)) for p in range(5) for t in range(5))


@pytest.mark.parametrize(
    ("said", "true", "message"),
    [
        ([0, 1], [0], "must both be .N,."),
        ([[0, 1]], [[0, 1]], "argmax"),
        ([0, 3], [0, 1], "prediction 3 is not a class"),
        ([0, 1], [0, -1], "target -1 is not a class"),
        ([0.0, 1.0], [0, 1], "predictions must be integer"),
    ],
)
def test_confusion_matrix_refuses(said: list, true: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(said), np.array(true), 3)


def test_softmax() -> None:
    assert np.allclose(softmax(np.array([[11.5, 12.8, -2.4]])) * 100, [[21.4165, 78.5835, 1.968e-5]], atol=1e-4)
    assert softmax(np.array([[1e4, 0.0, 0.0]])).tolist() == [[1.0, 0.0, 0.0]]


def test_running_weights_each_sample_alike() -> None:
    """Three batches, the last one short: the mean over samples, not over batches."""
    running = Running()
    assert math.isnan(running.loss) and math.isnan(running.top1)
    for loss, size in ((1.0, 4), (2.0, 4), (5.0, 1)):
        running.add(loss, np.eye(4)[:size], np.zeros(size, np.int64))
    assert running.samples == 9
    assert running.loss == pytest.approx((4 + 8 + 5) / 9)
    assert running.top1 == pytest.approx(3 / 9)
