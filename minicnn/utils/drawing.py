"""Boxes, masks, points and motion drawn on images, for looking at what a net has found.

Each function takes an image as a tensor (C, H, W), uint8 or floating point in 0..1, and returns a new one of its type;
Pillow draws the lines and the text.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside, host
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..tensor import Tensor

__all__ = ["draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks", "flow_to_image"]

Colour = str | tuple[int, int, int]
Colours = list[Colour] | Colour | None

_DASH = 5  # pixels of a dash, and of the gap after it


def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Colours = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Colours = None,
    label_background_colors: Colours = None,
    fill_labels: bool = False,
) -> Tensor:
    """Boxes on an image, with a label each.

    Args:
        image: (3, H, W), or grey (1, H, W), which becomes three equal channels.
        boxes: (N, 4), each (xmin, ymin, xmax, ymax) in pixels; or (N, 8), the four corners (x1, y1, ..., x4, y4) of
            turned boxes, of which the side from the first corner to the second is dashed. Fractions are cut off.
        labels: a text for each box; None: no text.
        colors: one for all boxes, or a list of one for each: names, "#rrggbb" or (red, green, blue) in 0..255. None:
            different colours.
        fill: fill the boxes with a thin coat of their colour.
        width: of the lines, in pixels.
        font: the file of a TrueType font; None: Pillow's own.
        font_size: in points; only with `font` (default: 10).
        label_colors: as `colors`; None: the boxes' colours, or black on filled labels.
        label_background_colors: as `colors`, with `fill_labels`; None: the boxes' colours.
        fill_labels: put a coloured ground behind the texts.

    Returns:
        (3, H, W), of the image's type.

    Raises:
        TypeError, ValueError: an image, boxes or colours of another kind; a box whose xmin is greater than its xmax.
        OSError: the font cannot be read.

    >>> image = minicnn.zeros(3, 4, 5, dtype=minicnn.uint8)
    >>> minicnn.utils.draw_bounding_boxes(image, minicnn.tensor([[1, 0, 3, 2]]), colors="red")[0]
    tensor([[  0, 255, 255, 255,   0],
            [  0, 255,   0, 255,   0],
            [  0, 255, 255, 255,   0],
            [  0,   0,   0,   0,   0]], dtype=minicnn.uint8)
    """
    op = "draw_bounding_boxes"
    pixels = _pixels(op, image, grey=True)
    corners = _corners(op, boxes)
    if not len(corners):
        warnings.warn("draw_bounding_boxes: there are no boxes, so none is drawn", stacklevel=2)
        return image
    texts: Sequence[str | None] = [None] * len(corners) if labels is None else labels
    if len(texts) != len(corners):
        raise ValueError(f"{op}: there are {len(corners)} boxes and {len(texts)} labels; give each box one")
    of_boxes = _colours(op, "colors", colors, len(corners))
    black: Colours = "black" if fill_labels else None
    of_texts = _colours(op, "label_colors", label_colors or black, len(corners), of_boxes)
    of_grounds = _colours(op, "label_background_colors", label_background_colors, len(corners), of_boxes)
    canvas, draw = _canvas(pixels, "RGBA" if fill else None)
    letters = _font(op, font, font_size)
    for box, text, colour, ink, ground in zip(corners, texts, of_boxes, of_texts, of_grounds, strict=True):
        _box(draw, box, colour, (*colour, 100) if fill else None, width)
        if text is not None:
            place = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = draw.textbbox(place, text, font=letters)
                draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=ground)
            draw.text(place, text, fill=ink, font=letters)
    return _result(canvas, image)


def _corners(op: str, boxes: Any) -> list[list[int]]:
    """The numbers of each box, cut to whole ones."""
    if not isinstance(boxes, Tensor):
        raise TypeError(f"{op}: boxes should be a tensor (N, 4) or (N, 8), got {shown(boxes)}")
    array = host(boxes.array)
    if not array.size:
        return []
    if array.ndim != 2 or array.shape[1] not in (4, 8):
        raise ShapeError(f"{op}: boxes should be (N, 4) or (N, 8), got shape {tuple(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{op}: the boxes hold NaN or infinite numbers: {shown(boxes)}")
    found: list[list[int]] = array.astype(np.int64).tolist()
    for box in found:
        if len(box) == 4 and (box[0] > box[2] or box[1] > box[3]):
            raise ValueError(f"{op}: a box is (xmin, ymin, xmax, ymax), the least first; got {box}")
    return found


def _box(draw: Any, box: list[int], colour: Any, coat: Any, width: int) -> None:
    """An upright box of 4 numbers; or a turned one of 8, with one side dashed."""
    if len(box) == 4:
        draw.rectangle(box, outline=colour, fill=coat, width=width)
        return
    points = list(zip(box[::2], box[1::2], strict=True))
    if coat is not None:
        draw.polygon(points, fill=coat)
    (x, y), (to_x, to_y) = points[:2]
    length = math.hypot(to_x - x, to_y - y)
    for start in range(0, math.ceil(length), 2 * _DASH):
        shares = (start / length, min(start + _DASH, length) / length)
        draw.line([(x + share * (to_x - x), y + share * (to_y - y)) for share in shares], fill=colour, width=width)
    draw.line([*points[1:], points[0]], fill=colour, width=width)


def draw_segmentation_masks(image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colours = None) -> Tensor:
    """Masks as coloured areas on an image: x becomes (1 - alpha) x + alpha colour. Where masks overlap, this is black.

    Args:
        image: (3, H, W).
        masks: bool, (N, H, W) or (H, W).
        alpha: 0, where the masks are invisible, to 1, where they hide the image.
        colors: as in `draw_bounding_boxes`.

    Raises:
        TypeError, ValueError: an image, masks, alpha or colours of another kind.

    >>> mask = minicnn.tensor([[True, False]])
    >>> minicnn.utils.draw_segmentation_masks(minicnn.ones(3, 1, 2), mask, alpha=0.25, colors="red")[:, 0]
    tensor([[1.0000, 1.0000],
            [0.7500, 1.0000],
            [0.7500, 1.0000]])
    """
    op = "draw_segmentation_masks"
    _pixels(op, image)
    if not isinstance(masks, Tensor) or masks.dtype != np.bool_:
        kind = masks.dtype if isinstance(masks, Tensor) else shown(masks)
        raise TypeError(f"{op}: masks should be a tensor of bool, got {kind}; make one with masks > 0.5")
    areas = host(masks.array)
    areas = areas[None] if areas.ndim == 2 else areas
    if areas.ndim != 3 or areas.shape[1:] != tuple(image.shape[1:]):
        raise ShapeError(
            f"{op}: masks should be (N, H, W) of the image's size, got {tuple(areas.shape)} for {tuple(image.shape)}"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"{op}: alpha should be from 0 to 1, got {alpha}")
    if not len(areas):
        warnings.warn("draw_segmentation_masks: there are no masks, so none is drawn", stacklevel=2)
        return image
    before = host(image.array)
    paint = before.copy()
    full = 255 if before.dtype == np.uint8 else 1  # white
    for area, colour in zip(areas, _colours(op, "colors", colors, len(areas)), strict=False):
        paint[:, area] = (np.array(colour) / 255 * full).astype(before.dtype)[:, None]  # (3, 1) on (3, pixels)
    paint[:, areas.sum(axis=0) > 1] = 0
    work = np.promote_types(before.dtype, np.float32)
    mixed = before.astype(work) * (1 - alpha) + paint.astype(work) * alpha
    return Tensor(beside(mixed.astype(before.dtype), image.array))


def draw_keypoints(
    image: Tensor,
    keypoints: Tensor,
    connectivity: list[tuple[int, int]] | None = None,
    colors: Colour | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: Tensor | None = None,
) -> Tensor:
    """Points on an image, with white lines between those that belong together.

    Args:
        image: (3, H, W).
        keypoints: (N, K, 2), the places (x, y) of K points of each of N things; fractions are cut off.
        connectivity: pairs of numbers of points, such as [(0, 1), (1, 2)], that a line connects.
        colors: one for all points; None: only lines are drawn.
        radius: of the points, in pixels.
        width: of the lines.
        visibility: bool, (N, K): the points to draw; None: all.

    Raises:
        TypeError, ValueError: an image, points, lines or colours of another kind.

    >>> points = minicnn.tensor([[[2., 1.]]])
    >>> minicnn.utils.draw_keypoints(minicnn.zeros(3, 3, 5), points, colors="white", radius=1)[0]
    tensor([[0., 0., 1., 0., 0.],
            [0., 1., 1., 1., 0.],
            [0., 0., 1., 0., 0.]])
    """
    op = "draw_keypoints"
    pixels = _pixels(op, image)
    if not isinstance(keypoints, Tensor) or keypoints.ndim != 3 or keypoints.shape[2] != 2:
        found = tuple(keypoints.shape) if isinstance(keypoints, Tensor) else shown(keypoints)
        raise ShapeError(f"{op}: keypoints should be a tensor (N, K, 2), got {found}")
    places = host(keypoints.array)
    seen = np.ones(places.shape[:2], bool) if visibility is None else host(visibility.array).astype(bool)
    seen = seen[..., 0] if seen.ndim == 3 and seen.shape[2] == 1 else seen
    if seen.shape != places.shape[:2]:
        raise ShapeError(f"{op}: visibility should be (N, K) = {places.shape[:2]}, got {seen.shape}")
    for pair in connectivity or ():
        if len(pair) != 2 or not all(0 <= whole(one, op, "connectivity") < places.shape[1] for one in pair):
            raise ValueError(f"{op}: connectivity has pairs of numbers from 0 to {places.shape[1] - 1}, got {pair}")
    colour = None if colors is None else _colours(op, "colors", colors, 1)[0]
    canvas, draw = _canvas(pixels)
    for points, shows in zip(places.astype(np.int64).tolist(), seen, strict=True):
        for (x, y), show in zip(points, shows, strict=True):
            if show and colour is not None:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        for start, end in connectivity or ():
            if shows[start] and shows[end]:
                draw.line([tuple(points[start]), tuple(points[end])], fill="white", width=width)
    return _result(canvas, image)


# Baker et al.: from red over yellow, green, cyan, blue and magenta back to red, with this many colours from each to the
# next, since the eye tells hues apart unequally well; the channel that changes, and whether it rises.
_WHEEL = ((15, 1, True), (6, 0, False), (4, 2, True), (11, 1, False), (13, 0, True), (6, 2, False))


def flow_to_image(flow: Tensor) -> Tensor:
    """Motion as colours: the hue is the direction, and the more saturated, the faster; white does not move.

    The colours are those of S. Baker et al., "A database and evaluation methodology for optical flow", 2011.

    Args:
        flow: float32, (2, H, W) or (N, 2, H, W): how far each pixel moves to the right and down. The fastest pixel of
            all gets the full colour.

    Returns:
        uint8, (3, H, W) or (N, 3, H, W).

    Raises:
        TypeError, ValueError: `flow` is not float32 or has another shape.

    >>> minicnn.utils.flow_to_image(minicnn.tensor([[[0., 1.]], [[0., 0.]]]))[:, 0]
    tensor([[255, 255],
            [255,   0],
            [255,   0]], dtype=minicnn.uint8)
    """
    if not isinstance(flow, Tensor) or flow.dtype != np.float32:
        kind = flow.dtype if isinstance(flow, Tensor) else shown(flow)
        raise TypeError(f"flow_to_image: takes a tensor of float32, got {kind}; use flow.float()")
    if flow.ndim not in (3, 4) or flow.shape[-3] != 2:
        raise ShapeError(f"flow_to_image: takes flow (2, H, W) or (N, 2, H, W), got shape {tuple(flow.shape)}")
    moves = host(flow.array)
    speed = np.hypot(moves[..., 0, :, :], moves[..., 1, :, :])
    speed_limit = float(speed.max(initial=0.0)) + float(np.finfo(np.float32).eps)
    right, down = moves[..., 0, :, :] / speed_limit, moves[..., 1, :, :] / speed_limit
    wheel = _wheel()
    place = (np.arctan2(-down, -right) / np.float32(np.pi) + 1) / 2 * (len(wheel) - 1)  # 0 .. colours - 1
    below = np.floor(place).astype(np.int64)
    part = (place - below)[..., None]
    hue = (1 - part) * wheel[below] + part * wheel[(below + 1) % len(wheel)]  # (..., H, W, 3)
    saturated = 1 - np.hypot(right, down)[..., None] * (1 - hue)
    return Tensor(
        beside(np.ascontiguousarray(np.moveaxis(np.floor(255 * saturated), -1, -3).astype(np.uint8)), flow.array)
    )


def _wheel() -> np.ndarray:
    """The colours of the wheel, (colours, 3) in 0..1."""
    colours, current = [], np.array([1.0, 0.0, 0.0], np.float32)
    for number, channel, rises in _WHEEL:
        for step in range(number):
            colour = current.copy()
            share = np.floor(255 * step / number) / 255
            colour[channel] = share if rises else 1 - share
            colours.append(colour)
        current[channel] = float(rises)
    return np.stack(colours)


def _pixels(op: str, image: Any, *, grey: bool = False) -> np.ndarray:
    """An image as uint8 (H, W, 3)."""
    from ..transforms.convert import ConvertImageDtype

    if not isinstance(image, Tensor):
        raise TypeError(f"{op}: image should be a tensor (3, H, W), got {shown(image)}")
    if image.ndim != 3 or image.shape[0] not in ((1, 3) if grey else (3,)):
        kinds = "(3, H, W) or (1, H, W)" if grey else "(3, H, W)"
        hint = "; draw on the images of a batch one by one" if image.ndim == 4 else ""
        raise ShapeError(f"{op}: image should be {kinds}, got shape {tuple(image.shape)}{hint}")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise TypeError(f"{op}: image should be uint8 or floating point in 0..1, got {image.dtype}")
    array = ConvertImageDtype(np.uint8)(image.detach().cpu()).array
    return np.ascontiguousarray(np.broadcast_to(array, (3, *array.shape[1:])).transpose(1, 2, 0))  # -> (H, W, 3)


def _colours(op: str, name: str, colours: Any, number: int, default: Any = None) -> list[tuple[int, ...]]:
    """A colour (red, green, blue) for each of `number` things."""
    from PIL import ImageColor

    if colours is None:
        # multiples of three numbers that have little in common with 255: neighbours differ, few repeat
        return default or [
            tuple(one * prime % 255 for prime in (2**25 - 1, 2**15 - 1, 2**21 - 1)) for one in range(number)
        ]
    listed = colours if isinstance(colours, list) else [colours] * number
    if len(listed) < number:
        raise ValueError(
            f"{op}: {name} has {len(listed)} colours for {number} objects; give one for each, or one for all"
        )
    found: list[tuple[int, ...]] = []
    for one in listed[:number]:
        if isinstance(one, str):
            found.append(ImageColor.getrgb(one)[:3])
        elif isinstance(one, tuple) and len(one) == 3 and all(0 <= whole(part, op, name) <= 255 for part in one):
            found.append(tuple(int(part) for part in one))
        else:
            raise ValueError(f"{op}: a colour of {name} is a name or (red, green, blue) in 0..255, got {shown(one)}")
    return found


def _canvas(pixels: np.ndarray, mode: str | None = None) -> tuple[Any, Any]:
    """A Pillow image of the pixels, and what draws on it; in mode "RGBA" transparent colours too."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(pixels)
    return canvas, ImageDraw.Draw(canvas, mode)


def _font(op: str, font: str | None, size: int | None) -> Any:
    """The font of a file; None for Pillow's own."""
    from PIL import ImageFont

    if font is None:
        if size is not None:
            warnings.warn(f"{op}: font_size has no effect without font", stacklevel=3)
        return None
    try:
        return ImageFont.truetype(font, size or 10)
    except OSError as error:
        raise OSError(f"{op}: the font {font!r} cannot be read ({error}); give the file of a TrueType font") from error


def _result(canvas: Any, image: Tensor) -> Tensor:
    """What was drawn, as a tensor (3, H, W) of the image's type."""
    from ..transforms.convert import ConvertImageDtype

    drawn = Tensor(np.ascontiguousarray(np.asarray(canvas).transpose(2, 0, 1)))  # (H, W, 3) -> (3, H, W)
    drawn = drawn if image.dtype == np.uint8 else ConvertImageDtype(image.dtype)(drawn)
    return drawn.to(image.device)
