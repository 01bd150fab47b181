"""What a unit of a net sees: its receptive field on an image, by the rule and by gradients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.arguments import cell_of
from ..analysis.empirical_field import EmpiricalField, empirical_receptive_field
from ..analysis.receptive_field import Box, LayerField, receptive_field
from ..device import Device
from ..models import get_model
from ..models.registry import MODELS
from ..nn import Module
from ..tensor import Array, array_of
from .style import BLUE, GREY, INK, ORANGE, bare, drawing, heading, show, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8  # rectangles in one picture


def field(
    model: Module | str,
    input_size: Sequence[int] | None = None,
    *,
    layer: str | None = None,
    cell: tuple[int, int] | None = None,
    image: Any = None,
    empirical: bool = False,
    out: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the receptive fields of the layers up to one, on an image: rectangles that grow from layer to layer.

    Each rectangle is what the cell in the middle of a layer's map depends on, by the rule (size, stride and offset of
    `analysis.receptive_field`). With `empirical`, a second picture shows how much each pixel really counts: the mean
    size of the gradient of the last of these cells, of the net with the weights that it has. In a net with random
    weights, most of it is in the middle of the rectangle.

    Args:
        model: a net, or the name of one of `minicnn.models`.
        input_size: (C, H, W); by default the one of the registry, for a name.
        layer: the dotted name of the layer to end with; by default the last one that has a map of more than one cell.
        cell: (row, column) in the map of that layer; by default the middle one.
        image: (C, H, W) or (H, W), drawn below; by default a photograph. It has no influence on the fields.
        empirical: draw the gradients, too. The net is run forward and backward, so it must not be on the meta device.
        out: a .png, .svg or .pdf to write.

    Raises:
        ValueError: there is no such model, layer or cell, or the net does not take this input.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3))
    >>> figure = minicnn.visualize.field(net, (1, 16, 16))
    """
    net, size = _built(model, input_size, empirical)
    try:
        fields = receptive_field(net, size)
    except Exception as error:
        raise ValueError(f"field: the net does not take images {size_of(size)}: {error}") from error
    maps = [one for one in fields.layers if min(one.field.cells) > 1 and one.field.grid]
    chosen = _layer(fields.layers, maps, layer)
    end = fields.layers.index(chosen)
    row, column = _cell(chosen, cell)
    boxes = _growing(fields.layers[: end + 1], (row, column))
    picture = _picture(image, size)
    name = model if isinstance(model, str) else type(model).__name__
    place = layer or _module(chosen.name)
    count = 2 if empirical else 1
    high = 4.6 * size[1] / max(size[1], size[2]) + 0.9
    with drawing(4.6 * count + 3.0, max(high, 3.2), out) as figure:
        heading(figure, f"{name}: what cell ({row}, {column}) of {f'layer {place}' if place else 'the output'} sees")
        panels = figure.subplots(1, count + 1, width_ratios=[4.6] * count + [2.6])
        show(panels[0], picture)
        colours = _colours(len(boxes))
        for (_, box), colour in zip(boxes, colours, strict=True):
            _rectangle(panels[0], box, colour)
        panels[0].set_title("by the rule")
        if empirical:
            found = empirical_receptive_field(net, tuple(size), layer=place or None, cell=(row, column), count=4)
            _heat(panels[1], found, boxes[-1][1])
        _legend(panels[-1], boxes, colours, size)
    return figure


def _built(model: Module | str, input_size: Sequence[int] | None, real: bool) -> tuple[Module, tuple[int, int, int]]:
    """The net, and the size of its images."""
    if isinstance(model, Module):
        if input_size is None:
            raise ValueError("field: give the size of the images, such as input_size=(3, 224, 224)")
        net = model
    elif real:
        net = get_model(model)
    else:
        with Device("meta"):
            net = get_model(model)
    size = tuple(input_size or MODELS[str(model).lower()].input_size)
    if len(size) != 3:
        raise ValueError(f"field: the size of an image is (C, H, W), got {size}")
    return net, (size[0], size[1], size[2])


def _layer(layers: list[LayerField], maps: list[LayerField], name: str | None) -> LayerField:
    """The layer of this name, or the last one with a map."""
    if name is None:
        named = [one for one in maps if one.kind[:1].isupper()]  # layers, not functions
        if not named:
            raise ValueError("field: the net has no layer with a map of several cells")
        return named[-1]
    inside = [one for one in layers if one.name == name or one.name.startswith(f"{name}.")]
    if not inside:
        known = ", ".join(one.name for one in maps[:: max(1, len(maps) // 6)])
        raise ValueError(f"field: there is no layer {name!r}; there are {known} ...")
    if not inside[-1].field.grid:
        raise ValueError(
            f"field: the output of {name} is no map with rows along the height and columns along the width of the "
            "image; name a layer before or after it"
        )
    return inside[-1]


def _module(name: str) -> str:
    """The module whose output a layer's is; a layer that has run before, "relu (2)", stands for the block around it."""
    return name.rpartition(".")[0] if name.endswith(")") else name


def _cell(layer: LayerField, cell: tuple[int, int] | None) -> tuple[int, int]:
    rows, columns = layer.field.cells
    row, column = (rows // 2, columns // 2) if cell is None else cell_of("field", cell)
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"field: there is no cell ({row}, {column}) in the map {rows} x {columns} of {layer.name}")
    return row, column


def _growing(layers: list[LayerField], cell: tuple[int, int]) -> list[tuple[LayerField, Box]]:
    """The boxes of the layers whose field is larger than the one before, at the place of the last layer's cell.

    In earlier maps it is the cell whose field has its centre nearest to that of the last one.
    """
    last = layers[-1].field
    centre = [last.offset[i] + cell[i] * last.stride[i] for i in (0, 1)]
    found: list[tuple[LayerField, Box]] = []
    for one in layers:
        field = one.field
        if not field.grid:  # tokens, windows ...: the same pixels in another order
            continue
        near = [
            int(np.clip(round((centre[i] - field.offset[i]) / field.stride[i]), 0, field.cells[i] - 1)) for i in (0, 1)
        ]
        at = cell if one is layers[-1] else (near[0], near[1])
        box = field.box(*at, clipped=False)
        if not found or box.height > found[-1][1].height or box.width > found[-1][1].width or one is layers[-1]:
            if found and one is layers[-1] and found[-1][1][2:] == box[2:] and found[-1][1][:2] == box[:2]:
                found.pop()
            found.append((one, box))
    if len(found) > MOST:
        places = np.linspace(0, len(found) - 1, MOST).round().astype(int)
        found = [found[i] for i in places]
    return found


def _picture(image: Any, size: tuple[int, int, int]) -> Array:
    """An image to draw on, (H, W) or (H, W, 3)."""
    if image is not None:
        given = array_of(image)
        given = given.transpose(1, 2, 0) if given.ndim == 3 else given  # (C, H, W) -> (H, W, C)
        given = given[..., 0] if given.ndim == 3 and given.shape[2] == 1 else given
        if given.shape[:2] != size[1:] or (given.ndim == 3 and given.shape[2] != 3):
            raise ValueError(f"field: the image must be {size_of(size)} or {size_of(size[1:])}, got {given.shape}")
        return given
    from PIL import Image
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("flower.jpg"))
    side = min(photo.size)
    left = (photo.width - side) // 2
    photo = photo.crop((left, 0, left + side, side)).resize((size[2], size[1]), Image.Resampling.BILINEAR)
    return np.asarray(photo if size[0] == 3 else photo.convert("L"))


def _colours(count: int) -> list[Any]:
    """From light to dark."""
    import matplotlib

    shades = matplotlib.colormaps["YlOrRd"]
    return [shades(0.25 + 0.65 * i / max(count - 1, 1)) for i in range(count)]


def _rectangle(axes: Any, box: Box, colour: Any, **style: Any) -> None:
    """A frame around the pixels; a part outside the image is cut off."""
    from matplotlib.patches import Rectangle

    corner = box.left - 0.5, box.top - 0.5
    axes.add_patch(Rectangle(corner, box.width, box.height, fill=False, edgecolor=colour, linewidth=2.0, **style))


def _heat(axes: Any, found: EmpiricalField, box: Box) -> None:
    """The gradients, with the box of the rule and the effective size."""
    bare(axes, frame=True)
    weights = found.weights / (found.weights.max() or 1.0)
    axes.imshow(weights**0.5, cmap="Blues", vmin=0, vmax=1)  # the root shows the small ones, too
    _rectangle(axes, box, ORANGE)
    axes.set_title("by gradients")
    size = f"effective size {found.size[0]:.0f} x {found.size[1]:.0f} pixels".replace(
        " x ", " \N{MULTIPLICATION SIGN} "
    )
    axes.set_xlabel(f"{size}; 95 % of the weight in {100 * found.share:.0f} % of the pixels", fontsize=8.5, color=GREY)


def _legend(axes: Any, boxes: list[tuple[LayerField, Box]], colours: list[Any], size: tuple[int, int, int]) -> None:
    """The layers of the rectangles, with the size of their fields and their strides."""
    bare(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    step = min(0.11, 0.92 / len(boxes))
    for i, ((layer, box), colour) in enumerate(zip(boxes, colours, strict=True)):
        y = 0.95 - i * step
        axes.plot([0.0, 0.1], [y, y], color=colour, linewidth=3)
        axes.text(0.14, y, f"{layer.name}", fontsize=9, va="center", color=INK)
        stride = layer.field.stride
        text = f"{size_of((box.height, box.width))}, stride {stride[0]:g}"
        axes.text(0.14, y - 0.42 * step, text, fontsize=8, va="center", color=GREY)
    if boxes[-1][1].height > size[1]:
        axes.text(0, 0.95 - len(boxes) * step, "larger than the image", fontsize=8.5, color=BLUE, va="center")
