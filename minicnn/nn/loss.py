"""Losses as modules: each one calls the function of `minicnn.ops.loss` named in it, with stored arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import loss
from ..ops.loss.reduction import check
from ..tensor import Tensor
from .distance import PairwiseDistance
from .module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss",
    "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
    "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Loss(Module):
    """The base class: a function of the arguments of `forward` and of the attributes named in `__constants__`.

    Args:
        reduction: "mean", "sum" or "none"; checked when the loss is computed.
        size_average, reduce: the deprecated forms of `reduction`.
    """

    function: Callable[..., Tensor]
    __constants__: tuple[str, ...] = ("reduction",)
    reduction: str

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", **arguments: Any
    ) -> None:
        super().__init__()
        old = size_average is not None or reduce is not None
        self.reduction = check(type(self).__name__, reduction, size_average, reduce) if old else reduction
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input, target)

    def _loss(self, *inputs: Tensor) -> Tensor:
        return type(self).function(*inputs, **{name: getattr(self, name) for name in self.__constants__})


class _WeightedLoss(_Loss):
    """A loss with a buffer `weight`, or None."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        **arguments: Any,
    ) -> None:
        super().__init__(size_average, reduce, reduction, **arguments)
        self.register_buffer("weight", weight)


# ------------------------------------------------------------------------------------------------ against classes


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(logits)[target], averaged: logits (N, K, ...), classes (N, ...) or probabilities (N, K, ...).

    See `functional.cross_entropy` for weights (one for each class), ignored classes and label smoothing.
    """

    function = staticmethod(loss.cross_entropy)
    __constants__ = ("weight", "ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            weight, size_average, reduce, reduction, ignore_index=ignore_index, label_smoothing=label_smoothing
        )


class NLLLoss(_WeightedLoss):
    """-x[target] for log-probabilities x (N, K, ...) and classes (N, ...)."""

    function = staticmethod(loss.nll_loss)
    __constants__ = ("weight", "ignore_index", "reduction")

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction, ignore_index=ignore_index)


class MultiMarginLoss(_WeightedLoss):
    """1/K sum_{k != t} max(0, margin - x[t] + x[k])^p for scores (N, K) and classes t (N,)."""

    function = staticmethod(loss.multi_margin_loss)
    __constants__ = ("p", "margin", "weight", "reduction")

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: weight must be one-dimensional, (classes,), got {tuple(weight.shape)}")
        super().__init__(weight, size_average, reduce, reduction, p=p, margin=margin)


class MultiLabelMarginLoss(_Loss):
    """1/K sum over true classes j and others k of max(0, 1 - x[j] + x[k]); targets (N, K) list classes up to a -1."""

    function = staticmethod(loss.multilabel_margin_loss)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The binary cross-entropy for each of K labels with scores (N, K), averaged over the labels."""

    function = staticmethod(loss.multilabel_soft_margin_loss)
    __constants__ = ("weight", "reduction")


# --------------------------------------------------------------------------------------------------- value by value


class MSELoss(_Loss):
    """(input - target)^2, averaged."""

    function = staticmethod(loss.mse_loss)


class L1Loss(_Loss):
    """|input - target|, averaged."""

    function = staticmethod(loss.l1_loss)


class SmoothL1Loss(_Loss):
    """d^2/(2 beta) for d = |input - target| < beta, else d - beta/2, averaged."""

    function = staticmethod(loss.smooth_l1_loss)
    __constants__ = ("reduction", "beta")

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction, beta=beta)


class HuberLoss(_Loss):
    """d^2/2 for d = |input - target| <= delta, else delta (d - delta/2), averaged."""

    function = staticmethod(loss.huber_loss)
    __constants__ = ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class BCELoss(_WeightedLoss):
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, averaged; `BCEWithLogitsLoss` is more accurate."""

    function = staticmethod(loss.binary_cross_entropy)
    __constants__ = ("weight", "reduction")


class BCEWithLogitsLoss(_Loss):
    """The binary cross-entropy of sigmoid(x), computed from x without overflow, averaged.

    Args:
        weight: a factor for each loss, broadcast.
        pos_weight: a factor for the positive class, usually one number for each class on the last axis.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.
    """

    function = staticmethod(loss.binary_cross_entropy_with_logits)
    __constants__ = ("weight", "pos_weight", "reduction")
    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)


class SoftMarginLoss(_Loss):
    """log(1 + e^(-t x)) for t of 1 or -1, averaged."""

    function = staticmethod(loss.soft_margin_loss)


class KLDivLoss(_Loss):
    """t (log t - x) for log-probabilities x; reduction="batchmean" gives the divergence as it is defined."""

    function = staticmethod(loss.kl_div)
    __constants__ = ("reduction", "log_target")

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_target=log_target)


class PoissonNLLLoss(_Loss):
    """e^x - t x for the logarithm x of a rate, or x - t log(x + eps) for a rate x and a count t, averaged."""

    function = staticmethod(loss.poisson_nll_loss)
    __constants__ = ("log_input", "full", "eps", "reduction")

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_input=log_input, full=full, eps=eps)


class GaussianNLLLoss(_Loss):
    """(log v + (x - t)^2/v)/2 with v = max(var, eps), averaged: `loss(input, target, var)`."""

    function = staticmethod(loss.gaussian_nll_loss)
    __constants__ = ("full", "eps", "reduction")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction, full=full, eps=eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:  # type: ignore[override]
        """The loss."""
        return self._loss(input, target, var)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ pairs and triplets


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, max(0, margin - x) where t = -1, averaged."""

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
    """max(0, margin - t (x1 - x2)), averaged."""

    function = staticmethod(loss.margin_ranking_loss)


class CosineEmbeddingLoss(_PairLoss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1, averaged."""

    function = staticmethod(loss.cosine_embedding_loss)


class TripletMarginLoss(_Loss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), averaged; d is the p-norm of the difference."""

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
    """`TripletMarginLoss` with any distance of two tensors; None means `PairwiseDistance()`."""

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
