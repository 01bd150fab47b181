"""Distances between all pairs of vectors of two sets."""

from __future__ import annotations

from typing import Any

from minicnn_kernels.geometry import ShapeError, real

from ..tensor import Tensor
from .arguments import check_tensor
from .norm import vector_norm
from .operands import promote
from .shape import unsqueeze

__all__ = ["cdist"]


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """y[..., i, j] = ||x1[..., i, :] - x2[..., j, :]||_p: (..., P, M) and (..., R, M) give (..., P, R).

    The differences themselves are taken, never |a|^2 + |b|^2 - 2ab, which loses all digits of a small distance; so
    `compute_mode`, which chooses in PyTorch, changes nothing.
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
