"""Selecting along an axis, with one index per element (gather, scatter) or per slice (index_select)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import beside, xp
from minicnn_kernels.geometry import ShapeError

from ...autograd.engine import Function
from ...autograd.nodes import shown_as
from ...autograd.second_order import with_unused
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, check_tensor, numpy_names
from .clamp import where
from .expand import expand
from .indexing import Index, check_bounds, index_put, span
from .scatter_add import add_rows
from .shape import reshape
from .types import ToMeta

__all__ = ["gather", "index_select", "put", "scatter", "scatter_add", "take", "take_along_dim"]

# ------------------------------------------------------------------------------------------- one index for each element


def grid(index: Array, dim: int) -> tuple[Array, ...]:
    """Return NumPy's index of the elements (i_0, ..., index[i_0, ..., i_n] at `dim`, ..., i_n)."""
    arange = xp(index).arange
    lines = [arange(n).reshape(-1, *(1,) * (index.ndim - i - 1)) for i, n in enumerate(index.shape)]
    return tuple(index if i == dim else line for i, line in enumerate(lines))


def check_index(op: str, x: Tensor, dim: int, index: Any, src: Tensor | None = None) -> int:
    """Check an index tensor of `gather` and `scatter` against the tensor, and return the axis `dim`.

    Raises:
        RuntimeError: an index is out of bounds, or the index tensor is not int64.
        ShapeError: the index is larger than the tensor in another axis.
    """
    check_tensor(op, input=x, index=index)
    at = axis(op, dim, x.ndim)
    if index.dtype not in (np.int64, np.int32, np.uint8):
        raise RuntimeError(f"{op}: index must be an int64 tensor, got {index.dtype}; convert it with .long()")
    if not index.numel():
        return at
    for name, other in (("input", x), ("src", src)):
        if other is None:
            continue
        if max(index.ndim, 1) != max(other.ndim, 1):
            raise ShapeError(f"{op}: index and {name} must have as many axes, got {index.ndim} and {other.ndim}")
        for i, (n, m) in enumerate(zip(index.shape, other.shape, strict=False)):
            if n > m and not (name == "input" and i == at):
                raise ShapeError(
                    f"{op}: index {tuple(index.shape)} must not be larger than {name} {tuple(other.shape)}"
                    + (f" apart from dimension {at}" if name == "input" else "")
                )
    size = x.shape[at] if x.ndim else 1
    if not index.is_meta:
        low, high = span(index.array)
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise RuntimeError(f"{op}: index {wrong} is out of bounds for dimension {at} with size {size}")
    return at


def accumulate(y: Array, index: Array, dim: int, values: Array) -> None:
    """y[..., index, ...] += values, elementwise; y contiguous."""
    if index.size:
        places: Any = 0
        for line, size in zip(grid(index, dim), y.shape, strict=True):
            places = places * size + line
        add_rows(y.reshape(-1, 1), places.reshape(-1), values.reshape(-1, 1))


class Gather(Function):
    """y[i, j, k] = x[index[i, j, k], j, k] for dim 0; the backward adds gy to zeros at the same places."""

    @staticmethod
    def forward(ctx: Any, x: Array, index: Array, dim: int) -> Array:
        """Take the elements."""
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save_for_backward(index)
        return x[grid(index, dim)] if index.size else xp(x).empty(index.shape, x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None, None]:
        """Add gy where the elements were taken from."""
        (index,) = ctx.saved
        gx = xp(gy).zeros(ctx.shape, gy.dtype)
        accumulate(gx, index, ctx.dim, gy)
        return gx, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Take the changes."""
        (index,) = ctx.saved
        return v[grid(index, ctx.dim)] if index.size else v.reshape(-1)[:0]

    @staticmethod
    def infer(x: Meta, index: Array, dim: int) -> Meta:
        """Return the shape of the index."""
        return meta(index.shape, x.dtype)


def with_axis(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors, 0-d ones with one axis."""
    return tuple(t if t.ndim else reshape(t, (1,)) for t in tensors)


def meta_like(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return the index tensors, on the meta device if x is."""
    return tuple(ToMeta.apply(o, o.dtype) if x.is_meta and not o.is_meta else o for o in others)


@tensor_method("gather")
@numpy_names
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """y[i, j, k] = x[index[i, j, k], j, k] for dim 0, x[i, index[i, j, k], k] for dim 1, and so on.

    Args:
        input: has as many axes as the index, each at least as long except `dim`.
        index: int64, from 0 to the size of `dim` minus 1.
        sparse_grad: only False is supported.

    Raises:
        RuntimeError: an index is out of bounds, or the index is no tensor of integers.
        ShapeError: the index has another number of axes, or is larger than the tensor outside `dim`.

    >>> scores, labels = minicnn.tensor([[1., 2., 3.], [4., 5., 6.]]), minicnn.tensor([2, 0])
    >>> scores.gather(1, labels.unsqueeze(1))
    tensor([[3.],
            [4.]])
    """
    if sparse_grad:
        raise NotImplementedError("gather: sparse_grad=True is not supported; gradients are dense")
    at = check_index("gather", input, dim, index)
    if index.ndim and input.ndim:
        return Gather.apply(input, *meta_like(input, index), at)
    x, i = with_axis(input, index)
    return reshape(Gather.apply(x, *meta_like(x, i), at), tuple(index.shape))


class Scatter(Function):
    """y = x with y[index[i, j, k], j, k] = src[i, j, k] for dim 0, or combined with the old values."""

    @staticmethod
    def forward(ctx: Any, x: Array, index: Array, src: Array, dim: int, reduce: str | None) -> Array:
        """Copy x, then write; `reduce` "sum" adds."""
        ctx.shape, ctx.dim, ctx.sum = src.shape, dim, reduce == "sum"
        ctx.save_for_backward(index)
        y = x.copy("C")
        at = grid(index, dim)
        part = src[tuple(map(slice, index.shape))]
        if reduce == "sum":
            accumulate(y, index, dim, part)
        elif reduce:
            np.multiply.at(y, at, part)
        else:
            y[at] = part
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """gsrc is gy at the index; gx is gy, with 0 at the index unless src was added."""
        (index,) = ctx.saved
        at = grid(index, ctx.dim)
        gx = gsrc = None
        if ctx.needs_input_grad[0]:
            gx = gy
            if not ctx.sum:
                gx = gy.copy()
                gx[at] = 0
        if ctx.needs_input_grad[2]:
            gsrc = xp(gy).zeros(ctx.shape, gy.dtype)
            gsrc[tuple(map(slice, index.shape))] = gy[at]
        return gx, None, gsrc, None, None

    @staticmethod
    def tangent(ctx: Any, of_x: Array | None, _: Any, of_src: Array | None, *__: Any) -> Array:
        """Write the change of src into that of x."""
        (index,), (shape, dtype) = ctx.saved, ctx.outputs[0]
        y = xp(of_src).zeros(shape, dtype) if of_x is None else of_x.copy("C")
        part = None if of_src is None else of_src[tuple(map(slice, index.shape))]
        if not ctx.sum:
            y[grid(index, ctx.dim)] = 0 if part is None else part
        elif part is not None:
            accumulate(y, index, ctx.dim, part)
        return y


class ScatterProduct(Scatter):
    """`Scatter` that multiplies, for which CuPy has no function."""

    on_cpu = True


def _scatter(op: str, x: Tensor, dim: int, index: Tensor, src: Any, reduce: str | None) -> Tensor:
    """Check and run."""
    at = check_index(op, x, dim, index, src if isinstance(src, Tensor) else None)
    if not isinstance(src, Tensor):
        src = (
            expand(Tensor(beside(np.asarray(src).astype(x.dtype), x.array)), tuple(index.shape))
            if not x.is_meta
            else x.new_empty(index.shape)
        )
    if src.dtype != x.dtype:
        raise RuntimeError(f"{op}: src is {src.dtype} but the tensor is {x.dtype}; convert one with .to(...)")
    if not index.numel():
        return with_unused(x.clone(), src)
    one, i, s = with_axis(x, index, src)
    function = ScatterProduct if reduce == "prod" else Scatter
    return reshape(function.apply(one, *meta_like(one, i, s), at, reduce), tuple(x.shape))


@tensor_method("scatter")
@numpy_names
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy with y[index[i, j, k], j, k] = src[i, j, k] for dim 0, and so on.

    Of several values for a place, the last one remains; on a GPU, any of them.

    Args:
        src: a tensor at least as large as the index, or a number (also as `value`).
        reduce: "add" or "multiply" combines with the old values, without a gradient; `scatter_add` and `scatter_reduce`
            have a gradient.

    >>> labels = minicnn.tensor([2, 0])
    >>> minicnn.zeros(2, 3).scatter(1, labels.unsqueeze(1), 1.)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    source = value if src is None else src
    if source is None or (src is not None and value is not None):
        raise TypeError("scatter: expected either src or value")
    if reduce is None:
        return _scatter("scatter", input, dim, index, source, None)
    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    if any(isinstance(x, Tensor) and x.requires_grad for x in (input, source)):
        raise RuntimeError(
            f"scatter: reduce={reduce!r} has no gradient; use scatter_add or scatter_reduce, or detach()"
        )
    return _scatter("scatter", input, dim, index, source, "sum" if reduce == "add" else "prod")


@tensor_method("scatter_add")
@numpy_names
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with y[index[i, j, k], j, k] += src[i, j, k] for dim 0, and so on.

    >>> minicnn.scatter_add(minicnn.zeros(3), 0, minicnn.tensor([0, 2, 2]), minicnn.tensor([1., 2., 3.]))
    tensor([1., 0., 5.])
    """
    check_tensor("scatter_add", src=src)
    return _scatter("scatter_add", input, dim, index, src, "sum")


# ------------------------------------------------------------------------------------------------ one index for a slice


@tensor_method("index_select")
@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at `index` (0-d or 1-d) along `dim`, in new memory.

    Raises:
        IndexError: an index is out of bounds, or has more than one axis.

    >>> minicnn.index_select(minicnn.tensor([[1, 2, 3], [4, 5, 6]]), 1, minicnn.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    at = axis("index_select", dim, input.ndim)
    check_slices("index_select", input, at, index)
    (i,) = meta_like(input, with_axis(index)[0])
    if not input.ndim:
        return reshape(Index.apply(reshape(input, (1,)), i, where=(0,)), ())
    return shown_as(Index.apply(input, i, where=(at,)), "IndexSelectBackward0")


def check_slices(op: str, x: Tensor, dim: int, index: Any) -> None:
    """Check a 0-d or 1-d tensor of indices along an axis.

    Raises:
        IndexError: the tensor has more axes, or an index is out of bounds.
        RuntimeError: the tensor is not int64 or int32.
    """
    check_tensor(op, input=x, index=index)
    if index.ndim > 1:
        raise IndexError(f"{op}: index must have at most one axis, got shape {tuple(index.shape)}")
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{op}: index must be an int64 or int32 tensor, got {index.dtype}; convert it with .long()")
    if index.is_meta or not index.numel():
        return
    (low, high), size = span(index.array), (tuple(x.shape) or (1,))[dim]
    if low < 0:
        raise IndexError(f"{op}: index {low} is out of range: negative indices are not allowed here")
    if high >= size:
        raise IndexError(f"{op}: index {high} is out of bounds for dimension {dim} with size {size}")


@tensor_method("take")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at `index` of the flattened tensor, in the shape of the index.

    Raises:
        RuntimeError: the index is not int64.
        IndexError: an index is out of bounds.

    >>> minicnn.take(minicnn.tensor([[1, 2], [3, 4]]), minicnn.tensor([3, 0]))
    tensor([4, 1])
    """
    check_tensor("take", input=input, index=index)
    if index.dtype != np.int64:
        raise RuntimeError(f"take: index must be an int64 tensor, got {index.dtype}; convert it with .long()")
    flat = reshape(input, (-1,)) if input.numel() else reshape(input, (0,))
    check_bounds("take", tuple(flat.shape), (0,), (index.array,))
    return Index.apply(flat, *meta_like(input, index), where=(0,))


@tensor_method("take_along_dim")
@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with tensor and indices broadcast against each other outside `dim`; None means the flattened tensor.

    >>> x = minicnn.tensor([[3, 1], [2, 4]])
    >>> minicnn.take_along_dim(x, x.argsort(1), 1)
    tensor([[1, 3],
            [2, 4]])
    """
    check_tensor("take_along_dim", input=input, indices=indices)
    if indices.dtype.kind not in "iu" or indices.dtype == np.uint8:
        raise RuntimeError(f"take_along_dim: indices must be int64, got {indices.dtype}; convert them with .long()")
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    if input.ndim != indices.ndim:
        raise ShapeError(f"take_along_dim: the tensor has {input.ndim} axes but the indices have {indices.ndim}")
    at = axis("take_along_dim", dim, input.ndim)
    common = list(
        geometry.broadcast(
            "take_along_dim", *((*s[:at], 1, *s[at + 1 :]) for s in (tuple(input.shape), tuple(indices.shape)))
        )
    )
    shapes = [(*common[:at], t.shape[at], *common[at + 1 :]) for t in (input, indices)]
    if not indices.is_meta:
        indices = where(indices < 0, indices + input.shape[at], indices)
    return gather(expand(input, shapes[0]), at, expand(indices, shapes[1]))


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy where the elements of `source` replace those at `index` of the flattened tensor, or are added to them.

    >>> minicnn.tensor([1, 2, 3]).put(minicnn.tensor([2]), minicnn.tensor([9]))
    tensor([1, 2, 9])
    """
    if index.numel() != source.numel():
        raise ShapeError(f"put: the numbers of indices, {index.numel()}, and elements, {source.numel()}, must be equal")
    if not index.numel():
        return with_unused(input.clone(), source)
    flat = index_put(reshape(input, (-1,)), (reshape(index, (-1,)),), reshape(source, (-1,)), accumulate)
    return reshape(flat, tuple(input.shape))


tensor_method("put")(put)
