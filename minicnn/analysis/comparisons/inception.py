"""The Inception module: naive, with 1x1 reductions, and against one convolution.

C. Szegedy et al., "Going deeper with convolutions", 2014, https://arxiv.org/abs/1409.4842, figure 2.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ...device import Device as device
from ...nn import Conv2d, MaxPool2d, Module, Sequential
from ..table import Table
from .blocks import Branches, _check
from .costs import cost, layer_costs


def inception_module(
    channels: int = 256,
    size: int = 28,
    widths: tuple[int, int, int] = (128, 192, 96),
    reductions: tuple[int, int] = (64, 64),
    projection: int = 64,
) -> Table:
    """The multiplications of each branch: the naive module against the one with 1x1 reductions.

        naive      1x1 | 3x3 | 5x5 | pool, all on C channels; concatenated, with the C channels of the pool
        reduced    1x1 | 1x1, 3x3 | 1x1, 5x5 | pool, 1x1

    A course adds up the products of the reduced module to 358 million; for these sizes their sum is 271,351,808.

    Args:
        channels: C.
        size: height and width of the image.
        widths: outputs of the 1x1, 3x3 and 5x5 convolutions.
        reductions: outputs of the 1x1 convolutions before the 3x3 and the 5x5.
        projection: outputs of the 1x1 convolution after the pooling.
    """
    _check("inception_module", channels=channels, size=size, widths=min(widths), reductions=min(reductions))
    _check("inception_module", projection=projection)
    (one, three, five), (before3, before5) = widths, reductions
    rows: list[list[Any]] = []
    totals = []
    with device("meta"):
        modules = {
            "naive": _module(channels, [[(one, 1)], [(three, 3)], [(five, 5)]], None),
            "reduced": _module(
                channels, [[(one, 1)], [(before3, 1), (three, 3)], [(before5, 1), (five, 5)]], projection
            ),
        }
    for kind, module in modules.items():
        for name, layer in layer_costs(module, (channels, size, size)).items():
            if layer.macs:  # neither the pooling nor the concatenation
                rows.append([f"{kind}: {name.split('.')[-1]}", layer.macs, layer.weights, layer.output])
        whole = cost(module, (channels, size, size))
        totals.append(whole.macs)
        rows.append([f"{kind}: total", whole.macs, whole.weights, whole.output])
    note = f"The reductions divide the multiplications by {totals[0] / totals[1]:.2f}. No biases."
    title = f"Inception module on {channels} channels, {size}x{size}"
    return Table(title, ["", "multiplications", "weights", "output"], rows, [note])


def inception_against_convolution(
    channels: int = 512,
    widths: tuple[int, int, int] = (128, 256, 64),
    reductions: tuple[int, int] = (128, 24),
    projection: int = 64,
    size: int = 14,
) -> Table:
    """The parameters of a module with reductions, branch by branch, against a 3x3 convolution with as many outputs.

    The defaults are module 4c of GoogLeNet with 512 channels in and out: 510,104 parameters against 2,359,808.

    Args:
        channels: C.
        widths: outputs of the 1x1, 3x3 and 5x5 convolutions.
        reductions: outputs of the 1x1 convolutions before the 3x3 and the 5x5.
        projection: outputs of the 1x1 convolution after the pooling.
        size: height and width of the image.
    """
    _check("inception_against_convolution", channels=channels, widths=min(widths), reductions=min(reductions))
    _check("inception_against_convolution", projection=projection, size=size)
    (one, three, five), (before3, before5) = widths, reductions
    branches = [[(one, 1)], [(before3, 1), (three, 3)], [(before5, 1), (five, 5)]]
    with device("meta"):
        module = _module(channels, branches, projection, bias=True)
        outputs = one + three + five + projection
        plain = Sequential(Conv2d(channels, outputs, 3, padding=1))
    names = ["branch 1x1", "branch 3x3", "branch 5x5", "branch pool"]
    rows: list[list[Any]] = []
    for name, net in [*zip(names, module.children(), strict=True), ("module", module), ("3x3 convolution", plain)]:
        found = cost(net, (channels, size, size))
        rows.append([name, found.parameters, found.macs, found.output])
    note = f"The convolution has {rows[-1][1] / rows[-2][1]:.2f} times the parameters of the module."
    title = f"Inception module of {channels} channels to {outputs} against one 3x3 convolution"
    return Table(title, ["", "parameters", "MACs", "output"], rows, [note])


def _module(channels: int, branches: list[list[tuple[int, int]]], projection: int | None, bias: bool = False) -> Module:
    """Branches of convolutions, given by (outputs, kernel), and one of 3x3 pooling, with a projection if that is given.

    The padding keeps the size: without it the outputs could not be concatenated.
    """
    built = []
    for branch in branches:
        inputs, layers = channels, OrderedDict[str, Module]()
        for position, (outputs, kernel) in enumerate(branch):
            before = f" before {branch[-1][1]}x{branch[-1][1]}" if position < len(branch) - 1 else ""
            layers[f"{kernel}x{kernel}{before}"] = Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
            inputs = outputs
        built.append(Sequential(layers))
    pool = OrderedDict[str, Module](pool=MaxPool2d(3, stride=1, padding=1))
    if projection is not None:
        pool["1x1 after pool"] = Conv2d(channels, projection, 1, bias=bias)
    return Branches(*built, Sequential(pool))
