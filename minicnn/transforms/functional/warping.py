"""Rotation, affine maps and perspective: each output pixel comes from a place of the input.

A Tensor is looked up at the places of a grid (`minicnn.ops.warp`), as torchvision does it; a PIL image is changed by
PIL. For a batch there is a grid for each image. `distortion.py` has grids that are not projective maps.

    affine        (x, y) -> A^-1 (x - c - t, y - c - t) + c, of the output's pixel to the input's, c: the centre
    perspective   (x, y) -> ((a x + b y + c) / (g x + h y + 1), (d x + e y + f) / (g x + h y + 1))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import KindError, fits, shown

from ...ops.warp import projective_grid, warped
from ...tensor import Tensor
from ..base import AnyImage, is_pil, pixels, sample, spatial_size
from .images import Fill, centre, checked_fill, number, numbers, pil_fill, tensor_fill
from .resizing import InterpolationMode, interpolation_mode, pil_filter

__all__ = [
    "affine", "affine_grids", "from_middle", "inverse_affine", "perspective", "perspective_coefficients",
    "perspective_grids", "rotate", "rotation_matrix", "warp_images", "working_type",
]  # fmt: skip

Points = Sequence[Sequence[float]]


# -------------------------------------------------------------------------------------------------- looking images up


def working_type(array: np.ndarray) -> np.dtype:
    """The type to compute in: float64 for float64, else float32."""
    return np.dtype(np.float64 if array.dtype == np.float64 else np.float32)


def _tensor_mode(name: str, mode: InterpolationMode) -> str:
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"{name}: {mode.value} exists for PIL images only; tensors take nearest and bilinear")
    return mode.value


def warp_images(name: str, image: Tensor, grids: np.ndarray, mode: InterpolationMode, fill: Fill) -> Tensor:
    """A Tensor (..., C, H, W) looked up at one grid (1, OH, OW, 2), or (N, C, H, W) at N grids.

    Whole numbers are computed in the type of the grid and rounded.
    """
    how, colour, x = _tensor_mode(name, mode), tensor_fill(name, image, fill), pixels(name, image)
    shape = (*x.shape[:-2], *grids.shape[1:3])
    fits(name, shape, grids.itemsize, "image")
    if len(grids) == 1:  # all leading dimensions share it: they are channels
        x = x.reshape(1, -1, *x.shape[-2:])  # (..., C, H, W) -> (1, ... C, H, W)
        colour = None if colour is None else np.tile(colour, x.shape[1] // len(colour))
    y = warped(x.astype(grids.dtype, copy=False), grids, how, colour).reshape(shape)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        y = np.clip(np.rint(y), limits.min, limits.max)
    return Tensor(y.astype(image.dtype, copy=False))


def _as_projective(rows: np.ndarray) -> np.ndarray:
    """The two rows of affine matrices (N, 2, 3) with the row 0 0 1: (N, 3, 3)."""
    matrices = np.zeros((len(rows), 3, 3), rows.dtype)
    matrices[:, :2], matrices[:, 2, 2] = rows, 1
    return matrices


# ------------------------------------------------------------------------------------------------- affine and rotate


def inverse_affine(center: Sequence[float], angle: Any, translate: Any, scale: Any, shear: Any) -> np.ndarray:
    """The rows (m0, m1, m2), (m3, m4, m5) of the map from output pixels to input pixels: (6,), or (N, 6) of N maps.

    The image is sheared, scaled, turned and moved, around `center`: M = T C R(angle) S(scale) Shy Shx C^-1, with
    Shx = (1, -tan sx; 0, 1) and Shy = (1, 0; -tan sy, 1). This is M^-1. Angles are in degrees.

    Args:
        center: (x, y), the same for all maps.
        angle, scale: numbers, or (N,).
        translate, shear: two numbers, or two (N,).
    """
    turn, (sx, sy) = np.radians(angle), map(np.radians, shear)
    (cx, cy), (tx, ty) = center, translate
    # R Shy Shx = (a, b; c, d), of determinant 1
    along, across = np.cos(turn - sy) / np.cos(sy), np.sin(turn - sy) / np.cos(sy)
    a, b = along, -along * np.tan(sx) - np.sin(turn)
    c, d = across, -across * np.tan(sx) + np.cos(turn)
    m0, m1, m3, m4 = d / scale, -b / scale, -c / scale, a / scale
    m2, m5 = m0 * (-cx - tx) + m1 * (-cy - ty) + cx, m3 * (-cx - tx) + m4 * (-cy - ty) + cy
    return np.stack(np.broadcast_arrays(m0, m1, m2, m3, m4, m5), axis=-1)


def affine_grids(matrices: np.ndarray, size: tuple[int, int], out: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """The grids (N, OH, OW, 2) of affine maps (N, 6), or of one (6,), whose coordinates are pixels from the middle."""
    (height, width), (out_h, out_w) = size, out
    rows = np.asarray(matrices, dtype).reshape(-1, 2, 3)
    rows = rows / np.array([[0.5 * width], [0.5 * height]], dtype)
    xs, ys = (np.arange(n, dtype=dtype) - dtype.type(0.5 * n - 0.5) for n in (out_w, out_h))
    return projective_grid(_as_projective(rows), xs, ys)


def from_middle(center: Sequence[float] | None, size: tuple[int, int]) -> tuple[float, float]:
    """A point (x, y) as pixels from the middle of an image (H, W)."""
    return (0.0, 0.0) if center is None else (center[0] - size[1] * 0.5, center[1] - size[0] * 0.5)


def affine(
    img: AnyImage,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
    fill: Fill = None,
    center: Sequence[float] | None = None,
) -> AnyImage:
    """Shear, scale, turn and move a PIL image or a Tensor (..., C, H, W); its size stays.

    Args:
        angle: in degrees, clockwise.
        translate: (right, down), in pixels, after the turn.
        scale: the factor of both sides, positive.
        shear: the angle of a shear along x, or those along x and along y, in degrees. Stretching one side is a
            shear and a scale, or `resize`.
        interpolation: nearest or bilinear; bicubic too for PIL images.
        fill: the value of what comes from outside: one number, or one per channel. None is 0.
        center: the point (x, y) that stays in place, in pixels from the upper left corner; None is the middle.

    >>> minicnn.transforms.functional.affine(minicnn.tensor([[[1., 2., 3.]]]), 0, (1, 0), 1.0, 0.0)
    tensor([[[0., 1., 2.]]])
    """
    size = spatial_size("affine", sample("affine", img))
    angle, scale = number("affine", "angle", angle), number("affine", "scale", scale)
    moved = numbers("affine", "translate", translate, (2,))
    if scale <= 0:
        raise ValueError(f"affine: scale should be positive, got {scale}")
    several = isinstance(shear, tuple | list | np.ndarray)
    sheared = numbers("affine", "shear", shear, (1, 2)) if several else (number("affine", "shear", shear), 0.0)
    sheared, middle = sheared * (2 // len(sheared)), centre("affine", center)
    mode, fill = interpolation_mode("affine", interpolation), checked_fill("affine", fill)
    if is_pil(img):
        from PIL import Image

        around = middle or (size[1] * 0.5, size[0] * 0.5)
        matrix = inverse_affine(around, angle, moved, scale, sheared).tolist()
        colour = pil_fill("affine", img, fill)
        return img.transform(img.size, Image.Transform.AFFINE, matrix, pil_filter(mode), fillcolor=colour)
    matrix = inverse_affine(from_middle(middle, size), angle, moved, scale, sheared)
    grid = affine_grids(matrix, size, size, working_type(pixels("affine", img)))
    return warp_images("affine", img, grid, mode, fill)


def rotation_matrix(angle: Any, center: Sequence[float] | None, size: tuple[int, int]) -> np.ndarray:
    """The affine map of a turn by `angle` degrees, counter-clockwise, for `affine_grids`; of N angles: (N, 6)."""
    return inverse_affine(from_middle(center, size), np.negative(angle), (0.0, 0.0), 1.0, (0.0, 0.0))


def _expanded(matrix: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """(OH, OW) of the smallest image that holds all of a turned one."""
    height, width = size
    corners = np.array([[x * width, y * height, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)], np.float32)
    there = corners @ np.asarray(matrix, np.float32).reshape(2, 3).T  # (4, 2)
    middle = np.array([width * 0.5, height * 0.5], np.float32)
    tolerance = np.float32(1e-4)  # 3.00001 is 3
    low, high = (np.trunc((end + middle) / tolerance) * tolerance for end in (there.min(axis=0), there.max(axis=0)))
    out_w, out_h = np.ceil(high) - np.floor(low)
    return int(out_h), int(out_w)


def rotate(
    img: AnyImage,
    angle: float,
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Fill = None,
) -> AnyImage:
    """Turn a PIL image or a Tensor (..., C, H, W) by `angle` degrees, counter-clockwise.

    Args:
        expand: make the result large enough for the whole turned image; this supposes that the middle is the centre.
        interpolation, fill, center: as in `affine`.

    >>> minicnn.transforms.functional.rotate(minicnn.tensor([[[1., 2.], [3., 4.]]]), 90)
    tensor([[[2., 4.],
             [1., 3.]]])
    """
    size, angle = spatial_size("rotate", sample("rotate", img)), number("rotate", "angle", angle)
    mode, middle = interpolation_mode("rotate", interpolation), centre("rotate", center)
    fill = checked_fill("rotate", fill)
    if is_pil(img):
        return img.rotate(angle, pil_filter(mode), bool(expand), middle, fillcolor=pil_fill("rotate", img, fill))
    matrix = rotation_matrix(angle, middle, size)
    out = _expanded(matrix, size) if expand else size
    grid = affine_grids(matrix, size, out, working_type(pixels("rotate", img)))
    return warp_images("rotate", img, grid, mode, fill)


# ------------------------------------------------------------------------------------------------------- perspective


def perspective_coefficients(startpoints: np.ndarray, endpoints: np.ndarray) -> np.ndarray:
    """(a, b, c, d, e, f, g, h) of N maps from the end points to the start points: (N, 4, 2), (N, 4, 2) -> (N, 8).

    Each pair of points gives two equations: x (g x' + h y' + 1) = a x' + b y' + c, and the same for y with d, e, f.
    """
    ends, starts = np.asarray(endpoints, np.float64), np.asarray(startpoints, np.float64)
    system = np.zeros((len(ends), 4, 2, 8))  # points, the two equations, unknowns
    for equation in (0, 1):
        system[:, :, equation, 3 * equation : 3 * equation + 2] = ends
        system[:, :, equation, 3 * equation + 2] = 1
        system[:, :, equation, 6:] = -starts[:, :, equation, None] * ends
    left, right = system.reshape(-1, 8, 8), starts.reshape(-1, 8)
    try:
        solved = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # three points in a line: the nearest map
        solved = np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(left, right, strict=True)])
    return solved.astype(np.float32)  # as torchvision rounds them


def perspective_grids(coefficients: np.ndarray, size: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """The grids (N, H, W, 2) of perspective maps (N, 8), whose coordinates are pixels from the upper left corner."""
    height, width = size
    matrices = np.ones((len(coefficients), 3, 3))
    matrices.reshape(-1, 9)[:, :8] = coefficients
    matrices[:, :2] /= np.array([[0.5 * width], [0.5 * height]])
    matrices[:, :2] -= matrices[:, 2:]  # a / c - 1 = (a - c) / c: from the middle
    xs, ys = (np.arange(n, dtype=dtype) + dtype.type(0.5) for n in (width, height))
    return projective_grid(matrices.astype(dtype), xs, ys)


def perspective(
    img: AnyImage,
    startpoints: Points,
    endpoints: Points,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Fill = None,
) -> AnyImage:
    """Move four points of a PIL image or a Tensor (..., C, H, W), as if it was seen from another side.

    Args:
        startpoints: the four points (x, y), such as the corners from the upper left one clockwise.
        endpoints: where they come to.
        interpolation, fill: as in `affine`.

    >>> corners = [[0, 0], [3, 0], [3, 3], [0, 3]]
    >>> x = minicnn.rand(1, 4, 4)
    >>> minicnn.allclose(minicnn.transforms.functional.perspective(x, corners, corners), x, atol=1e-5)
    True
    """
    size, points = spatial_size("perspective", sample("perspective", img)), []
    for what, given in (("startpoints", startpoints), ("endpoints", endpoints)):
        if not isinstance(given, tuple | list | np.ndarray) or len(given) != 4:
            raise KindError(f"perspective: {what} should be four points (x, y), got {shown(given)}")
        points.append([numbers("perspective", f"a point of {what}", point, (2,)) for point in given])
    mode, fill = interpolation_mode("perspective", interpolation), checked_fill("perspective", fill)
    found = perspective_coefficients(np.array(points[:1]), np.array(points[1:]))
    if is_pil(img):
        from PIL import Image

        colour = pil_fill("perspective", img, fill)
        return img.transform(
            img.size, Image.Transform.PERSPECTIVE, found[0].tolist(), pil_filter(mode), fillcolor=colour
        )
    return warp_images(
        "perspective", img, perspective_grids(found, size, working_type(pixels("perspective", img))), mode, fill
    )
