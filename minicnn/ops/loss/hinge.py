"""Hinge losses over classes, and their smooth form over labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array, beside, xp
from minicnn_kernels.geometry import losses as geometry

from ...autograd.engine import Function
from ...device import Meta, meta
from ...tensor import Array, Tensor
from ..activation import logsigmoid
from ..tensor.arguments import check_tensor
from ..tensor.operands import floating
from ..tensor.reduction import sum
from ..tensor.shape import reshape
from .one_hot import checked, ends, indices, labels
from .reduction import check, reduced

__all__ = ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss"]


class MultiMargin(Function):
    """loss[n] = w[t[n]]/K sum_{k != t[n]} max(0, margin - x[n, t[n]] + x[n, k])^p."""

    @staticmethod
    def forward(ctx: Any, x: Array, t: Array, w: Array | None, *, p: int, margin: float) -> Array:
        """Compute all rows at once."""
        rows = xp(x).arange(x.shape[0])
        t, wrong = checked(t, x.shape[1])
        over = np.maximum(margin - x[rows, t][:, None] + x, 0)  # (N, K)
        over[rows, t] = 0
        scale = as_array((1 if w is None else w[t]) / x.dtype.type(x.shape[1])).astype(x.dtype)  # () or (N,)
        if wrong is not None:
            scale = np.where(wrong, np.nan, beside(scale, x)).astype(x.dtype)
        ctx.save_for_backward(over, t, scale, x if p == 2 else None)
        ctx.p, ctx.margin = p, margin
        return scale * (over**p).sum(1)

    @staticmethod
    def backward(ctx: Any, g: Array) -> tuple[Array, None, None]:
        """Give each class above the margin a positive gradient, and the true class the negative sum of these."""
        over, t, scale, _ = ctx.saved
        gx = ((over > 0) if ctx.p == 1 else 2 * over).astype(g.dtype) * (g * scale)[:, None]
        gx[xp(g).arange(t.size), t] = -gx.sum(1)
        return gx, None, None

    @staticmethod
    def derivative(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        """The same with tensors."""
        over, t, scale, x = ctx.saved
        rows, above = xp(over).arange(t.size), Tensor((over > 0).astype(over.dtype))
        true = xp(over).zeros(over.shape, over.dtype)
        true[rows, t] = 1
        slopes = above
        if ctx.p == 2:
            scores = ctx.at_input(0, x)
            own = (scores * Tensor(true)).sum(1, True)
            slopes = 2 * above * (ctx.margin - own + scores)
        gx = slopes * (g * Tensor(scale)).reshape((-1, 1))
        return gx - Tensor(true) * gx.sum(1, True), None, None

    @staticmethod
    def infer(x: Array, *_: Any, **__: Any) -> Meta:
        """Return one loss for each row."""
        return meta(x.shape[:1], x.dtype)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """w[t]/K sum_{k != t} max(0, margin - x[t] + x[k])^p: the hinge loss of the true class t against each other one.

    Args:
        input: scores (N, K) or (K,).
        target: class indices (N,) or ().
        p: 1 or 2.
        margin: how far the score of the true class should be above the others.
        weight: one factor for each class, (K,).
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    Raises:
        ValueError: p is neither 1 nor 2.
        ShapeError: the shapes do not fit together.
        IndexError: a target is not a class index; on a GPU as in `cross_entropy`.

    >>> F.multi_margin_loss(minicnn.tensor([[3.0, 5.0, 2.5]]), minicnn.tensor([0]))  # (3 + 0.5)/3
    tensor(1.1667)
    """
    op = "multi_margin_loss"
    reduction = check(op, reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {p}")
    floating(op, input=input, weight=weight)
    target = indices(op, target)
    n, k = geometry.class_rows(op, input.shape, target.shape)
    geometry.cross_entropy((n, k), (n,), ends(labels(target)), None if weight is None else weight.shape, op)
    losses: Tensor = MultiMargin.apply(reshape(input, n, k), reshape(target, n), weight, p=p, margin=margin)
    return reduced(losses if target.ndim or reduction != "none" else reshape(losses, ()), reduction)


class MultilabelMargin(Function):
    """loss[n] = 1/K sum_{j in T} sum_{k not in T} max(0, 1 - x[n, j] + x[n, k]), where T is t[n] up to its first -1."""

    bends_in = (0,)

    @staticmethod
    def forward(ctx: Any, x: Array, t: Array) -> Array:
        """Compute all rows at once, with arrays (N, true, other)."""
        n, k = x.shape
        given = (t >= 0).cumprod(1) > 0  # (N, K)
        t, wrong = checked(np.where(given, t, 0), k)
        rows = xp(x).arange(n)[:, None]
        other = xp(x).ones((n, k + 1), bool)
        other[rows, np.where(given, t, k)] = False  # what is no class goes to column K
        over = np.maximum(1 - x[rows, t][:, :, None] + x[:, None, :], 0)  # (N, K, K)
        over *= given[:, :, None] & other[:, None, :k]
        bad = None if wrong is None else wrong.any(1)
        ctx.save_for_backward(over, t, bad)
        losses = over.sum((1, 2)) / k
        return (losses if bad is None else np.where(bad, np.nan, losses)).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, g: Array) -> tuple[Array, None]:
        """Give the two scores of each pair above the margin opposite gradients."""
        over, true, bad = ctx.saved
        g = g if bad is None else np.where(bad, np.nan, g)
        pairs = (over > 0) * (g / over.shape[1])[:, None, None]  # (N, K, K)
        gx = pairs.sum(1)
        xp(g).add.at(gx, (xp(g).arange(true.shape[0])[:, None], true), -pairs.sum(2))
        return gx.astype(g.dtype, copy=False), None

    @staticmethod
    def tangent(ctx: Any, v: Array, _: Any) -> Array:
        """The sum of the differences of the pairs above the margin."""
        over, true, bad = ctx.saved
        rows = xp(v).arange(true.shape[0])[:, None]
        changes = ((over > 0) * (v[:, None, :] - v[rows, true][:, :, None])).sum((1, 2)) / over.shape[1]
        return changes if bad is None else np.where(bad, np.nan, changes)

    @staticmethod
    def infer(x: Array, *_: Any) -> Meta:
        """Return one loss for each row."""
        return meta(x.shape[:1], x.dtype)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1/K sum over true classes j and other classes k of max(0, 1 - x[j] + x[k]).

    Args:
        input: scores (N, K) or (K,).
        target: integers of the same shape: each row lists its true classes and ends at the first -1.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    Raises:
        ShapeError: the shapes do not fit together.
        IndexError: a target is not a class index; on a GPU as in `cross_entropy`.

    >>> x, target = minicnn.tensor([[3.0, 5.0, 2.5]]), minicnn.tensor([[0, 1, -1]])  # classes 0 and 1
    >>> F.multilabel_margin_loss(x, target)  # (1 - 3 + 2.5)/3: class 1 is far enough above class 2
    tensor(0.1667)
    """
    op = "multilabel_margin_loss"
    reduction = check(op, reduction, size_average, reduce)
    floating(op, input=input)
    target = indices(op, target)
    n, k = geometry.class_rows(op, input.shape, target.shape, many=True)
    found = ends(labels(target))
    if found is not None:
        geometry.cross_entropy((n, k), (n,), (found[0] if found[0] < -1 else 0, found[1]), None, op)  # -1 ends a list
    losses: Tensor = MultilabelMargin.apply(reshape(input, n, k), reshape(target, n, k))
    return reduced(losses if input.ndim > 1 or reduction != "none" else reshape(losses, ()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-1/K sum_k w[k] (t[k] log sigmoid(x[k]) + (1 - t[k]) log sigmoid(-x[k])) over the last axis.

    Args:
        input, target: scores, and labels 0 or 1; (N, K) or (K,).
        weight: one factor for each class, (K,).
        reduction: "mean", "sum", or "none" for losses (N,).
        size_average, reduce: deprecated.

    >>> F.multilabel_soft_margin_loss(minicnn.zeros(1, 2), minicnn.tensor([[1.0, 0.0]]))  # -log(1/2)
    tensor(0.6931)
    """
    check_tensor("multilabel_soft_margin_loss", input=input, target=target)
    reduction = check("multilabel_soft_margin_loss", reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(sum(losses, dim=input.ndim - 1) / input.shape[-1], reduction)
