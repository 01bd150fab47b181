"""Figures of a training and of the net's mistakes: learning curves, the confusion matrix, the worst mistakes."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensor import Array, array_of
from ..train.classification import precision_recall_f1
from ..train.progress import best_epoch
from .style import BLUE, GREY, INK, ORANGE, SEQUENTIAL, bare, drawing, heading, percent, percentages, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
COUNTS, EDGES = 25, 40  # classes up to which a confusion matrix has counts, and edges between its cells


def curves(history: Sequence[Any], *, judged: str = "validation", out: Out = None) -> Figure:
    """Loss and top-1 accuracy per epoch, of training and validation set; the chosen epoch is marked.

    That is the best one on the validation set. Nothing is chosen by the test set: there, the last one is marked.

    The training values are averages over the epoch, the validation values are measured at its end. Where these are NaN,
    as in a training without validation, only the training is drawn.

    Args:
        history: the finished epochs, as `minicnn.train.train` returns them: each has `epoch`, `train_loss`,
            `val_loss`, and the accuracies `train_top1` and `val_top1` from 0 to 1.
        judged: the name of the set that was evaluated after each epoch, such as "test".
        out: a file to write the figure to.

    Raises:
        ValueError: no epochs.

    >>> from minicnn.train import Epoch
    >>> history = [Epoch(1, 0.9, 0.6, 0.8, 0.7, 2.0, 700.0), Epoch(2, 0.5, 0.8, 0.6, 0.8, 2.0, 700.0)]
    >>> [axes.get_title(loc="left") for axes in minicnn.visualize.curves(history).axes]
    ['Loss', 'Top-1 accuracy (%)']
    """
    if not history:
        raise ValueError("curves: there is no finished epoch to draw; train for at least one")
    epochs = [row.epoch for row in history]
    chosen, names = history[-1] if judged == "test" else best_epoch(history), ("train", judged)
    word = "last" if judged == "test" else "best"
    with drawing(10, 4, out) as figure:
        loss, accuracy = figure.subplots(1, 2)
        _draw_curves(loss, epochs, [row.train_loss for row in history], [row.val_loss for row in history], names=names)
        loss.set_title("Loss")
        loss.set_ylim(bottom=min(0.0, loss.get_ylim()[0]))
        train, val = [100 * row.train_top1 for row in history], [100 * row.val_top1 for row in history]
        _draw_curves(accuracy, epochs, train, val, names=names)
        accuracy.set_title("Top-1 accuracy (%)")
        if math.isfinite(top1 := chosen.val_top1):
            _mark(loss, chosen.epoch, chosen.val_loss, f"{_short(chosen.val_loss)} at epoch {chosen.epoch}")
            _mark(accuracy, chosen.epoch, 100 * top1, f"{word} {percent(top1)}, epoch {chosen.epoch}")
        percentages(accuracy)
    return figure


def losses(training: Sequence[float], validation: Sequence[float], *, out: Out = None) -> Figure:
    """The losses of training and validation per epoch, and nothing else: for questions about them.

    Args:
        training, validation: a value for each epoch, from epoch 1.
        out: a file to write the figure to.

    Raises:
        ValueError: there are no epochs, or not equally many.

    >>> figure = minicnn.visualize.losses([1.0, 0.5, 0.2], [1.1, 0.8, 0.9])
    >>> figure.axes[0].get_ylabel(), len(figure.axes[0].get_lines())
    ('', 2)
    """
    if not len(training) or len(training) != len(validation):
        raise ValueError(f"losses: needs equally many epochs of both, got {len(training)} and {len(validation)}")
    with drawing(6, 3.6, out) as figure:
        axes = figure.subplots()
        epochs, names = list(range(1, len(training) + 1)), ("training", "validation")
        _draw_curves(axes, epochs, list(training), list(validation), names=names)
        axes.set_title("Loss")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    return figure


def confusion(matrix: Array, classes: Sequence[str] | None = None, *, scores: bool = False, out: Out = None) -> Figure:
    """The confusion matrix: the numbers are counts, the shade is their share of the true class, that is of the row.

    With more than 25 classes the counts are left out. With more than 40 the cells have no edges, and every class
    has its name at the left, in small type, and every fifth at the bottom.

    Args:
        matrix: counts [true, predicted], as `minicnn.train.confusion_matrix` gives them.
        classes: the names of the classes; by default their numbers.
        scores: write the recall beside each true class, and the precision below each predicted one.
        out: a file to write the figure to.

    Raises:
        ValueError: `matrix` is not a square matrix of counts, or the number of names is different.

    >>> figure = minicnn.visualize.confusion(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['cat', 'dog']
    """
    counts = array_of(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size or (counts < 0).any():
        raise ValueError(f"confusion: expected a square matrix of counts, got shape {counts.shape}")
    names = [str(i) for i in range(len(counts))] if classes is None else list(classes)
    if len(names) != len(counts):
        raise ValueError(f"confusion: {len(names)} class names for a matrix of {len(counts)} classes")
    totals = counts.sum(axis=1, keepdims=True)  # (classes, 1)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    right, total = int(np.trace(counts)), int(counts.sum())
    below, left = names, names
    if scores and total:
        each = precision_recall_f1(counts)
        below = [f"{name}\n{percent(p, 0)}" for name, p in zip(names, each.precision, strict=True)]
        left = [f"{name}  {percent(r, 0)}" for name, r in zip(names, each.recall, strict=True)]
    many = len(names) > EDGES
    side = max(4.2, 0.52 * len(names) + 1.6) if not many else min(0.13 * len(names) + 2.5, 40)
    with drawing(side + 1, side, out) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1)
        if len(names) <= COUNTS:
            _write_counts(axes, counts, shares)
        rotated, beside = max(map(len, names)) > 3, 5 if many else 1
        shown: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if rotated else {}
        small: dict[str, Any] = {"fontsize": 7} if many else {}
        axes.set_xticks(range(0, len(names), beside), below[::beside], **shown)
        axes.set_yticks(range(len(names)), left, **small)
        if not many:
            edges = np.arange(len(names) + 1) - 0.5
            axes.set_xticks(edges, minor=True)
            axes.set_yticks(edges, minor=True)
            axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="both", length=0)
        axes.set_xlabel("predicted, and precision" if scores and total else "predicted")
        axes.set_ylabel("true, and recall" if scores and total else "true")
        for spine in axes.spines.values():
            spine.set_visible(False)
        if total:
            axes.set_title(f"{right:,} of {total:,} correct ({percent(right / total)})")
        bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.03, format=lambda share, _: percent(share, 0))
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
    return figure


def errors(
    images: Any, targets: Any, predictions: Any, probabilities: Any, n: int = 20,
    *, classes: Sequence[str] | None = None, out: Out = None,
) -> Figure:  # fmt: skip
    """The mistakes that the net was surest of: each image with its true class, the predicted class and its probability.

    Args:
        images: (N, H, W), (N, C, H, W) with C 1 or 3, or (N, H, W, 3); or a sequence of such images, whose sizes may
            differ; only those that are drawn are asked for.
        targets: the true classes (N,).
        predictions: the predicted classes (N,).
        probabilities: of each prediction (N,), or of all classes (N, classes).
        n: how many at most; if there are fewer, the title says that these are all.
        classes: the names of the classes; by default their numbers.
        out: a file to write the figure to.

    Raises:
        ValueError: the arrays have different lengths, or n is below 1.

    >>> figure = minicnn.visualize.errors(minicnn.rand(3, 8, 8), [0, 1, 1], [1, 1, 0], [0.9, 0.8, 0.6])
    """
    true, said, sure = (array_of(a) for a in (targets, predictions, probabilities))
    if n < 1 or not len(images) == len(true) == len(said) == len(sure):
        lengths = ", ".join(str(len(a)) for a in (images, true, said, sure))
        raise ValueError(f"errors: expected n >= 1 and arrays of one length, got n={n} and lengths {lengths}")
    if sure.ndim == 2:
        sure = sure[np.arange(len(sure)), said]  # (N, classes) -> (N,)
    wrong = np.flatnonzero(true != said)
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:n]
    names = (
        [str(i) for i in range(int(max(true.max(initial=0), said.max(initial=0))) + 1)] if classes is None else classes
    )
    labels = [f"true {names[true[i]]}, said {names[said[i]]} ({percent(sure[i], 0)})" for i in shown]
    if max(map(len, labels), default=0) > 24:  # wider than an image
        labels = [label.replace(", said", "\nsaid") for label in labels]
    columns = 5
    rows = -(-len(shown) // columns)
    with drawing(10, (2.47 if "\n" in "".join(labels) else 2.27) * rows + 0.45 if rows else 1.6, out) as figure:
        heading(figure, _errors_title(len(wrong), len(shown), len(true)))
        if not rows:
            bare(axes := figure.subplots())
            axes.text(0.5, 0.5, "Nothing to show: every prediction is right.", ha="center", va="center", color=GREY)
        else:
            grid = figure.subplots(rows, columns, squeeze=False).ravel()
            for axes in grid[len(shown) :]:
                axes.set_visible(False)
            for axes, index, label in zip(grid, shown, labels, strict=False):
                show(axes, _to_drawable(array_of(images[int(index)])))
                axes.set_title(label, fontsize=10, fontweight="normal", loc="center", pad=5)
    return figure


def _errors_title(wrong: int, shown: int, total: int) -> str:
    if not wrong:
        return f"No mistakes among {total:,} images"
    among = f"among {total:,} images ({percent(wrong / total)})"
    if wrong == 1:
        return f"The only mistake {among}"
    return (
        f"All {wrong} mistakes {among}, surest first"
        if shown == wrong
        else f"The {shown} surest of {wrong} mistakes {among}"
    )


def _short(loss: float) -> str:
    """Three decimals; three digits for the large losses of a training that diverged."""
    return f"{loss:.3f}" if abs(loss) < 1e6 else f"{loss:.3g}"


def _to_drawable(image: Array) -> Array:
    """(1, H, W) or (3, H, W) -> (H, W) or (H, W, 3); other shapes are not changed."""
    if image.ndim == 3 and image.shape[0] in (1, 3):
        return image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    return image


def _draw_curves(
    axes: Any, epochs: Sequence[int], train: Sequence[float], test: Sequence[float], *, names: tuple[str, str]
) -> None:
    """Draw both curves, with their names at their ends and whole epochs on the axis."""
    from matplotlib.ticker import MaxNLocator

    style: dict[str, Any] = {"marker": "o", "markersize": 4} if len(epochs) < 4 else {}
    axes.plot(epochs, train, color=ORANGE, **style)
    axes.plot(epochs, test, color=BLUE, **style)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    span, room = max(epochs[-1] - epochs[0], 1), 0.14 if max(map(len, names)) < 6 else 0.3
    axes.set_xlim(epochs[0] - 0.03 * span, epochs[-1] + room * span)  # room for the names on the right
    ticks = MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1).tick_values(epochs[0], epochs[-1])
    axes.set_xticks([int(tick) for tick in ticks if epochs[0] <= tick <= epochs[-1]])
    axes.set_xlabel("epoch")
    _name_ends(axes, epochs[-1], [(names[0], train[-1], ORANGE), (names[1], test[-1], BLUE)])


def _name_ends(axes: Any, x: float, ends: list[tuple[str, float, str]]) -> None:
    """Write each curve's name at its end; names that would overlap are moved apart."""
    low, high = axes.get_ylim()
    gap = 0.075 * (high - low)
    ends = [end for end in ends if math.isfinite(end[1])]  # without validation, one curve
    places: tuple[float, ...] = tuple(y for _, y, _ in ends)
    if len(ends) == 2:
        a, b = places
        half = max(abs(a - b), gap) / 2
        middle = min(max((a + b) / 2, low + gap / 2 + half), high - gap / 2 - half)  # not over the axis or the title
        places = (middle + half, middle - half) if a >= b else (middle - half, middle + half)
    for (name, _, color), y in zip(ends, places, strict=True):
        place: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(name, (x, y), color=color, fontweight="bold", **place)


def _mark(axes: Any, x: float, y: float, label: str) -> None:
    """Draw a ring at an epoch, and its label above the axes, where it cannot cover a curve."""
    ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "white", "markeredgecolor": BLUE, "markeredgewidth": 2}
    axes.plot([x], [y], "o", zorder=5, clip_on=False, **ring)
    axes.set_title(label, loc="right", color=BLUE, fontsize=10, fontweight="normal")


def _write_counts(axes: Any, counts: Array, shares: Array) -> None:
    """Write the counts except zeros, white on dark cells; in smaller type if there are many classes."""
    size = 11 if len(counts) <= 12 else max(5, 132 / len(counts))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=size)
