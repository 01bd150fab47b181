"""Padding, cropping, mirroring and erasing.

The functions without an underscore in `__all__` are torchvision's. `padded`, `cropped` and `mirrored` do their work on
all kinds of images, arrays (N, H, W[, C]) too, for the transforms; `name` is that of the caller, for errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import fits, whole

from ... import nn
from ...tensor import Tensor
from ..base import AnyImage, edge_size, is_pil, like, pixels, row_axis, sample, spatial_size, taped, whole_numbers
from .images import Fill, checked_fill, pil_fill
from .resizing import InterpolationMode, ResizeRule

__all__ = [
    "PADDING_MODES",
    "center_crop",
    "center_cropped",
    "corners_and_center",
    "crop",
    "cropped",
    "erase",
    "five_crop",
    "hflip",
    "mirrored",
    "pad",
    "padded",
    "padding_mode_of",
    "resized_crop",
    "spatial_index",
    "ten_crop",
    "vflip",
]  # fmt: skip

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
Sides = tuple[int, ...]  # left, top, right, bottom


def spatial_index(image: Any, rows: slice, columns: slice) -> tuple[Any, ...]:
    """The index of a window of a Tensor (..., C, H, W) or of images (N, H, W[, C])."""
    return (..., rows, columns) if row_axis(image) == -2 else (slice(None), rows, columns)


# ---------------------------------------------------------------------------------------------------------- padding


def padding_mode_of(name: str, padding_mode: Any) -> str:
    """One of `PADDING_MODES`."""
    if padding_mode not in PADDING_MODES:
        raise ValueError(f"{name}: padding_mode should be one of {PADDING_MODES}, got {padding_mode!r}")
    return str(padding_mode)


def pad(img: AnyImage, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant") -> AnyImage:
    """Add cells around a PIL image or a Tensor: (..., H, W) -> (..., top + H + bottom, left + W + right).

    Args:
        padding: one number for all sides, (left/right, top/bottom), or (left, top, right, bottom). Negative numbers
            cut cells off.
        fill: the value of new cells in mode "constant"; for PIL images also one per channel.
        padding_mode: "constant"; "edge" repeats the last cell; "reflect" mirrors without repeating that cell
            (c b | a b c), "symmetric" mirrors and repeats it (b a | a b c).

    Raises:
        ValueError, TypeError: another mode or padding, or a fill that does not fit the image.

    >>> minicnn.transforms.functional.pad(minicnn.tensor([[[1, 2, 3]]]), (2, 0), padding_mode="reflect")
    tensor([[[3, 2, 1, 2, 3, 2, 1]]])
    """
    sides = whole_numbers("pad", "padding should be 1, 2 or 4 whole numbers", padding, (1, 2, 4), -(2**62))
    fill, mode = checked_fill("pad", fill), padding_mode_of("pad", padding_mode)
    return padded("pad", sample("pad", img), sides * (4 // len(sides)), fill, mode)


def padded(name: str, image: Any, sides: Sides, fill: Fill, padding_mode: str) -> Any:
    """`image` of any kind with `sides` (left, top, right, bottom) added; a negative side is cut off."""
    if min(sides) < 0:
        height, width = spatial_size(name, image)
        left, top, right, bottom = (max(-side, 0) for side in sides)
        if left + right >= width or top + bottom >= height:
            raise ValueError(f"{name}: padding {sides} (left, top, right, bottom) leaves nothing of {height} x {width}")
        image = _window(name, image, top, left, height - top - bottom, width - left - right)
        sides = tuple(max(side, 0) for side in sides)
    return (
        _pad_pil(name, image, sides, fill, padding_mode)
        if is_pil(image)
        else _pad_cells(name, image, sides, fill, padding_mode)
    )


def _pad_pil(name: str, image: Any, sides: Sides, fill: Fill, padding_mode: str) -> Any:
    left, top, right, bottom = sides
    if padding_mode == "constant":
        from PIL import ImageOps

        size = image.height + top + bottom, image.width + left + right
        fits(name, (*size, len(image.getbands())), what="image")
        return ImageOps.expand(image, sides, pil_fill(name, image, fill))
    from PIL import Image

    bands = [  # each channel by its own cells
        Image.fromarray(np.pad(np.asarray(band), ((top, bottom), (left, right)), mode=padding_mode))  # type: ignore[call-overload]
        for band in image.split()
    ]
    result = bands[0] if len(bands) == 1 else Image.merge(image.mode, bands)
    if image.mode == "P":
        result.putpalette(image.getpalette())
    return result


def _pad_cells(name: str, images: Any, sides: Sides, fill: Fill, padding_mode: str) -> Any:
    left, top, right, bottom = sides
    if taped(images) and padding_mode == "constant":
        value = np.asarray(0 if fill is None else fill)
        if value.size == 1:
            return nn.functional.pad(images, (left, right, top, bottom), value=value.item())
    array, axis = pixels(name, images), row_axis(images) % images.ndim
    widths = [(0, 0)] * array.ndim
    widths[axis : axis + 2] = (top, bottom), (left, right)
    shape = [size + sum(width) for size, width in zip(array.shape, widths, strict=True)]
    fits(name, shape, array.itemsize, "image")
    if padding_mode != "constant":
        return like(images, np.pad(array, widths, mode=padding_mode))  # type: ignore[call-overload]
    value = np.asarray(0 if fill is None else fill)
    channels = array.shape[3] if isinstance(images, np.ndarray) and array.ndim == 4 else 1
    if value.size not in (1, channels):
        raise ValueError(
            f"{name}: fill has {value.size} values; for these images it should have 1 or {channels}: {fill}"
        )
    if array.dtype.kind in "iu" and not (value.astype(array.dtype) == value).all():
        raise ValueError(f"{name}: the fill {fill} is not a value of type {array.dtype}")
    result = np.empty(shape, array.dtype)
    result[...] = value
    height, width = array.shape[axis : axis + 2]
    result[spatial_index(images, slice(top, top + height), slice(left, left + width))] = array
    return like(images, result)


# ----------------------------------------------------------------------------------------------------------- crops


def crop(img: AnyImage, top: int, left: int, height: int, width: int) -> AnyImage:
    """The window of `height` x `width` cells at (top, left) of a PIL image or a Tensor (..., C, H, W).

    Cells of the window beyond the image are 0.

    >>> minicnn.transforms.functional.crop(minicnn.arange(9).reshape(1, 3, 3), 1, 1, 2, 3)
    tensor([[[4, 5, 0],
             [7, 8, 0]]])
    """
    at = whole_numbers("crop", "top and left should be whole numbers", (top, left), (2,), -(2**62))
    size = whole_numbers("crop", "height and width should be positive whole numbers", (height, width), (2,), 1)
    return cropped("crop", sample("crop", img), *at, *size)


def cropped(name: str, image: Any, top: int, left: int, height: int, width: int) -> Any:
    """`crop` for images of any kind."""
    in_h, in_w = spatial_size(name, image)
    if not is_pil(image) and (top < 0 or left < 0 or top + height > in_h or left + width > in_w):
        fits(name, (height, width), what="image")
        array = pixels(name, image)
        axis, shape = row_axis(image) % array.ndim, list(array.shape)
        shape[axis : axis + 2] = height, width
        result = np.zeros(shape, array.dtype)
        rows, columns = (slice(max(0, at), min(n, at + m)) for at, n, m in ((top, in_h, height), (left, in_w, width)))
        if rows.start < rows.stop and columns.start < columns.stop:
            to = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
            result[spatial_index(image, *to)] = array[spatial_index(image, rows, columns)]
        return like(image, result)
    return _window(name, image, top, left, height, width)


def _window(name: str, image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window of `height` x `width` cells at (top, left), which lies inside a Tensor or array."""
    if is_pil(image):
        return image.crop((left, top, left + width, top + height))
    window = spatial_index(image, slice(top, top + height), slice(left, left + width))
    return image[window] if taped(image) else like(image, np.array(pixels(name, image)[window], order="C"))


def center_crop(img: AnyImage, output_size: int | Sequence[int]) -> AnyImage:
    """The window of `output_size` (h, w), or a square, in the middle; a smaller image is first padded with zeros.

    >>> minicnn.transforms.functional.center_crop(minicnn.arange(16).reshape(1, 4, 4), 2)
    tensor([[[ 5,  6],
             [ 9, 10]]])
    """
    return center_cropped("center_crop", sample("center_crop", img), edge_size("center_crop", output_size))


def center_cropped(name: str, image: Any, size: tuple[int, int]) -> Any:
    """`center_crop` for images of any kind."""
    (out_h, out_w), (height, width) = size, spatial_size(name, image)
    more_h, more_w = max(out_h - height, 0), max(out_w - width, 0)
    if more_h or more_w:
        sides = more_w // 2, more_h // 2, (more_w + 1) // 2, (more_h + 1) // 2
        image = padded(name, image, sides, 0, "constant")
    top, left = round((height + more_h - out_h) / 2), round((width + more_w - out_w) / 2)
    return _window(name, image, top, left, out_h, out_w)


def resized_crop(
    img: AnyImage,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> AnyImage:
    """`crop`, then `resize` to `size`.

    >>> minicnn.transforms.functional.resized_crop(minicnn.ones(3, 8, 8), 1, 2, 4, 5, (6, 6)).shape
    minicnn.Size([3, 6, 6])
    """
    rule = ResizeRule.of("resized_crop", size, interpolation, None, antialias)
    return rule.apply(crop(img, top, left, height, width))


def five_crop(img: AnyImage, size: int | Sequence[int]) -> tuple[AnyImage, ...]:
    """The windows of `size` at the four corners and in the middle: (top left, top right, bottom left, bottom right,
    centre).

    Raises:
        ValueError: a window larger than the image.

    >>> [int(x) for x in minicnn.transforms.functional.five_crop(minicnn.arange(9).reshape(1, 3, 3), 1)]
    [0, 2, 6, 8, 4]
    """
    return corners_and_center("five_crop", sample("five_crop", img), edge_size("five_crop", size))


def corners_and_center(name: str, image: Any, size: tuple[int, int]) -> tuple[Any, ...]:
    """`five_crop` for images of any kind."""
    (out_h, out_w), (height, width) = size, spatial_size(name, image)
    if out_h > height or out_w > width:
        raise ValueError(f"{name}: requested crop size {size} is bigger than input size {(height, width)}")
    corners = [(top, left) for top in (0, height - out_h) for left in (0, width - out_w)]
    return (*(_window(name, image, *at, *size) for at in corners), center_cropped(name, image, size))


def ten_crop(img: AnyImage, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[AnyImage, ...]:
    """The windows of `five_crop`, then those of the mirrored image (upside down with `vertical_flip`).

    AlexNet was tested on the mean of its predictions for ten such windows.

    >>> len(minicnn.transforms.functional.ten_crop(minicnn.zeros(3, 32, 32), 28))
    10
    """
    mirror = vflip if vertical_flip else hflip
    return five_crop(img, size) + five_crop(mirror(img), size)


# -------------------------------------------------------------------------------------------- mirroring and erasing


def mirrored(name: str, image: Any, vertically: bool) -> Any:
    """A PIL image or a Tensor, mirrored left to right, or upside down."""
    if is_pil(image):
        return image.transpose(int(vertically))  # PIL's FLIP_LEFT_RIGHT is 0, FLIP_TOP_BOTTOM 1
    if taped(image):
        return image.flip(-2 if vertically else -1)
    return like(image, np.array(np.flip(pixels(name, image), -2 if vertically else -1), order="C"))


def hflip(img: AnyImage) -> AnyImage:
    """Mirror a PIL image or a Tensor (..., H, W), left to right.

    >>> minicnn.transforms.functional.hflip(minicnn.tensor([[[1, 2, 3]]]))
    tensor([[[3, 2, 1]]])
    """
    return mirrored("hflip", sample("hflip", img), False)


def vflip(img: AnyImage) -> AnyImage:
    """Mirror a PIL image or a Tensor (..., H, W) upside down.

    >>> minicnn.transforms.functional.vflip(minicnn.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """
    return mirrored("vflip", sample("vflip", img), True)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """Write `v` over the window of h x w cells at row i and column j of a Tensor (..., C, H, W).

    Args:
        v: a number, or what broadcasts to (C, h, w): a Tensor (C, 1, 1) is one value per channel.
        inplace: write into `img`.

    >>> minicnn.transforms.functional.erase(minicnn.ones(1, 2, 3), 0, 1, 2, 2, 0)
    tensor([[[1., 0., 0.],
             [1., 0., 0.]]])
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"erase takes a Tensor (..., C, H, W), got {type(img).__name__}; use it after ToTensor")
    array = pixels("erase", img.detach())
    i, j, h, w = (whole(value, "erase", what) for value, what in zip((i, j, h, w), "ijhw", strict=True))
    value = np.asarray(v.detach().array if isinstance(v, Tensor) else v)
    window = (..., slice(i, i + h), slice(j, j + w))
    try:
        np.broadcast_to(value, array[window].shape)
    except ValueError:
        raise ValueError(
            f"erase: v of shape {value.shape} does not fit the window {array[window].shape} of an image {array.shape}"
        ) from None
    if inplace or taped(img):
        result = img if inplace else img.clone()
        result[window] = Tensor(value.astype(array.dtype))
        return result
    cells = array.copy()
    cells[window] = value
    return Tensor(cells)
