"""Precision, recall, F1 and calibration against scikit-learn, and against counting by hand."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

import minicnn
from minicnn.train import (
    balanced_accuracy,
    brier_score,
    classification_report,
    confusion_matrix,
    fit_temperature,
    precision_recall_f1,
    reliability,
    softmax,
)

RNG = np.random.default_rng(0)


def answers(classes: int, count: int, missing: bool) -> tuple[Any, Any]:
    """True classes and answers; with `missing`, a class without samples and one that is never answered."""
    true, said = RNG.integers(0, classes, count), RNG.integers(0, classes, count)
    said = np.where(RNG.random(count) < 0.5, true, said)
    return (np.where(true == 1, 0, true), np.where(said == 2, 0, said)) if missing else (true, said)


@pytest.mark.parametrize("average", [None, "macro", "micro", "weighted"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
def test_against_scikit_learn(average: str | None, missing: bool, zero_division: float) -> None:
    for classes, count in ((4, 30), (7, 200)):
        true, said = answers(classes, count, missing)
        found = precision_recall_f1(confusion_matrix(said, true, classes), average, zero_division=zero_division)
        expected = reference.precision_recall_fscore_support(
            true, said, labels=range(classes), average=average, zero_division=zero_division
        )
        for one, other in zip(found[:3], expected[:3], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, equal_nan=True)
        assert np.array_equal(found.support, np.bincount(true, minlength=classes)) or found.support == count


@pytest.mark.parametrize("missing", [False, True])
def test_balanced_accuracy_against_scikit_learn(missing: bool) -> None:
    true, said = answers(6, 100, missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "y_pred contains classes not in y_true"
        expected = reference.balanced_accuracy_score(true, said)
    assert balanced_accuracy(confusion_matrix(said, true, 6)) == pytest.approx(expected, rel=1e-12)


def test_report() -> None:
    report = classification_report(np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]]), ["cat", "dog", "fish"])
    assert report.names == ["cat", "dog", "fish", "macro", "weighted"]
    assert report["cat", "precision"] == pytest.approx(8 / 9) and report["fish", "F1"] == 0
    assert report["cat", "samples"] == 10 and report["weighted", "recall"] == 0.85
    assert "17 of 20" in str(report) and "balanced: 85.00%" in str(report)


@pytest.mark.parametrize("matrix", [np.zeros((2, 2), int), np.ones((2, 3), int), np.zeros((0, 0)), np.ones(3),
                                    np.array([[1, -1], [0, 1]]), np.array([[np.nan, 0], [0, 1]]),
                                    np.array([[np.inf, 0], [0, 1]]), [["cat", "dog"], ["dog", "cat"]]])  # fmt: skip
def test_what_is_no_confusion_matrix(matrix: Any) -> None:
    for function in (precision_recall_f1, balanced_accuracy, classification_report):
        with pytest.raises(ValueError, match=function.__name__):
            function(matrix)


def test_what_is_wrong_with_a_matrix() -> None:
    for matrix, message in (([[1, -1], [0, 1]], "got -1 among the counts"), ([["a"]], "got the type <U1")):
        with pytest.raises(ValueError, match=message):
            balanced_accuracy(matrix)  # type: ignore[arg-type]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="'macro', 'micro', 'weighted', got 'mean'"):
        precision_recall_f1(np.eye(2), "mean")
    with pytest.raises(ValueError, match="3 names for a matrix of 2 classes"):
        classification_report(np.eye(2), ["a", "b", "c"])


def probabilities(count: int, classes: int) -> tuple[Any, Any]:
    p = softmax(3 * RNG.normal(size=(count, classes)))
    return p, np.array([RNG.choice(classes, p=row) for row in p])


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_reliability_by_hand(bins: int) -> None:
    p, true = probabilities(300, 4)
    p[:3] = np.eye(4)[:3]  # a confidence of exactly 1
    found = reliability(p, true, bins)
    ece, gaps = 0.0, []
    for k in range(bins):
        low, high = k / bins, (k + 1) / bins
        inside = [i for i in range(300) if low < p[i].max() <= high]
        assert found.counts[k] == len(inside)
        if inside:
            sure, right = np.mean([p[i].max() for i in inside]), np.mean([p[i].argmax() == true[i] for i in inside])
            assert found.confidence[k] == pytest.approx(sure) and found.accuracy[k] == pytest.approx(right)
            ece, gaps = ece + len(inside) / 300 * abs(sure - right), [*gaps, abs(sure - right)]
        else:
            assert np.isnan(found.confidence[k]) and np.isnan(found.gaps[k])
    assert found.ece == pytest.approx(ece) and found.mce == pytest.approx(max(gaps))


def test_answers_drawn_from_the_probabilities_are_calibrated() -> None:
    p, true = probabilities(20_000, 5)
    assert reliability(p, true).ece < 0.015
    assert fit_temperature(np.log(p), true) == pytest.approx(1, abs=0.03)
    assert fit_temperature(2.5 * np.log(p), true) == pytest.approx(2.5, abs=0.08)
    assert reliability(softmax(2.5 * np.log(p)), true).ece > 0.05


def test_temperature_is_the_minimum() -> None:
    for _ in range(5):
        scores, true = 4 * RNG.normal(size=(60, 3)), RNG.integers(0, 3, 60)
        true = np.where(RNG.random(60) < 0.6, scores.argmax(1), true)
        t = fit_temperature(scores, true)
        losses = [reference.log_loss(true, softmax(scores / (t * f)), labels=range(3)) for f in (0.97, 1, 1.03)]
        assert losses[1] == min(losses)


def test_temperature_at_its_ends_and_with_huge_scores() -> None:
    scores, true = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    assert fit_temperature(scores, true) < 0.03  # always right: as sure as possible
    assert fit_temperature(scores, 1 - true) == pytest.approx(100, rel=0.2)
    assert math.isfinite(fit_temperature(1e6 * scores, true))
    assert fit_temperature(0 * scores, true) == 1  # no temperature is better than another


def test_brier_score() -> None:
    p, true = probabilities(50, 2)
    one = reference.brier_score_loss(true, p[:, 1])
    assert brier_score(p, true) == pytest.approx(2 * one, rel=1e-12)  # scikit-learn's is of one class
    p, true = probabilities(50, 6)
    assert brier_score(p, true) == pytest.approx(((p - np.eye(6)[true]) ** 2).sum(1).mean(), rel=1e-12)
    assert brier_score(minicnn.tensor(p), minicnn.tensor(true)) == pytest.approx(brier_score(p, true))


@pytest.mark.parametrize("function", [reliability, brier_score, fit_temperature])
@pytest.mark.parametrize(
    ("values", "targets"),
    [(np.zeros((0, 3)), np.zeros(0, int)), (np.ones((2, 2)) / 2, np.array([0, 2])),
     (np.ones((2, 2)) / 2, np.array([0])), (np.ones(2) / 2, np.array([0, 1])),
     (np.ones((2, 2)) / 2, np.array([0.0, 1.0])),
     (np.array([[np.nan, 1.0]]), np.array([0]))],
)  # fmt: skip
def test_wrong_predictions(function: Any, values: Any, targets: Any) -> None:
    with pytest.raises(ValueError, match=function.__name__):
        function(values, targets)


def test_scores_are_no_probabilities() -> None:
    for function in (reliability, brier_score):
        with pytest.raises(ValueError, match="softmax"):
            function(np.array([[2.0, 1.0]]), np.array([0]))
