"""Pictures of measurements: what they show, for few and many steps, layers and bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim, visualize
from minicnn.train import LearningRates, Recorder, find_learning_rate, line_scan, reliability

RNG = np.random.default_rng(0)


def recorder(steps: int, **options: bool) -> Recorder:
    net = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(4, 4), nn.Tanh())))
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with Recorder(net, **options) as found:
        for _ in range(steps):
            optimizer.zero_grad()
            net(minicnn.rand(5, 4)).square().sum().backward()
            found.before_step()
            optimizer.step()
            found.after_step()
    return found


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("options", [{}, {"activations": False}, {"gradients": False, "updates": False}])
def test_recorded(steps: int, options: dict[str, bool], tmp_path: Any) -> None:
    found = recorder(steps, **options)
    figure = visualize.recorded(found, out=tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 1000
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == {0: 4}.get(len(options), 2)
    for axes in shown:
        assert all(len(line.get_xdata()) in (steps, 2) for line in axes.lines)
        assert len(axes.get_legend().get_texts()) <= 12
    if not options:
        norms = shown[0].lines[0].get_ydata()
        expected = found.gradient_norms[:, 0]
        np.testing.assert_array_equal(norms, np.where(expected > 0, expected, np.nan))


def test_nothing_recorded() -> None:
    with pytest.raises(ValueError, match="has measured no step"):
        visualize.recorded(recorder(0))


@pytest.mark.parametrize("bins", [1, 15])
def test_reliability_diagram(bins: int) -> None:
    p = RNG.dirichlet(np.ones(3), 50)
    found = reliability(p, RNG.integers(0, 3, 50), bins)
    figure = visualize.reliability(found)
    top, below = figure.axes
    heights = [bar.get_height() for bar in top.patches]
    np.testing.assert_allclose(heights[:bins], np.nan_to_num(found.accuracy))
    np.testing.assert_allclose(np.add(heights[:bins], heights[bins:]), np.nan_to_num(found.confidence))
    assert sum(bar.get_height() for bar in below.patches) == 50


def test_range_test_and_line() -> None:
    net = nn.Linear(4, 2)
    x, y = minicnn.rand(20, 4), minicnn.arange(20) % 2
    found = find_learning_rate(net, [(x, y)], optim.SGD(net.parameters(), lr=0.1), nn.CrossEntropyLoss(), steps=20)
    axes = visualize.learning_rates(found).axes[0]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), found.smooth)
    flat = LearningRates(np.array([0.1, 1.0]), np.zeros(2), np.zeros(2), 0.1)
    assert visualize.learning_rates(flat).axes
    below = LearningRates(np.array([0.1, 1.0]), np.array([-4.0, -5.0]), np.array([-4.0, -4.5]), 0.1)
    low, high = visualize.learning_rates(below).axes[0].get_ylim()
    assert low == -4.5 and high > -4
    scan = line_scan(net, x, y, {"weight": minicnn.randn(2, 4)}, points=201)
    left, right = visualize.line(scan).axes
    np.testing.assert_array_equal(right.lines[0].get_ydata(), scan.losses)
    assert len(left.lines) == 2


def test_accuracy_is_flat_and_cross_entropy_is_not() -> None:
    net = nn.Linear(4, 2)
    before = net.weight.detach().clone()
    x, y = minicnn.rand(20, 4), minicnn.arange(20) % 2
    scan = line_scan(net, x, y, {"weight": minicnn.randn(2, 4), "bias": minicnn.randn(2)}, reach=2.0, points=401)
    assert (np.diff(scan.accuracies) == 0).mean() > 0.9 and (np.diff(scan.losses) == 0).mean() < 0.1
    assert minicnn.equal(net.weight, before) and net.training and net.weight.requires_grad
    for wrong in ({"w": before}, {"weight": minicnn.zeros(3)}, {}, {"weight": None}):
        with pytest.raises(ValueError, match="line_scan"):
            line_scan(net, x, y, wrong)
    with pytest.raises(ValueError, match="reach"):
        line_scan(net, x, y, {"weight": before}, reach=0)


def test_confusion_with_precision_and_recall() -> None:
    axes = visualize.confusion(np.array([[8, 2], [1, 9]]), ["cat", "dog"], scores=True).axes[0]
    assert [t.get_text().replace("\N{NO-BREAK SPACE}", " ") for t in axes.get_xticklabels()] == [
        "cat\n89 %",
        "dog\n82 %",
    ]
    assert [t.get_text().replace("\N{NO-BREAK SPACE}", " ") for t in axes.get_yticklabels()] == [
        "cat  80 %",
        "dog  90 %",
    ]
    assert visualize.confusion(np.zeros((2, 2), int), scores=True).axes
