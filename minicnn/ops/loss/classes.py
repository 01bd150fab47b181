"""Losses for classes: softmax cross-entropy and the negative log-likelihood.

Softmax and cross-entropy are one operation: their common gradient is p - onehot, and nothing overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import softmax_xent
from minicnn_kernels.arrays import as_array, on_device_of, on_gpu, xp
from minicnn_kernels.geometry import losses as geometry
from minicnn_kernels.geometry import whole

from ...autograd.engine import Function
from ...device import Meta, meta
from ...dtypes import DtypeError
from ...tensor import Array, Tensor
from ..softmax import Softmax, log_softmax
from ..tensor.operands import floating
from ..tensor.reduction import sum
from ..tensor.shape import permute, reshape, unsqueeze
from ..tensor.types import to
from .one_hot import checked, ends, indices, labels
from .reduction import as_one, check

__all__ = ["cross_entropy", "nll_loss"]


class CrossEntropy(Function):
    """loss[n] = -sum_k q[n, k] log softmax(x)[n, k], q the smoothed one-hot class; saves the probabilities."""

    @staticmethod
    def forward(ctx: Any, x: Array, t: Array, w: Array | None, *, ignore: int, smoothing: float) -> Array:
        """Run the chosen kernel."""
        losses, p = softmax_xent.SOFTMAX_XENT(x, t, w, ignore, smoothing)
        ctx.save_for_backward(p, t, w)
        ctx.options = ignore, smoothing
        return losses

    @staticmethod
    def backward(ctx: Any, g: Array) -> tuple[Array, None, None]:
        """g (Q p - q)."""
        p, t, w = ctx.saved
        return softmax_xent.SOFTMAX_XENT_BACKWARD(g, p, t, w, *ctx.options), None, None

    @staticmethod
    def derivative(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        """g (Q p - q), with p the softmax of x."""
        p, t, w = ctx.saved
        ones, zeros = xp(p).ones(t.shape, p.dtype), xp(p).zeros(p.shape, p.dtype)
        q = -softmax_xent.SOFTMAX_XENT_BACKWARD(ones, zeros, t, w, *ctx.options)  # p = 0 leaves -q
        probabilities = ctx.computed(Softmax, 0, p, p, arguments=2, axis=1)
        return unsqueeze(g, 1) * (Tensor(q.sum(1, keepdims=True)) * probabilities - Tensor(q)), None, None

    @staticmethod
    def infer(x: Array, *_: Any, **__: Any) -> Meta:
        """Return one loss for each row."""
        return meta(x.shape[:1], x.dtype)


class NLL(Function):
    """loss[n] = -w[t[n]] x[n, t[n]], and 0 where t[n] is `ignore`."""

    bends_in = (0,)  # it does not jump; as in PyTorch

    @staticmethod
    def forward(ctx: Any, x: Array, t: Array, w: Array | None, *, ignore: int) -> Array:
        """Take the value of each row's true class."""
        kept = t != ignore
        true, wrong = checked(np.where(kept, t, 0), x.shape[1])
        scale = xp(x).full(t.shape, -1, x.dtype) if w is None else -w[true]
        if wrong is not None:
            scale = np.where(wrong, np.nan, scale)
        scale = np.where(kept, scale, 0).astype(x.dtype, copy=False)
        ctx.save_for_backward(kept, true, scale)
        ctx.shape = x.shape
        with np.errstate(all="ignore"):
            losses = scale * x[xp(x).arange(t.size), true]
        return np.where(kept, losses, 0).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, g: Array) -> tuple[Array, None, None]:
        """Return -w g at the true class, 0 elsewhere."""
        kept, true, scale = ctx.saved
        gx = xp(g).zeros(ctx.shape, g.dtype)
        with np.errstate(all="ignore"):
            gx[xp(g).arange(true.size), true] = np.where(kept, scale * g, 0)
        return gx, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """-w v at the true class."""
        kept, true, scale = ctx.saved
        return np.where(kept, scale * v[xp(v).arange(true.size), true], 0)

    @staticmethod
    def infer(x: Array, *_: Any, **__: Any) -> Meta:
        """Return one loss for each row."""
        return meta(x.shape[:1], x.dtype)


def _per_class(
    op: str, function: type[Function], input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int,
    reduction: str, **options: Any,
) -> Tensor:  # fmt: skip
    """Apply a loss of rows (M, K) and indices (M,) to scores and indices of any rank, and reduce it.

    The mean is the sum of the losses / the sum of the weights of the true classes; ignored rows do not count.
    """
    if isinstance(input, Tensor) and input.dtype == np.float16:
        weight = None if weight is None else to(weight, np.float32)
        wide = _per_class(op, function, to(input, np.float32), target, weight, ignore_index, reduction, **options)
        return to(wide, np.float16)
    floating(op, input=input, weight=weight)
    target = indices(op, target)
    if input.ndim == 1 and target.shape == (1,):
        input = reshape(input, 1, *input.shape)  # (K,) -> (1, K)
    ignore_index = whole(ignore_index, op, "ignore_index")
    known = labels(target)
    counted = None if known is None else _counted(known, ignore_index)
    of_weight = None if weight is None else weight.shape
    geometry.cross_entropy(input.array.shape, target.array.shape, ends(counted), of_weight, op)
    axis = min(input.ndim - 1, 1)
    if input.ndim > 2:
        input = permute(input, 0, *range(2, input.ndim), 1)  # (N, K, d1, ...) -> (N, d1, ..., K)
    rows, flat = input, target
    if input.ndim != 2 or target.ndim != 1:
        rows = reshape(input, target.array.size, input.shape[-1 if axis else 0])  # (N, d1, ..., K) -> (M, K)
        flat = reshape(target, target.array.size)  # (N, d1, ...) -> (M,)
    losses: Tensor = function.apply(rows, flat, weight, ignore=ignore_index, **options)
    if reduction == "none":
        return reshape(losses, target.shape)  # (M,) -> (N, d1, ...)
    if reduction == "sum":
        return as_one(losses, sum(losses))
    if target.is_meta:
        return as_one(losses, _Mean.apply(losses, count=0.0))
    if on_gpu(target.array):
        return as_one(losses, _Mean.apply(losses, count=_weighed(flat.array, weight, ignore_index)))
    assert counted is not None
    count = counted.size if weight is None else float(weight.array[counted].sum(dtype=np.float64))
    return as_one(losses, _Mean.apply(losses, count=count))


def _weighed(target: Array, weight: Tensor | None, ignore: int) -> Array:
    """Return how many class indices (M,) on a GPU are not ignored, or the sum of their weights, as an array there."""
    with on_device_of(target):
        kept = target != ignore
        if weight is None:
            return np.count_nonzero(kept)  # type: ignore[return-value]
        true, _ = checked(np.where(kept, target, 0), weight.shape[0])
        return np.where(kept, weight.array[true], 0).sum(dtype=np.float64)


def _counted(target: Array, ignore: int) -> Array:
    """Return the class indices that are not ignored, in any shape."""
    out = target == ignore
    return target[~out] if out.any() else target


class _Mean(Function):
    """The sum of the losses / `count`."""

    @staticmethod
    def forward(ctx: Any, losses: Array, *, count: Any) -> Array:
        """Divide; 0 / 0 gives NaN if no row counts. On a GPU the count is an array there."""
        kind, ctx.shape = losses.dtype, losses.shape
        ctx.count = count.astype(kind) if on_gpu(count) else kind.type(count)
        return as_array(_over(np.add.reduce(losses), ctx.count))

    @staticmethod
    def backward(ctx: Any, g: Array) -> Array:
        """Give every row the same gradient."""
        gx = xp(g).empty(ctx.shape, g.dtype)
        gx[...] = _over(g, ctx.count)
        return gx

    @staticmethod
    def tangent(ctx: Any, v: Array) -> Array:
        """The mean of the changes."""
        return as_array(_over(np.add.reduce(v), ctx.count))

    @staticmethod
    def infer(losses: Array, *, count: Any) -> Meta:
        """A scalar."""
        return meta((), losses.dtype)


def _over(a: Any, count: Any) -> Any:
    """Return a / count, without a warning if count is 0."""
    if on_gpu(count) or count:
        return a / count
    with np.errstate(invalid="ignore", divide="ignore"):
        return a / count


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy -sum_k w[k] q[k] log softmax(input)[k] against classes or probabilities q.

    Args:
        input: logits, not probabilities: (N, K), (N, K, d1, ...) or (K,).
        target: class indices from 0 to K - 1, of any integer type, (N,), (N, d1, ...) or (); or probabilities of the
            input's shape.
        weight: one factor for each class, (K,).
        ignore_index: rows of this class count neither in the sum nor in the mean.
        reduction: "mean" (for indices: the sum / sum of the rows' weights; for probabilities: the sum / number of
            rows), "sum", or "none" for losses in the target's shape without the classes.
        label_smoothing: e in q = (1 - e) onehot + e/K, https://arxiv.org/abs/1512.00567.
        size_average, reduce: deprecated.

    Raises:
        ShapeError: the shapes do not fit together.
        IndexError: a target is not a class index. On a GPU the loss is NaN instead; `detect_anomaly` raises there too.

    >>> x = minicnn.tensor([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]).log()  # probabilities 1/8 2/8 5/8 and 1/4 1/4 1/2
    >>> target = minicnn.tensor([2, 0])
    >>> F.cross_entropy(x, target, reduction="none")  # -log(5/8), -log(1/4)
    tensor([0.4700, 1.3863])
    >>> F.cross_entropy(x, target)
    tensor(0.9281)
    """
    reduction = check("cross_entropy", reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0, got {label_smoothing}")
    if isinstance(target, Tensor) and isinstance(input, Tensor) and target.shape == input.shape and target.ndim:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    return _per_class(
        "cross_entropy", CrossEntropy, input, target, weight, ignore_index, reduction, smoothing=label_smoothing
    )


def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """-sum_k w[k] q[k] log softmax(x)[k], which is also differentiable in q."""
    if target.dtype.kind != "f":
        raise DtypeError(
            f"cross_entropy: a target of the input's shape {input.shape} holds probabilities and must be floating "
            f"point, got {target.dtype}; class indices have the shape without the classes"
        )
    if ignore_index >= 0:
        raise RuntimeError("cross_entropy: ignore_index is for class indices; set the ignored probabilities to 0")
    axis, k = geometry.probabilities(input.shape, None if weight is None else weight.shape)
    terms = log_softmax(input, axis)
    terms = terms * (target if not smoothing else target * (1 - smoothing) + smoothing / k)
    if weight is not None:
        terms = terms * reshape(weight, k, *(1,) * (input.ndim - axis - 1))  # (K,) -> (K, 1, ...)
    if reduction == "none":
        return -sum(terms, dim=axis)
    return -sum(terms) if reduction == "sum" else -sum(terms) / (input.array.size / k if k else 0)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w[t] x[t] of the true classes t, for log-probabilities x; shapes, arguments and errors as in `cross_entropy`.

    >>> x = minicnn.tensor([[0.5, 0.25, 0.25]]).log()
    >>> F.nll_loss(x, minicnn.tensor([0]))  # -log(1/2)
    tensor(0.6931)
    """
    reduction = check("nll_loss", reduction, size_average, reduce)
    return _per_class("nll_loss", NLL, input, target, weight, ignore_index, reduction)
