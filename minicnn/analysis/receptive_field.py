"""The receptive field: the pixels of the image that a cell of a feature map depends on.

Along one side, with kernel K, stride S, padding P and dilation D of each layer in turn, starting from size 1, jump 1:

    size  <- size + (K - 1) D jump
    start <- start - P jump
    jump  <- jump S

Cell i sees the pixels start + i*jump .. start + i*jump + size - 1. Three 3x3 convolutions see 7 pixels. Where branches
meet, the field is the smallest rectangle around theirs. Not all pixels in it count: a dilated kernel skips some.

A. Araujo et al., "Computing receptive fields of convolutional neural networks", 2019,
https://distill.pub/2019/computing-receptive-fields.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import ShapeError, counted, whole

from ..nn import Module
from ..nn.module import check_module
from ..ops.tensor.linear_map import Map, View
from .arguments import shapes
from .explanation import explained
from .fields import Side
from .graph import Graph, Shape, Value
from .propagation import propagate
from .table import printable
from .trace import trace

Pair = tuple[float, float]
LONGEST = 1 << 15  # pixels of a side: the fields of all its rows are in memory


class Box(NamedTuple):
    """A rectangle of pixels; the last row and column belong to it. Empty if bottom < top or right < left."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """The number of rows."""
        return max(self.bottom - self.top + 1, 0)

    @property
    def width(self) -> int:
        """The number of columns."""
        return max(self.right - self.left + 1, 0)


@dataclass(eq=False)
class ReceptiveField:
    """The fields of the cells of one feature map; all pairs are (vertical, horizontal).

    A cell is a place in the map, with all its channels. Which axes of the tensor are its rows and columns follows from
    the run: the last two of (N, C, H, W), the middle two of (N, H, W, C), the one axis of the tokens (N, L, C).

    Attributes:
        size: of the moving window, in pixels; padding counts.
        stride: the distance of the windows of neighbouring cells, in pixels; negative where the map is flipped.
        offset: the centre of the window of cell (0, 0): 0 is the centre of the first pixel.
        context: whether each cell also depends on a summary of the whole map, as after squeeze-and-excitation or a
            normalisation over the image: the box is then larger than the window.
        image: (H, W) of the input.
        cells: (OH, OW) of the map; (1, F) for a map that was flattened, or for F tokens; (1, 1) for what a linear layer
            gives. If a map was cut into windows, the axes of windows and of rows count as one.
        grid: whether the rows of cells lie along the height of the image, and the columns along its width.
        layers: the fields after each layer, in the order of the run; only in the result of `receptive_field`.
        decision: the first layer of which some cell's window is as large as the image: from here on a decision can use
            all of it. None if there is none; only in the result of `receptive_field`.
    """

    size: Pair
    stride: Pair
    offset: Pair
    context: bool
    image: tuple[int, int]
    cells: tuple[int, int]
    grid: bool
    axes: tuple[int, ...] = field(repr=False)  # of the cells: all but the last are rows
    sides: tuple[Side, Side] = field(repr=False)
    layers: list[LayerField] = field(default_factory=list, repr=False)
    decision: LayerField | None = field(default=None, repr=False)

    def box(self, row: int = 0, column: int = 0, *, clipped: bool = True) -> Box:
        """Return the rectangle of the pixels that a cell depends on.

        Args:
            row, column: of the cell; negative numbers count from the end.
            clipped: the pixels of the image only: exact, the smallest rectangle around them. It is an upper bound after
                operations without a rule and those whose rows only the numbers tell (sorting, indices made from the
                image), where more than 131,072 places were joined to one axis and the net computes along it, and where
                places in padding alone are mixed with others in another shape than rectangles. Otherwise the window,
                without context, as if the image went on beyond its edges, whose rows and columns may be negative.

        Raises:
            IndexError: there is no such cell.

        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2))
        >>> minicnn.analysis.receptive_field(net, (3, 32, 32)).box(0, 5)
        Box(top=0, left=9, bottom=2, right=12)
        """
        if not (-self.cells[0] <= row < self.cells[0] and -self.cells[1] <= column < self.cells[1]):
            raise IndexError(f"box: there is no cell ({row}, {column}) in a map of {self.cells[0]} x {self.cells[1]}")
        spans = []
        for side in self.sides:
            first, last, begin, end = self._values(side, row % self.cells[0], column % self.cells[1])
            if not clipped and np.isfinite([begin, end]).all():
                spans.append((int(np.floor(begin)), int(np.ceil(end))) if last >= 0 else (0, -1))
            else:
                spans.append((int(first), int(last)) if last >= 0 else (0, -1))
        (top, bottom), (left, right) = spans
        return Box(top, left, bottom, right)

    def _values(self, side: Side, row: int, column: int) -> list[Any]:
        """Return first, last, begin and end of a cell."""
        where = [0] * len(side.parts)
        for axes, place in ((self.axes[:-1], row), (self.axes[-1:], column)):
            dims = [d for axis in axes for d in side.dims(axis)]
            for d, i in zip(dims, np.unravel_index(place, [side.parts[d] for d in dims]), strict=False):
                where[d] = int(i)
        return [a[tuple([i if n > 1 else 0 for i, n in zip(where, a.shape, strict=True)])] for a in side.arrays]

    @property
    def covers(self) -> bool:
        """Whether every cell depends on the whole image."""
        seen = zip(self.sides, self.image, strict=True)
        return all(
            side.first.max(initial=0) <= 0 and side.last.min(initial=pixels) >= pixels - 1 for side, pixels in seen
        )

    @property
    def reaches(self) -> bool:
        """Whether the window of some cell is as large as the image."""
        return all(s >= n for s, n in zip(self.size, self.image, strict=True)) or self.covers

    def __str__(self) -> str:
        rows = [("layer", "cells", "size", "stride", "offset")]
        for layer in self.layers:
            one = layer.field
            size = _pair(one.size) + (" + context" if one.context else "")
            cells = f"{one.cells[0]} x {one.cells[1]}"
            rows.append((printable(f"{layer.name} ({layer.kind})"), cells, size, _pair(one.stride), _pair(one.offset)))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        first = self.decision
        seen = "No layer sees" if first is None else f"{first.name} ({first.kind}) is the first layer to see"
        lines.append(f"{seen} the whole image of {self.image[0]} x {self.image[1]} pixels.")
        return "\n".join(lines)


class LayerField(NamedTuple):
    """A layer, or a function between layers, and the field of its output."""

    name: str
    kind: str
    field: ReceptiveField


def _pair(pair: Pair) -> str:
    a, b = (f"{x:g}" for x in pair)
    return a if a == b else f"{a} x {b}"


def receptive_field(
    model: Module, input_size: Shape | Sequence[Shape], *, dtypes: Any = None, input: int = 0
) -> ReceptiveField:
    """Return the receptive field of the cells of a net's output, with those of all layers in `layers`.

    It follows from the kernels, strides, paddings and dilations alone; nothing is computed. Where a net has several
    outputs, it is that of the first; `print` shows the table of the layers.

    Args:
        model: the net.
        input_size: (C, H, W), or (C, L) for signals; a list of shapes for several inputs.
        dtypes: the types of the inputs, as in `summary`.
        input: the number of the input that is the image.

    Raises:
        TypeError: model is no Module, or its forward takes another number of inputs.
        ValueError: input_size is not a shape, or that of the input is not one of an image or signal.
        ShapeError: the net does not take this input; the message names the layer.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3))
    >>> found = minicnn.analysis.receptive_field(net, (3, 32, 32))
    >>> found.size, found.stride, found.offset
    ((10.0, 10.0), (2.0, 2.0), (4.5, 4.5))
    >>> [(layer.name, layer.field.size[0]) for layer in found.layers]
    [('0', 3.0), ('1', 5.0), ('2', 6.0), ('3', 10.0)]
    """
    check_module("receptive_field", model)
    sizes = shapes("receptive_field", input_size)
    input = whole(input, "receptive_field", "input")
    if not -len(sizes) <= input < len(sizes):
        raise ValueError(
            f"receptive_field: there is no input {input}, as input_size has {counted(len(sizes), 'shape')}; give the "
            f"number of the image among the inputs, from 0 to {len(sizes) - 1}"
        )
    size = sizes[input]
    if not has_fields(size):
        raise ValueError(
            f"receptive_field: the input must be (C, H, W) or (C, L), with sides up to {LONGEST:,} pixels, got {size}"
        )
    graph = trace(model, input_size, dtypes=dtypes, op="receptive_field")
    if (error := explained(graph)) is not None:
        raise error
    found = fields(graph, input)
    nodes = [node for node in graph.nodes if node.outputs and id(node.outputs[0]) in found]
    layers = [LayerField(node.name, node.kind, found[id(node.outputs[0])]) for node in nodes]
    last = replace(found[id(output_of("receptive_field", graph, found))], layers=layers)
    for node, layer in zip(nodes, layers, strict=True):
        if layer.field.reaches and any(o.function not in (Map, View) for o in node.operations):  # flattening only moves
            last.decision = layer
            break
    return last


def output_of(op: str, graph: Graph, found: Container[int]) -> Value:
    """Return the first output of a net that depends on the input.

    Raises:
        ShapeError: there is none.
    """
    for value in graph.outputs:
        if id(value) in found:
            return value
    given = ", ".join(str(v.shape) for v in graph.outputs)
    what = f"no output of the net depends on the input; it returned {given}" if given else "the net returned no tensor"
    raise ShapeError(f"{op}: {what}; its forward must compute the result from its argument and return it")


def has_fields(size: Shape) -> bool:
    """Return whether an input, without the batch axis, is an image or a signal whose rows can be listed."""
    return 2 <= len(size) <= 3 and max(size[1:]) <= LONGEST


def fields(graph: Graph, input: int = 0) -> dict[int, ReceptiveField]:
    """Return the fields of all tensors that depend on an image, by the id of their `Value`."""
    image = graph.inputs[input]
    pixels = image.shape[-2:] if len(image.shape) > 3 else (1, image.shape[-1])
    values = {id(v): v for v in (image, *(v for o in graph.operations for v in o.outputs))}
    return {key: _field(values[key], sides, pixels) for key, sides in propagate(graph, image).items() if key in values}


def _field(value: Value, sides: tuple[Side, Side], image: Shape) -> ReceptiveField:
    lying = [side.lying() for side in sides]
    axes = _cell_axes(len(value.shape), lying, [side.moving() for side in sides])
    others = [axis for axis in range(len(value.shape)) if axis not in axes]
    vertical, horizontal = (side.pooled(others) for side in sides)
    images = 1  # an axis that the batch is part of has the cells of all images
    if 0 in axes and all(len(side.groups[0]) > 1 and not side.jumps[0] for side in sides):
        images = math.gcd(*(side.parts[0] for side in sides))
    sizes = [value.shape[axis] // (images if axis == 0 else 1) for axis in axes]
    shared = lying[0] == lying[1]
    return ReceptiveField(
        size=(vertical.size, horizontal.size),
        stride=(_stride(vertical, lying[0], shared), _stride(horizontal, lying[1], shared)),
        offset=(_centre(vertical), _centre(horizontal)),
        context=vertical.context or horizontal.context,
        image=(image[0], image[1]),
        cells=(math.prod(sizes[:-1]), math.prod(sizes[-1:])),
        grid=len(axes) < 3 and set(lying[0]) <= set(axes[:-1]) and set(lying[1]) <= set(axes[-1:]),
        axes=axes,
        sides=(vertical, horizontal),
    )


def _cell_axes(rank: int, lying: list[list[int]], moving: list[list[int]]) -> tuple[int, ...]:
    """Return the axes of the cells: those along which the windows move; of an image two, even if it has one row."""
    found = {*lying[0], *lying[1]}
    if rank == 3 and not found:
        return (2,)
    joined = len(found) == 1 and lying[0] == lying[1]  # both sides lie along the same axis
    for axis in (rank - 1, rank - 2) if rank > 3 else ():
        if len(found) < 2 and (not joined or axis in moving[0] or axis in moving[1]):
            found.add(axis)
    return tuple(sorted(found))


def _stride(side: Side, lying: list[int], shared: bool) -> float:
    """Return the distance of neighbouring windows along the last of the axes; in a joined axis, of two that differ."""
    if not lying:
        return max(side.jumps, key=abs, default=0.0) or side.jump
    axis = lying[-1]
    jumps = [side.jumps[d] for d in side.dims(axis) if side.jumps[d] and side.parts[d] > 1]
    if not shared or not jumps:
        return side.step(axis)
    if len(side.dims(axis)) > 1:
        return jumps[-1]
    with np.errstate(invalid="ignore"):  # Inf - Inf, of rows without pixels
        steps = np.diff(side.begin, axis=side.dims(axis).start)
    steps = steps[np.isfinite(steps) & (steps != 0)]
    return float(np.median(steps)) if steps.size else jumps[-1]


def _centre(side: Side) -> float:
    return side.start + (side.size - 1) / 2
