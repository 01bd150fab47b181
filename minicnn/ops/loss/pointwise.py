"""Losses that compare each value with one target: rows of the elementwise mechanism, then reduced.

In the rows, `a` is the input and `b` the target; both get a gradient.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import ShapeError, geometry
from minicnn_kernels.arrays import on_gpu
from minicnn_kernels.geometry import shown

from ...autograd import anomaly
from ...autograd.modes import no_grad
from ...tensor import Array, Tensor
from ..tensor import creation
from ..tensor.arguments import check_tensor, no_tensor
from ..tensor.arithmetic import xlogy
from ..tensor.clamp import clamp, where
from ..tensor.elementwise import ElementwiseRow, row, run
from ..tensor.reduction import sum
from ..tensor.shape import unsqueeze
from ..tensor.unary import exp, log, signs
from .reduction import check, reduced, warn_of_broadcast

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
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
            raise TypeError(f"{op}: {name} must be floating point, got {tensor.dtype}; convert it with .float()")


def _seen(x: Tensor) -> bool:
    """Return whether values may be checked. On a GPU the program would wait for them, except under `detect_anomaly`."""
    return not x.is_meta and (not on_gpu(x.array) or anomaly.enabled())


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
        raise TypeError(f"{row.name}: input must be floating point, got {input.dtype}; convert it with .float()")
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
    """(input - target)^2. With a weight of the input's shape, the mean is sum(weight loss)/sum(weight)."""
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
    """|input - target|. With a weight of the input's shape, the mean is sum(weight loss)/sum(weight)."""
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
    """
    op = "binary_cross_entropy"
    reduction = check(op, reduction, size_average, reduce)
    _floats(op, input=input, target=target)
    _fitting(op, input, target, weight=weight)
    if input.dtype != target.dtype:
        raise TypeError(f"{op}: target is {target.dtype} but input is {input.dtype}; convert one with .to(...)")
    for name, tensor in (("input", input), ("target", target)):
        if _seen(tensor) and not ((tensor >= 0) & (tensor <= 1)).all():
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
    """log(1 + e^(-t x)) for t of 1 or -1."""
    reduction = check("soft_margin_loss", reduction, size_average, reduce)
    _floats("soft_margin_loss", input=input)
    return reduced(run(SOFT_MARGIN, input, target), reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - x) with 0 log 0 = 0, for log-probabilities x: the Kullback-Leibler divergence of x from t.

    Args:
        input: logarithms of probabilities.
        target: probabilities, or their logarithms if `log_target`.
        reduction: "batchmean" is the sum / the batch size, as in the definition; "mean" divides by all elements.
        size_average, reduce: deprecated.
    """
    check_tensor("kl_div", input=input, target=target)
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn(
            "kl_div: reduction 'mean' divides the total loss by both the batch size and the support size; 'batchmean' "
            "divides only by the batch size, and aligns with the KL div math definition",
            stacklevel=2,
        )
    kind = check("kl_div", "sum" if reduction == "batchmean" else reduction, size_average, reduce)
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    loss = reduced(losses, kind)
    return loss / input.shape[0] if reduction == "batchmean" and input.ndim else loss


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x - t log(x + eps) for a rate x and a count t, or e^x - t x for a logarithm x (`log_input`).

    `full` adds Stirling's approximation t log t - t + log(2 pi t)/2 where t > 1.
    """
    check_tensor("poisson_nll_loss", input=input, target=target)
    reduction = check("poisson_nll_loss", reduction, size_average, reduce)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log v + (x - t)^2/v)/2 with v = max(var, eps); the gradient ignores this limit. `full` adds log(2 pi)/2.

    Args:
        input, target: the mean of a normal distribution, and the value drawn from it.
        var: the variance: a number, or a tensor of the input's shape, without its last axis or with size 1 there.
        full, eps: see above.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: a variance is negative (on a GPU it gives NaN), or has another shape.
    """
    check_tensor("gaussian_nll_loss", input=input, target=target)
    if not isinstance(var, (Tensor, int, float)):
        raise TypeError(f"gaussian_nll_loss: var must be a tensor or a number, got {shown(var)}")
    reduction = check("gaussian_nll_loss", reduction)
    like = {"dtype": input.dtype, "device": input.device}
    v = var if isinstance(var, Tensor) else creation.full(input.shape, float(var), **like)
    if on_gpu(v.array) and not _seen(v):
        v = where(v < 0, math.nan, v)
    elif _seen(v) and (v.array < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entries, but a variance cannot be negative")
    if v.shape != input.shape:
        if v.shape == input.shape[:-1]:
            v = unsqueeze(v, -1)
        elif v.ndim != input.ndim or [b for a, b in zip(input.shape, v.shape, strict=True) if a != b] != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var has shape {tuple(v.shape)}; it must have the input's shape "
                f"{tuple(input.shape)}, or lack its last axis, or have size 1 in place of one axis"
            )
    with no_grad():
        lift = clamp(v, min=eps) - v
    v = v + lift
    away = input - target
    losses = 0.5 * (log(v) + away * (away / v))  # the square could overflow
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)
