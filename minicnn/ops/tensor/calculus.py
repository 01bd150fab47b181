"""Differences and integrals of sampled functions."""

from __future__ import annotations

from typing import Any

from minicnn_kernels.geometry import ShapeError, real

from ...tensor import Tensor
from .arguments import axes, axis, check_tensor
from .concatenate import cat
from .cumulative import cumsum
from .reduction import sum

__all__ = ["cumulative_trapezoid", "gradient", "trapezoid", "trapz"]


def _trapezoids(op: str, y: Tensor, x: Any, dx: Any, dim: int) -> Tensor:
    """Return the areas (y_i + y_(i+1)) / 2 times the widths, along an axis."""
    check_tensor(op, y=y)
    at, n = axis(op, dim, y.ndim), y.shape[dim] if y.ndim else 1
    sums = y.narrow(at, 1, max(n - 1, 0)) + y.narrow(at, 0, max(n - 1, 0)) if n else y
    if x is None:
        return sums * (real(1 if dx is None else dx, op, "dx") / 2)
    if dx is not None:
        raise TypeError(f"{op}: give the points x or their distance dx, not both")
    if x.ndim == 1:
        if x.shape[0] != n:
            raise ShapeError(f"{op}: there must be one `x` value for each sample point, got {x.shape[0]} for {n}")
        x = x.reshape(-1, *[1] * (y.ndim - at - 1))
    along = at - y.ndim
    widths = x.narrow(along, 1, n - 1) - x.narrow(along, 0, n - 1) if n else x
    return sums * widths / 2


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along an axis by the trapezoidal rule: sum_i (y_i + y_(i+1)) / 2 (x_(i+1) - x_i).

    Args:
        x: the points, 1-d or of a shape that is broadcast with y; by default they have the distance `dx`.
        dx: 1 by default.

    >>> minicnn.trapezoid(minicnn.tensor([1., 5., 10.]))
    tensor(10.5000)
    >>> minicnn.trapezoid(minicnn.tensor([1., 5., 10.]), minicnn.tensor([1., 3., 6.]))
    tensor(28.5000)
    """
    return sum(_trapezoids("trapezoid", y, x, dx, dim), dim)


def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """`trapezoid` under its older name."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integrals from the first point to each of the others by the trapezoidal rule.

    >>> minicnn.cumulative_trapezoid(minicnn.tensor([1., 5., 10.]))
    tensor([ 3.0000, 10.5000])
    """
    return cumsum(_trapezoids("cumulative_trapezoid", y, x, dx, dim), dim)


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivatives of a sampled function along axes, by differences of second order inside.

    At a point with the distances h to the left and k to the right neighbour,
    f' = (h^2 f(x + k) + (k^2 - h^2) f(x) - k^2 f(x - h)) / (h k (h + k)).

    Args:
        spacing: the distance of the points, for all axes or a list with one for each; or a list of 1-d tensors of
            coordinates.
        dim: the axes; all by default.
        edge_order: the order of the difference at the ends, 1 or 2.

    Returns:
        One tensor for each axis.

    Raises:
        RuntimeError: an axis has fewer than edge_order + 1 points, or there is not one spacing for each axis.

    >>> minicnn.gradient(minicnn.tensor([1., 4., 9., 16.]))  # of (x + 1)^2
    (tensor([3., 4., 6., 7.]),)
    """
    check_tensor("gradient", input=input)
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    where = tuple(range(input.ndim)) if dim is None else axes("gradient", dim, input.ndim)
    spacing = 1 if spacing is None else spacing
    steps = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(where)
    if len(steps) != len(where):
        raise RuntimeError(
            f"gradient: expected spacing to be unspecified, a scalar, or a list of {len(where)}, got {len(steps)}"
        )
    found = []
    for at, step in zip(where, steps, strict=True):
        n = input.shape[at]
        if n < edge_order + 1:
            raise RuntimeError(
                f"gradient: expected each dimension size to be at least edge_order+1 = {edge_order + 1}, got {n}"
            )
        if isinstance(step, Tensor) and step.ndim and step.shape[0] != n:
            raise RuntimeError(f"gradient: expected {n} coordinates for dimension {at}, got {step.shape[0]}")
        found.append(_derivative(input.movedim(at, -1), step, edge_order).movedim(-1, at))
    return tuple(found)


def _derivative(f: Tensor, spacing: Any, edge_order: int) -> Tensor:
    """Return the derivative along the last axis."""
    n = f.shape[-1]
    if isinstance(spacing, Tensor) and spacing.ndim:
        widths: Any = spacing[1:] - spacing[:-1]
    else:
        widths = f.new_ones(n - 1) * spacing if f.dtype.kind == "f" else f.new_ones(n - 1).float() * spacing
    slopes = (f[..., 1:] - f[..., :-1]) / widths
    h, k = widths[:-1], widths[1:]
    if isinstance(spacing, Tensor) and spacing.ndim:
        inside = (slopes[..., :-1] * k + slopes[..., 1:] * h) / (h + k)
    else:  # without the point itself, which may be Inf or NaN
        inside = (f[..., 2:] - f[..., :-2]) / (2 * h)
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:
        first = first + (first - slopes[..., 1:2]) * (widths[0] / (widths[0] + widths[1]))
        last = last + (last - slopes[..., -2:-1]) * (widths[-1] / (widths[-1] + widths[-2]))
    return cat([first, inside, last], -1)
