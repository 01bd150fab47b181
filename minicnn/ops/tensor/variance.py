"""Variance and standard deviation, alone or with the mean: rows of `reduction.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array

from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .reduction import Reducer, axes_of, count, mean, reduce, row

__all__ = ["std", "std_mean", "var", "var_mean"]


def _away(a: Array, axes: tuple[int, ...]) -> Array:
    """Return `a` minus its mean, in float64: float32 cannot hold the squares of 1e20 or 1e-25, and where the mean is
    large it has too few digits for the difference.
    """
    return as_array(a - np.true_divide(np.add.reduce(a, axes, np.float64, keepdims=True), count(a.shape, axes)))


def _variance(a: Array, axes: tuple[int, ...], divisor: float) -> Array:
    """Use two passes: the mean, then the squared distances from it. One pass would lose digits by cancellation."""
    away = _away(a, axes)
    return as_array(np.add.reduce(np.multiply(away, away, out=away), axes, keepdims=True) / np.float64(divisor))


def _variance_gradient(gy: Array, a: Array, axes: tuple[int, ...], divisor: float) -> Array:
    return gy * (_away(a, axes) * (np.float64(2) / divisor))


def _deviation_gradient(gy: Array, a: Array, y: Array, axes: tuple[int, ...], divisor: float) -> Array:
    return _variance_gradient(np.where(y == 0, 0, gy / (2 * y.astype(np.float64))), a, axes, divisor)


_var = row("var", _variance, _variance_gradient, "float")
_std = row("std", lambda a, axes, divisor: np.sqrt(_variance(a, axes, divisor)), _deviation_gradient, "float")


def _spread(
    row: Reducer, x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> Tensor:
    if isinstance(dim, bool):  # var(True)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise RuntimeError(f"{row.name}: give one of unbiased and correction; unbiased=True is correction=1")
    freedom = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    size = count(x.array.shape, axes_of(row.name, x, dim))
    return reduce(row, x, dim, keepdim, divisor=np.float64(max(size - freedom, 0)))


@tensor_method("var")
@numpy_names
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """sum (a - mean)^2 / (n - correction) along `dim`; `unbiased` means a correction of 1 (the default) or 0.

    NaN if n - correction is 0 or less and all elements are equal.

    >>> x = minicnn.tensor([1., 2., 3.])
    >>> x.var(), x.var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    return _spread(_var, input, dim, unbiased, keepdim, correction)


@tensor_method("std")
@numpy_names
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The square root of `var`; where it is 0, the gradient is 0.

    >>> minicnn.tensor([1., 2., 3.]).std()
    tensor(1.)
    """
    return _spread(_std, input, dim, unbiased, keepdim, correction)


def _with_mean(spread: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Make the function that returns both `spread` (var or std) and the mean."""

    def both(
        input: Tensor,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        found = spread(input, dim, unbiased, keepdim, correction=correction)
        return found, mean(input, None if isinstance(dim, bool) else dim, keepdim)

    both.__name__ = f"{spread.__name__}_mean"
    both.__doc__ = f"""`{spread.__name__}` and `mean`, with the same arguments.

>>> minicnn.{both.__name__}(minicnn.tensor([1., 2., 3.]))
(tensor(1.), tensor(2.))
"""
    return both


var_mean, std_mean = numpy_names(_with_mean(var)), numpy_names(_with_mean(std))
