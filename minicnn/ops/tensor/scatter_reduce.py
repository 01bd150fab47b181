"""scatter_reduce, and operations on whole slices: index_add, index_copy, index_fill, index_reduce."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside, on_device_of
from minicnn_kernels.geometry import ShapeError

from ...autograd.engine import Function
from ...autograd.second_order import with_unused
from ...device import meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, check_tensor, numpy_names
from .clamp import where
from .gather import check_index, check_slices, grid, meta_like, scatter, scatter_add, with_axis
from .indexing import index_put, number
from .shape import reshape
from .zeros_like import ones_like, zeros_like

__all__ = ["index_add", "index_copy", "index_fill", "index_reduce", "scatter_reduce"]

_AT = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _neutral(reduce: str, kind: np.dtype[Any]) -> Any:
    """Return the value that does not change a reduction."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    least = reduce == "amax"
    if kind.kind == "f":
        return -np.inf if least else np.inf
    if kind.kind == "b":
        return not least
    return int(np.iinfo(kind).min if least else np.iinfo(kind).max)


class ScatterReduce(Function):
    """y = the product or extremum of x and the elements of src for each place; saved for the backward pass."""

    on_cpu = True

    @staticmethod
    def forward(ctx: Any, x: Array, index: Array, src: Array, dim: int, reduce: str, start: Any) -> Array:
        """Reduce one element after the other."""
        y = np.array(x, order="C")
        at, part = grid(index, dim), src[tuple(map(slice, index.shape))]
        if start is not None:  # x is ignored where elements of src arrive
            y[at] = start
        _AT[reduce].at(y, at, part)
        ctx.dim, ctx.reduce, ctx.start = dim, reduce, start
        ctx.save_for_backward(x, index, src, y)
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """The gradient of an extremum is shared by equal elements; that of a product is the product of the others."""
        x, index, src, y = ctx.saved
        at, inner = grid(index, ctx.dim), tuple(map(slice, index.shape))
        own = np.ones(x.shape, bool)
        if ctx.start is not None:
            own[at] = False
        part = src[inner]
        gsrc = np.zeros(src.shape, gy.dtype)
        if ctx.reduce == "prod":
            rest = np.where(own, x, 1)
            zeros = (rest == 0).astype(np.int64)
            others = np.where(rest == 0, 1, rest).astype(gy.dtype)  # the product of all elements other than 0
            np.add.at(zeros, at, part == 0)
            np.multiply.at(others, at, np.where(part == 0, 1, part))
            with np.errstate(all="ignore"):
                gx = gy * np.where(zeros == 0, others / rest, np.where((zeros == 1) & (rest == 0), others, 0)) * own
                alone = np.where(
                    zeros[at] == 0, others[at] / part, np.where((zeros[at] == 1) & (part == 0), others[at], 0)
                )
                gsrc[inner] = gy[at] * alone
        else:
            mine, theirs = own & (x == y), part == y[at]
            count = mine.astype(gy.dtype)
            np.add.at(count, at, theirs)
            share = gy / np.maximum(count, 1)
            gx = np.where(own, share * mine, 0)
            gsrc[inner] = share[at] * theirs
        return gx.astype(gy.dtype, copy=False), None, gsrc, None, None, None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors; of a product with a factor 0 there is none."""
        x, index, src, y = ctx.saved
        at, inner = grid(index, ctx.dim), tuple(map(slice, index.shape))

        def there(array: Array, kind: Any = x.dtype) -> Any:  # the saved arrays are on the CPU
            return beside(array.astype(kind, copy=False), gy._array)

        own, places = np.ones(x.shape, bool), Tensor(there(index, index.dtype))
        if ctx.start is not None:
            own[at] = False
        if ctx.reduce == "prod":
            if not (np.where(own, x, 1).all() and src[inner].all()):
                raise NotImplementedError("scatter_reduce: the gradient of a product with a factor 0 has no gradient")
            product = gy * ctx.at_output(0, there(y))
            gx = product * Tensor(there(own)) / where(Tensor(there(own, bool)), ctx.at_input(0, there(x)), 1.0)
            part = ctx.at_input(2, there(src))[inner]
            gsrc = product.gather(ctx.dim, places) / part
        else:
            mine, theirs = own & (x == y), src[inner] == y[at]
            count = mine.astype(x.dtype)
            np.add.at(count, at, theirs)
            share = gy / Tensor(there(np.maximum(count, 1)))
            gx = share * Tensor(there(mine))
            gsrc = share.gather(ctx.dim, places) * Tensor(there(theirs))
        whole = Tensor(there(np.zeros(src.shape)))
        whole[inner] = gsrc
        return gx, None, whole, None, None, None


@tensor_method("scatter_reduce")
@numpy_names
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy where the elements of src for each place are reduced, with the old element if `include_self`.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".

    >>> minicnn.zeros(2).scatter_reduce(0, minicnn.tensor([0, 0, 1]), minicnn.tensor([1., 5., 2.]), "amax")
    tensor([5., 2.])
    """
    check_tensor("scatter_reduce", src=src)
    if reduce not in (*_AT, "sum", "mean"):
        raise RuntimeError(f"scatter_reduce: reduce must be sum, prod, mean, amax or amin, got {reduce!r}")
    at = check_index("scatter_reduce", input, dim, index, src)
    if src.dtype != input.dtype:
        raise RuntimeError(
            f"scatter_reduce: src is {src.dtype} but the tensor is {input.dtype}; convert one with .to(...)"
        )
    if not index.numel():
        return with_unused(input.clone(), src)
    neutral = _neutral(reduce, input.array.dtype)
    if reduce in _AT:
        x, i, s = with_axis(input, index, src)
        i, s = meta_like(x, i, s)
        return reshape(ScatterReduce.apply(x, i, s, at, reduce, None if include_self else neutral), tuple(input.shape))
    total = scatter_add(input if include_self else scatter(input, at, index, neutral), at, index, src)
    if reduce == "sum":
        return total
    counts = scatter_add(zeros_like(input.detach()), at, index, ones_like(src.detach()))
    counts = counts + 1 if include_self else counts.clamp(min=1)
    return total / counts if input.dtype.kind == "f" else total.div(counts, rounding_mode="floor")


# --------------------------------------------------------------------------------------------------------- whole slices


def _slices(op: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> tuple[int, Any]:
    """Return the axis, and the index as an index of the whole tensor."""
    at = axis(op, dim, input.ndim)
    check_slices(op, input, at, index)
    if source is not None:
        check_tensor(op, source=source)
        if source.dtype != input.dtype:
            raise RuntimeError(
                f"{op}: source is {source.dtype} but the tensor is {input.dtype}; convert one with .to(...)"
            )
        own, given = list(input.shape), list(source.shape)
        if own:
            own[at] = index.numel()
        if (source.ndim and own != given) or (not source.ndim and index.numel() != 1):
            raise ShapeError(
                f"{op}: the source {tuple(source.shape)} must have the shape {tuple(own)}: that of the tensor with the "
                f"{index.numel()} indices along dimension {at}"
            )
    return at, (slice(None),) * at + (with_axis(index)[0],)


def _put(input: Tensor, at: Any, value: Tensor, add: bool) -> Tensor:
    """`index_put` that also takes a 0-d tensor."""
    return reshape(index_put(*with_axis(input), at, value, add), tuple(input.shape))


@tensor_method("index_add")
@numpy_names
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy where alpha times the slices of the source are added to those at `index` along `dim`.

    >>> minicnn.zeros(3).index_add(0, minicnn.tensor([0, 2, 2]), minicnn.ones(3))
    tensor([1., 0., 2.])
    """
    _, at = _slices("index_add", input, dim, index, source)
    return _put(input, at, source if alpha == 1 else (source * alpha).to(source.dtype), True)


@tensor_method("index_copy")
@numpy_names
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy where the slices of the source replace those at `index` along `dim`.

    >>> minicnn.zeros(3).index_copy(0, minicnn.tensor([2]), minicnn.tensor([5.]))
    tensor([0., 0., 5.])
    """
    _, at = _slices("index_copy", input, dim, index, source)
    return _put(input, at, source, False)


@tensor_method("index_fill")
@numpy_names
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy where the slices at `index` along `dim` are filled with a number or a 0-d tensor.

    >>> minicnn.zeros(2, 3).index_fill(1, minicnn.tensor([0, 2]), 5.)
    tensor([[5., 0., 5.],
            [5., 0., 5.]])
    """
    if isinstance(index, Tensor) and not index.is_meta:  # a repeated index counts once, also in the gradient
        with on_device_of(index.array):
            index = Tensor(np.unique(index.array))
    _, at = _slices("index_fill", input, dim, index)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"index_fill: value must be a number or 0-d tensor, got shape {tuple(value.shape)}")
        return _put(input, at, value.to(input.dtype), False)
    fill = Tensor(meta((), input.array.dtype)) if input.is_meta else Tensor(number(value, input.array.dtype))
    return _put(input, at, fill, False)


@tensor_method("index_reduce")
@numpy_names
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy where the slices of the source for each index along `dim` are reduced: prod, mean, amax or amin.

    >>> minicnn.ones(2).index_reduce(0, minicnn.tensor([0, 0]), minicnn.tensor([3., 4.]), "prod")
    tensor([12.,  1.])
    """
    if reduce not in (*_AT, "mean"):
        raise RuntimeError(f"index_reduce: reduce must be prod, mean, amax or amin, got {reduce!r}")
    at, _ = _slices("index_reduce", input, dim, index, source)
    shape = [1] * max(source.ndim, 1)
    shape[at] = index.numel()
    each = reshape(index.to(np.int64), tuple(shape)).expand(tuple(source.shape) or (1,))
    return scatter_reduce(input, at, reshape(each, tuple(source.shape)), source, reduce, include_self=include_self)
