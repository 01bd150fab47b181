"""Comparisons of whole nets, and the memory of a net line by line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...device import Device as device
from ...models import get_model
from ...models.registry import MODELS
from ...nn import Conv2d, Linear, Module, activation
from ..table import Table
from .costs import BYTES, layer_costs


def memory(model: str | Module = "vgg16", size: Sequence[int] | None = None, *, claimed: int | None = None) -> Table:
    """The values that a forward pass keeps, layer by layer: "memory early, parameters late".

    Counted are the image and the outputs of all convolutions, poolings and linear layers, as in the courses' listing of
    VGG-16; activations and dropout can work in place. The courses print a total of 24 million values, or 93 or 96 MB,
    for VGG-16; their own lines add up to 15,237,608 values, or 61 MB. The notes below the table say so.

    Args:
        model: the name of a model, or a net on the meta device.
        size: the shape of the image, (C, H, W); by default that of the registry.
        claimed: a total to be compared with the right one; for "vgg16" that of the courses.
    """
    if isinstance(model, str):
        size = size or MODELS[model.lower()].input_size if model.lower() in MODELS else size
        claimed = 24_000_000 if claimed is None and model.lower() == "vgg16" else claimed
        with device("meta"):
            net = get_model(model)
    else:
        net = model
    if size is None:
        raise ValueError("memory: give the size of the image, such as size=(3, 224, 224)")
    modules = dict(net.named_modules())
    rows: list[list[Any]] = [["input", tuple(size), math.prod(size), 0, 0]]
    copies = 0
    for name, one in layer_costs(net, size).items():
        kind = type(modules[name]).__name__ if name in modules else "function"
        if "Adaptive" in kind and one.output == rows[-1][1]:
            continue  # VGG's, made for images of other sizes; here it passes its input on
        if one.parameters or "Pool" in kind or "Norm" in kind:
            rows.append([f"{name} {kind}", one.output, math.prod(one.output), one.weights, one.macs])
        elif kind in activation.__all__:
            copies += math.prod(one.output)
    total = sum(row[2] for row in rows)
    weights, macs = (sum(row[i] for row in rows) for i in (3, 4))
    rows.append(["total", None, total, weights, macs])
    notes = [
        f"{total:,} values, {total * BYTES:,} bytes in float32 ({total * BYTES / 1e6:.1f} MB) for the forward pass of "
        "one image; about twice as much with the gradients of the backward pass.",
        f"With a copy for the output of each activation: {total + copies:,} values.",
    ]
    if claimed is not None:
        notes.append(
            f"The courses print {claimed / 1e6:.0f} million values ({claimed * BYTES / 1e6:.0f} MB) as the total. "
            f"That is wrong: the lines above add up to {total / 1e6:.1f} million."
        )
    name = model if isinstance(model, str) else type(model).__name__
    return Table(f"Memory of {name}", ["layer", "output", "values", "weights", "MACs"], rows, notes)


def nets(*names: str) -> Table:
    """Whole nets side by side; each value also as a share of the first net's.

    The papers of ResNet and VGG count the multiplications of the convolutions only and call them FLOPs: 3.8 and 15.3
    billion for ResNet-50 and VGG-16. (VGG's linear layers add 0.1 billion.)

    Args:
        names: of models; by default ResNet-50, with the strides of its paper, and VGG-16. `nets("alexnet_two_towers",
            "squeezenet1_0")` shows the factor 50 of SqueezeNet's paper.
    """
    rows: list[list[Any]] = []
    first: tuple[int, int] | None = None
    for name in names or ("resnet50_v1", "vgg16"):
        with device("meta"):
            net = get_model(name)
        entry = MODELS[name.lower()]
        layers = layer_costs(net, entry.input_size)
        modules = dict(net.named_modules())
        convolutions, linear = (
            sum(one.macs for key, one in layers.items() if isinstance(modules.get(key), kind))
            for kind in (Conv2d, Linear)
        )
        parameters = sum(p.numel() for p in net.parameters())
        first = first or (parameters, convolutions)
        rows.append([
            name, parameters, parameters * BYTES, parameters / first[0], convolutions, linear, convolutions / first[1],
            entry.top1,
        ])  # fmt: skip
    columns = [
        "", "parameters", "bytes", "parameters, relative", "MACs of convolutions", "MACs of linear layers",
        "MACs, relative", "top-1 %",
    ]  # fmt: skip
    return Table("Whole nets, for one image", columns, rows, ["Top-1 accuracies are the published ones."])
