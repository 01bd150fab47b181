"""Losses of pairs and triplets as modules; `loss.py` has the others, and takes these from here."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import loss
from ..tensor import Tensor
from .distance import PairwiseDistance
from .loss_base import _Loss

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, max(0, margin - x) where t = -1, averaged.

    >>> nn.HingeEmbeddingLoss(reduction="none")(minicnn.tensor([0.5, 0.25]), minicnn.tensor([1.0, -1.0]))
    tensor([0.5000, 0.7500])
    """

    function = staticmethod(loss.hinge_embedding_loss)
    __constants__ = ("margin", "reduction")

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, margin=margin)


class _PairLoss(_Loss):
    """A loss of two inputs, a target and a margin."""

    __constants__ = ("margin", "reduction")

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, margin=margin)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """The loss."""
        return self._loss(input1, input2, target)


class MarginRankingLoss(_PairLoss):
    """max(0, margin - t (x1 - x2)), averaged.

    >>> nn.MarginRankingLoss(margin=0.5)(minicnn.tensor([2.0]), minicnn.tensor([3.0]), minicnn.ones(1))  # 0.5 + 1
    tensor(1.5000)
    """

    function = staticmethod(loss.margin_ranking_loss)


class CosineEmbeddingLoss(_PairLoss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1, averaged.

    >>> loss = nn.CosineEmbeddingLoss()
    >>> loss(minicnn.tensor([[3.0, 4.0]]), minicnn.tensor([[1.0, 0.0]]), minicnn.ones(1))  # 1 - 0.6
    tensor(0.4000)
    """

    function = staticmethod(loss.cosine_embedding_loss)


class TripletMarginLoss(_Loss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), averaged; d is the p-norm of the difference.

    Raises:
        ValueError: `margin` is not greater than 0.

    >>> anchor, positive, negative = minicnn.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]]).split(1)
    >>> nn.TripletMarginLoss(margin=6.0)(anchor, positive, negative)  # 6 + 1 - 5
    tensor(2.0000)
    """

    function = staticmethod(loss.triplet_margin_loss)
    __constants__ = ("margin", "p", "eps", "swap", "reduction")

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: margin must be greater than 0, got {margin}")
        super().__init__(size_average, reduce, reduction, margin=margin, p=p, eps=eps, swap=swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:  # type: ignore[override]
        """The loss."""
        return self._loss(anchor, positive, negative)


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with any distance of two tensors; None means `PairwiseDistance()`.

    Raises:
        ValueError: `margin` is not greater than 0.

    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1), margin=7.0)
    >>> loss(minicnn.zeros(1, 2), minicnn.tensor([[1.0, 0.0]]), minicnn.tensor([[3.0, 4.0]]))  # 7 + 1 - 7
    tensor(1.)
    """

    function = staticmethod(loss.triplet_margin_with_distance_loss)
    __constants__ = ("distance_function", "margin", "swap", "reduction")

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: margin must be greater than 0, got {margin}")
        super().__init__(reduction=reduction, margin=margin, swap=swap)
        self.distance_function = distance_function if distance_function is not None else PairwiseDistance()

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:  # type: ignore[override]
        """The loss."""
        return self._loss(anchor, positive, negative)
