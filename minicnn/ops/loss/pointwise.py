"""Losses that compare each value with one target: rows of the elementwise mechanism, then reduced.

In the rows, `a` is the input and `b` the target; both get a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import ShapeError, geometry

from ...dtypes import DtypeError
from ...tensor import Array, Tensor
from ..tensor.arguments import no_tensor
from ..tensor.elementwise import ElementwiseRow, row, run
from ..tensor.reduction import sum
from ..tensor.unary import signs
from .reduction import check, reduced, seen, warn_of_broadcast

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss",
    "soft_margin_loss",
]  # fmt: skip


def _huber(a: Array, b: Array, delta: float) -> Array:
    size = np.abs(a - b)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


def _log_sigmoid(a: Array) -> Array:
    return np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a)))


def _sigmoid(a: Array) -> Array:
    return np.exp(np.minimum(a, 0)) / (1 + np.exp(-np.abs(a)))


def _logits_gradient(gy: Array, a: Array, b: Array, c: Array) -> Array:
    return gy * ((1 - b) - (1 + (c - 1) * b) * _sigmoid(-a))


def _smooth_l1(a: Array, b: Array, beta: float) -> Array:
    size = np.abs(a - b)
    return np.where(size < beta, 0.5 * size * (size / beta), size - 0.5 * beta)


def _both(slope: Callable[..., Array]) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Return the gradients of a function of d = a - b whose derivative is `slope(d)`."""
    return lambda gy, a, b: gy * slope(a - b), lambda gy, a, b: gy * slope(b - a)  # slope is an odd function


MSE = row(  # not 2 d first, which could overflow: the gradient of a mean is small
    "mse_loss", lambda a, b: (a - b) ** 2, lambda gy, a, b: 2 * gy * (a - b), lambda gy, a, b: 2 * gy * (b - a)
)
L1 = row("l1_loss", lambda a, b: np.abs(a - b), *_both(signs))
HUBER = row(
    "huber_loss",
    _huber,
    lambda gy, a, b, delta: gy * np.clip(a - b, -delta, delta),
    lambda gy, a, b, delta: gy * np.clip(b - a, -delta, delta),
)
SMOOTH_L1 = row(
    "smooth_l1_loss",
    _smooth_l1,
    lambda gy, a, b, beta: gy * np.clip((a - b) / beta, -1, 1),
    lambda gy, a, b, beta: gy * np.clip((b - a) / beta, -1, 1),
)
BCE = row(
    "binary_cross_entropy",
    lambda a, b: (b - 1) * np.maximum(np.log1p(-a), -100) - b * np.maximum(np.log(a), -100),
    lambda gy, a, b: gy * (a - b) / np.maximum((1 - a) * a, 1e-12),
    lambda gy, a: gy * (np.maximum(np.log1p(-a), -100) - np.maximum(np.log(a), -100)),
)
BCE_LOGITS = row(
    "binary_cross_entropy_with_logits",
    lambda a, b, c: (1 - b) * a - (1 + (c - 1) * b) * _log_sigmoid(a),
    _logits_gradient,
    lambda gy, a, c: gy * (-a - (c - 1) * _log_sigmoid(a)),
    lambda gy, a, b: gy * (-b * _log_sigmoid(a)),
)
SOFT_MARGIN = row(
    "soft_margin_loss",
    lambda a, b: -_log_sigmoid(a * b),
    lambda gy, a, b: -gy * b * _sigmoid(-a * b),
    lambda gy, a, b: -gy * a * _sigmoid(-a * b),
)


def _floats(op: str, **tensors: Any) -> None:
    """Check that all tensors are floating point.

    Raises:
        TypeError: one of them is not.
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise no_tensor(op, name, tensor)
        if tensor.dtype.kind != "f":
            raise DtypeError(f"{op}: {name} must be floating point, got {tensor.dtype}; convert it with .float()")


def _fitting(op: str, input: Tensor, target: Tensor, **weights: Tensor | None) -> None:
    """Check that input and target have the same shape, and that the weights broadcast to it."""
    if input.shape != target.shape:
        raise ValueError(
            f"{op}: target size ({tuple(target.shape)}) must be the same as input size ({tuple(input.shape)}); "
            "reshape or expand one of them"
        )
    for name, weight in weights.items():
        if weight is not None and geometry.broadcast(op, input.shape, weight.shape) != input.shape:
            raise ShapeError(f"{op}: {name} of shape {weight.shape} would enlarge losses of shape {input.shape}")


def _of_difference(
    row: ElementwiseRow,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    mean_by_weight: bool,
    **options: Any,
) -> Tensor:
    """Compute a loss of input - target times a weight, and warn if the two are broadcast."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        kinds = f"{type(input).__name__} and {type(target).__name__}"
        raise TypeError(f"{row.name}: input and target must be Tensors, got {kinds}; use minicnn.tensor(...)")
    if input.dtype.kind != "f" and target.dtype.kind != "f" and row is not L1:
        raise DtypeError(f"{row.name}: input must be floating point, got {input.dtype}; convert it with .float()")
    warn_of_broadcast(row.name, input, target)
    losses: Tensor = run(row, input, target, **options)
    if weight is None:
        return reduced(losses, reduction)
    if weight.shape != input.shape:
        raise ValueError(
            f"{row.name}: weight has shape {tuple(weight.shape)}; it must have the input's shape {tuple(input.shape)}"
        )
    losses = losses * weight
    return sum(losses) / sum(weight) if reduction == "mean" and mean_by_weight else reduced(losses, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2. With a weight of the input's shape, the mean is sum(weight loss)/sum(weight).

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> F.mse_loss(minicnn.tensor([1.0, 4.0]), minicnn.tensor([0.0, 2.0]))  # (1 + 4)/2
    tensor(2.5000)
    """
    reduction = check("mse_loss", reduction, size_average, reduce)
    return _of_difference(MSE, input, target, weight, reduction, True)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|. With a weight of the input's shape, the mean is sum(weight loss)/sum(weight).

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> F.l1_loss(minicnn.tensor([1.0, 4.0]), minicnn.tensor([0.0, 2.0]))  # (1 + 2)/2
    tensor(1.5000)
    """
    reduction = check("l1_loss", reduction, size_average, reduce)
    return _of_difference(L1, input, target, weight, reduction, True)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2/(2 beta) for d = |input - target| < beta, else d - beta/2; `l1_loss` for beta = 0.

    R. Girshick, "Fast R-CNN", 2015, https://arxiv.org/abs/1504.08083. It equals huber_loss / beta.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> F.smooth_l1_loss(minicnn.tensor([0.5, 3.0]), minicnn.zeros(2), reduction="none")  # 0.5^2/2, 3 - 1/2
    tensor([0.1250, 2.5000])
    """
    reduction = check("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    if beta == 0:
        return _of_difference(L1, input, target, None, reduction, True)
    return _of_difference(SMOOTH_L1, input, target, None, reduction, True, beta=beta)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2/2 for d = |input - target| <= delta, else delta (d - delta/2). P. Huber, 1964.

    With a weight of the input's shape, "mean" still divides by the number of elements.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> F.huber_loss(minicnn.tensor([1.0, 3.0]), minicnn.zeros(2), reduction="none", delta=2.0)  # 1/2, 2 (3 - 1)
    tensor([0.5000, 4.0000])
    """
    reduction = check("huber_loss", reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta must be positive, got {delta}")
    return _of_difference(HUBER, input, target, weight, reduction, False, delta=delta)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, with logarithms limited to at least -100.

    `binary_cross_entropy_with_logits` is more accurate; it takes the scores before the sigmoid.

    Raises:
        ValueError: the shapes differ.
        RuntimeError: an input or target is outside [0, 1]. On a GPU this is checked under `detect_anomaly` only.

    >>> x, target = minicnn.tensor([0.5, 0.25]), minicnn.tensor([1.0, 0.0])
    >>> F.binary_cross_entropy(x, target, reduction="none")  # -log(1/2), -log(3/4)
    tensor([0.6931, 0.2877])
    """
    op = "binary_cross_entropy"
    reduction = check(op, reduction, size_average, reduce)
    _floats(op, input=input, target=target)
    _fitting(op, input, target, weight=weight)
    if input.dtype != target.dtype:
        raise DtypeError(f"{op}: target is {target.dtype} but input is {input.dtype}; convert one with .to(...)")
    for name, tensor in (("input", input), ("target", target)):
        if seen(tensor) and not ((tensor >= 0) & (tensor <= 1)).all():
            raise RuntimeError(
                f"{op}: all elements of {name} should be between 0 and 1; apply sigmoid to scores, or use "
                "binary_cross_entropy_with_logits"
            )
    losses: Tensor = run(BCE, input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(p t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) for scores x, computed without overflow.

    Args:
        input, target: scores and probabilities of the same shape.
        weight: a factor for each loss, broadcast.
        pos_weight: p, a factor for the positive class, broadcast; usually one number for each class on the last axis.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    Raises:
        ValueError: the shapes differ.

    >>> x, target = minicnn.tensor([0.0, 1000.0]), minicnn.tensor([1.0, 0.0])
    >>> F.binary_cross_entropy_with_logits(x, target, reduction="none")  # log(2), and no overflow
    tensor([6.9315e-01, 1.0000e+03])
    """
    op = "binary_cross_entropy_with_logits"
    reduction = check(op, reduction, size_average, reduce)
    _floats(op, input=input, target=target)
    _fitting(op, input, target, weight=weight, pos_weight=pos_weight)
    losses: Tensor = run(BCE_LOGITS, input, target, 1.0 if pos_weight is None else pos_weight)
    return reduced(losses if weight is None else losses * weight, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-t x)) for t of 1 or -1.

    >>> F.soft_margin_loss(minicnn.tensor([0.0, -100.0]), minicnn.ones(2), reduction="none")  # log(2), 100
    tensor([  0.6931, 100.0000])
    """
    reduction = check("soft_margin_loss", reduction, size_average, reduce)
    _floats("soft_margin_loss", input=input)
    return reduced(run(SOFT_MARGIN, input, target), reduction)
