"""What kind of function a layer is: trained or not, moved with its input or not, bound to an input size or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..nn import Module
from ..nn.module import check_module
from .arguments import shapes
from .explanation import explained
from .fields import Side
from .graph import Shape
from .propagation import propagate
from .receptive_field import output_of
from .shifts import shift_of
from .trace import trace

SIZE = 12  # the side of the images on which a layer is looked at, where none is given
_CHANNELS = ("in_channels", "num_features", "num_channels")


class Properties(NamedTuple):
    """What a layer does to an image or a vector.

    Attributes:
        name: the class of the layer.
        parametric: whether it has parameters.
        shift: "equivariant": a shifted image gives the shifted result, up to the borders and to shifts that are no
            multiple of the stride; "invariant": it gives the same result; "neither": each place has its own weights or
            constants, or the result moves another way, as after a flip. A constant whose numbers are not known counts
            as one of its own for each place, such as `arange(12, device=x.device)`.
        fixed_size: whether its parameters fit one input size only.
        global_context: whether each output depends on the whole image, or on all values of a vector.
    """

    name: str
    parametric: bool
    shift: str
    fixed_size: bool
    global_context: bool


def properties(layer: Module, input_size: Shape | None = None) -> Properties:
    """Return the properties of a layer or a net; nothing is computed.

    A dense layer has parameters, moves nothing, takes one input size and sees everything; a convolution has parameters,
    is equivariant, takes any size and sees a window.

    Args:
        layer: the layer.
        input_size: (C, H, W), or (F,) for vectors; None for 12 x 12 pixels, or for the values that a linear layer
            takes. The image should be larger than the layer's windows: one that sees a smaller image whole counts as
            global.

    Raises:
        TypeError: the layer is no Module.
        ValueError: input_size is not the shape of one input.
        ShapeError: the layer does not take this input, or returns nothing that depends on it.

    >>> found = minicnn.analysis.properties(nn.Conv2d(3, 8, 3, padding=1))
    >>> found.parametric, found.shift, found.fixed_size, found.global_context
    (True, 'equivariant', False, False)
    >>> minicnn.analysis.properties(nn.Linear(12, 2)).shift
    'neither'
    """
    check_module("properties", layer)
    size = _usual(layer) if input_size is None else _one(input_size)
    graph = trace(layer, size, op="properties")
    if (error := explained(graph)) is not None:
        raise error
    sides = propagate(graph, graph.inputs[0])
    output = output_of("properties", graph, sides)
    larger = trace(layer, tuple(n + 2 * (i > 0 or len(size) == 1) for i, n in enumerate(size)))
    pixels = size[-2:] if len(size) > 2 else (1, size[-1])
    context = all(_sees_all(side, n) for side, n in zip(sides[id(output)], pixels, strict=True))
    has = any(True for _ in layer.parameters())
    shift = shift_of(graph, sides, output)
    return Properties(type(layer).__name__, has, shift, larger.error is not None, context)


def _one(input_size: Any) -> Shape:
    """Return the shape of the one input."""
    sizes = shapes("properties", input_size)
    if len(sizes) > 1:
        raise ValueError(f"properties: the layer must have one input, got {sizes}; wrap it in a module with one input")
    return sizes[0]


def _usual(layer: Module) -> Shape:
    """Return the input on which a layer is looked at."""
    module: Any = next((m for m in layer.modules() if not list(m.children())), layer)
    if isinstance(features := getattr(module, "in_features", None), int):
        return (features,)
    normalized = getattr(module, "normalized_shape", ())
    if len(normalized) > 1:
        return tuple(normalized)
    channels = next((n for name in _CHANNELS if isinstance(n := getattr(module, name, None), int)), 4)
    return (channels, SIZE) if type(module).__name__.endswith("1d") else (channels, SIZE, SIZE)


def _sees_all(side: Side, pixels: int) -> bool:
    return bool(side.first.max(initial=0) <= 0 and side.last.min(initial=pixels) >= pixels - 1)


def property_table(layers: Iterable[Module]) -> str:
    """Return the properties of layers as a table, a row a layer.

    >>> print(minicnn.analysis.property_table([nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(12, 2)]))
    layer   parametric  shift        fixed input size  global context
    Conv2d  yes         equivariant  no                no
    ReLU    no          equivariant  no                no
    Linear  yes         neither      yes               yes
    """
    head = ("layer", "parametric", "shift", "fixed input size", "global context")
    rows: list[tuple[str, ...]] = [head]
    for layer in layers:
        name, parametric, shift, fixed, context = properties(layer)
        truths = ["yes" if truth else "no" for truth in (parametric, fixed, context)]
        rows.append((name, truths[0], shift, *truths[1:]))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
