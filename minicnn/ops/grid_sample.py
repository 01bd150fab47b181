"""Images looked up at the places of a grid, and the grid of an affine map: the parts of a spatial transformer.

A place is measured in half widths and half heights from the middle, (gx, gy). In pixels, for an axis of L pixels,

    u = ((gx + 1) L - 1)/2                      or, with align_corners, u = (gx + 1)/2 (L - 1)

Then y[n, c, i, j] = sum over the pixels (p, q) near the place of k(v - p) k(u - q) x[n, c, p, q], where k is

    bilinear    k(t) = max(0, 1 - |t|)                                      2 pixels along each axis
    bicubic     the cubic convolution of R. Keys (1981) with a = -3/4       4 pixels
    nearest     1 for the nearest pixel

The pixels are rows of C numbers, which `Embedding` takes; the weights are functions of the grid. So both have
gradients, of every order.

M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, "Spatial transformer networks", NeurIPS 2015,
https://arxiv.org/abs/1506.02025.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError, wholes

from ..autograd.nodes import shown_as
from ..autograd.second_order import with_unused
from ..tensor import Tensor
from .embedding import Embedding
from .tensor.arguments import check_tensor
from .tensor.clamp import where
from .tensor.concatenate import cat
from .tensor.creation import ones, zeros
from .tensor.expand import expand
from .tensor.ranges import arange, linspace
from .tensor.shape import permute, reshape
from .tensor.types import to

__all__ = ["affine_grid", "grid_sample"]

_A = -0.75  # the parameter of cubic convolution
_FAR = -100.0  # a place that no image has
_OLD = (
    "Default {} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old "
    "behavior is desired. See the documentation of {} for details."
)
_UNIT = (
    "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This is not an "
    "intended use case of affine_grid. See the documentation of affine_grid for details."
)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """Look images up at the places of a grid: output pixel (i, j) has the value at grid[n, i, j] = (gx, gy).

    Args:
        input: (N, C, H, W), or volumes (N, C, D, H, W).
        grid: (N, OH, OW, 2), or (N, OD, OH, OW, 3) with (gx, gy, gz); -1 and 1 are the edges of the image.
        mode: "bilinear" (of volumes, trilinear), "nearest", or "bicubic" for images.
        padding_mode: what is outside of the image: "zeros", the nearest pixel of the "border", or the "reflection".
        align_corners: whether -1 and 1 are the centres of the outer pixels (True) or their outer edges (False).

    Returns:
        (N, C, OH, OW), or (N, C, OD, OH, OW).

    Raises:
        ValueError: the mode or the padding mode is unknown.
        RuntimeError: the shapes or types do not fit together.

    >>> x = minicnn.tensor([[[[1.0, 3.0]]]])
    >>> grid = minicnn.tensor([[[[-0.5, 0.0], [0.0, 0.0], [1.0, 0.0]]]])  # a centre, the middle, the edge
    >>> F.grid_sample(x, grid, align_corners=False)
    tensor([[[[1.0000, 2.0000, 1.5000]]]])
    """
    _check(input, grid, mode, padding_mode)
    if align_corners is None:
        warnings.warn(_OLD.format("grid_sample and affine_grid", "grid_sample"), stacklevel=2)
    if input.dtype == np.float16:
        x, g = to(input, np.float32), to(grid, np.float32)
        return to(grid_sample(x, g, mode, padding_mode, bool(align_corners)), np.float16)
    n, c, *sides = input.shape
    outs = tuple(grid.shape[1:-1])
    places = [grid[..., len(sides) - 1 - axis].reshape(-1) for axis in range(len(sides))]  # (N*P,) for each axis
    taps = [
        _taps(_unnormalized(g, size, bool(align_corners)), size, mode, padding_mode, bool(align_corners))
        for g, size in zip(places, sides, strict=True)
    ]
    order = (0, *range(2, input.ndim), 1)
    rows = reshape(permute(input, order), (n * math.prod(sides), c))
    first = _repeated(arange(n, device=grid.device), math.prod(outs))  # (N*P,): the image of each output pixel
    total: Any = None
    weight: Any
    for corner in itertools.product(*taps):
        index, weight = first, 1.0  # of all axes
        for (place, factor), size in zip(corner, sides, strict=True):
            index = index * size + place
            weight = weight * factor
        part = Embedding.apply(rows, index, None, False) * reshape(weight, (-1, 1))
        total = part if total is None else total + part
    y = permute(reshape(total, (n, *outs, c)), (0, input.ndim - 1, *range(1, input.ndim - 1))).contiguous()
    y = with_unused(y, grid) if mode == "nearest" else y
    return shown_as(y, f"GridSampler{input.ndim - 2}DBackward0")


def _repeated(x: Tensor, count: int) -> Tensor:
    """(N,) -> (N*count,): each number `count` times."""
    return reshape(expand(reshape(x, (-1, 1)), x.shape[0], count), (-1,))


def _unnormalized(g: Tensor, size: int, align: bool) -> Tensor:
    """The place in pixels."""
    return (g + 1) / 2 * (size - 1) if align else ((g + 1) * size - 1) / 2


def _taps(u: Tensor, size: int, mode: str, padding: str, align: bool) -> list[tuple[Tensor, Tensor]]:
    """The pixels near each place of an axis, each with its weight, which is 0 outside of the image."""
    if mode == "bicubic":
        low = u.detach().floor()
        t = u - low
        weights = [_outer(t + 1), _inner(t), _inner(1 - t), _outer(2 - t)]
        return [_tap(_inside(low + (k - 1), size, padding, align), size, w) for k, w in enumerate(weights)]
    u = _inside(u, size, padding, align)
    if mode == "nearest":
        low = u.detach().round()
        return [_tap(low, size, low * 0 + 1)]
    low = u.detach().floor()
    return [_tap(low, size, 1 - (u - low)), _tap(low + 1, size, u - low)]


def _inner(t: Tensor) -> Tensor:
    """The weight of cubic convolution for |t| <= 1."""
    return ((_A + 2) * t - (_A + 3)) * t * t + 1


def _outer(t: Tensor) -> Tensor:
    """The weight of cubic convolution for 1 <= |t| <= 2."""
    return ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A


def _tap(place: Tensor, size: int, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel at whole places, and its weight."""
    inside = (place >= 0) & (place <= size - 1)
    return to(place.clamp(0, size - 1), np.int64), where(inside, weight, 0.0)


def _inside(u: Tensor, size: int, padding: str, align: bool) -> Tensor:
    """The places, as `padding` moves them into the image; places that are no numbers become far ones, or 0."""
    if padding == "reflection":
        u = _reflected(u, *((0.0, size - 1.0) if align else (-0.5, size - 0.5)))
    known = u.detach()
    if padding == "zeros":
        return where(known.abs() < 2**30, u, _FAR)
    return where((known > 0) & (known < size - 1), u, known.nan_to_num(0.0).clamp(0, size - 1))


def _reflected(u: Tensor, low: float, high: float) -> Tensor:
    """The places reflected at `low` and `high` until they lie between them."""
    span = high - low
    if not span:
        return u * 0 + low
    known = u.detach() - low
    distance = known.abs()
    turns = (distance / span).floor()
    back = turns.remainder(2) == 1
    sign = where(known < 0, -1.0, 1.0)  # of the distance, as a function of u
    rest = (u - low) * sign - turns * span
    return where(back, span - rest, rest) + low


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    """Check the arguments of `grid_sample`."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: {mode!r}"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"{padding_mode!r}"
        )
    check_tensor("grid_sample", input=input, grid=grid)
    x, g = list(input.shape), list(grid.shape)
    if input.dtype.kind != "f" or input.dtype != grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, floating point, but input has "
            f"{input.dtype} and grid has {grid.dtype}"
        )
    if x[:1] != g[:1]:
        raise ShapeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{x} and grid with sizes {g}"
        )
    if g[-1:] != [len(x) - 2]:
        raise ShapeError(
            f"grid_sampler(): expected grid to have size {len(x) - 2} in last dimension, but got grid with sizes {g}"
        )
    for axis, size in enumerate(x[2:], 2):
        if not size:
            raise ShapeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{x} with dimension {axis} being empty"
            )
    if len(x) not in (4, 5) or len(g) != len(x):
        raise ShapeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with "
            f"sizes {x} and grid with sizes {g}"
        )
    if mode == "bicubic" and len(x) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input; use mode='bilinear'")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid of an affine map, for `grid_sample`: grid[n, i, j] = theta[n] (x_j, y_i, 1).

    x_j are the places of the columns of the output, y_i those of its rows: with align_corners from -1 to 1, else the
    centres of OW pixels between -1 and 1.

    Args:
        theta: (N, 2, 3), or (N, 3, 4) for volumes.
        size: of the output, (N, C, OH, OW) or (N, C, OD, OH, OW).
        align_corners: as in `grid_sample`.

    Returns:
        (N, OH, OW, 2), or (N, OD, OH, OW, 3).

    Raises:
        ValueError: the matrices do not fit the size, or the size is not positive.

    >>> shift = minicnn.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(shift, (1, 1, 1, 2), align_corners=False)  # centres -0.5 and 0.5, moved by 0.5
    tensor([[[[0., 0.],
              [1., 0.]]]])
    """
    check_tensor("affine_grid", theta=theta)
    if theta.dtype.kind != "f":
        raise ValueError(f"affine_grid: Expected theta to have floating point type, but got {theta.dtype}")
    sizes = wholes(list(size), "affine_grid", "size")
    axes = len(sizes) - 2
    if axes not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{tuple(sizes)}."
        )
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (axes, axes + 1):
        raise ValueError(
            f"affine_grid: Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size "
            f"{tuple(sizes)}. Got {theta.shape!r}."
        )
    if align_corners is None:
        warnings.warn(_OLD.format("grid_sample and affine_grid", "affine_grid"), stacklevel=2)
    if min(sizes) <= 0:
        raise ValueError(f"affine_grid: Expected non-zero, positive output size. Got {tuple(sizes)}")
    outs = sizes[2:]
    if align_corners and 1 in outs:
        warnings.warn(_UNIT, stacklevel=2)
    like = {"dtype": theta.dtype, "device": theta.device}
    lines = []
    for axis in reversed(range(axes)):  # x, y, z
        count = outs[axis]
        line = zeros(1, **like) if count == 1 else linspace(-1, 1, count, **like)
        line = line if align_corners else line * ((count - 1) / count)
        lines.append(expand(reshape(line, (*(1,) * axis, count, *(1,) * (axes - axis - 1), 1)), *outs, 1))
    base = reshape(cat([*lines, ones(*outs, 1, **like)], -1), (math.prod(outs), axes + 1))
    return reshape(base @ theta.transpose(1, 2), (theta.shape[0], *outs, axes))
