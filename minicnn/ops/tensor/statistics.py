"""Covariances, correlations and histograms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import host
from minicnn_kernels.geometry import ShapeError

from ...compat import return_types
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .matmul import matmul
from .reduction import sum
from .searching import _back, _values

__all__ = ["corrcoef", "cov", "histogram", "histogramdd"]


@tensor_method("cov")
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of variables, the rows of a matrix, over their observations, the columns.

    C = (X - mean) diag(w) (X - mean)^T / (sum w - correction), with w = fweights * aweights; the correction is
    multiplied by sum(w aweights) / sum w if there are aweights. A 1-d tensor is one variable: its variance.

    Args:
        correction: 1 for the estimate without bias, 0 for the mean.
        fweights: how often each observation occurs, integers.
        aweights: how much each observation counts.

    Raises:
        RuntimeError: there are more than two axes, or the weights do not fit the observations.

    >>> minicnn.cov(minicnn.tensor([[0., 1., 2.], [2., 1., 0.]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    check_tensor("cov", input=input)
    if input.ndim > 2:
        raise ShapeError(f"cov: expected input to have two or fewer dimensions but got an input of shape {input.shape}")
    if input.dtype.kind == "b":
        raise RuntimeError("cov: bool dtype is not supported for input; convert it with .float()")
    x = (input if input.ndim == 2 else input.reshape(1, -1)) * 1.0  # (variables, observations)
    n = x.shape[1]
    weights = _weights(x, fweights, aweights)
    total: Any = n if weights is None else sum(weights)
    mean = sum(x if weights is None else x * weights, 1, True) / total
    correct: Any = correction
    if aweights is not None and correction and weights is not None:
        correct = correction * sum(weights * aweights) / total
    norm = total - correct
    if float(norm) <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=2,
        )
        norm = norm * 0
    centred = x - mean
    found = matmul(centred if weights is None else centred * weights, centred.mT) / norm
    return found.squeeze()


def _weights(x: Tensor, fweights: Tensor | None, aweights: Tensor | None) -> Tensor | None:
    """Return the product of the weights; None if there are none."""
    found: Tensor | None = None
    for name, weights, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if weights is None:
            continue
        if weights.ndim > 1 or weights.numel() != x.shape[1] or weights.dtype.kind not in kinds:
            raise RuntimeError(
                f"cov: expected {name} to be {x.shape[1]} {'integers' if kinds == 'iu' else 'floats'}, one for each "
                f"observation, got {weights.dtype} {tuple(weights.shape)}"
            )
        if bool((weights < 0).any()):
            raise RuntimeError(f"cov: {name} cannot be negative")
        found = weights if found is None else found * weights
    return found


@tensor_method("corrcoef")
def corrcoef(input: Tensor) -> Tensor:
    """The correlations C_ij / sqrt(C_ii C_jj) of variables, the rows of a matrix, from their covariances C.

    >>> minicnn.corrcoef(minicnn.tensor([[0., 1., 2.], [4., 2., 0.]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    found = cov(input)
    if not found.ndim:
        return found / found
    deviations = found.diagonal().sqrt()
    return (found / deviations.unsqueeze(-1) / deviations).clamp(-1, 1)


@tensor_method("histogram")
def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """Count the elements between the edges of bins, as `(hist, bin_edges)`; each bin has its left edge.

    Args:
        bins: their number, or a 1-d tensor of the edges in ascending order.
        range: the first and the last edge; by default the smallest and the largest element.
        weight: how much each element counts.
        density: whether the integral is 1.

    >>> x, weight = minicnn.tensor([1., 2., 1.]), minicnn.tensor([1., 2., 4.])
    >>> minicnn.histogram(x, bins=4, range=(0., 3.), weight=weight).hist
    tensor([0., 5., 2., 0.])
    """
    hist, edges = _counted(
        "histogram", host(_values("histogram", input)).reshape(-1, 1), input, [bins], range, weight, density
    )
    return return_types.histogram(hist, edges[0])


def histogramdd(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """Count points (..., D) in the bins of a D-dimensional grid, as `(hist, bin_edges)`, with D tensors of edges.

    Args:
        bins: the number of bins along each axis, one int for all, or a list of tensors of edges.
        range: first and last edges, 2 D numbers.
        weight: how much each point counts.
        density: whether the integral is 1.

    >>> points = minicnn.tensor([[0., 1.], [1., 0.], [2., 0.], [2., 2.]])
    >>> minicnn.histogramdd(points, bins=[3, 3]).hist
    tensor([[0., 1., 0.],
            [1., 0., 0.],
            [1., 0., 1.]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"histogramdd: input tensor should have at least 2 dimensions, got shape {input.shape}")
    x = host(_values("histogramdd", input))
    x = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # (..., D) -> (points, D)
    bins = [bins] * x.shape[1] if isinstance(bins, int) else list(bins)
    hist, edges = _counted("histogramdd", x, input, bins, range, weight, density)
    return return_types.histogramdd(hist, tuple(edges))


def _counted(
    op: str, x: Array, input: Tensor, bins: Sequence[Any], range: Any, weight: Tensor | None, density: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return the counts and edges for points (n, D)."""
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        raise NotImplementedError(f"{op}: not defined for {input.dtype}; convert the tensor with .float()")
    if weight is not None and (weight.shape != input.shape[: weight.ndim] or weight.numel() != len(x)):
        raise RuntimeError(f"{op}: weight of shape {tuple(weight.shape)} does not fit {tuple(input.shape)}")
    if len(bins) != x.shape[1]:
        raise RuntimeError(f"{op}: expected bins for {x.shape[1]} axes, got {len(bins)}")
    limits = None if range is None else [(float(a), float(b)) for a, b in zip(range[::2], range[1::2], strict=True)]
    edges: list[Any] = [host(b.array) if isinstance(b, Tensor) else int(b) for b in bins]
    if any(isinstance(b, int) and b <= 0 for b in edges):
        raise RuntimeError(f"{op}: bins must be > 0, got {edges}")
    if limits is None and not len(x):
        limits = [(0.0, 1.0)] * x.shape[1]
    counted = None if weight is None else host(weight.array).reshape(-1)
    try:
        hist, found = np.histogramdd(x, edges, limits, density, counted)
    except ValueError as error:
        raise RuntimeError(f"{op}: {error}") from None
    return _back(hist.astype(x.dtype), input), [_back(edge.astype(x.dtype), input) for edge in found]
