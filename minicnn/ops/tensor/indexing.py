"""x[index] and x[index] = value, with PyTorch's rules.

An index is applied in two steps. First, ints, slices, None and `...` make a view. Then tensors (arrays, lists) of ints
take elements of that view. A mask stands for as many tensors of ints as it has axes: those of `mask.nonzero()`. So
`x[0, :, [0, 1]]` has shape (x.shape[1], 2), while NumPy counts the 0 as an array and gives (2, x.shape[1]).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import as_array, beside, host, is_array, on_device_of, on_gpu, writeable, xp
from minicnn_kernels.geometry import ShapeError, whole

from ...autograd import observe
from ...autograd.engine import Function
from ...autograd.inplace import check_view, check_writable, replace
from ...autograd.modes import is_grad_enabled
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, check_tensor, numpy_names
from .index_parsing import Parsed
from .linear_map import LinearMapRow, View
from .operands import unbroadcast
from .scatter_add import add_at
from .types import ToMeta

__all__ = ["index_put", "narrow", "narrow_copy", "select"]


def _spread_out(gy: Array, shape: tuple[int, ...], at: Any) -> Array:
    gx = xp(gy).zeros(shape, gy.dtype)
    gx[at] = gy
    return gx


SLICE = LinearMapRow("Slice", lambda x, at: x[at], _spread_out)

# ------------------------------------------------------------------------------------------------------ taking, putting


def spots(where: Sequence[int], indices: Sequence[Array], rank: int) -> tuple[Any, ...]:
    """Return NumPy's index that applies `indices` to the axes `where`."""
    at: list[Any] = [slice(None)] * rank
    for place, index in zip(where, indices, strict=True):
        at[place] = index
    return tuple(at)


def taken_shape(shape: tuple[int, ...], where: Sequence[int], indices: Sequence[Array]) -> tuple[int, ...]:
    """Return the shape of the elements at `indices`; their axes replace the indexed ones, or go first if these are
    not neighbours.
    """
    try:
        common = np.broadcast_shapes(*(i.shape for i in indices))
    except ValueError:
        shapes = ", ".join(str(tuple(i.shape)) for i in indices)
        raise IndexError(f"index: shape mismatch: indexing tensors of shapes {shapes} cannot be broadcast") from None
    rest = [n for i, n in enumerate(shape) if i not in where]
    first = where[0] if where[-1] - where[0] == len(where) - 1 else 0
    return (*rest[:first], *common, *rest[first:])


def span(indices: Array) -> tuple[int, int]:
    """Return the smallest and the largest of some integers; from a GPU in one copy, for which the program waits."""
    flat = indices.reshape(-1)
    if on_gpu(flat):
        with on_device_of(flat):
            low, high = host(np.stack([flat.min(), flat.max()]))
    else:
        low, high = np.minimum.reduce(flat), np.maximum.reduce(flat)
    return int(low), int(high)


def check_bounds(op: str, shape: tuple[int, ...], where: Sequence[int], indices: Sequence[Array]) -> None:
    """Check that the indices lie within their axes; on the meta device their values are not known.

    Raises:
        IndexError: an index does not.
    """
    for place, index in zip(where, indices, strict=True):
        size = shape[place]
        if type(index) is not Meta and index.size:
            low, high = span(index)
            if low < -size or high >= size:
                wrong = low if low < -size else high
                raise IndexError(f"{op}: index {wrong} is out of bounds for dimension {place} with size {size}")


class Index(Function):
    """y = the elements of x at index tensors; the backward adds gy to zeros at the same places."""

    @staticmethod
    def forward(ctx: Any, x: Array, *indices: Array, where: tuple[int, ...]) -> Array:
        """Take them."""
        ctx.shape, ctx.where = x.shape, where
        ctx.save_for_backward(*indices)
        return as_array(x[spots(where, indices, x.ndim)])

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Add gy where the elements were taken from; an element that was taken twice gets both."""
        gx = xp(gy).zeros(ctx.shape, gy.dtype)
        add_at(gx, ctx.where, ctx.saved, gy)
        return gx, *[None] * len(ctx.saved)

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Take the changes."""
        return as_array(v[spots(ctx.where, ctx.saved, v.ndim)])

    @staticmethod
    def infer(x: Meta, *indices: Array, where: tuple[int, ...]) -> Meta:
        """Return the shape, with the axes of the indices instead of the indexed axes."""
        return meta(taken_shape(x.shape, where, indices), x.dtype)


def _indices(x: Tensor, parsed: Parsed) -> list[Tensor]:
    """Return the index tensors, checked, and on the device of x.

    Raises:
        IndexError: an index is out of bounds.
        RuntimeError: x is on the CPU and an index on a GPU, or they are on two GPUs.
    """
    for index in parsed.indices:
        if on_gpu(index.array) and index.device != x.device and not x.is_meta:
            raise RuntimeError(
                "index: indices should be either on cpu or on the same device as the indexed tensor "
                f"({x.device}), got one on {index.device}; move it with .to('{x.device}')"
            )
    view = np.broadcast_to(np.empty((), np.bool_), parsed.shape)[parsed.view].shape
    arrays = [i.array for i in parsed.indices]
    taken_shape(view, parsed.where, arrays)
    check_bounds("index", view, parsed.where, arrays)
    if x.is_meta:
        return [i if i.is_meta else ToMeta.apply(i, i.dtype) for i in parsed.indices]
    return [Tensor(beside(i.array, x.array)) for i in parsed.indices] if x.is_cuda else parsed.indices


@tensor_method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index]: a view for ints, slices, None and `...`; for int tensors and masks, the elements in new memory."""
    shape = x.array.shape
    if type(index) is int and shape and -shape[0] <= index < shape[0]:  # a shortcut for the usual case
        return View.apply(x, SLICE, (index, ...), title="Select")
    parsed = Parsed(shape, index)
    if not parsed.indices:
        return View.apply(x, SLICE, parsed.view)
    indices = _indices(x, parsed)
    x = x if parsed.plain else View.apply(x, SLICE, parsed.view)
    return Index.apply(x, *indices, where=tuple(parsed.where))


class Put(Function):
    """y = x with v at an index, or added there; written into the memory of x if `inplace`."""

    @staticmethod
    def forward(
        ctx: Any, x: Array, v: Array, *indices: Array, view: Any, where: Any, add: bool, inplace: bool
    ) -> Array:
        """Copy x, then write."""
        ctx.view, ctx.where, ctx.add, ctx.v_shape, ctx.v_type = view, where, add, v.shape, v.dtype
        ctx.save_for_backward(*indices)
        y = x if inplace else x.copy()
        write(y[view], where, indices, v, add)
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """gv is gy at the index; gx is gy, with 0 at the index unless v was added."""
        indices, gx, gv = ctx.saved, None, None
        if ctx.needs_input_grad[0]:
            gx = gy
            if not ctx.add:
                gx = gy.copy()
                write(gx[ctx.view], ctx.where, indices, xp(gy).zeros((), gy.dtype), False)
        if ctx.needs_input_grad[1]:
            part = gy[ctx.view]
            part = part[spots(ctx.where, indices, part.ndim)] if indices else part
            gv = unbroadcast(part, ctx.v_shape).astype(ctx.v_type, copy=False)
        return gx, gv, *[None] * len(indices)

    @staticmethod
    def tangent(ctx: Any, of_x: Array | None, of_v: Array | None, *_: Any) -> Array:
        """Write the change of v into that of x."""
        (shape, dtype), module = ctx.outputs[0], xp(of_v if of_x is None else of_x)
        y = module.zeros(shape, dtype) if of_x is None else of_x.copy()
        if of_v is not None or not ctx.add:
            value = module.zeros((), dtype) if of_v is None else of_v.astype(dtype, copy=False)
            write(y[ctx.view], ctx.where, ctx.saved, value, ctx.add)
        return y


def write(y: Array, where: Sequence[int], indices: Sequence[Array], v: Array, add: bool) -> None:
    """y[index] = v, or += v."""
    if add and indices:
        add_at(y, where, indices, np.broadcast_to(v, taken_shape(y.shape, where, indices)))
    elif indices:
        y[spots(where, indices, y.ndim)] = v
    else:
        y[...] = y + v if add else v


def put(x: Tensor, parsed: Parsed, value: Tensor, add: bool, inplace: bool) -> Tensor:
    """Check that a value fits the indexed elements, and write it there."""
    indices = _indices(x, parsed) if parsed.indices else []
    target = np.broadcast_to(np.empty((), np.bool_), parsed.shape)[parsed.view].shape
    target = taken_shape(target, parsed.where, [i.array for i in indices]) if indices else target
    shape = tuple(value.shape)
    while len(shape) > len(target) and shape[0] == 1:
        shape = shape[1:]
    if not _fits(shape, target):
        raise ShapeError(
            f"index: shape mismatch: a value of shape {tuple(value.shape)} cannot be broadcast to {tuple(target)}, the "
            "shape of the elements to be overwritten"
        )
    value = value if shape == value.shape else value.reshape(shape)
    if value.device != x.device and not value.is_meta and not (indices and shape):  # without indices it is a copy
        value = value.to(x.device)
    if x.is_meta and not value.is_meta:
        value = Tensor(meta(value.shape, value.dtype))
    return Put.apply(
        x, value, *indices, view=parsed.view, where=tuple(parsed.where), add=add, inplace=inplace
    )  # fmt: skip


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return geometry.broadcast("index", shape, target) == tuple(target)
    except ShapeError:
        return False


@tensor_method("__setitem__")
def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: overwrite the elements in place; recorded if a gradient is wanted.

    If an index occurs twice, the last value remains; on a GPU, any of them.

    Raises:
        RuntimeError: x is a leaf that requires a gradient, while operations are recorded.
        ShapeError: the value does not broadcast to the elements at `index`.
        TypeError: the value is neither a tensor nor a number (nor, beyond PyTorch, an array).
    """
    if not isinstance(value, (Tensor, bool, int, float, np.generic)) and not is_array(value):
        raise TypeError(f"index: cannot assign a {type(value).__name__} to a tensor; use minicnn.tensor(...)")
    if isinstance(index, Tensor) and on_gpu(index.array) and _fills(x, index, value):
        x.masked_fill_(index.reshape(*index.shape, *(1,) * (x.ndim - index.ndim)), value)
        return
    parsed = Parsed(x.array.shape, index)
    value = value if isinstance(value, Tensor) else Tensor(number(value, x.array.dtype))
    if value.ndim and parsed.indices and value.dtype is not x.dtype:
        raise RuntimeError(
            f"index: the tensor is {x.dtype} and the value {value.dtype}; convert it with .to({x.dtype})"
        )
    put_(x, parsed, value, False)


def _fills(x: Tensor, mask: Tensor, value: Any) -> bool:
    """Return whether x[mask] = value needs no list of the places: it would have to wait for their number."""
    fits = mask.dtype.kind == "b" and mask.ndim and mask.shape == x.shape[: mask.ndim]
    return bool(fits) and (isinstance(value, (bool, int, float)) or not value.ndim)


def number(value: Any, kind: np.dtype[Any]) -> Array:
    """Return a number or array in the type of a tensor; floats are cut to integers.

    Raises:
        RuntimeError: the type cannot hold the integer, or the number is complex.
    """
    if isinstance(value, complex):
        raise RuntimeError(f"value {value} cannot be converted to type {kind} without overflow: tensors are real")
    if kind.kind in "iu" and isinstance(value, int) and not np.iinfo(kind).min <= value <= np.iinfo(kind).max:
        raise RuntimeError(f"value {value} cannot be converted to type {kind} without overflow")
    with on_device_of(value):
        return as_array(value).astype(kind)


def put_(x: Tensor, parsed: Parsed, value: Tensor, add: bool) -> None:
    """Write a value into the memory of x, and give x the place of the result in the graph."""
    recorded = is_grad_enabled() and (x.requires_grad or value.requires_grad)
    if recorded:
        check_writable(x, "index")
    elif x._views and is_grad_enabled():
        check_view(x, "index")
    if not (x.is_meta or writeable(x.array)):
        raise RuntimeError(
            "index: the memory cannot be written: it is read-only, or several elements of an expanded tensor share a "
            "place; write into a clone()"
        )
    before = Tensor(x.array, _counter=x._counter)
    before._edge, before._requires_grad = x._edge, x.requires_grad
    x._counter[0] += 1
    result = put(before, parsed, value, add, inplace=True)
    if observe.observers:
        observe.written(x, result)
    if recorded:
        replace(x, result)


@numpy_names
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of the tensor with `values` written, or added, at `indices`.

    >>> minicnn.index_put(minicnn.zeros(3), (minicnn.tensor([0, 0]),), minicnn.ones(2), accumulate=True)
    tensor([2., 0., 0.])
    """
    return put(input, _put_index(input, indices, values), values, accumulate, inplace=False)


def _put_index(input: Tensor, indices: Sequence[Tensor], values: Tensor) -> Parsed:
    check_tensor("index_put", input=input, values=values)
    if values.dtype != input.dtype:
        raise RuntimeError(f"index_put: values are {values.dtype} but the tensor is {input.dtype}; convert one")
    at = tuple(
        slice(None) if i is None else i if not isinstance(i, Tensor) or i.ndim else i.reshape(1) for i in indices
    )
    return Parsed(input.array.shape, at)


@tensor_method("index_put_")
def _index_put_(self: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    put_(self, _put_index(self, indices, values), values, accumulate)
    return self


tensor_method("index_put")(index_put)

# --------------------------------------------------------------------------------------------------- one axis at a time


@tensor_method("select")
@numpy_names
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` of the axis `dim`, without that axis: a view.

    Raises:
        IndexError: there is no such axis or index.

    >>> minicnn.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    if not input.ndim:
        raise IndexError("select: a 0-d tensor has no axis to select from")
    at = axis("select", dim, input.ndim)
    index, size = whole(index, "select", "index"), input.shape[at]
    if not -size <= index < size:
        raise IndexError(f"select: index {index} is out of range for dimension {at} with size {size}")
    return View.apply(input, SLICE, (slice(None),) * at + (index, ...), title="Select")


@tensor_method("narrow")
@numpy_names
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements of the axis `dim`, beginning at `start`: a view.

    Raises:
        IndexError, ShapeError: the elements do not lie within the axis.

    >>> minicnn.arange(6).narrow(0, 2, 3)
    tensor([2, 3, 4])
    """
    if not input.ndim:
        raise ShapeError("narrow: a 0-d tensor has no axis to narrow")
    if isinstance(start, Tensor) and (start.ndim or start.dtype.kind not in "iu"):
        raise RuntimeError(f"narrow: start must be an int or a 0-d integer tensor, got {start!r}")
    at = axis("narrow", dim, input.ndim)
    start, length, size = whole(start, "narrow", "start"), whole(length, "narrow", "length"), input.shape[at]
    if not -size <= start <= size:
        raise IndexError(f"narrow: start {start} is out of range (expected to be in range of [{-size}, {size}])")
    start = start + size if start < 0 else start
    if length < 0 or start + length > size:
        raise ShapeError(f"narrow: start ({start}) + length ({length}) must be within dimension {at} of size {size}")
    return View.apply(input, SLICE, (slice(None),) * at + (slice(start, start + length), ...))


@tensor_method("narrow_copy")
@numpy_names
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements of the axis `dim`, beginning at `start`, in new memory.

    >>> minicnn.narrow_copy(minicnn.arange(6), 0, 2, 3)
    tensor([2, 3, 4])
    """
    return narrow(input, dim, start, length).clone()
