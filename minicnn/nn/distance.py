"""Distances and angles between vectors as layers."""

from __future__ import annotations

from ..ops.distance import cosine_similarity, pairwise_distance
from ..tensor import Tensor
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """The cosine of the angle between vectors: `nn.functional.cosine_similarity`. Shape: (..., D, ...) -> (..., ...).

    Args:
        dim: the axis of the vectors.
        eps: the smallest length to divide by.

    >>> nn.CosineSimilarity()(minicnn.tensor([[3.0, 4.0]]), minicnn.tensor([[1.0, 0.0]]))
    tensor([0.6000])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Apply it."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of differences along the last axis: `nn.functional.pairwise_distance`. Shape: (..., D) -> (...).

    Args:
        p: the exponent of the norm.
        eps: added to each difference.
        keepdim: keep the last axis, with size 1.

    >>> nn.PairwiseDistance()(minicnn.tensor([[3.0, 4.0]]), minicnn.zeros(1, 2))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Apply it."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
