"""Losses of distributions: the Kullback-Leibler divergence, and negative log-likelihoods of counts and measurements."""

from __future__ import annotations

import math
import warnings

from minicnn_kernels import geometry
from minicnn_kernels.arrays import on_gpu
from minicnn_kernels.geometry import shown

from ...autograd.modes import no_grad
from ...tensor import Tensor
from ..tensor import creation
from ..tensor.arguments import check_tensor
from ..tensor.arithmetic import xlogy
from ..tensor.clamp import clamp, where
from ..tensor.shape import unsqueeze
from ..tensor.unary import exp, log
from .reduction import check, reduced, seen

__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


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

    Raises:
        ShapeError: the shapes do not broadcast.
        ValueError: the reduction is unknown.

    >>> x, target = minicnn.tensor([[0.5, 0.5]]).log(), minicnn.tensor([[1.0, 0.0]])
    >>> F.kl_div(x, target, reduction="batchmean")  # 1 log(1/0.5)
    tensor(0.6931)
    """
    check_tensor("kl_div", input=input, target=target)
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn(
            "kl_div: reduction 'mean' divides the total loss by both the batch size and the support size; 'batchmean' "
            "divides only by the batch size, and aligns with the KL div math definition",
            stacklevel=2,
        )
    kind = check("kl_div", reduction, size_average, reduce, own=("batchmean",))
    geometry.broadcast("kl_div", tuple(input.shape), tuple(target.shape))
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    loss = reduced(losses, "sum" if kind == "batchmean" else kind)
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

    Raises:
        ShapeError: the shapes do not broadcast.
        ValueError: the reduction is unknown.

    >>> F.poisson_nll_loss(minicnn.tensor([0.0]), minicnn.tensor([3.0]))  # e^0 - 3*0
    tensor(1.)
    """
    check_tensor("poisson_nll_loss", input=input, target=target)
    reduction = check("poisson_nll_loss", reduction, size_average, reduce)
    geometry.broadcast("poisson_nll_loss", tuple(input.shape), tuple(target.shape))
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
        TypeError: `var` is neither a tensor nor a number.

    >>> F.gaussian_nll_loss(minicnn.tensor([1.0]), minicnn.tensor([3.0]), 4.0)  # (log 4 + 2^2/4)/2
    tensor(1.1931)
    """
    check_tensor("gaussian_nll_loss", input=input, target=target)
    if not isinstance(var, (Tensor, int, float)):
        raise TypeError(f"gaussian_nll_loss: var must be a tensor or a number, got {shown(var)}")
    reduction = check("gaussian_nll_loss", reduction)
    like = {"dtype": input.dtype, "device": input.device}
    v = var if isinstance(var, Tensor) else creation.full(input.shape, float(var), **like)
    if on_gpu(v.array) and not seen(v):
        v = where(v < 0, math.nan, v)
    elif seen(v) and (v.array < 0).any():
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
