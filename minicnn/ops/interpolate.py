"""Interpolation: resizing images; the equations are in `sparse_rows.py` and `resample.py` of the kernels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import KindError, ShapeError, fits, shown, whole
from minicnn_kernels.sparse_rows import interpolation

from ..autograd.nodes import shown_as
from ..dtypes import DtypeError
from ..tensor import Tensor
from .pad import RESAMPLE
from .tensor.linear_map import Map
from .tensor.types import to

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

# For each mode: its method along one axis, and the rank of the input if it takes only one.
MODES: dict[str, tuple[str, int | None]] = {
    "nearest": ("nearest", None),
    "nearest-exact": ("nearest-exact", None),
    "area": ("area", None),
    "linear": ("linear", 3),
    "bilinear": ("linear", 4),
    "trilinear": ("linear", 5),
    "bicubic": ("cubic", 4),
}


def _sizes(
    shape: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[list[int], list[float | None]]:
    """Return the output size and the scale (None: the quotient of the sizes) of each axis after the first two."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: exactly one of size and scale_factor must be given")
    given = size if scale_factor is None else scale_factor
    several = isinstance(given, (tuple, list)) or (isinstance(given, np.ndarray) and given.ndim)
    each = list(given) if several else [given] * (len(shape) - 2)
    if len(each) != len(shape) - 2:
        raise ValueError(
            f"interpolate: {'size' if scale_factor is None else 'scale_factor'} {given} must be one number, or one for "
            f"each of the {len(shape) - 2} axes after the channels of the input {tuple(shape)}"
        )
    if scale_factor is None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor=True needs a scale_factor, not a size")
        return [whole(n, "interpolate", "size") for n in each], [None] * len(each)
    factors = [_factor(factor) for factor in each]
    sizes = [int(n * factor) for n, factor in zip(shape[2:], factors, strict=True)]
    return sizes, [None if recompute else factor for factor in factors]


def _factor(given: Any) -> float:
    """Return a scale factor as a number."""
    try:
        factor = float(given) if not isinstance(given, str) else math.nan
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise KindError(f"interpolate: scale_factor must be a number, got {shown(given)}") from None
    if not 0 < factor < 2**62:
        raise ShapeError(f"interpolate: scale_factor must be a positive number, got {given!r}")
    return factor


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images (N, C, H, W), signals (N, C, L) or volumes (N, C, D, H, W).

    The pixels of an axis lie at 0, 1 ... L - 1. Output pixel i of OL lies among them at the place

        p = (i + 1/2) L/OL - 1/2            or, with align_corners, p = i (L - 1)/(OL - 1)

    The linear modes weigh the two pixels next to p, the cubic one four. "nearest" takes pixel floor(i L/OL),
    "nearest-exact" the one nearest to p, and "area" the mean of a window, as `adaptive_avg_pool2d`.

    Args:
        input: a batch; "linear" needs one axis after the channels, "bilinear" and "bicubic" two, "trilinear" three; the
            others take one to three.
        size: of the result, one number for all axes or one number for each.
        scale_factor: instead of a size; the resulting size is rounded down.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic" or "area".
        align_corners: for the linear and cubic modes: align the centres of the corner pixels (True) or their outer
            corners (False).
        recompute_scale_factor: compute with the quotient of the sizes instead of `scale_factor`.
        antialias: for "bilinear" and "bicubic": average over all pixels when scaling down, as Pillow does.

    Raises:
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode is unknown, or does not take the rank of the input.
        ShapeError: the image is empty, or the output size is below 1.

    >>> x = minicnn.tensor([[[1.0, 3.0]]])
    >>> F.interpolate(x, scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    >>> F.interpolate(x, size=4, mode="linear")  # the new pixels lie at -1/4, 1/4, 3/4 and 5/4 of the old ones
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    >>> F.interpolate(x, size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    if mode not in MODES:
        raise NotImplementedError(f"interpolate: no mode {mode!r}; there are: {', '.join(MODES)}")
    kind, rank = MODES[mode]
    if align_corners is not None and kind not in ("linear", "cubic"):
        raise ValueError(
            f"interpolate: align_corners is for 'linear', 'bilinear', 'trilinear' and 'bicubic', not for {mode!r}"
        )
    sizes, scales = _sizes(input.shape, size, scale_factor, bool(recompute_scale_factor))
    if antialias and (mode not in ("bilinear", "bicubic") or input.ndim != 4):
        raise ValueError("interpolate: antialias=True is for 'bilinear' and 'bicubic' of images (N, C, H, W)")
    if input.ndim not in (3, 4, 5) or rank not in (None, input.ndim):
        raise NotImplementedError(
            f"interpolate: mode {mode!r} needs an input with {rank or '3 to 5'} axes (N, C, ...), got {input.ndim}"
        )
    if mode == "area":
        scales = [None] * len(scales)
    if 0 in input.shape[1:] or min(sizes) < (mode != "area"):
        raise ShapeError(
            f"interpolate: input and output must have channels and pixels, got {tuple(input.shape)} -> {tuple(sizes)}"
        )
    if not input.is_meta:
        fits("interpolate", (*input.shape[:2], *sizes), input.array.itemsize)
    if input.dtype.kind != "f" and not kind.startswith("nearest"):
        if input.dtype != np.uint8 or rank != 4:
            raise DtypeError(f"interpolate: mode {mode!r} is not implemented for {input.dtype}; use input.float()")
        return _bytes(input, kind, sizes, scales, bool(align_corners), antialias)
    steps: list[Any] = [input]
    for axis, (out, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        taps = interpolation(kind, input.shape[axis], out, scale or None, bool(align_corners), antialias)
        steps.append(Map.apply(steps[-1], RESAMPLE, axis, *taps))
    return shown_as(steps[-1], _node_name(mode, len(sizes)), steps[1])


def _node_name(mode: str, axes: int) -> str:
    """Return PyTorch's name of the node."""
    if mode == "area":
        return f"AdaptiveAvgPool{axes}DBackward0"
    return f"Upsample{''.join([word.capitalize() for word in mode.split('-')])}{axes}DBackward0"


def _bytes(
    input: Tensor, kind: str, sizes: list[int], scales: list[float | None], align_corners: bool, antialias: bool
) -> Tensor:
    """Resize images of bytes as PyTorch and Pillow do: first along the width, then rounded, then along the height.

    The weights are rounded to 16-bit integers, with as many binary digits as the largest weight allows.
    """
    result: Any = to(input, np.float64)
    for axis in (3, 2):
        size, out, scale = input.shape[axis], sizes[axis - 2], scales[axis - 2]
        taps, back = interpolation(kind, size, out, scale, align_corners, antialias)
        taps = taps.merged()
        largest = taps.weight.max()
        one = next((2**n for n in range(22) if int(largest * 2 ** (n + 1) + 0.5) >= 2**15), 2**22)
        taps = taps._replace(weight=np.trunc(taps.weight * one + np.copysign(0.5, taps.weight)) / one)
        result = (Map.apply(result, RESAMPLE, axis, taps, back) + 0.5).floor().clamp(0, 255)
    return to(result, np.uint8)


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its old name."""
    return _deprecated("upsample", input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="nearest")` under its old name."""
    return _deprecated("upsample_nearest", input, size, scale_factor, "nearest", None)


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="bilinear", align_corners=True)` under its old name."""
    return _deprecated("upsample_bilinear", input, size, scale_factor, "bilinear", True)


def _deprecated(name: str, *arguments: Any) -> Tensor:
    warnings.warn(f"{name} is deprecated, as in PyTorch; use interpolate", stacklevel=4)  # skips the frame of the guard
    return interpolate(*arguments)
