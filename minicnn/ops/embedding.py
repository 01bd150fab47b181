"""Tables of vectors: looked up by number, and added up, averaged or compared in bags.

y[i] = weight[index[i]]                          gweight[v] = sum of gy[i] over all i with index[i] = v
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, on_device_of, xp
from minicnn_kernels.geometry import ShapeError, real, whole

from ..autograd.engine import Function
from ..autograd.modes import no_grad
from ..device import Meta, meta
from ..tensor import Tensor
from .tensor.arguments import check_tensor
from .tensor.creation import empty, zeros
from .tensor.gather import Gather, index_select
from .tensor.indexing import span
from .tensor.ranges import arange
from .tensor.scatter_add import add_rows
from .tensor.scatter_reduce import index_add
from .tensor.shape import reshape

__all__ = ["embedding", "embedding_bag"]


class Embedding(Function):
    """y = weight[index]; the row `padding` gets no gradient, and with `by_count` a row's is divided by its uses."""

    @staticmethod
    def forward(ctx: Any, weight: Array, index: Array, padding: int | None, by_count: bool) -> Array:
        """Take the rows."""
        ctx.save_for_backward(index)
        ctx.rows, ctx.padding, ctx.by_count = weight.shape, padding, by_count
        return weight[index]

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Add up the gradients of each row."""
        (index,) = ctx.saved
        gw = xp(gy).zeros(ctx.rows, gy.dtype)
        if index.size:
            add_rows(gw, index.reshape(-1), gy.reshape(index.size, ctx.rows[1]))
        return _weighted(ctx, gw), None, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """The transpose of the backward: the weighted rows."""
        (index,) = ctx.saved
        return _weighted(ctx, v.copy())[index]

    @staticmethod
    def infer(weight: Meta, index: Array, padding: int | None, by_count: bool) -> Meta:
        """Return the shape of the index, and a last axis."""
        return meta((*index.shape, weight.shape[1]), weight.dtype)


def _weighted(ctx: Any, rows: Array) -> Array:
    """Multiply rows by their weights in the gradient: in place."""
    if ctx.by_count:
        (index,) = ctx.saved
        count = xp(rows).bincount(index.reshape(-1), minlength=len(rows))
        rows /= np.maximum(count, 1).astype(rows.dtype)[:, None]
    if ctx.padding is not None:
        rows[ctx.padding] = 0
    return rows


def _check_index(op: str, index: Tensor, rows: int) -> None:
    """Check the type and the range of an index; PyTorch has another error for bags."""
    check_tensor(op, input=index)
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"{op}: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            f"but got {index.dtype}; convert it with .long()"
        )
    if index.array.size and not index.is_meta:
        low, high = span(index.array)
        if low < 0 or high >= rows:
            wrong = f"{low if low < 0 else high} in a table of {rows} rows; count from 0 or make num_embeddings larger"
            if op == "embedding_bag":
                raise RuntimeError(f"{op}: Expected idx >= 0 && idx < num_embeddings, got {wrong}")
            raise IndexError(f"{op}: index out of range in self: {wrong}")


def padding_row(op: str, padding_idx: int | None, rows: int) -> int | None:
    """Return `padding_idx`, which may count from the end, as a row of the table."""
    if padding_idx is None:
        return None
    row = whole(padding_idx, op, "padding_idx")
    name = "padding_idx" if "bag" in op.lower() else "Padding_idx"  # as PyTorch writes it
    if not -rows <= row < rows:
        if op == "embedding_bag":
            raise RuntimeError(f"{op}: {name} must be within the number of embeddings, got {row} and {rows} rows")
        raise AssertionError(f"{op}: {name} must be within num_embeddings, got {row} and {rows} rows")
    return row % rows


def _shorten(op: str, weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to the norm `max_norm`, in place."""
    max_norm, norm_type = real(max_norm, op, "max_norm"), real(norm_type, op, "norm_type")
    if index.is_meta or weight.is_meta or not index.array.size:
        return
    with no_grad():
        with on_device_of(index.array):
            used = Tensor(xp(index.array).unique(index.array))
        rows = weight.detach().index_select(0, used)
        norms = rows.norm(norm_type, 1, keepdim=True)
        factor = (max_norm / (norms + 1e-7)).where(norms > max_norm, 1.0)
        weight.index_copy_(0, used, rows * factor)


def dense(op: str, sparse: bool) -> None:
    """Refuse sparse gradients."""
    if sparse:
        raise NotImplementedError(f"{op}: sparse=True is not supported; gradients are dense, so leave it out")


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of a table: y[...] = weight[input[...]].

    Args:
        input: int64 or int32 numbers of rows, of any shape.
        weight: (V, E), V vectors.
        padding_idx: the row that stands for "nothing": it gets no gradient. May count from the end.
        max_norm: scale rows that are looked up, and longer, down to this norm, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide a row's gradient by how often it occurs in `input`.
        sparse: only False is supported.

    Returns:
        (..., E).

    Raises:
        IndexError: the table has no such row.
        RuntimeError: the input is not of integers, or the weight is no matrix.

    >>> table = minicnn.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> F.embedding(minicnn.tensor([2, 0, 2]), table)
    tensor([[3., 4.],
            [0., 0.],
            [3., 4.]])
    """
    check_tensor("embedding", input=input, weight=weight)
    dense("embedding", sparse)
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D (rows, vector), got shape {tuple(weight.shape)}")
    row = padding_row("embedding", padding_idx, weight.shape[0])
    _check_index("embedding", input, weight.shape[0])
    if max_norm is not None:
        _shorten("embedding", weight, input, max_norm, norm_type)
    return Embedding.apply(weight, input, row, bool(scale_grad_by_freq))


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or largest values of the rows in each bag: y[b] = sum of weight[i] over all i in bag b.

    Args:
        input: (B, L), bags of L rows each; or (M,) with `offsets`. int64 or int32.
        weight: (V, E).
        offsets: (B,), where each bag begins in (M,).
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.
        mode: "sum", "mean" or "max"; an empty bag gives 0.
        per_sample_weights: of the shape of the input: each row times a number, for "sum".
        include_last_offset: the last offset is the end of the last bag.
        padding_idx: the row that does not count.

    Returns:
        (B, E).

    Raises:
        ValueError, NotImplementedError: arguments that do not fit together.

    >>> table = minicnn.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    >>> F.embedding_bag(minicnn.tensor([0, 1, 2]), table, minicnn.tensor([0, 2]), mode="sum")  # rows 0 + 1, row 2
    tensor([[4., 6.],
            [5., 9.]])
    """
    op = "embedding_bag"
    check_tensor(op, input=input, weight=weight)
    _check_bags(weight, input, mode, scale_grad_by_freq, sparse, per_sample_weights)
    row = padding_row(op, padding_idx, weight.shape[0])
    _check_index(op, input, weight.shape[0])
    bags, count = _bags(input, offsets, include_last_offset)
    index = reshape(input, (-1,))
    factors = None if per_sample_weights is None else reshape(per_sample_weights, (-1,))
    if row is not None and not index.is_meta:
        with on_device_of(index.array):
            kept = Tensor(xp(index.array).flatnonzero(index.array != row))
        index, bags = index_select(index, 0, kept), index_select(bags, 0, kept)
        factors = None if factors is None else index_select(factors, 0, kept)
    if max_norm is not None:
        _shorten(op, weight, index, max_norm, norm_type)
    rows = Embedding.apply(weight, index, row, bool(scale_grad_by_freq))
    if factors is not None:
        rows = rows * reshape(factors, (-1, 1))
    if mode == "max":
        return _largest(rows, bags, count)
    like = {"dtype": weight.dtype, "device": weight.device}
    total = index_add(zeros(count, weight.shape[1], **like), 0, bags, rows)
    if mode == "sum":
        return total
    sizes = index_add(zeros(count, **like), 0, bags, zeros(rows.shape[0], **like) + 1)
    return total / reshape(sizes.clamp_min(1), (-1, 1))


def _check_bags(
    weight: Tensor, input: Tensor, mode: str, by_count: bool, sparse: bool, factors: Tensor | None
) -> None:  # fmt: skip
    """Check what does not depend on the bags."""
    op = "embedding_bag"
    if factors is not None and tuple(factors.shape) != tuple(input.shape):
        raise ValueError(
            f"{op}: If per_sample_weights ({factors.shape!r}) is not None, then it must have the same shape as "
            f"the input ({input.shape!r})"
        )
    if weight.ndim != 2:
        raise ValueError(f"{op}: weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{op}: mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and by_count:
        raise ValueError(f"{op}: max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError(f"{op}: max mode does not support sparse weights")
    dense(op, sparse)
    if factors is not None and mode != "sum":
        raise NotImplementedError(
            f"{op}: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode={mode!r})"
        )
    if factors is not None and factors.dtype != weight.dtype:
        raise RuntimeError(
            f"{op}: expected per_sample_weights to have the same type as the weight, got {factors.dtype} and "
            f"{weight.dtype}"
        )


def _bags(input: Tensor, offsets: Tensor | None, last_included: bool) -> tuple[Tensor, int]:
    """Return the number of the bag of each entry of the flat input, and how many bags there are."""
    op = "embedding_bag"
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"{op}: if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed "
                f"length sequences. However, found offsets of type {type(offsets).__name__}"
            )
        count = input.shape[0]
        return reshape(arange(count, device=input.device).unsqueeze(1).expand(*input.shape), (-1,)), count
    if input.ndim != 1:
        raise ValueError(f"{op}: input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None or offsets.ndim != 1:
        got = "None" if offsets is None else f"{offsets.ndim} axes"
        raise ValueError(f"{op}: offsets has to be a 1D Tensor but got {got}")
    if last_included and not offsets.shape[0]:
        raise RuntimeError(f"{op}: include_last_offset: number of offset should be at least 1")
    count = offsets.shape[0] - bool(last_included)
    if input.is_meta or offsets.is_meta:
        return empty(input.shape[0], dtype=np.int64, device=input.device), count
    starts = offsets.array
    if starts.size and int(starts[0]) != 0:
        raise RuntimeError(
            f"{op}: offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {int(starts[0])}"
        )
    if starts.size and int(starts[-1]) > input.shape[0]:
        raise RuntimeError(
            f"{op}: offsets[-1] can not be greater than input's length({input.shape[0]}) but got offsets[-1] of "
            f"{int(starts[-1])}"
        )
    if not count and input.shape[0]:
        raise ShapeError(f"{op}: there are {input.shape[0]} rows and no offset; the first bag begins at 0")
    with on_device_of(starts):
        places = xp(starts).arange(input.shape[0])
        bags = xp(starts).searchsorted(starts[:count], places, side="right") - 1
        return Tensor(bags.astype(np.int64)), count


def _largest(rows: Tensor, bags: Tensor, count: int) -> Tensor:
    """The largest values of each bag: of equal ones the first gets the gradient."""
    if rows.is_meta or not rows.shape[0]:
        return index_add(zeros(count, rows.shape[1], dtype=rows.dtype, device=rows.device), 0, bags, rows)
    x, bag, lib = rows.array, bags.array, xp(rows.array)
    with on_device_of(x):
        sizes = lib.bincount(bag, minlength=count)
        begins = lib.cumsum(sizes) - sizes
        places = begins[:, None] + lib.arange(int(sizes.max()))  # (B, L): the entries of each bag, then those of others
        inside = places < (begins + sizes)[:, None]
        values = np.where(inside[..., None], x[np.minimum(places, len(x) - 1)], -np.inf)  # (B, L, E)
        best = np.minimum(values.argmax(1) + begins[:, None], len(x) - 1)
        full = (sizes > 0)[:, None].astype(x.dtype)
    return Gather.apply(rows, Tensor(best), 0) * Tensor(full)
