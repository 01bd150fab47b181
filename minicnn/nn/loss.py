"""Losses as modules: each one calls the function of `minicnn.ops.loss` named in it, with stored arguments."""

from __future__ import annotations

from ..ops import loss
from ..tensor import Tensor
from .loss_base import _Loss, _WeightedLoss
from .margin_loss import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    MarginRankingLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss",
    "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
    "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


# ------------------------------------------------------------------------------------------------ against classes


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(logits)[target], averaged: logits (N, K, ...), classes (N, ...) or probabilities (N, K, ...).

    See `functional.cross_entropy` for weights (one for each class), ignored classes and label smoothing.

    >>> logits = minicnn.zeros(2, 10)  # all ten classes alike
    >>> nn.CrossEntropyLoss()(logits, minicnn.tensor([3, 7]))  # log(10)
    tensor(2.3026)
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
    """-x[target] for log-probabilities x (N, K, ...) and classes (N, ...).

    >>> nn.NLLLoss()(minicnn.tensor([[0.5, 0.25, 0.25]]).log(), minicnn.tensor([1]))  # log(4)
    tensor(1.3863)
    """

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
    """1/K sum_{k != t} max(0, margin - x[t] + x[k])^p for scores (N, K) and classes t (N,).

    >>> nn.MultiMarginLoss()(minicnn.tensor([[3.0, 5.0, 2.5]]), minicnn.tensor([0]))  # (3 + 0.5)/3
    tensor(1.1667)
    """

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
    """1/K sum over true classes j and others k of max(0, 1 - x[j] + x[k]); targets (N, K) list classes up to a -1.

    >>> nn.MultiLabelMarginLoss()(minicnn.tensor([[3.0, 5.0, 2.5]]), minicnn.tensor([[0, 1, -1]]))  # (1 - 3 + 2.5)/3
    tensor(0.1667)
    """

    function = staticmethod(loss.multilabel_margin_loss)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The binary cross-entropy for each of K labels with scores (N, K), averaged over the labels.

    >>> nn.MultiLabelSoftMarginLoss()(minicnn.zeros(1, 2), minicnn.tensor([[1.0, 0.0]]))  # log(2)
    tensor(0.6931)
    """

    function = staticmethod(loss.multilabel_soft_margin_loss)
    __constants__ = ("weight", "reduction")


# --------------------------------------------------------------------------------------------------- value by value


class MSELoss(_Loss):
    """(input - target)^2, averaged.

    >>> nn.MSELoss()(minicnn.tensor([1.0, 4.0]), minicnn.tensor([0.0, 2.0]))  # (1 + 4)/2
    tensor(2.5000)
    """

    function = staticmethod(loss.mse_loss)


class L1Loss(_Loss):
    """|input - target|, averaged.

    >>> nn.L1Loss()(minicnn.tensor([1.0, 4.0]), minicnn.tensor([0.0, 2.0]))  # (1 + 2)/2
    tensor(1.5000)
    """

    function = staticmethod(loss.l1_loss)


class SmoothL1Loss(_Loss):
    """d^2/(2 beta) for d = |input - target| < beta, else d - beta/2, averaged.

    >>> nn.SmoothL1Loss(reduction="none")(minicnn.tensor([0.5, 3.0]), minicnn.zeros(2))  # 0.5^2/2, 3 - 1/2
    tensor([0.1250, 2.5000])
    """

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
    """d^2/2 for d = |input - target| <= delta, else delta (d - delta/2), averaged.

    >>> nn.HuberLoss(reduction="none", delta=2.0)(minicnn.tensor([1.0, 3.0]), minicnn.zeros(2))  # 1/2, 2 (3 - 1)
    tensor([0.5000, 4.0000])
    """

    function = staticmethod(loss.huber_loss)
    __constants__ = ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class BCELoss(_WeightedLoss):
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, averaged; `BCEWithLogitsLoss` is more accurate.

    >>> nn.BCELoss()(minicnn.tensor([0.5]), minicnn.tensor([1.0]))  # log(2)
    tensor(0.6931)
    """

    function = staticmethod(loss.binary_cross_entropy)
    __constants__ = ("weight", "reduction")


class BCEWithLogitsLoss(_Loss):
    """The binary cross-entropy of sigmoid(x), computed from x without overflow, averaged.

    Args:
        weight: a factor for each loss, broadcast.
        pos_weight: a factor for the positive class, usually one number for each class on the last axis.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    >>> nn.BCEWithLogitsLoss()(minicnn.tensor([0.0]), minicnn.tensor([1.0]))  # sigmoid(0) is 1/2
    tensor(0.6931)
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
    """log(1 + e^(-t x)) for t of 1 or -1, averaged.

    >>> nn.SoftMarginLoss(reduction="none")(minicnn.tensor([0.0, -100.0]), minicnn.ones(2))
    tensor([  0.6931, 100.0000])
    """

    function = staticmethod(loss.soft_margin_loss)


class KLDivLoss(_Loss):
    """t (log t - x) for log-probabilities x; reduction="batchmean" gives the divergence as it is defined.

    >>> loss = nn.KLDivLoss(reduction="batchmean")
    >>> loss(minicnn.tensor([[0.5, 0.5]]).log(), minicnn.tensor([[1.0, 0.0]]))  # 1 log(1/0.5)
    tensor(0.6931)
    """

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
    """e^x - t x for the logarithm x of a rate, or x - t log(x + eps) for a rate x and a count t, averaged.

    >>> nn.PoissonNLLLoss(log_input=False)(minicnn.tensor([1.0]), minicnn.tensor([3.0]))  # 1 - 3 log(1)
    tensor(1.)
    """

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
    """(log v + (x - t)^2/v)/2 with v = max(var, eps), averaged: `loss(input, target, var)`.

    >>> nn.GaussianNLLLoss()(minicnn.tensor([1.0]), minicnn.tensor([3.0]), minicnn.tensor([4.0]))  # (log 4 + 2^2/4)/2
    tensor(1.1931)
    """

    function = staticmethod(loss.gaussian_nll_loss)
    __constants__ = ("full", "eps", "reduction")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction, full=full, eps=eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:  # type: ignore[override]
        """The loss."""
        return self._loss(input, target, var)  # type: ignore[arg-type]
