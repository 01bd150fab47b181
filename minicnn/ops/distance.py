"""Scaling vectors to unit length; distances and angles between vectors, in pairs or between all of two sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import ShapeError, real

from ..dtypes import DtypeError
from ..tensor import Tensor
from .tensor.arguments import check_tensor
from .tensor.indexing import Index
from .tensor.norm import vector_norm
from .tensor.operands import promote
from .tensor.promotion import result_type
from .tensor.ranges import triu_indices
from .tensor.shape import unsqueeze

__all__ = ["cdist", "cosine_similarity", "normalize", "pairwise_distance", "pdist"]


def normalize(
    input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Divide the vectors along `dim` by their p-norm, y = x / max(|x|_p, eps).

    Args:
        input: floating point, of any shape.
        p: the exponent of the norm; may be infinite.
        dim: the axis of the vectors, or several.
        eps: the smallest norm to divide by.
        out: a tensor to write the result to; the operation is then not recorded.

    >>> F.normalize(minicnn.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    y = input / input.norm(p, dim, keepdim=True).clamp_min(eps)
    if out is None:
        return y
    out.copy_(y.detach())
    return out


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors along `dim`.

        y = sum x1 x2 / (max(|x1|, eps) max(|x2|, eps))

    Args:
        x1, x2: tensors that broadcast.
        dim: the axis of the vectors, in the broadcast shape.
        eps: the smallest length to divide by.

    Raises:
        TypeError: the tensors have integers.

    >>> F.cosine_similarity(minicnn.tensor([[3.0, 4.0]]), minicnn.tensor([[1.0, 0.0]]))
    tensor([0.6000])
    """
    kind = result_type(x1, x2)
    if kind.kind != "f":
        raise DtypeError(f"cosine_similarity: expected common dtype to be floating point, got {kind}; use .float()")
    shape = geometry.broadcast("cosine_similarity", x1.shape, x2.shape)
    return (_unit(x1.expand(shape), dim, eps, kind) * _unit(x2.expand(shape), dim, eps, kind)).sum(dim)


def _unit(x: Tensor, dim: int, eps: float, kind: np.dtype[Any]) -> Tensor:
    """Return x / max(|x|, eps) in the type `kind`; as in PyTorch |x| has x's type, and a gradient even below eps."""
    length = (x if x.dtype.kind == "f" else x.to(kind)).norm(2, dim, keepdim=True)
    return x.to(kind) / (length + (eps - length.detach()).clamp_min(0)).to(kind)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis.

    Args:
        x1, x2: tensors (..., D) that broadcast.
        p: the exponent of the norm; may be infinite or negative.
        eps: added to each difference, so that the gradient exists where the two are equal.
        keepdim: keep the last axis, with size 1.

    >>> F.pairwise_distance(minicnn.tensor([[3.0, 4.0]]), minicnn.zeros(1, 2), p=1)
    tensor([7.0000])
    """
    x1, x2 = promote("pairwise_distance", x1, x2)
    difference: Any = x1 - x2 + eps
    return difference.norm(p, -1, keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """y[..., i, j] = ||x1[..., i, :] - x2[..., j, :]||_p: (..., P, M) and (..., R, M) give (..., P, R).

    The differences are computed directly, never as |a|^2 + |b|^2 - 2ab, which loses all digits of a small distance. So
    `compute_mode`, which chooses between the two in PyTorch, has no effect.

    >>> minicnn.cdist(minicnn.tensor([[0.0, 0.0]]), minicnn.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    check_tensor("cdist", x1=x1, x2=x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist: expected (..., P, M) and (..., R, M), got {tuple(x1.shape)} and {tuple(x2.shape)}")
    p = real(p, "cdist", "p")
    if p < 0:
        raise RuntimeError(f"cdist: only supports non-negative p, got {p}")
    a, b = promote("cdist", x1, x2)
    if a.dtype.kind != "f":
        raise RuntimeError(f"cdist: expected floating-point tensors, got {a.dtype}; convert them with .float()")
    return vector_norm(unsqueeze(a, -2) - unsqueeze(b, -3), p, -1)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of all pairs of rows, ||x[i] - x[j]||_p for i < j: (N, M) -> (N (N - 1)/2,).

    >>> F.pdist(minicnn.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))  # 0-1, 0-2, 1-2
    tensor([5.0000, 1.0000, 4.2426])
    """
    check_tensor("pdist", input=input)
    if input.ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D; make it (N, M)")
    if input.dtype.kind != "f":
        raise RuntimeError(f"pdist only supports floating-point dtypes, got {input.dtype}; convert it with .float()")
    p = real(p, "pdist", "p")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    first, second = triu_indices(input.shape[0], input.shape[0], 1, device=input.device)
    a, b = (Index.apply(input, rows, where=(0,)) for rows in (first, second))  # index_select waits to check them
    return vector_norm(a - b, p, -1)
