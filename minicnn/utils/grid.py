"""Many images as one: side by side in a grid, and on disk."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from minicnn_kernels.arrays import Array, host, xp
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..serialization.files import write_atomically
from ..tensor import Tensor

__all__ = ["make_grid", "save_image"]


def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """The images of a batch side by side in one image, row by row, with `padding` pixels around each.

    N images (C, H, W) give an image (C, padding + rows (H + padding), padding + columns (W + padding)), where
    columns = min(nrow, N) and rows = N / columns, rounded up. Grey images become three equal channels. A single image
    comes back as it is, without padding.

    With `normalize`, values are clipped to [low, high] and become (x - low) / max(high - low, 1e-5).

    Args:
        tensor: images (N, C, H, W), one image (C, H, W) or (H, W), or a list of images of one shape.
        nrow: images per row.
        padding: pixels between images and around all of them.
        normalize: bring the values to 0..1.
        value_range: low and high; None: the least and greatest value there is.
        scale_each: take the least and greatest value of each image instead of those of all.
        pad_value: of the pixels between the images.

    Returns:
        A new tensor of the images' type; no gradient flows through it.

    Raises:
        TypeError: `tensor` is neither a tensor nor a list of tensors, or has whole numbers where they are normalised.
        ValueError, ShapeError: no images, images of different shapes, or numbers that are out of range.

    >>> images = minicnn.tensor([[[[1.]]], [[[2.]]], [[[3.]]]])  # three images of one pixel
    >>> minicnn.utils.make_grid(images, nrow=2, padding=1)[0]
    tensor([[0., 0., 0., 0., 0.],
            [0., 1., 0., 2., 0.],
            [0., 0., 0., 0., 0.],
            [0., 3., 0., 0., 0.],
            [0., 0., 0., 0., 0.]])
    """
    images = _batch(tensor)
    nrow = whole(nrow, "make_grid", "nrow", 1)
    padding = whole(padding, "make_grid", "padding", 0)
    if normalize:
        images = _normalized(images, value_range, scale_each)
    number, channels, height, width = images.shape
    if number == 1:
        return Tensor(images[0].copy())
    columns = min(nrow, number)
    rows = -(-number // columns)
    shape = (channels, padding + rows * (height + padding), padding + columns * (width + padding))
    try:
        grid = xp(images).full(shape, images.dtype.type(pad_value), images.dtype)
    except OverflowError as error:
        raise ValueError(f"make_grid: pad_value {pad_value} does not fit in images of {images.dtype}") from error
    for place, image in enumerate(images):
        top = padding + place // columns * (height + padding)
        left = padding + place % columns * (width + padding)
        grid[:, top : top + height, left : left + width] = image
    return Tensor(grid)


def _batch(tensor: Any) -> Array:
    """The images as an array (N, C, H, W), C being 3 for grey ones."""
    listed = isinstance(tensor, list)
    if not isinstance(tensor, Tensor) and not (listed and all(isinstance(one, Tensor) for one in tensor)):
        raise TypeError(f"make_grid: takes a tensor or a list of tensors, got {shown(tensor)}")
    if listed:
        shapes = {tuple(one.shape) for one in tensor}
        if len(shapes) != 1:
            found = ", ".join(map(str, sorted(shapes))) or "an empty list"
            raise ShapeError(f"make_grid: takes a list of images of one shape, got {found}")
        array = xp(tensor[0].array).stack([one.array for one in tensor])
    else:
        array = tensor.array
    if array.ndim in (2, 3):
        array = array.reshape((1,) * (4 - array.ndim) + array.shape)  # (H, W) or (C, H, W) -> (1, C, H, W)
    if array.ndim != 4 or not len(array):
        raise ShapeError(
            "make_grid: takes at least one image, as (N, C, H, W), (C, H, W), (H, W) or a list of (C, H, W), got shape "
            f"{tuple(array.shape)}"
        )
    return array.repeat(3, 1) if array.shape[1] == 1 else array


def _normalized(images: Array, value_range: Any, each: bool) -> Array:
    """The images with values from 0 to 1."""
    if images.dtype.kind != "f":
        raise TypeError(
            f"make_grid: normalize=True needs images of floating-point numbers, got {images.dtype}; "
            "convert them with images.float()"
        )
    if value_range is not None:
        numbers = isinstance(value_range, tuple) and len(value_range) == 2
        if not numbers or not all(isinstance(one, int | float | np.number) for one in value_range):
            raise TypeError(f"make_grid: value_range should be a tuple of two numbers, got {shown(value_range)}")
    parts = []
    for part in images[:, None] if each else images[None]:
        low, high = value_range or (float(part.min()), float(part.max())) if part.size else (0.0, 1.0)
        parts.append((part.clip(low, high) - low) / max(high - low, 1e-5))
    return xp(images).concatenate(parts).astype(images.dtype, copy=False)


def save_image(
    tensor: Tensor | list[Tensor], fp: str | os.PathLike[str] | IO[bytes], format: str | None = None, **kwargs: Any
) -> None:
    """Write images as one image file: 0..1 becomes 0..255, rounded; values beyond are clipped.

    Several images become the grid of `make_grid`, which also takes the other arguments. Images of whole numbers must
    be converted first: x.float() / 255.

    Args:
        tensor: as in `make_grid`.
        fp: the file's name, or a file open for writing. A file of that name is replaced when the new one is complete.
        format: as Pillow calls it, such as "PNG"; None: the ending of the name says it.
        kwargs: of `make_grid`.

    Raises:
        TypeError, ValueError: as `make_grid`; or a format that Pillow does not know.
        OSError: the file cannot be written.

    >>> import io
    >>> file = io.BytesIO()
    >>> minicnn.utils.save_image(minicnn.rand(4, 3, 8, 8), file, "PNG", nrow=2)
    >>> from PIL import Image
    >>> Image.open(file).size
    (22, 22)
    """
    from PIL import Image

    grid = host(make_grid(tensor, **kwargs).array)
    if grid.dtype.kind != "f":
        raise TypeError(
            f"save_image: takes images of floating-point numbers in 0..1, got {grid.dtype}; use x.float() / 255"
        )
    pixels = np.nan_to_num(grid * grid.dtype.type(255) + grid.dtype.type(0.5), nan=0.0).clip(0, 255).astype(np.uint8)
    if pixels.shape[0] not in (3, 4):
        raise ShapeError(f"save_image: an image file has 1, 3 or 4 channels, got {pixels.shape[0]}; save some of them")
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))  # (C, H, W) -> (H, W, C)
    if not isinstance(fp, str | os.PathLike):
        image.save(fp, format=format)
        return
    content = io.BytesIO()
    image.save(content, format=format or _format(Path(fp)))
    write_atomically(fp, content.getbuffer())


def _format(path: Path) -> str:
    """Pillow's name of the format that the ending of a file's name says."""
    from PIL import Image

    known = Image.registered_extensions()
    if path.suffix.lower() not in known:
        raise ValueError(f"save_image: Pillow has no format for {str(path)!r}; end the name in .png, or give format")
    return known[path.suffix.lower()]
