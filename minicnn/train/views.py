"""Views of images for test-time augmentation: functions from images (N, C, H, W) to images (N, C, OH, OW)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

from minicnn_kernels.geometry import pair, whole

from ..nn import functional as F
from ..ops.tensor.flip_roll import flip
from ..tensor import Tensor

View = Callable[[Tensor], Tensor]


def flips() -> list[View]:
    """The images, and their mirror images (left and right exchanged).

    >>> [view(minicnn.tensor([[[[1., 2.]]]])).tolist() for view in minicnn.train.flips()]
    [[[[[1.0, 2.0]]]], [[[[2.0, 1.0]]]]]
    """
    return [_same, _mirrored]


def shifts(pixels: int = 1) -> list[View]:
    """The images, and the images moved to the left, right, up and down; the pixels of the border are repeated.

    Args:
        pixels: how far.

    Raises:
        ShapeError: it is below 1, or later, an image is not larger than that.

    >>> [view(minicnn.tensor([[[[1., 2., 3.]]]])).flatten().tolist() for view in minicnn.train.shifts()[:3]]
    [[1.0, 2.0, 3.0], [2.0, 3.0, 3.0], [1.0, 1.0, 2.0]]
    """
    d = whole(pixels, "shifts", "pixels", 1)
    return [_same, *(partial(_moved, down=y, right=x) for y, x in ((0, -d), (0, d), (-d, 0), (d, 0)))]


def five_crops(size: int | tuple[int, int]) -> list[View]:
    """The four corners and the centre of the images.

    Args:
        size: height and width of the crops; one number for squares.

    Raises:
        ShapeError: the size is no number from 1, or pair of such.
        ValueError: later, if an image is smaller than the crop.

    >>> image = minicnn.arange(9.).reshape(1, 1, 3, 3)
    >>> [view(image).item() for view in minicnn.train.five_crops(1)]
    [0.0, 2.0, 6.0, 8.0, 4.0]
    """
    h, w = pair(size, "five_crops", "size", 1)
    return [partial(_cropped, h=h, w=w, y=y, x=x) for y, x in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1))]


def ten_crops(size: int | tuple[int, int]) -> list[View]:
    """The five crops, and their mirror images: the views that AlexNet averaged.

    Args:
        size: height and width of the crops; one number for squares.

    >>> len(minicnn.train.ten_crops(224))
    10
    """
    return [*five_crops(size), *combined(five_crops(size), [_mirrored])]


def combined(*groups: list[View]) -> list[View]:
    """All views that take one of each group, one after the other.

    >>> len(minicnn.train.combined(minicnn.train.flips(), minicnn.train.shifts()))
    10
    """
    return [partial(_chain, views=views) for views in product(*groups)]


def named_views(text: str) -> list[View]:
    """The views with some names: "flip", "shift" (by 1 pixel) or "shift:2", "five_crop:28", "ten_crop:224".

    Names with "+" between them are combined: "flip+shift" are ten views.

    Raises:
        ValueError: no such name, or a number is lacking.

    >>> len(minicnn.train.named_views("flip+shift:2"))
    10
    """
    return combined(*(_named(text, part) for part in text.split("+")))


def _named(text: str, part: str) -> list[View]:
    name, _, number = part.strip().partition(":")
    makers: dict[str, Callable[..., list[View]]] = {
        "flip": flips, "shift": shifts, "five_crop": five_crops, "ten_crop": ten_crops,
    }  # fmt: skip
    if name not in makers:
        raise ValueError(f"named_views: {name!r} in {text!r} is no view; there are: {', '.join(makers)}")
    if bool(number) != (name in ("five_crop", "ten_crop")) and name != "shift":
        want = "has no number" if name == "flip" else f"needs the size of the crops, such as {name}:28"
        raise ValueError(f"named_views: {name} {want}, got {text!r}")
    if number and not number.isdecimal():
        raise ValueError(f"named_views: {number!r} in {text!r} must be a whole number of pixels")
    return makers[name](*([int(number)] if number else []))


def _same(images: Tensor) -> Tensor:
    return images


def _mirrored(images: Tensor) -> Tensor:
    return flip(images, (-1,))


def _chain(images: Tensor, views: tuple[View, ...]) -> Tensor:
    for view in views:
        images = view(images)
    return images


def _moved(images: Tensor, down: int, right: int) -> Tensor:
    height, width = images.shape[-2:]
    d = max(abs(down), abs(right))
    padded = F.pad(images, (d, d, d, d), mode="replicate")
    return padded[..., d - down : d - down + height, d - right : d - right + width]


def _cropped(images: Tensor, h: int, w: int, y: int, x: int) -> Tensor:
    """A crop of h x w at one of three places of each axis: 0 the beginning, 1 the middle, 2 the end."""
    height, width = images.shape[-2:]
    if h > height or w > width:
        raise ValueError(f"crop: images of {height}x{width} have no crop of {h}x{w}; choose a smaller one")
    top, left = (0, round((height - h) / 2), height - h)[y], (0, round((width - w) / 2), width - w)[x]
    return images[..., top : top + h, left : left + w]
