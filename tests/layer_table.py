"""A net's layers as the slides print them, recorded by hooks and not by `minicnn.analysis`, which has its own tests."""

from __future__ import annotations

from typing import Any, NamedTuple

import minicnn
from minicnn import nn


class Line(NamedTuple):
    """A layer: its type, the shape of its output without the batch axis, its parameters, and the weights among them."""

    kind: str
    shape: tuple[int, ...]
    parameters: int
    weights: int


def layer_table(net: nn.Module, *size: int, leave_out: tuple[str, ...] = ()) -> list[Line]:
    """The layers without layers inside, in the order in which they run on an input of this size.

    Activations, dropout, flattening, and the adaptive pooling that changes nothing are left out unless asked for.
    """
    lines: list[Line] = []

    def note(layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        parameters = sum(p.numel() for p in layer.parameters())
        weight = getattr(layer, "weight", None)
        weights = weight.numel() if isinstance(weight, minicnn.Tensor) else 0
        lines.append(Line(type(layer).__name__, tuple(output.shape[1:]), parameters, weights))

    skipped = ("ReLU", "Dropout", "Flatten", "AdaptiveAvgPool2d", *leave_out)
    handles = [
        m.register_forward_hook(note)
        for m in net.modules()
        if not list(m.children()) and type(m).__name__ not in skipped
    ]
    device = next(net.parameters()).device
    with minicnn.no_grad():
        net.eval()(minicnn.zeros(1, *size, device=device))
    for handle in handles:
        handle.remove()
    return lines
