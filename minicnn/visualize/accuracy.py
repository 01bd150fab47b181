"""Charts of what nets reach: accuracy against cost, and the errors of the ImageNet challenge by year."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..models.registry import MODELS, Entry
from .style import BLUE, GREY, INK, ORANGE, PALE, drawing, heading, percentages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None

# one or two nets of each family, for a chart that can be read
IMAGENET = (
    "alexnet", "zfnet", "vgg11", "vgg16", "vgg19", "nin", "googlenet", "bn_inception", "inception_v3", "inception_v4",
    "xception", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2",
    "senet154", "densenet121", "densenet161", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mnasnet1_0", "nasnet_mobile",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b3", "efficientnet_b4", "efficientnet_b7",
)  # fmt: skip
AXES = {"macs": "multiply-accumulates of one image", "params": "parameters"}


def accuracy(
    against: str = "macs",
    models: Iterable[str] | None = None,
    *,
    measured: Mapping[str, float] | None = None,
    out: Out = None,
) -> Figure:
    """Top-1 accuracy of nets against what they cost, on a logarithmic axis; a bubble's area is the other cost.

    Published accuracies are open blue bubbles: they come from many papers, with different trainings and crops. Your own
    measurements are full orange ones.

    Args:
        against: "macs" (then the area is the number of parameters) or "params" (then it is the MACs).
        models: the names of models whose published accuracy is shown; by default those of `measured`, or `IMAGENET`, a
            choice from all families. Only nets for the same data should be shown together.
        measured: accuracies in percent by the names of models, such as {"resnet20": 81.2}.
        out: a .png, .svg or .pdf to write.

    Raises:
        ValueError: `against` or a model is unknown, or there is nothing to show.

    >>> figure = minicnn.visualize.accuracy("params", ["resnet18", "vgg16"])
    >>> figure.axes[0].get_xscale()
    'log'
    """
    if against not in AXES:
        raise ValueError(f"accuracy: against must be one of {', '.join(AXES)}; got {against!r}")
    measured = dict(measured or {})
    names = list(models or measured or IMAGENET)
    unknown = [name for name in [*names, *measured] if name not in MODELS]
    if unknown:
        raise ValueError(f"accuracy: there is no model {unknown[0]!r}; minicnn.models.list_models() lists them all")
    points = [(name, MODELS[name].top1, False) for name in names]
    points += [(name, value, True) for name, value in measured.items()]
    shown = [(name, float(value), own) for name, value, own in points if value is not None]
    if not shown:
        raise ValueError(f"accuracy: no accuracy is known for {', '.join(names) or 'no models'}; give measured={{...}}")
    other = "params" if against == "macs" else "macs"
    with drawing(9.6, 6.6, out) as figure:
        heading(figure, f"Accuracy against {AXES[against]}")
        axes = figure.subplots()
        axes.set_xscale("log")
        most = max(_cost(MODELS[name], other) for name, _, _ in shown)
        for name, value, own in shown:
            area = 30 + 900 * _cost(MODELS[name], other) / most
            x = _cost(MODELS[name], against)
            style: dict[str, Any] = {"facecolor": ORANGE, "edgecolor": ORANGE, "zorder": 4}
            if not own:
                style = {"facecolor": "#CCE3F0A0", "edgecolor": BLUE, "zorder": 3}
            axes.scatter([x], [value], s=area, linewidth=1.2, **style)
        axes.set_xlabel(AXES[against])
        axes.set_ylabel("Top-1 accuracy (%)")
        axes.grid(True, which="major")
        axes.margins(x=0.08, y=0.08)
        percentages(axes)
        axes.xaxis.set_major_formatter(_short)
        text = f"Area of a bubble: {AXES[other]}.  Open, blue: published."
        text += "  Full, orange: measured here." if measured else ""
        figure.supxlabel(text, fontsize=9, color=GREY)
        _labels(figure, axes, shown, against, other, most)
    return figure


def _cost(entry: Entry, which: str) -> int:
    return entry.macs if which == "macs" else entry.params


def _short(value: float, position: Any = None) -> str:
    """1e6 -> "1 M", 2e9 -> "2 G"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def _labels(figure: Any, axes: Any, shown: list[tuple[str, float, bool]], against: str, other: str, most: int) -> None:
    """Name the bubbles: each label goes to the place around its bubble that overlaps least with what is there.

    The axes must not move any more after this, so the layout is done first.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    frame = axes.get_window_extent(renderer)
    points = figure.dpi / 72
    taken: list[tuple[float, float, float, float]] = []
    centres = []
    for name, value, _ in shown:
        x, y = axes.transData.transform((_cost(MODELS[name], against), value))
        radius = ((30 + 900 * _cost(MODELS[name], other) / most) / 3.1416) ** 0.5 * points
        centres.append((x, y, radius))
        taken.append((x - radius * 0.8, y - radius * 0.8, x + radius * 0.8, y + radius * 0.8))
    order = sorted(range(len(shown)), key=lambda i: centres[i][2])  # the labels of small bubbles find room first
    for i in order:
        name, _, own = shown[i]
        x, y, radius = centres[i]
        text = axes.text(0, 0, name, fontsize=8, color=ORANGE if own else INK, zorder=5)
        box = text.get_window_extent(renderer)
        wide, high = box.width + 2, box.height
        best, least = (x, y), float("inf")
        for distance in (2.0, 9.0, 18.0, 30.0):
            away = radius + distance * points / 2
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)):
                cx = x + dx * (away + wide / 2 * abs(dx))
                cy = y + dy * (away + high / 2)
                place = (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
                inside = frame.x0 <= place[0] and place[2] <= frame.x1 and frame.y0 <= place[1] and place[3] <= frame.y1
                cost = sum(_shared(place, one) for one in taken) + distance * 2 + (0 if inside else 1e5)
                if cost < least:
                    best, least = (cx, cy), cost
        place = (best[0] - wide / 2, best[1] - high / 2, best[0] + wide / 2, best[1] + high / 2)
        taken.append(place)
        text.set_position(axes.transData.inverted().transform(best))
        text.set_ha("center")
        text.set_va("center")
        if max(abs(best[0] - x) - wide / 2, abs(best[1] - y) - high / 2) > radius + 5 * points:
            ends = axes.transData.inverted().transform([(x, y), best])
            axes.plot(ends[:, 0], ends[:, 1], color=GREY, linewidth=0.6, zorder=2)


def _shared(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The area that two rectangles share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


class Winner(NamedTuple):
    """An entry of the challenge: its top-5 error on the test set in percent, and whether several nets were averaged."""

    year: int
    name: str
    layers: int | None
    error: float
    ensemble: bool


# O. Russakovsky et al., "ImageNet large scale visual recognition challenge", 2015, https://arxiv.org/abs/1409.0575, and
# the papers of the nets. Courses call the entry of 2013 ZFNet; it is a later net of its first author, Clarifai.
ILSVRC = [
    Winner(2010, "SIFT and SVM", None, 28.2, False),
    Winner(2011, "Fisher vectors", None, 25.8, False),
    Winner(2012, "AlexNet", 8, 16.4, True),
    Winner(2013, "Clarifai", 8, 11.7, True),
    Winner(2014, "VGG", 19, 7.3, True),
    Winner(2014, "GoogLeNet", 22, 6.7, True),
    Winner(2015, "ResNet", 152, 3.57, True),
]
HUMAN = 5.1  # of one trained person: the same paper, section 6.4


def ilsvrc(*, out: Out = None) -> Figure:
    """The top-5 errors of the ImageNet challenge by year, with the depths of the nets.

    Entries that average several nets are marked: a single net has a higher error, such as 18.2 % for AlexNet.

    Args:
        out: a .png, .svg or .pdf to write.

    >>> figure = minicnn.visualize.ilsvrc()
    >>> figure.axes[0].get_ylabel()
    'Top-5 error (%)'
    """
    with drawing(9.4, 4.6, out) as figure:
        heading(figure, "ImageNet challenge: top-5 error of the entries")
        axes = figure.subplots()
        for i, entry in enumerate(ILSVRC):
            deep = entry.layers is not None
            axes.bar(i, entry.error, 0.62, color=BLUE if deep else GREY, hatch="//" if entry.ensemble else "",
                     edgecolor="white", linewidth=0)  # fmt: skip
            axes.text(
                i, entry.error + 0.45, f"{entry.error:g}", ha="center", va="bottom", fontsize=10, fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
        names = [f"{e.name}\n{e.year}\n{f'{e.layers} layers' if e.layers else 'shallow'}" for e in ILSVRC]
        axes.set_xticks(range(len(ILSVRC)), names, fontsize=9)
        axes.tick_params(axis="x", length=0)
        axes.axhline(HUMAN, color=ORANGE, linewidth=1.2, linestyle="--", zorder=0)
        axes.text(len(ILSVRC) + 0.75, HUMAN + 0.4, f"a trained person: {HUMAN}", color=ORANGE, fontsize=9, ha="right")
        axes.set_xlim(-0.6, len(ILSVRC) + 0.8)
        axes.set_ylabel("Top-5 error (%)")
        axes.set_ylim(0, 32)
        axes.grid(True, axis="y", color=PALE)
        axes.set_axisbelow(True)
        figure.supxlabel(
            "Hatched: several nets averaged. Clarifai: by the first author of ZFNet.", fontsize=9, color=GREY
        )
    return figure
