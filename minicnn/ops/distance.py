"""Vectors to unit length, and distances and angles between vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry

from ..tensor import Tensor
from .operands import promote, result_type

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def normalize(
    input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Divide the vectors along `dim` by their p-norm, y = x / max(|x|_p, eps).

    Args:
        input: floating point, of any shape.
        p: the exponent of the norm, infinite too.
        dim: the axis of the vectors, or several.
        eps: the least norm to divide by.
        out: a tensor to write the result to; it is then not recorded.
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
        eps: the least length to divide by.

    Raises:
        TypeError: integer tensors.
    """
    kind = result_type(x1, x2)
    if kind.kind != "f":
        raise TypeError(f"cosine_similarity: expected common dtype to be floating point, got {kind}; use .float()")
    shape = geometry.broadcast("cosine_similarity", x1.shape, x2.shape)
    return (_unit(x1.expand(shape), dim, eps, kind) * _unit(x2.expand(shape), dim, eps, kind)).sum(dim)


def _unit(x: Tensor, dim: int, eps: float, kind: np.dtype[Any]) -> Tensor:
    """x / max(|x|, eps) in the type `kind`; as in PyTorch the length has x's type, and below eps its own gradient."""
    length = (x if x.dtype.kind == "f" else x.to(kind)).norm(2, dim, keepdim=True)
    return x.to(kind) / (length + (eps - length.detach()).clamp_min(0)).to(kind)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis.

    Args:
        x1, x2: tensors (..., D) that broadcast.
        p: the exponent of the norm, infinite or negative too.
        eps: added to each difference, so that the gradient exists where the two are equal.
        keepdim: leave an axis of size 1 in the place of the last.
    """
    x1, x2 = promote("pairwise_distance", x1, x2)
    difference: Any = x1 - x2 + eps
    return difference.norm(p, -1, keepdim)
