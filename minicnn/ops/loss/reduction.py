"""Reducing one loss per element or row to the number that is minimised."""

from __future__ import annotations

import warnings

from minicnn_kernels.arrays import on_gpu

from ...autograd import anomaly
from ...autograd.nodes import public_name, shown_as
from ...tensor import Tensor
from ..tensor.reduction import mean, sum

REDUCTIONS = ("mean", "sum", "none")


def check(
    op: str, reduction: str, size_average: bool | None = None, reduce: bool | None = None, own: tuple[str, ...] = ()
) -> str:
    """Return the reduction asked for, by its name or by the two arguments that older programs use instead.

    `own` are names of this loss only.

    Raises:
        ValueError: there is no such reduction.
    """
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(f"{op}: size_average and reduce are deprecated; use reduction={reduction!r}", stacklevel=3)
    if reduction == "elementwise_mean":
        warnings.warn(f"{op}: reduction='elementwise_mean' is deprecated; use reduction='mean'", stacklevel=3)
        return "mean"
    if reduction not in (*REDUCTIONS, *own):
        names = ", ".join(map(repr, (*REDUCTIONS, *own)))
        raise ValueError(f"{op}: {reduction} is not a valid value for reduction; there are: {names}")
    return reduction


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Return the mean (NaN if there are no losses), the sum, or the losses themselves."""
    return losses if reduction == "none" else as_one(losses, mean(losses) if reduction == "mean" else sum(losses))


def as_one(losses: Tensor, reduced: Tensor) -> Tensor:
    """Return the reduced losses; for programs the operation of the losses includes the reduction, as in PyTorch."""
    node = losses._edge[0] if losses._edge else None
    if node is None or node.title not in _WITH_REDUCTION:
        return reduced
    return shown_as(reduced, "NllLossBackward0" if node.title == "CrossEntropy" else public_name(node.title), losses)


_WITH_REDUCTION = {
    "Binary_cross_entropy", "Binary_cross_entropy_with_logits", "CrossEntropy", "Huber_loss", "MultiMargin",
    "MultilabelMargin", "Mse_loss", "NLL", "Smooth_l1_loss", "Soft_margin_loss",
}  # fmt: skip


def warn_of_broadcast(op: str, input: Tensor, target: Tensor) -> None:
    """Warn if the shapes differ: a broadcast target is nearly always a mistake."""
    if input.shape != target.shape:
        warnings.warn(
            f"{op}: using a target size ({tuple(target.shape)}) that is different to the input size "
            f"({tuple(input.shape)}). This will likely lead to incorrect results due to broadcasting. Please ensure "
            "they have the same size.",
            stacklevel=3,
        )


def seen(x: Tensor) -> bool:
    """Return whether values may be checked. On a GPU the program would wait for them, except under `detect_anomaly`."""
    return not x.is_meta and (not on_gpu(x.array) or anomaly.enabled())
