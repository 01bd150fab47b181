"""Figures of what a net has learned and computes: its first filters, and the way of one image through it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..nn import AvgPool2d, Conv2d, MaxPool2d, Module
from ..tensor import Array, Tensor, array_of
from ..train.metrics import softmax
from .style import BLUE, GREY, INK, MINUS, PALE, bare, drawing, heading, percent, show, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str] | None


def filters(weight: Any, *, reduce: str = "mean", out: Out = None) -> Figure:
    """The filters of a convolution as images, all on one scale.

    Filters with one input channel are grey: black is negative, mid-grey zero, white positive; the scale is at the side.
    Filters with three input channels are in colour, where mid-grey is zero in each channel. Others are averaged over
    the input channels, or shown channel by channel, one row per filter.

    Args:
        weight: (O, C, KH, KW), such as `model.features[0].weight`.
        reduce: with C other than 1 and 3, "mean" or "none" (one image per channel).
        out: a file to write the figure to.

    Raises:
        ValueError: `weight` is not that of a 2-d convolution, or `reduce` is unknown.

    >>> figure = minicnn.visualize.filters(nn.Conv2d(1, 6, 5).weight)
    """
    w = array_of(weight)
    if w.ndim != 4 or not w.size:
        raise ValueError(f"filters: expected a weight (filters, channels, height, width), got shape {w.shape}")
    if reduce not in ("mean", "none"):
        raise ValueError(f"filters: reduce must be 'mean' or 'none', got {reduce!r}")
    count, channels, height, width = w.shape
    limit = float(np.abs(w).max()) or 1.0
    title = f"{count} filter{'s' * (count > 1)} of {size_of((height, width))}"
    if channels == 3:
        images = w.transpose(0, 2, 3, 1) / (2 * limit) + 0.5  # (O, 3, KH, KW) -> (O, KH, KW, 3), zero at 0.5
        title += ", red, green and blue"
    elif reduce == "none" and channels > 1:
        images = w.reshape(-1, height, width)  # (O, C, KH, KW) -> (O*C, KH, KW)
        title += f", one row each, {channels} input channels"
    else:
        images = w.mean(axis=1)  # (O, C, KH, KW) -> (O, KH, KW)
        limit = float(np.abs(images).max()) or 1.0
        title += f", mean of {channels} input channels" if channels > 1 else ""
    by_channel = len(images) != count
    columns = channels if by_channel else min(count, 6 if count <= 6 else 8 if count <= 32 else 12)
    rows = -(-len(images) // columns)
    cell = min(1.5, 11 / columns)
    wide, high = (
        max(3.0 if channels in (1, 3) else 5.0, cell * columns + (0 if channels == 3 else 1.2)),
        cell * rows * height / width + 0.55,
    )
    with drawing(wide, high, out) as figure:
        heading(figure, title)
        grid = figure.subplots(rows, columns, squeeze=False)
        drawn: Any = None
        for axes, image in zip(grid.flat, images, strict=False):
            drawn = show(axes, image, signed=True, limit=limit)
        for axes in list(grid.flat)[len(images) :]:
            axes.set_visible(False)
        if channels != 3:
            bar = figure.colorbar(drawn, ax=grid, shrink=0.9, pad=0.03, ticks=[-limit, 0, limit])
            bar.ax.set_yticklabels([f"{MINUS}{limit:.2g}", "0", f"{limit:.2g}"])
            bar.outline.set_visible(False)
    return figure


class _Stage(NamedTuple):
    """One step of a net: what did it, and the maps (C, H, W) that came out."""

    module: Module
    maps: Array


def overview(
    model: Module, image: Any, classes: Sequence[str] | None = None, *, target: int | None = None, out: Out = None
) -> Figure:
    """The way of one image through a net with two convolutions, such as LeNet-5, with the net's real numbers.

    From left to right: the image, the first filters, their feature maps, the same after pooling, the feature maps of
    the second convolution, and the probabilities of the classes.

    Args:
        model: a net of Conv2d, activation, pooling, Conv2d, ..., linear; it is not changed.
        image: the input (C, H, W) or (1, C, H, W), as the net takes it.
        classes: the names of the classes; by default their numbers.
        target: the true class, to be shown.
        out: a file to write the figure to; about 1600 x 600 pixels.

    Raises:
        ValueError: the net is built differently, or `image` is not one image.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), nn.Flatten(), nn.Linear(16, 10))
    >>> figure = minicnn.visualize.overview(net, minicnn.rand(1, 8, 8))
    """
    x = array_of(image)
    x = x[0] if x.ndim == 4 and len(x) == 1 else x
    if x.ndim != 3:
        raise ValueError(f"overview: expected one image (C, H, W), got shape {x.shape}")
    stages, scores = _trace(model, x)
    convolutions = [i for i, stage in enumerate(stages) if isinstance(stage.module, Conv2d)]
    pools = [i for i, stage in enumerate(stages) if isinstance(stage.module, (MaxPool2d, AvgPool2d))]
    if len(convolutions) < 2 or not any(convolutions[0] < pool < convolutions[1] for pool in pools):
        raise ValueError(
            "overview: the net must have two convolutions and a pooling between them, as LeNet5 has; "
            f"{type(model).__name__} is built differently"
        )
    first, second = convolutions[:2]
    pool = next(i for i in pools if i > first)
    # A feature map is shown after its activation: this is the input of the next layer.
    maps, pooled, deep = stages[pool - 1].maps, stages[pool].maps, stages[_last_same_size(stages, second)].maps
    kernels = stages[first].module.weight.numpy(force=True).mean(axis=1)  # (O, C, KH, KW) -> (O, KH, KW)
    with drawing(8, 3, out, layout=None) as figure:
        probabilities = softmax(scores[None])[0]  # (classes,) as one row and back
        names = [str(i) for i in range(len(probabilities))] if classes is None else [str(name) for name in classes]
        _draw_overview(figure, x, kernels, (maps, pooled, deep), probabilities, names, target)
    return figure


def has_overview(model: Module) -> bool:
    """Whether the net has two convolutions and a pooling between them, as `overview` needs it."""
    kinds = [module for module in model.modules() if isinstance(module, (Conv2d, MaxPool2d, AvgPool2d))]
    first = next((i for i, module in enumerate(kinds) if isinstance(module, Conv2d)), len(kinds))
    pool = next((i for i in range(first, len(kinds)) if not isinstance(kinds[i], Conv2d)), len(kinds))
    return pool == first + 1 and any(isinstance(module, Conv2d) for module in kinds[pool:])


def _trace(model: Module, x: Array) -> tuple[list[_Stage], Array]:
    """The outputs of the layers that give maps, in order, and the scores (classes,), for one image."""
    stages: list[_Stage] = []

    def note(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            stages.append(_Stage(module, array_of(output[0]).copy()))

    handles = [module.register_forward_hook(note) for module in model.modules() if not list(module.children())]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    place = next((p.device for p in model.parameters()), "cpu")
    try:
        with no_grad():
            scores = array_of(model(Tensor(x[None]).to(place)))  # (C, H, W) -> (1, C, H, W)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    if scores.ndim != 2:
        raise ValueError(f"overview: expected scores (1, classes) from the net, got shape {scores.shape}")
    return stages, scores[0]


def _last_same_size(stages: list[_Stage], start: int) -> int:
    """The last of the steps from `start` on that keep the maps' shape: the convolution, or its activation."""
    while start + 1 < len(stages) and stages[start + 1].maps.shape == stages[start].maps.shape:
        start += 1
    return start


_TOP, _BOTTOM = 0.86, 0.12  # the images lie between these shares of the figure's height, the captions outside


def _draw_overview(
    figure: Figure, x: Array, kernels: Array, maps: tuple[Array, Array, Array], probabilities: Array, names: list[str],
    target: int | None,
) -> None:  # fmt: skip
    """Six columns from left to right, each with its name above and its shape below."""
    image = x[0] if len(x) == 1 else x.transpose(1, 2, 0)  # (C, H, W) -> (H, W) or (H, W, 3)
    found, pooled, deep = maps
    columns: list[
        tuple[str, float, list[Array], int, str, bool]
    ] = [  # title, width, images, side by side, shape, signed
        ("image", 0.15, [image], 1, size_of(x.shape), False),
        ("filters", 0.105, list(kernels[:12]), 2, size_of(kernels.shape), True),
        ("feature maps", 0.175, list(found[:12]), 2, size_of(found.shape), True),
        ("pooled", 0.125, list(pooled[:12]), 2, size_of(pooled.shape), True),
        ("second convolution", 0.2, list(deep[:16]), 4, size_of(deep.shape), True),
    ]
    left, gap = 0.01, 0.024
    for title, width, images, beside, shape, signed in columns:
        _grid(figure, left, width, images, beside, signed)
        _caption(figure, left + width / 2, title, shape)
        figure.text(
            left + width + gap / 2, (_TOP + _BOTTOM) / 2, "\N{RIGHTWARDS ARROW}", ha="center", va="center", color=GREY
        )
        left += width + gap
    _bars(figure, probabilities, names, target, left + 0.02)


def _grid(figure: Figure, left: float, width: float, images: list[Array], beside: int, signed: bool) -> None:
    """Images in square cells on one scale, centred, and as large as `width` and the height allow."""
    wide, high = figure.get_size_inches()
    gap = 0.05  # inches, like all lengths here
    rows = -(-len(images) // beside)
    height = (_TOP - _BOTTOM) * high
    cell = min((width * wide - gap * (beside - 1)) / beside, (height - gap * (rows - 1)) / rows)
    x0 = left * wide + (width * wide - beside * (cell + gap) + gap) / 2
    y0 = (_TOP + _BOTTOM) / 2 * high + (rows * (cell + gap) - gap) / 2
    limit = max(float(np.abs(image).max()) for image in images)
    for i, image in enumerate(images):
        px, py = x0 + i % beside * (cell + gap), y0 - i // beside * (cell + gap) - cell
        axes = figure.add_axes((px / wide, py / high, cell / wide, cell / high))
        show(axes, image, signed=signed, limit=limit if signed else None)


def _caption(figure: Figure, x: float, title: str, shape: str) -> None:
    figure.text(x, _TOP + 0.07, title, ha="center", va="center", fontsize=8.5, fontweight="bold", color=INK)
    figure.text(x, _BOTTOM - 0.065, shape, ha="center", va="center", fontsize=7.5, color=GREY)


def _bars(figure: Figure, probabilities: Array, names: list[str], target: int | None, left: float) -> None:
    """The probabilities as horizontal bars, the largest in colour with its value; at most the ten likeliest classes."""
    shown = np.sort(np.argsort(-probabilities, kind="stable")[:10])
    best = int(probabilities.argmax())
    width = 0.985 - left
    axes = figure.add_axes((left, _BOTTOM, width, _TOP - _BOTTOM))
    rows = np.arange(len(shown))
    axes.barh(rows, np.ones(len(shown)), color=PALE, height=0.6, alpha=0.6)
    axes.barh(rows, probabilities[shown], color=[BLUE if i == best else GREY for i in shown], height=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    bare(axes)
    axes.set_yticks(rows, [names[i] for i in shown], fontsize=8)
    axes.tick_params(length=0, pad=3)
    truth = "" if target is None else f"true class: {names[target]}"
    _caption(figure, left + width / 2, f"{names[best]}: {percent(probabilities[best], 1)}", truth)
