"""Losses as modules."""

from __future__ import annotations

from ..ops.loss import REDUCTIONS, cross_entropy
from ..tensor import Tensor
from .module import Module


class CrossEntropyLoss(Module):
    """-log softmax(logits)[target], averaged over the batch: logits (N, classes), target (N,) -> a scalar.

    Args:
        weight, ignore_index, label_smoothing: not supported at other than their defaults.
        reduction: "mean", "sum" or "none".
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if weight is not None or ignore_index != -100 or label_smoothing:
            raise NotImplementedError("CrossEntropyLoss: weight, ignore_index and label_smoothing are not supported")
        if size_average is not None or reduce is not None:
            raise ValueError("CrossEntropyLoss: size_average and reduce are gone in PyTorch too; use reduction=")
        if reduction not in REDUCTIONS:
            raise ValueError(f"CrossEntropyLoss: reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return cross_entropy(input, target, self.reduction)
