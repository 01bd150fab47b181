"""Charts along the layers of a net: linear probes, blocks that are left out, gradients, activations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..explain.blocks import Dropped
from ..explain.flow import ActivationStatistics, LayerFlow
from ..explain.probes import Probe
from .style import BLUE, COLOURS, GREY, ORANGE, PALE, drawing, heading, percent, percentages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None
MOST = 24  # histograms in one figure


def probes(rows: Sequence[Probe], *, accuracy: float | None = None, out: Out = None) -> Figure:
    """The accuracy of linear probes by depth, on the images they were fitted to, and on others.

    Args:
        rows: the result of `explain.linear_probes`.
        accuracy: that of the net itself, from 0 to 1, drawn as a line.
        out: a file to write.

    Raises:
        ValueError: there are no probes.

    >>> from minicnn.explain import Probe
    >>> figure = minicnn.visualize.probes([Probe("input", "pixels", 64, 0.9, 0.8), Probe("1", "ReLU", 32, 0.95, 0.9)])
    """
    found = list(rows)
    if not found:
        raise ValueError("probes: there are no probes to draw")
    at = np.arange(len(found))
    with drawing(max(5.5, 0.55 * len(found) + 2.2), 4.2, out) as figure:
        heading(figure, "What a linear classifier makes of each layer")
        axes = figure.subplots()
        for part, colour, marker in (("train", ORANGE, "s"), ("test", BLUE, "o")):
            values = [100 * getattr(row, part) for row in found]
            axes.plot(at, values, color=colour, marker=marker, markersize=5, label=f"probe, {part} images")
        if accuracy is not None:
            axes.axhline(100 * accuracy, color=GREY, linewidth=1.2, linestyle="--", zorder=0, label="the net itself")
        names = [f"{row.layer} ({row.features})" for row in found]
        axes.set_xticks(at, names, rotation=40, ha="right", rotation_mode="anchor", fontsize=9)
        axes.set_ylabel("accuracy (%)")
        axes.set_xlabel("layer (numbers of each image that the probe gets)", fontsize=9, color=GREY)
        axes.grid(axis="y")
        axes.margins(y=0.12)
        percentages(axes)
        axes.legend(frameon=False, fontsize=9)
    return figure


def dropped(found: Dropped, *, out: Out = None) -> Figure:
    """The error of a net without each of its residual blocks; and, if it was measured, without several.

    Args:
        found: the result of `explain.drop_blocks`.
        out: a file to write.
    """
    if not found.blocks:
        raise ValueError("dropped: there are no blocks to draw")
    several = {n: 100 * (1 - one) for n, one in found.together.items() if len(one)}
    count = len(found.blocks)
    ratios = [max(3.2, min(0.3 * count, 9)), *([3.0] if several else [])]
    with drawing(sum(ratios) + 1.6, 4.3, out) as figure:
        heading(figure, f"Error without residual blocks ({found.images:,} images)")
        panels = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
        axes, whole, at = panels[0], 100 * (1 - found.accuracy), np.arange(count)
        for i, row in enumerate(found.blocks):
            same = row.block.same_shape
            axes.bar(i, 100 * (1 - row.accuracy), 0.75, color=BLUE if same else ORANGE, hatch="" if same else "//",
                     edgecolor="white", linewidth=0)  # fmt: skip
        axes.axhline(whole, color=GREY, linewidth=1.2, linestyle="--")
        every = max(1, count // 30)
        axes.set_xticks(at[::every], [row.block.name for row in found.blocks][::every], rotation=60, ha="right",
                        rotation_mode="anchor", fontsize=8 if count > 12 else 9)  # fmt: skip
        axes.set_ylabel("error (%)")
        axes.set_ylim(0, 100)
        axes.set_title("without one block", fontsize=11, fontweight="normal", loc="center")
        changes = any(not row.block.same_shape for row in found.blocks)
        text = f"Dashed: the whole net, {percent(1 - found.accuracy, 1)}."
        text += "  Orange, hatched: the shape changes." if changes else ""
        figure.supxlabel(text, fontsize=9, color=GREY)
        if several:
            axes = panels[1]
            for n, values in several.items():
                axes.plot(np.full(len(values), n), values, "o", color=BLUE, markersize=4, alpha=0.5)
            order = sorted(several)
            axes.plot(order, [several[n].mean() for n in order], color=BLUE, marker="_", markersize=12)
            axes.axhline(whole, color=GREY, linewidth=1.2, linestyle="--")
            axes.set_ylim(0, 100)
            axes.set_xticks(order)
            axes.set_xlabel("blocks left out at random")
            axes.set_title("without several", fontsize=11, fontweight="normal", loc="center")
        for axes in panels:
            axes.grid(axis="y")
            axes.set_axisbelow(True)
    return figure


def flow(rows: Sequence[LayerFlow], *, out: Out = None) -> Figure:
    """Gradients by depth on a logarithmic axis: their mean absolute value for outputs and for weights, and the ratio.

    Rows fall from the input at the top to the output at the bottom. The ratio |gradient|/|weight| says how much one
    step with learning rate 1 would change the weights of a layer. Layers with NaN or infinite gradients are marked.

    Args:
        rows: the result of `explain.gradient_flow`.
        out: a file to write.

    Raises:
        ValueError: there are no rows.

    >>> from minicnn.explain import gradient_flow
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> figure = minicnn.visualize.flow(gradient_flow(net, minicnn.rand(8, 4), minicnn.zeros(8, dtype=minicnn.int64)))
    """
    if not rows:
        raise ValueError("flow: there are no gradients to draw")
    at = np.arange(len(rows))
    with drawing(9.0, max(2.8, 0.2 * len(rows) + 1.5), out) as figure:
        heading(figure, "Gradients of one step, layer by layer")
        left, middle, right = figure.subplots(1, 3, sharey=True)
        _lollipops(left, at, [row.activation.mean for row in rows], BLUE, "o")
        _lollipops(middle, at, [None if row.weight is None else row.weight.mean for row in rows], ORANGE, "s")
        ratios = [
            row.weight.norm / row.parameters.norm if row.weight and row.parameters and row.parameters.norm else None
            for row in rows
        ]
        _lollipops(right, at, ratios, GREY, "D")
        for axes, title in (
            (left, "outputs: mean |g|"), (middle, "weights: mean |g|"), (right, "weights: |g| / |w| (norms)")
        ):  # fmt: skip
            axes.set_title(title, fontsize=10, fontweight="normal", loc="center")
            axes.grid(axis="x")
        for i, row in enumerate(rows):
            if row.activation.bad or (row.weight and row.weight.bad):
                left.annotate("NaN or infinite", (1, i), xycoords=("axes fraction", "data"), ha="right", va="center",
                              fontsize=8, color=ORANGE, fontweight="bold")  # fmt: skip
        size = 9 if len(rows) <= 24 else 7
        left.set_yticks(at, [f"{row.layer} ({row.kind})" for row in rows], fontsize=size)
        left.set_ylim(len(rows) - 0.4, -0.6)
        for axes in (middle, right):
            axes.tick_params(axis="y", length=0)
    return figure


def flows(
    found: Mapping[str, Sequence[LayerFlow]], what: str = "weight", *, title: str = "", out: Out = None
) -> Figure:
    """The gradients of several nets by depth, on a logarithmic axis: which of them vanish?

    Only layers with trained parameters count, from the first one after the image on. A gradient of 0 has no place on
    such an axis, and is left out.

    Args:
        found: results of `explain.gradient_flow`, by the names of the nets; at most eight.
        what: "weight", the mean absolute gradient of the weights, or "activation", that of the outputs.
        title: of the figure; by default it says what is drawn.
        out: a file to write.

    Raises:
        ValueError: there is nothing to draw, too much, or `what` is unknown.
    """
    from matplotlib.ticker import MaxNLocator

    if what not in ("weight", "activation"):
        raise ValueError(f"flows: what must be 'weight' or 'activation', got {what!r}")
    layers = {name: [row for row in rows if row.weight is not None] for name, rows in found.items()}
    if not 0 < len(found) <= len(COLOURS) or not all(layers.values()):
        raise ValueError(f"flows: needs 1 to {len(COLOURS)} nets, each with a layer that has gradients for its weights")
    with drawing(8.4, 4.0, out) as figure:
        heading(
            figure, title or f"Mean |gradient| of the {'weights' if what == 'weight' else 'outputs'}, layer by layer"
        )
        axes = figure.subplots()
        axes.set_yscale("log")
        for (name, rows), colour in zip(layers.items(), COLOURS, strict=False):
            values = [getattr(row, what).mean or np.nan for row in rows]
            axes.plot(np.arange(1, len(rows) + 1), values, color=colour, label=name, marker="o", markersize=3.5)
        axes.set_xlabel("layer, from the image to the scores")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(loc="outside right center", frameon=False, fontsize=10)
    return figure


def _lollipops(axes: Any, at: Any, values: Sequence[float | None], colour: str, marker: str) -> None:
    """A dot for each value above 0 on a logarithmic axis, with a line from the left."""
    shown = [(i, value) for i, value in zip(at, values, strict=True) if value]
    axes.set_xscale("log")
    if not shown:
        axes.set_xlim(1e-3, 1)
        return
    low = min(value for _, value in shown) / 3
    axes.set_xlim(low, max(value for _, value in shown) * 3)
    for i, value in shown:
        axes.plot([low, value], [i, i], color=PALE, linewidth=1.5, zorder=1)
        axes.plot([value], [i], marker, color=colour, markersize=4.5, zorder=2)


def activations(rows: Sequence[ActivationStatistics], *, out: Out = None) -> Figure:
    """Histograms of what layers give, with mean, deviation, zeros, dead and saturated units.

    Zeros are left out of a histogram where they are more than half of all, since the other bars would not be seen.

    Args:
        rows: the result of `explain.activation_statistics`; of more than 24 layers, 24 are drawn, evenly chosen.
        out: a file to write.

    Raises:
        ValueError: there are no rows.

    >>> from minicnn.explain import activation_statistics
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> figure = minicnn.visualize.activations(activation_statistics(net, minicnn.rand(8, 4)))
    >>> len(figure.axes)
    2
    """
    if not rows:
        raise ValueError("activations: there is nothing to draw")
    shown = list(rows)
    if len(shown) > MOST:
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, MOST).round().astype(int)]
    columns = min(len(shown), 4)
    lines = -(-len(shown) // columns)
    with drawing(2.6 * columns + 0.2, 1.75 * lines + 0.5, out) as figure:
        heading(figure, "Activations, layer by layer")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for axes, row in zip(grid.flat, shown, strict=False):
            axes.set_visible(True)
            _histogram(axes, row)
    return figure


def _histogram(axes: Any, row: ActivationStatistics) -> None:
    counts = np.array(row.counts, float)
    total, skipped = counts.sum(), 0.0
    if row.zeros > 0.5 and total:
        zero = int(np.clip(np.searchsorted(row.edges, 0, side="right") - 1, 0, len(counts) - 1))
        skipped, counts[zero] = min(counts[zero], row.zeros * total), max(0.0, counts[zero] - row.zeros * total)
    share = counts / (total or 1)
    axes.bar(row.edges[:-1], share, np.diff(row.edges), align="edge", color=BLUE, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=0.7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.02)
    axes.set_ylim(0, 1.5 * (share.max() or 1))  # the numbers stand above the bars
    axes.set_title(row.layer, fontsize=9 if len(row.layer) < 26 else 7, loc="left", pad=4)
    facts = [row.kind, f"mean {row.mean:.2g}", f"std {row.std:.2g}"]
    facts += [f"zero {row.zeros:.0%}" + (", not drawn" if skipped else "")] if row.zeros >= 0.005 else []
    facts += [f"dead {row.dead:.0%}"] if row.dead >= 0.005 else []
    facts += [f"saturated {row.saturated:.0%}"] if row.saturated is not None else []
    facts += [f"NaN or infinite {row.bad:.0%}"] if row.bad else []
    axes.text(
        0.99, 0.97, "\n".join(facts), transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip
