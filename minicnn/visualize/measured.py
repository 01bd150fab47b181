"""Figures of what was measured beside a training: signals by layer, calibration, the range test, a line of weights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..train.calibration import Reliability
from ..train.learning_rate import LearningRates
from ..train.line import LineScan
from ..train.recording import Recorder
from .style import BLUE, GREY, ORANGE, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
NAMED = 12  # of more layers, as many are named in the legend


def recorded(recorder: Recorder, *, out: Out = None) -> Figure:
    """Each layer over time: gradient norms, update ratios, and deviations and zeros of the outputs.

    A layer has the same colour in all panels that show it, dark near the input and light near the output. The ratio
    |dw|/|w| has a line at 0.001.

    Args:
        recorder: a `train.Recorder` that has measured at least one step.
        out: a file to write the figure to.

    Raises:
        ValueError: it has measured no step.

    >>> net = nn.Linear(2, 2)
    >>> with minicnn.train.Recorder(net, activations=False) as recorder:
    ...     net(minicnn.ones(1, 2)).sum().backward()
    ...     recorder.before_step()
    ...     recorder.after_step()
    >>> [axes.get_title(loc="left") for axes in minicnn.visualize.recorded(recorder).axes]
    ['Norm of the gradient', 'Size of a step, |dw|/|w|']
    """
    panels = [
        ("Norm of the gradient", recorder.gradient_norms, recorder.layers, True),
        ("Size of a step, |dw|/|w|", recorder.update_ratios, recorder.layers, True),
        ("Deviation of the outputs", recorder.deviations, recorder.outputs, True),
        ("Share of zeros in the outputs", recorder.zeros, recorder.outputs, False),
    ]
    panels = [panel for panel in panels if len(panel[1])]
    if not panels:
        raise ValueError("recorded: the recorder has measured no step; call before_step and after_step in the loop")
    depth = {name: place for place, name in enumerate(recorder.kinds)}
    rows = -(-len(panels) // 2)
    with drawing(11 if len(panels) > 1 else 6, 3.6 * rows, out) as figure:
        grid = figure.subplots(rows, min(2, len(panels)), squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, values, names, logarithmic) in zip(grid, panels, strict=False):
            _draw(axes, recorder.steps, values, names, depth, logarithmic)
            axes.set_title(title)
            if "|dw|" in title:
                axes.axhline(1e-3, color=GREY, linewidth=0.8, linestyle="--")
    return figure


def _draw(axes: Any, steps: list[int], values: Any, names: list[str], depth: dict[str, int], logarithmic: bool) -> None:
    """A curve for each layer."""
    import matplotlib

    colours = matplotlib.colormaps["viridis"]
    named = {names[k] for k in np.linspace(0, len(names) - 1, min(NAMED, len(names))).round().astype(int)}
    for name, column in zip(names, values.T, strict=True):
        shown = np.where(column > 0, column, np.nan) if logarithmic else column  # 0 has no logarithm
        if np.isfinite(shown).any():
            colour = colours(0.92 * depth[name] / max(1, len(depth) - 1))
            marker = "o" if len(steps) < 4 else None
            axes.plot(steps, shown, color=colour, linewidth=1.3, marker=marker, markersize=3,
                      label=(name or "net") if name in named else None)  # fmt: skip
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("step")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)


def reliability(found: Reliability, *, out: Out = None) -> Figure:
    """The reliability diagram: how often answers are right, by how sure the net was; below, how many there are.

    Bars below the diagonal: the net is too sure. Bars above it: it could be surer.

    Args:
        found: what `train.reliability` returned.
        out: a file to write the figure to.

    >>> found = minicnn.train.reliability(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]), bins=5)
    >>> minicnn.visualize.reliability(found).axes[0].get_title(loc="left")
    'Expected calibration error 0.400'
    """
    width, middle = np.diff(found.edges), (found.edges[:-1] + found.edges[1:]) / 2
    with drawing(5.2, 5.6, out) as figure:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.bar(middle, np.nan_to_num(found.accuracy), 0.94 * width, color=BLUE, label="right")
        gaps = np.nan_to_num(found.gaps)
        axes.bar(
            middle, gaps, 0.94 * width, np.nan_to_num(found.accuracy), color=ORANGE, alpha=0.35,
            label="too sure, or not sure enough",
        )  # fmt: skip
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right answers")
        axes.legend(loc="upper left", fontsize=9, frameon=False)
        axes.set_title(f"Expected calibration error {found.ece:.3f}")
        below.bar(middle, found.counts, 0.94 * width, color=GREY)
        below.set(xlabel="confidence: the probability of the answer", ylabel="answers")
    return figure


def learning_rates(found: LearningRates, *, out: Out = None) -> Figure:
    """The loss by the learning rate of the range test, with the suggested rate.

    Args:
        found: what `train.find_learning_rate` returned.
        out: a file to write the figure to.

    >>> from minicnn.train import LearningRates
    >>> found = LearningRates(np.array([0.01, 0.1, 1.0]), np.array([2.0, 1.0, 9.0]), np.array([2.0, 1.5, 4.0]), 0.01)
    >>> minicnn.visualize.learning_rates(found).axes[0].get_title(loc="left")
    'Suggested learning rate: 0.01'
    """
    with drawing(6, 3.6, out) as figure:
        axes = figure.subplots()
        axes.plot(found.rates, found.losses, ".", color=GREY, markersize=3, label="a batch")
        axes.plot(found.rates, found.smooth, color=BLUE, label="running mean")
        axes.axvline(found.suggested, color=ORANGE, linestyle="--", linewidth=1.2)
        low, high = float(found.smooth.min()), float(found.smooth[0])
        top = high + 0.6 * abs(high) or 1.0
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(min(low, 0.0), top))
        axes.legend(loc="lower left", fontsize=9, frameon=False)
        axes.set_title(f"Suggested learning rate: {found.suggested:.2g}")
    return figure


def line(found: LineScan, *, out: Out = None) -> Figure:
    """Accuracy and cross entropy along a line of weights: steps with a slope of 0, and a smooth curve.

    Args:
        found: what `train.line_scan` returned.
        out: a file to write the figure to.

    >>> from minicnn.train import LineScan
    >>> found = LineScan(np.array([-1.0, 0.0, 1.0]), np.array([2.0, 1.0, 0.5]), np.array([0.0, 0.5, 0.5]))
    >>> [axes.get_title(loc="left") for axes in minicnn.visualize.line(found).axes]
    ['Accuracy (%): its slope is 0 or none', 'Cross entropy: a slope everywhere']
    """
    with drawing(10, 3.4, out) as figure:
        left, right = figure.subplots(1, 2)
        left.step(found.distances, 100 * found.accuracies, where="mid", color=ORANGE)
        left.set_title("Accuracy (%): its slope is 0 or none")
        right.plot(found.distances, found.losses, color=BLUE)
        right.set_title("Cross entropy: a slope everywhere")
        for axes in (left, right):
            axes.axvline(0, color=GREY, linewidth=0.7)
            axes.set_xlabel("distance from the present weights")
            axes.grid(axis="y")
            axes.set_axisbelow(True)
    return figure
