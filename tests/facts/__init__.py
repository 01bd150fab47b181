"""The checkable statements of the courses, and a check of each that computes what is claimed.

    convolution.py    arithmetic of layers: shapes, weights, worked examples, metrics
    blocks.py         costs of blocks: separable, Inception, bottleneck ...
    nets.py, inception_resnet.py    whole nets
    left_out.py       statements that nothing here computes, each with the reason

`@fact("id")` enters a check; it gets the value as stated. For a statement that is wrong, it checks the right value too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import minicnn
from minicnn import models, nn
from minicnn.analysis.comparisons.costs import Cost, layer_costs
from minicnn.models.registry import MODELS

Check = Callable[[Any], None]


class Row(NamedTuple):
    """A statement; `wrong` says why it is wrong, or is empty."""

    id: str
    statement: str
    quantity: str
    value: str
    wrong: str


_FILE = Path(__file__).parents[1] / "analysis" / "course_facts.csv"
ROWS = [Row(**row) for row in csv.DictReader(_FILE.read_text("utf-8").splitlines())]
CHECKS: dict[str, Check] = {}
NEEDS: dict[str, tuple[str, ...]] = {}  # files of `minicnn.models` that a check builds nets from


def value_of(text: str) -> Any:
    """A number, list or object; or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


VALUES = {row.id: value_of(row.value) for row in ROWS}


def fact(*ids: str, needs: str = "") -> Callable[[Check], Check]:
    """Enter a check for these statements."""

    def enter(check: Check) -> Check:
        for name in ids:
            add(name, check, needs)
        return check

    return enter


def add(name: str, check: Check, needs: str = "") -> None:
    """Enter a check for one statement; each has one only."""
    assert name in VALUES, f"there is no statement {name!r}"
    assert name not in CHECKS, f"{name} has two checks"
    CHECKS[name], NEEDS[name] = check, tuple(needs.split())


def build(model: str, **options: Any) -> nn.Module:
    """A model on the meta device."""
    with minicnn.device("meta"):
        return models.get_model(model, **options)


def layers(model: str, kinds: str = "", **options: Any) -> list[tuple[str, str, Cost]]:
    """(name, kind, cost) of each layer of a model, in order; of these kinds only, if any are given."""
    net = build(model, **options)
    modules = dict(net.named_modules())
    found = [
        (name, type(modules[name]).__name__ if name in modules else "function", one)
        for name, one in layer_costs(net, MODELS[model].input_size).items()
    ]
    return [layer for layer in found if not kinds or layer[1] in kinds.split()]


def parameters(model: str, **options: Any) -> int:
    return sum(p.numel() for p in build(model, **options).parameters())


def macs(model: str, kinds: str = "Conv2d Linear", **options: Any) -> int:
    return sum(one.macs for _, _, one in layers(model, kinds, **options))


def shape(layer: nn.Module, *size: int) -> tuple[int, ...]:
    """The output shape of a layer for one image."""
    return tuple(layer(minicnn.zeros(1, *size)).shape[1:])


def hwc(output: tuple[int, ...]) -> list[int]:
    """(C, H, W) as the courses write it: height, width, channels."""
    return [*output[1:], output[0]]


def millions(count: float) -> int:
    return round(count / 1e6)
