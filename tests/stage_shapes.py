"""The output shapes of the parts of a net, found on the meta device and not by `minicnn.analysis`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minicnn
from minicnn import nn

Shape = tuple[int, ...]


def shapes(net: nn.Module, *size: int) -> dict[str, Shape]:
    """Run images through a net on the meta device; return the shape after each module, by its name, for one image."""
    found: dict[str, Shape] = {}

    def note(name: str) -> Any:
        return lambda layer, inputs, output: found.update({name: tuple(output.shape[1:])})

    for name, part in net.named_modules():
        part.register_forward_hook(note(name))
    with minicnn.no_grad():
        net.eval()(minicnn.zeros(2, *size, device="meta"))
    return found


def stage_shapes(build: Callable[[], nn.Module], size: Shape, names: str) -> list[Shape]:
    """Build a net on the meta device and return the output shape, for one image, of each module in `names`."""
    with minicnn.device("meta"):
        found = shapes(build(), *size)
    return [found[name] for name in names.split()]
