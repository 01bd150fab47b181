"""Several settings with several seeds in one picture, and the gradients of several nets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minicnn import nn, visualize
from minicnn.explain import LayerFlow, Magnitude
from minicnn.train import Epoch, Trials


def some(*losses: list[float], diverged: bool = False) -> Trials:
    histories = [
        [Epoch(i, loss, 0.1 * i, 2 * loss, 0.05 * i, 1.0, 9.0) for i, loss in enumerate(seed, 1)] for seed in losses
    ]
    why = ["too large" if diverged else ""] * len(losses)
    return Trials(tuple(range(len(losses))), histories, [nn.Linear(1, 1)] * len(losses), why)


def test_means_bands_and_names(tmp_path: Path) -> None:
    found = {"slow": some([3.0, 2.0], [4.0, 3.0]), "fast": some([1.0, 0.5], [1.0, 0.25])}
    figure = visualize.trials(found, ("train_loss", "val_top1"), title="A race", out=tmp_path / "trials.png")
    loss, accuracy = figure.axes
    assert loss.lines[0].get_ydata() == pytest.approx([3.5, 2.5])
    assert loss.lines[1].get_ydata() == pytest.approx([1.0, 0.375])
    band = loss.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (2.0, 4.0)
    assert accuracy.lines[0].get_ydata() == pytest.approx([5.0, 10.0])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["slow", "fast"]
    assert (tmp_path / "trials.png").stat().st_size > 5000


def test_what_diverged_is_drawn_as_far_as_it_came() -> None:
    figure = visualize.trials(
        {"fine": some([3.0, 2.0]), "lost": some([9.0], diverged=True), "none": some([], diverged=True)}
    )
    lines = figure.axes[0].lines
    assert [line.get_marker() for line in lines] == ["o", "o", "x"]
    assert np.array_equal(lines[2].get_xdata(), [1])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["fine", "lost (diverged)", "none (diverged)"]
    figure.draw_without_rendering()
    assert all(axes.get_position().width > 0.25 for axes in figure.axes)  # a curve without points squeezed them


@pytest.mark.parametrize(
    ("found", "what", "text"),
    [
        ({}, ("train_loss",), "1 to 8"),
        ({"a": some([1.0])}, ("loss",), "'loss' is not one of train_loss"),
        ({"a": some([])}, ("train_loss",), "no finished epoch"),
    ],
)
def test_refused(found: dict[str, Trials], what: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        visualize.trials(found, what)


def test_gradients_of_several_nets() -> None:
    def row(mean: float, kind: str = "Conv2d") -> LayerFlow:
        size = Magnitude(mean, mean, mean, 0)
        return LayerFlow("a", kind, Magnitude(7, 7, 7, 0), size if kind == "Conv2d" else None, None)

    found = {"sigmoid": [row(1e-6), row(1, "ReLU"), row(1e-3)], "none": [row(0.0), row(2.0)]}
    axes = visualize.flows(found).axes[0]
    assert axes.get_yscale() == "log" and list(axes.lines[0].get_xdata()) == [1, 2]
    assert list(axes.lines[0].get_ydata()) == [1e-6, 1e-3]
    assert np.isnan(axes.lines[1].get_ydata()[0])
    assert list(visualize.flows(found, "activation").axes[0].lines[0].get_ydata()) == [7, 7]
    with pytest.raises(ValueError, match="what must be"):
        visualize.flows(found, "bias")
    with pytest.raises(ValueError, match="needs 1 to 8 nets"):
        visualize.flows({"empty": [row(1, "ReLU")]})
