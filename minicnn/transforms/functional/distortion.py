"""Elastic and lens distortion: grids that are not projective maps.

elastic   (x, y) -> (x, y) + displacement[y, x]                 of the output's pixel to the input's
lens      p -> c + (p - c) (1 + k1 r^2 + k2 r^4)                r = |p - c| in units of half the diagonal
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...tensor import Tensor
from ..base import AnyImage, is_pil, pixels, sample, spatial_size
from .convert import pil_to_tensor, to_pil_image
from .images import Fill, centre, checked_fill, number
from .resizing import InterpolationMode, interpolation_mode
from .warping import from_middle, warp_images, working_type

__all__ = ["check_lens", "elastic_grids", "elastic_transform", "lens_distortion", "lens_grids", "smooth_fields"]


def _cell_centres(size: int, dtype: np.dtype) -> np.ndarray:
    """(2 q + 1) / size - 1: the centres of the cells, in half sizes from the middle."""
    return ((2 * np.arange(size) + 1 - size) / size).astype(dtype)


def elastic_grids(displacements: np.ndarray) -> np.ndarray:
    """Each pixel's own place, moved by its displacement (N, H, W, 2), in half widths and half heights."""
    _, height, width, _ = displacements.shape
    grids = displacements.copy()
    grids[..., 0] += _cell_centres(width, grids.dtype)
    grids[..., 1] += _cell_centres(height, grids.dtype)[:, None]
    return grids


def elastic_transform(
    img: AnyImage,
    displacement: Tensor,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Fill = None,
) -> AnyImage:
    """Take each pixel of a PIL image or a Tensor (..., C, H, W) from a place of its own nearby.

    Args:
        displacement: a Tensor (1, H, W, 2): how far (right, down) from each pixel its value comes from, in half
            widths and half heights of the image. `ElasticTransform.get_params` draws a smooth one.
        interpolation, fill: as in `affine`; also for PIL images nearest or bilinear.

    P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003.

    >>> field = minicnn.zeros(1, 1, 3, 2)
    >>> field[..., 0] = 2 / 3   # one pixel of three, in half widths
    >>> minicnn.transforms.functional.elastic_transform(minicnn.tensor([[[1., 2., 3.]]]), field)
    tensor([[[2., 3., 0.]]])
    """
    if not isinstance(displacement, Tensor):
        raise TypeError(f"elastic_transform: displacement should be a Tensor, got {type(displacement).__name__}")
    wanted = (1, *spatial_size("elastic_transform", sample("elastic_transform", img)), 2)
    if tuple(displacement.shape) != wanted:
        raise ValueError(f"elastic_transform: displacement should have shape {wanted}, got {tuple(displacement.shape)}")
    field = np.asarray(displacement.detach().array)
    field = field if field.dtype == np.float64 else field.astype(np.float32)
    mode, fill = interpolation_mode("elastic_transform", interpolation), checked_fill("elastic_transform", fill)
    return _through_tensor("elastic_transform", img, elastic_grids(field), mode, fill)


def _through_tensor(name: str, img: AnyImage, grid: np.ndarray, mode: InterpolationMode, fill: Fill) -> AnyImage:
    """Look an image up at a grid; a PIL image as a tensor of its cells."""
    if not is_pil(img):
        return warp_images(name, img, grid, mode, fill)
    result = to_pil_image(warp_images(name, pil_to_tensor(img), grid, mode, fill), img.mode if img.mode != "P" else "L")
    if img.mode == "P":
        result.putpalette(img.getpalette())
    return result


@lru_cache(maxsize=16)
def _blur(size: int, taps: int, sigma: float) -> np.ndarray:
    """The matrix (size, size) of a Gaussian blur with an odd number of taps; edges are mirrored (c b | a b c)."""
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    period = max(2 * (size - 1), 1)
    matrix = np.zeros((size, size))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        source = (np.arange(size) + offset) % period
        source = np.minimum(source, (period - source) % size)  # with one pixel it is always that one
        np.add.at(matrix, (np.arange(size), source), weight)
    matrix = matrix.astype(np.float32)
    matrix.flags.writeable = False  # it is shared through the cache
    return matrix


def smooth_fields(noise: np.ndarray, alpha: Sequence[float], sigma: Sequence[float]) -> np.ndarray:
    """Displacements (N, H, W, 2) from noise (N, 2, H, W) in [-1, 1): blurred by Gaussians, times alpha / (W, H).

    Args:
        alpha: the strength along x and along y.
        sigma: the deviation of the Gaussian along x and along y, in pixels; 0 does not blur. It has 8 sigma + 1 taps.
    """
    height, width = noise.shape[2:]
    fields = np.empty((len(noise), height, width, 2), np.float32)
    for part, (strength, size) in enumerate(zip(alpha, (width, height), strict=True)):
        field, taps = noise[:, part], int(8 * sigma[part] + 1) | 1  # odd
        if sigma[part] > 0:
            if sigma[0] > 0:
                field = field @ _blur(width, taps, float(sigma[0])).T  # (N, H, W) (W, W)
            if sigma[1] > 0:
                field = _blur(height, taps, float(sigma[1])) @ field  # (H, H) (N, H, W)
        np.multiply(field, np.float32(strength / size), out=fields[..., part])
    return fields


def lens_grids(
    coefficients: np.ndarray, center: Sequence[float] | None, size: tuple[int, int], dtype: np.dtype
) -> np.ndarray:
    """The grids (N, H, W, 2) of N lenses with coefficients (k1, k2): (N, 2)."""
    height, width = size
    cx, cy = from_middle(center, size)
    x = np.arange(width) - (width - 1) / 2 - cx  # (W,), pixels from the centre
    y = (np.arange(height) - (height - 1) / 2 - cy)[:, None]  # (H, 1)
    square = (x * x + y * y) / ((width * width + height * height) / 4)  # r^2: (H, W)
    own = np.stack(np.broadcast_arrays(x / (0.5 * width), y / (0.5 * height)), axis=-1)  # p - c: (H, W, 2)
    middle = np.array([cx / (0.5 * width), cy / (0.5 * height)])
    first, second = (own * square[..., None] ** power for power in (1, 2))
    k1, k2 = coefficients.T.astype(dtype)[:, :, None, None, None]
    grids = k1 * first.astype(dtype)  # (N, H, W, 2)
    if k2.any():
        grids += k2 * second.astype(dtype)
    grids += (own + middle).astype(dtype)
    return grids


def lens_distortion(
    img: AnyImage,
    k1: float,
    k2: float = 0.0,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Fill = None,
    center: Sequence[float] | None = None,
) -> AnyImage:
    """A PIL image or a Tensor (..., C, H, W) as through a lens that bends straight lines (not in torchvision).

    The pixel at p gets the value at c + (p - c) (1 + k1 r^2 + k2 r^4), where c is the centre and r is the distance from
    it in units of half the diagonal: 1 at the corners. Positive numbers give a barrel, negative ones a pincushion.

    Args:
        k1, k2: the coefficients of the lens, of about -0.3 to 0.5.
        interpolation: nearest or bilinear.
        fill, center: as in `affine`.

    Raises:
        ValueError: coefficients that fold the image: r (1 + k1 r^2 + k2 r^4) must grow with r, up to the corners.

    D. C. Brown, "Decentering distortion of lenses", Photogrammetric Engineering 1966.

    >>> minicnn.transforms.functional.lens_distortion(minicnn.tensor([[[1., 2., 3., 4., 5.]]]), 0.5)
    tensor([[[0.3846, 1.9231, 3.0000, 4.0769, 1.9231]]])
    """
    name, size = "lens_distortion", spatial_size("lens_distortion", sample("lens_distortion", img))
    k1, k2, middle = number(name, "k1", k1), number(name, "k2", k2), centre(name, center)
    check_lens(name, k1, k2)
    mode, fill = interpolation_mode(name, interpolation), checked_fill(name, fill)
    dtype = np.dtype(np.float32) if is_pil(img) else working_type(pixels(name, img))
    return _through_tensor(name, img, lens_grids(np.array([[k1, k2]]), middle, size, dtype), mode, fill)


def check_lens(name: str, k1: float, k2: float) -> None:
    """Check that the lens does not fold the image: 1 + 3 k1 s + 5 k2 s^2 > 0 for s = r^2 in [0, 1]."""
    lowest = [1.0] + ([-3 * k1 / (10 * k2)] if k2 else [])
    if any(1 + 3 * k1 * s + 5 * k2 * s * s <= 0 for s in lowest if 0 <= s <= 1):
        raise ValueError(f"{name}: k1 = {k1} and k2 = {k2} fold the image over; k1 alone must be above -1/3")
