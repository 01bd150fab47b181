"""Resizing: interpolation as two small matrices.

    Y = R_h X R_w^T          (OH, OW) = (OH, H) (H, W) (W, OW)        for each channel

`interpolation_matrix` gives R. PIL images are resized by PIL; whole batches of 8-bit images in Pillow's arithmetic.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import fits, whole

from ...tensor import Tensor
from ..base import AnyImage, edge_size, is_pil, pixels, sample, spatial_size, taped

__all__ = ["InterpolationMode", "ResizeRule", "interpolation_matrix", "interpolation_mode", "pil_filter", "resize"]


class InterpolationMode(Enum):
    """The interpolations. Tensors take the first four; box, hamming and lanczos exist only for PIL images.

    >>> minicnn.transforms.Resize(4, minicnn.transforms.InterpolationMode.NEAREST)
    Resize(size=4, interpolation=nearest, max_size=None, antialias=True)
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# The numbers that PIL gives to its filters
_PIL_FILTER = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}
_NEAREST = (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT)
_SMOOTH = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
_BITS = 22  # Pillow rounds the weights for 8-bit images to multiples of 2^-22


def _triangle(t: np.ndarray) -> np.ndarray:
    """1 - |t| within 1."""
    return np.maximum(1 - np.abs(t), 0)


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic: (a+2)|t|^3 - (a+3)|t|^2 + 1 up to 1, a|t|^3 - 5a|t|^2 + 8a|t| - 4a up to 2."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = (((t - 5) * t + 8) * t - 4) * a
    return np.where(t < 1, near, np.where(t < 2, far, 0))


@lru_cache(maxsize=64)
def interpolation_matrix(size_in: int, size_out: int, mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """The matrix R (size_out, size_in), float64, that interpolates along one axis; its rows sum to 1.

    Output cell i lies at c = (i + 1/2) s on the input axis, where s = size_in / size_out and cell j covers [j, j + 1].
    With the kernel k (the triangle, or Keys' cubic):

        antialias:  R[i, j] = k((j + 1/2 - c) / max(s, 1)) / (the row's sum)      for cells within the kernel's support
        else:       R[i, j] = k(j + 1/2 - c), where cells beyond an edge count as the cell at the edge

    When the image shrinks, antialiasing widens the kernel by s, so that every input cell contributes. The
    cubic has a = -1/2 with antialiasing and a = -3/4 without, as in PyTorch and Pillow.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981.

    >>> from minicnn.transforms.functional.resizing import InterpolationMode, interpolation_matrix
    >>> interpolation_matrix(2, 4, InterpolationMode.BILINEAR, False)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    radius = 1.0 if mode is InterpolationMode.BILINEAR else 2.0
    scale = size_in / size_out
    center = (np.arange(size_out) + 0.5) * scale
    cell = np.arange(size_in)
    if antialias:
        stretch = max(scale, 1.0)
        first = np.maximum((center - radius * stretch + 0.5).astype(int), 0)
        last = np.minimum((center + radius * stretch + 0.5).astype(int), size_in)
        t = (cell - center[:, None] + 0.5) * (1.0 / stretch)  # (size_out, size_in)
        weights = _triangle(t) if mode is InterpolationMode.BILINEAR else _cubic(t, -0.5)
        weights[(cell < first[:, None]) | (cell >= last[:, None])] = 0
        matrix = weights / np.add.accumulate(weights, axis=1)[:, -1:]  # summed in order, as Pillow does
    else:
        matrix = np.zeros((size_out, size_in))
        left = np.floor(center - 0.5).astype(int)
        for tap in range(1 - int(radius), 1 + int(radius)):
            t = left + tap + 0.5 - center  # (size_out,)
            weights = _triangle(t) if mode is InterpolationMode.BILINEAR else _cubic(t, -0.75)
            np.add.at(matrix, (np.arange(size_out), np.clip(left + tap, 0, size_in - 1)), weights)
    matrix.flags.writeable = False  # it is shared through the cache
    return matrix


@lru_cache(maxsize=64)
def _cast_matrix(size_in: int, size_out: int, mode: InterpolationMode, antialias: bool, dtype: np.dtype) -> np.ndarray:
    return interpolation_matrix(size_in, size_out, mode, antialias).astype(dtype)


@lru_cache(maxsize=64)
def _pillow_matrix(size_in: int, size_out: int, mode: InterpolationMode) -> np.ndarray:
    """The antialiasing matrix with its weights rounded as Pillow rounds them, halves away from zero."""
    weights = interpolation_matrix(size_in, size_out, mode, True) * (1 << _BITS)
    return np.trunc(weights + np.copysign(0.5, weights)) / (1 << _BITS)


def interpolation_mode(name: str, interpolation: Any) -> InterpolationMode:
    """An `InterpolationMode`, or PIL's number for one."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    modes = {number: mode for mode, number in reversed(_PIL_FILTER.items())}  # 0 is NEAREST
    if isinstance(interpolation, bool) or not isinstance(interpolation, int) or interpolation not in modes:
        raise ValueError(f"{name}: interpolation should be an InterpolationMode, got {interpolation!r}")
    return modes[interpolation]


def pil_filter(mode: InterpolationMode) -> int:
    """The number of PIL's filter."""
    return _PIL_FILTER[mode]


class ResizeRule(NamedTuple):
    """The checked arguments of a resize; `name` is that of the function or transform, for errors.

    `sides` is (h, w), or (shorter side,).
    """

    name: str
    sides: tuple[int, ...]
    mode: InterpolationMode
    max_size: int | None
    antialias: bool | None

    @classmethod
    def of(cls, name: str, size: Any, interpolation: Any, max_size: Any, antialias: bool | None) -> ResizeRule:
        """Check the arguments.

        Raises:
            ValueError: an impossible size, or an interpolation that does not exist.
        """
        sides: tuple[int, ...] = edge_size(name, size)
        sides = sides if isinstance(size, tuple | list | np.ndarray) and np.size(size) == 2 else sides[:1]
        mode = interpolation_mode(name, interpolation)
        if max_size is not None:
            max_size = whole(max_size, name, "max_size", 1)
            if len(sides) == 2 or max_size <= sides[0]:
                raise ValueError(
                    f"{name}: max_size = {max_size} must be greater than the size of the shorter side, "
                    f"and can only be given with a single size, got size = {size}"
                )
        return cls(name, sides, mode, max_size, antialias)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """The size (OH, OW) that an image (H, W) gets."""
        if len(self.sides) == 2:
            return self.sides[0], self.sides[1]
        short, long = self.sides[0], int(self.sides[0] * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        if short < 1:
            raise ValueError(
                f"{self.name}: {height} x {width} would shrink to nothing under max_size = {self.max_size}"
            )
        return (long, short) if width <= height else (short, long)

    def apply(self, image: AnyImage) -> AnyImage:
        """Resize a PIL image or a Tensor (..., C, H, W)."""
        name, (height, width) = self.name, spatial_size(self.name, sample(self.name, image))
        out = self.output_size(height, width)
        channels = len(image.getbands()) if is_pil(image) else math.prod(image.shape[:-2])
        fits(name, (channels, *out), what="image")
        fits(name, (max(out), max(height, width)), 8, "matrix of weights")
        if is_pil(image):
            if self.antialias is False and self.mode in _SMOOTH:
                warnings.warn(f"{name}: PIL always antialiases; antialias=False has no effect", stacklevel=4)
            return image.resize(out[::-1], _PIL_FILTER[self.mode]) if out != (height, width) else image
        if out == (height, width):
            return image
        if taped(image) and self.mode in (*_SMOOTH, *_NEAREST):
            return self._taped(image, *out)
        return Tensor(self.resized(pixels(name, image), *out))

    def apply_to_batch(self, images: Any) -> Any:
        """Resize a Tensor (N, C, H, W), or images (N, H, W[, C]) with the same rounding as PIL's."""
        if isinstance(images, Tensor):
            return self.apply(images)
        height, width = spatial_size(self.name, images)
        out = self.output_size(height, width)
        if out == (height, width):
            return images
        # PIL multiplies colours by their opacity before resizing
        opaque = images.ndim == 3 or images.shape[3] in (1, 3)
        if self.mode in _SMOOTH and images.dtype == np.uint8 and opaque:
            rows_first = _pillow_rows_first((height, width), out, self.mode)
            if rows_first is not None:
                return _resize_8_bits(images, out, self.mode, rows_first)
        from PIL import Image

        return np.stack([np.asarray(self.apply(Image.fromarray(image))) for image in images])

    def resized(self, x: np.ndarray, out_h: int, out_w: int) -> np.ndarray:
        """x (..., H, W) -> (..., OH, OW)."""
        height, width = x.shape[-2:]
        if self.mode in _NEAREST:
            rows, columns = self._nearest(height, out_h), self._nearest(width, out_w)
            return x[..., rows[:, None], columns]
        if self.mode not in _SMOOTH:
            raise ValueError(f"{self.name}: {self.mode.value} exists for PIL images only, not for tensors")
        if x.dtype.kind not in "iuf":
            raise ValueError(f"{self.name}: a tensor of type {x.dtype} cannot be interpolated")
        dtype = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
        y = x.astype(dtype, copy=False)
        # One product per channel, not one for all: a large one starts BLAS's threads, which disturb those of training.
        if width != out_w:
            y = y @ _cast_matrix(width, out_w, self.mode, bool(self.antialias), dtype).T  # (H, W) (W, OW)
        if height != out_h:
            y = _cast_matrix(height, out_h, self.mode, bool(self.antialias), dtype) @ y  # (OH, H) (H, OW)
        if x.dtype.kind == "f":
            return y.astype(x.dtype, copy=False)
        limits = np.iinfo(x.dtype)
        return np.clip(np.rint(y), limits.min, limits.max).astype(x.dtype)

    def _taped(self, x: Tensor, out_h: int, out_w: int) -> Tensor:
        """`resized`, with a gradient."""
        height, width = x.shape[-2:]
        if self.mode in _NEAREST:
            return x[..., self._nearest(height, out_h)[:, None], self._nearest(width, out_w)]
        down, across = (
            Tensor(_cast_matrix(n, out, self.mode, bool(self.antialias), x.array.dtype))
            for n, out in ((height, out_h), (width, out_w))
        )
        return down @ (x @ across.T)  # (OH, H) ((H, W) (W, OW))

    def _nearest(self, size_in: int, size_out: int) -> np.ndarray:
        """The input cell of each output cell: floor(i s), or floor((i + 1/2) s), in float32, as in PyTorch."""
        offset = np.float32(0.5 if self.mode is InterpolationMode.NEAREST_EXACT else 0)
        scale = np.float32(size_in) / np.float32(size_out)
        source = (np.arange(size_out, dtype=np.float32) + offset) * scale
        return np.minimum(source.astype(np.intp), size_in - 1)


def resize(
    img: AnyImage,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> AnyImage:
    """Resize a PIL image or a Tensor (..., C, H, W) to `size`; the arguments are those of `transforms.Resize`.

    Raises:
        ValueError: an impossible size, or an interpolation that tensors do not have.

    >>> from minicnn.transforms import functional as TF
    >>> TF.resize(minicnn.tensor([[[0., 4., 8., 12.]]]), (1, 2), antialias=False)
    tensor([[[ 2., 10.]]])
    """
    return ResizeRule.of("resize", size, interpolation, max_size, antialias).apply(img)


# ------------------------------------------------------------------------- whole batches of 8-bit images, as Pillow


def _resize_8_bits(images: np.ndarray, out: tuple[int, int], mode: InterpolationMode, rows_first: bool) -> np.ndarray:
    """Images (N, H, W[, C]) uint8 -> (N, OH, OW[, C]) in Pillow's arithmetic.

    Pillow filters along one axis, rounds to 8 bits, filters along the other and rounds again, with weights in units of
    2^-22. In float64 the products below are exact, whatever the order of their sums.
    """
    count, height, width = images.shape[:3]
    x = np.moveaxis(images.reshape(count, height, width, -1), 3, 1)  # (N, C, H, W)
    for along_rows in (rows_first, not rows_first):
        if along_rows and width != out[1]:
            r_w = _pillow_matrix(width, out[1], mode)
            x = _to_8_bits(x.astype(np.float64) @ r_w.T)  # (N, C, H, W) (W, OW)
        elif not along_rows and height != out[0]:
            x = _to_8_bits(_pillow_matrix(height, out[0], mode) @ x.astype(np.float64))  # (OH, H) (N, C, H, W)
    return np.ascontiguousarray(np.moveaxis(x, 1, 3)).reshape(count, *out, *images.shape[3:])


def _to_8_bits(y: np.ndarray) -> np.ndarray:
    """Round halves up and clip to 0..255; y is overwritten."""
    y += 0.5
    return np.clip(y, 0, 255, out=y).astype(np.uint8)  # a cast rounds down


@lru_cache(maxsize=64)
def _pillow_rows_first(size: tuple[int, int], out: tuple[int, int], mode: InterpolationMode) -> bool | None:
    """Whether Pillow filters along the rows first; None if neither order gives Pillow's result.

    The order depends on the sizes and on Pillow's version, so it is found by an experiment with images of noise.
    """
    from PIL import Image

    noise = np.random.Generator(np.random.Philox(key=0)).integers(0, 256, (4, *size, 3), dtype=np.uint8)
    noise[2:] = np.where(noise[2:] < 128, 0, 255)  # the hardest contrasts
    wanted = [np.asarray(Image.fromarray(image).resize(out[::-1], _PIL_FILTER[mode])) for image in noise]
    for rows_first in (True, False):
        if np.array_equal(_resize_8_bits(noise, out, mode, rows_first), wanted):
            return rows_first
    return None
