"""Random rotation, affine maps and perspective, as steps of a chain; `functional/warping.py` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import AnyImage, Transform, pixels, probability, sample, spatial_size
from .functional.images import Fill, centre, checked_fill, number, numbers
from .functional.resizing import InterpolationMode, interpolation_mode
from .functional.warping import (
    affine,
    affine_grids,
    from_middle,
    inverse_affine,
    perspective,
    perspective_coefficients,
    perspective_grids,
    rotate,
    rotation_matrix,
    warp_images,
    working_type,
)

__all__ = ["RandomAffine", "RandomPerspective", "RandomRotation", "RandomWarp", "angle_range", "between"]


class RandomWarp(Transform):
    """What random warps have in common: they draw the parameters of a grid, and look the image up at its places.

    A subclass says how many random numbers an image takes (`draws`), what they become for N images at once (`_rows`),
    and the grids of these rows (`_grids`). `get_params` gives the row of one image with names, as torchvision does;
    `_named` does this for a row, and `_changed` takes it.
    """

    keeps_shape = True
    _for_batches = frozenset({"batch", "_grids"})
    draws: int
    interpolation: InterpolationMode
    fill: Fill
    p: float = 1.0  # the probability of a change
    get_params: Any

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        """The arguments of `get_params` and `_rows` for images (H, W)."""
        raise NotImplementedError

    def _random(self, generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """The random numbers of one image (H, W)."""
        return generator.random(self.draws)

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        """The parameters (N, ...) of N images, from their random numbers, (N, draws) in [0, 1)."""
        raise NotImplementedError

    @staticmethod
    def _named(row: np.ndarray) -> Any:
        """The parameters of an image as `get_params` returns them."""
        raise NotImplementedError

    @classmethod
    def _drawn(cls, generator: np.random.Generator | None, *arguments: Any) -> Any:
        """What `get_params` returns."""
        u = (sample_generator() if generator is None else generator).random(cls.draws)
        return cls._named(cls._rows(u[None], *arguments)[0])

    def _changed(self, image: AnyImage, params: Any) -> AnyImage:
        raise NotImplementedError

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        raise NotImplementedError

    def _style(self, name: str, interpolation: Any, fill: Any) -> None:
        """Check and keep the arguments that all have."""
        self.interpolation = interpolation_mode(name, interpolation)
        self.fill = 0 if fill is None else checked_fill(name, fill)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W), changed as a whole."""
        name = type(self).__name__
        size = spatial_size(name, sample(name, image))
        if self.p < 1 and sample_generator().random() >= self.p:
            return image
        return self._changed(image, self.get_params(*self._arguments(size)))

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]); each is changed by itself."""
        name = type(self).__name__
        array, size = pixels(name, images), spatial_size(name, images)
        chosen, u = [], []
        for n, generator in enumerate(sample_generators(len(array))):
            if self.p >= 1 or generator.random() < self.p:
                chosen.append(n)
                u.append(self._random(generator, size))
        if not chosen:
            return images
        rows = self._rows(np.array(u), *self._arguments(size))
        if isinstance(images, Tensor) and array.ndim == 4:
            every = len(chosen) == len(array)
            grids = self._grids(rows, size, working_type(array))
            result = warp_images(name, images if every else Tensor(array[chosen]), grids, self.interpolation, self.fill)
            if every:
                return result
            out = array.copy()
            out[chosen] = result.array
            return Tensor(out)
        return self._one_by_one(images, array, chosen, [self._named(row) for row in rows])

    def _one_by_one(self, images: Any, array: np.ndarray, chosen: list[int], drawn: list[Any]) -> Any:
        """Images of PIL through PIL, and other tensors."""
        if isinstance(images, Tensor):
            changed = [self._changed(Tensor(array[n]), one).array for n, one in zip(chosen, drawn, strict=True)]
        else:
            from PIL import Image

            found = (self._changed(Image.fromarray(array[n]), one) for n, one in zip(chosen, drawn, strict=True))
            changed = [np.asarray(image) for image in found]
        out = array.copy()
        out[chosen] = np.stack(changed)
        return Tensor(out) if isinstance(images, Tensor) else out


def angle_range(name: str, what: str, value: Any, counts: tuple[int, ...] = (2,)) -> list[float]:
    """Ranges of angles or other numbers: a number d >= 0 stands for [-d, d].

    Raises:
        ValueError: a negative number, or a range that ends before it begins.
    """
    if isinstance(value, tuple | list | np.ndarray | Tensor) and np.ndim(value) > 0:
        ends = list(numbers(name, what, value, counts))
        if any(low > high for low, high in zip(ends[::2], ends[1::2], strict=True)):
            raise ValueError(f"{name}: {what} should be (min, max), got {tuple(ends)}")
        return ends
    found = number(name, what, value)
    if found < 0:
        raise ValueError(f"{name}: {what} as a single number must be positive, got {found}; else give (min, max)")
    return [-found, found]


def between(low: float | np.ndarray, high: float | np.ndarray, u: np.ndarray) -> np.ndarray:
    """u in [0, 1) -> [low, high)."""
    return low + (high - low) * u


class RandomRotation(RandomWarp):
    """Turn an image by a random angle, uniform in a range.

    Args:
        degrees: (min, max), or a number d for (-d, d); counter-clockwise.
        interpolation: nearest or bilinear; bicubic too for PIL images.
        expand: make the result large enough for the whole turned image. Such results differ in size, so there is no
            `batch`.
        center: the point (x, y) that stays in place, in pixels from the upper left corner; None is the middle.
        fill: the value of what comes from outside: one number, or one per channel.

    >>> minicnn.transforms.RandomRotation((90, 90))(minicnn.tensor([[[1., 2.], [3., 4.]]]))
    tensor([[[2., 4.],
             [1., 3.]]])
    """

    draws = 1

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Fill = 0,
    ) -> None:
        self.degrees = angle_range("RandomRotation", "degrees", degrees)
        self.expand, self.center = expand, center
        centre("RandomRotation", center)
        self._style("RandomRotation", interpolation, fill)

    @property
    def keeps_shape(self) -> bool:  # type: ignore[override]
        """Whether each image comes out with the size, channels and type that it had."""
        return not self.expand

    @staticmethod
    def get_params(degrees: Sequence[float], generator: np.random.Generator | None = None) -> float:
        """Draw an angle from the range (min, max), of the current sample's stream or another one."""
        angle: float = RandomRotation._drawn(generator, degrees)
        return angle

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        (degrees,) = arguments
        return between(float(degrees[0]), float(degrees[1]), u)

    @staticmethod
    def _named(row: np.ndarray) -> float:
        return float(row[0])

    @property
    def batchable(self) -> bool:
        """True unless the results differ in size."""
        return super().batchable and not self.expand

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        return (self.degrees,)

    def _changed(self, image: AnyImage, params: float) -> AnyImage:
        return rotate(image, params, self.interpolation, self.expand, self.center, self.fill)

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        return affine_grids(rotation_matrix(rows[:, 0], self.center, size), size, size, dtype)

    def __repr__(self) -> str:
        text = f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}"
        text += "" if self.center is None else f", center={self.center}"
        return f"{type(self).__name__}({text}, fill={self.fill})"


class RandomAffine(RandomWarp):
    """Turn, move, scale and shear an image by random amounts, each uniform in its range.

    Args:
        degrees: angles (min, max), or a number d for (-d, d); clockwise. 0 does not turn.
        translate: (a, b): moved by up to a W to each side and b H up or down, in whole pixels.
        scale: factors (min, max).
        shear: angles (min, max) of a shear along x, or d for (-d, d); with four numbers also along y.
        interpolation, fill, center: as in `RandomRotation`.

    >>> move = minicnn.transforms.RandomAffine(0, translate=(0.25, 0))
    >>> move(minicnn.ones(1, 1, 4)).sum() >= 3   # at most one pixel has left the image
    tensor(True)
    """

    draws = 6

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        fill: Fill = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        name = "RandomAffine"
        self.degrees = angle_range(name, "degrees", degrees)
        if translate is not None and not all(0 <= t <= 1 for t in numbers(name, "translate", translate, (2,))):
            raise ValueError(f"{name}: translate should be shares of the image, between 0 and 1, got {translate}")
        if scale is not None and not 0 < numbers(name, "scale", scale, (2,))[0] <= float(scale[1]):
            raise ValueError(f"{name}: scale should be (min, max) with 0 < min <= max, got {scale}")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else angle_range(name, "shear", shear, (2, 4))
        self.center = center
        centre(name, center)
        self._style(name, interpolation, fill)

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
        generator: np.random.Generator | None = None,
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw (angle, (right, down), scale, (shear x, shear y)) for an image of `img_size` (W, H)."""
        found: tuple[float, tuple[int, int], float, tuple[float, float]]
        found = RandomAffine._drawn(generator, degrees, translate, scale_ranges, shears, img_size)
        return found

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        """(N, 6): angle, right, down, scale, shear along x and along y."""
        degrees, translate, scale_ranges, shears, img_size = arguments
        rows = np.tile(np.array([0.0, 0, 0, 1, 0, 0]), (len(u), 1))
        ranges = {0: degrees, 3: scale_ranges, 4: None if shears is None else shears[:2]}
        ranges[5] = shears[2:] if shears is not None and len(shears) == 4 else None
        for column, ends in ranges.items():
            if ends is not None:
                rows[:, column] = between(float(ends[0]), float(ends[1]), u[:, column])
        if translate is not None:
            most = np.array([translate[0] * img_size[0], translate[1] * img_size[1]])
            rows[:, 1:3] = np.rint(between(-most, most, u[:, 1:3]))
        return rows

    @staticmethod
    def _named(row: np.ndarray) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        angle, right, down, scale, along_x, along_y = row.tolist()
        return angle, (int(right), int(down)), scale, (along_x, along_y)

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        return self.degrees, self.translate, self.scale, self.shear, (size[1], size[0])

    def _changed(self, image: AnyImage, params: Any) -> AnyImage:
        angle, moved, scale, shear = params
        return affine(image, angle, moved, scale, shear, self.interpolation, self.fill, self.center)

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        angle, right, down, scale, along_x, along_y = rows.T
        middle = from_middle(self.center, size)
        matrices = inverse_affine(middle, angle, (right, down), scale, (along_x, along_y))
        return affine_grids(matrices, size, size, dtype)

    def __repr__(self) -> str:
        text = f"degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            value = getattr(self, name)
            text += "" if value is None else f", {name}={value}"
        nearest = self.interpolation is InterpolationMode.NEAREST
        text += "" if nearest else f", interpolation={self.interpolation.value}"
        text += f", fill={self.fill}" if self.fill != 0 else ""
        text += "" if self.center is None else f", center={self.center}"
        return f"{type(self).__name__}({text})"


class RandomPerspective(RandomWarp):
    """Show an image as from another side, with probability `p`: each corner moves inwards by a random amount.

    Args:
        distortion_scale: how far the corners move: up to this share of half the width and half the height.
        p: the probability of a change.
        interpolation: nearest or bilinear; bicubic too for PIL images.
        fill: the value of what comes from outside.

    >>> minicnn.transforms.RandomPerspective(0.3)(minicnn.zeros(3, 32, 32)).shape
    minicnn.Size([3, 32, 32])
    """

    draws = 8

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Fill = 0,
    ) -> None:
        name = "RandomPerspective"
        self.p, self.distortion_scale = probability(name, p), number(name, "distortion_scale", distortion_scale)
        if not 0 <= self.distortion_scale <= 1:
            raise ValueError(f"{name}: distortion_scale should be between 0 and 1, got {distortion_scale}")
        self._style(name, interpolation, fill)

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float, generator: np.random.Generator | None = None
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Draw (start points, end points): the corners (x, y), from the upper left one clockwise, and their places."""
        found: tuple[list[list[int]], list[list[int]]]
        found = RandomPerspective._drawn(generator, width, height, distortion_scale)
        return found

    @staticmethod
    def _rows(u: np.ndarray, *arguments: Any) -> np.ndarray:
        """(N, 16): x, y of the four corners, then of the places to which they move."""
        width, height, distortion_scale = arguments
        right, below = width - 1, height - 1
        corners = np.array([0.0, 0, right, 0, right, below, 0, below])
        most = np.array([int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))] * 4)
        inward = np.floor(u * (most + 1)) * [1, 1, -1, 1, -1, -1, 1, -1]
        return np.concatenate([np.broadcast_to(corners, inward.shape), corners + inward], axis=1)

    @staticmethod
    def _named(row: np.ndarray) -> tuple[list[list[int]], list[list[int]]]:
        starts, ends = row.astype(int).reshape(2, 4, 2).tolist()
        return starts, ends

    def _arguments(self, size: tuple[int, int]) -> tuple[Any, ...]:
        return size[1], size[0], self.distortion_scale

    def _changed(self, image: AnyImage, params: Any) -> AnyImage:
        start, end = params
        return perspective(image, start, end, self.interpolation, self.fill)

    def _grids(self, rows: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        points = rows.reshape(-1, 2, 4, 2)
        return perspective_grids(perspective_coefficients(points[:, 0], points[:, 1]), size, dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"
