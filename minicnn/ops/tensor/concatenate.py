"""Joining tensors along an axis and splitting them: cat and split, stack and unbind, and functions built on them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import xp
from minicnn_kernels.geometry import ShapeError, fits, whole

from ...autograd import backpropagation
from ...autograd.engine import Function
from ...autograd.nodes import shown_as
from ...autograd.second_order import with_unused
from ...device import Meta, meta
from ...memory_formats import channels_last, is_in
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, check_tensor, ints, numpy_names
from .indexing import narrow
from .large import joined
from .operands import promote
from .promotion import result_type
from .shape import atleast_1d, atleast_2d, atleast_3d, reshape, unsqueeze
from .types import to

__all__ = [
    "cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack",
    "row_stack", "split", "split_with_sizes", "stack", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split",
    "vsplit", "vstack",
]  # fmt: skip

# -------------------------------------------------------------------------------------------------------------- joining


class Cat(Function):
    """y = the arrays one after the other along an axis; the gradient is split again."""

    @staticmethod
    def forward(ctx: Any, *xs: Array, dim: int) -> Array:
        """Concatenate."""
        ctx.dim, ctx.ends = dim, [*itertools.accumulate(x.shape[dim] for x in xs)][:-1]
        if ctx.gpu is not None and False not in [is_in(x, channels_last) for x in xs]:  # CuPy gives C order
            last = [x.transpose(0, 2, 3, 1) for x in xs]  # (N, C, H, W) -> (N, H, W, C)
            return np.concatenate(last, (0, 3, 1, 2)[dim]).transpose(0, 3, 1, 2)
        return joined(xs, dim)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, ...]:
        """Cut."""
        return tuple(np.split(gy, ctx.ends, ctx.dim))

    @staticmethod
    def tangent(ctx: Any, *vs: Array | None) -> Array:
        """Concatenate, with zeros where a part stays."""
        y = xp(next(v for v in vs if v is not None)).zeros(*ctx.outputs[0])
        for part, v in zip(np.split(y, ctx.ends, ctx.dim), vs, strict=True):
            part[...] = 0 if v is None else v
        return y

    @staticmethod
    def infer(*xs: Meta, dim: int) -> Meta:
        """Return the shape, whose size along the axis is the sum of the sizes."""
        shape = list(xs[0].shape)
        shape[dim] = sum(x.shape[dim] for x in xs)
        return meta(tuple(shape), xs[0].dtype)


def sequence(op: str, tensors: Any) -> tuple[Tensor, ...]:
    """Return the operands of a join, a sequence of at least one tensor, converted to one type."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{op}: expected a tuple or list of tensors, got {type(tensors).__name__}; write {op}((a, b))")
    if not tensors:
        raise ShapeError(f"{op}: expected at least one tensor, got an empty {type(tensors).__name__}")
    if not all(isinstance(x, Tensor) for x in tensors):
        check_tensor(op, **{f"element {i}": x for i, x in enumerate(tensors)})
    return tuple(tensors)


@numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join the tensors along an existing axis; their types are promoted to a common type.

    Raises:
        ShapeError: the shapes differ in an axis other than `dim`. A tensor of shape (0,) always fits, as in PyTorch.

    >>> a, b = minicnn.tensor([[1, 2]]), minicnn.tensor([[3, 4]])
    >>> minicnn.cat([a, b]), minicnn.cat([a, b], 1)
    (tensor([[1, 2],
            [3, 4]]), tensor([[1, 2, 3, 4]]))
    >>> minicnn.cat([minicnn.zeros(8, 64, 7, 7), minicnn.zeros(8, 32, 7, 7)], 1).shape
    minicnn.Size([8, 96, 7, 7])
    """
    given = sequence("cat", tensors)
    arrays = [x._array for x in given]  # of which NumPy knows shapes and types at once: a DenseNet has many to join
    shapes = [a.shape for a in arrays]
    if () in shapes:
        raise ShapeError(f"cat: tensor {shapes.index(())} is 0-d and has no axis to join along; use stack")
    if (0,) in shapes:
        kept = [x for x, shape in zip(given, shapes, strict=True) if shape != (0,)]
        if not kept:
            return Cat.apply(*promote("cat", *given), dim=0)
        y, kind = cat(kept, dim), result_type(*given)
        return with_unused(y if y.dtype == kind else to(y, kind), *[x for x in given if x.shape == (0,)])
    first = shapes[0]
    at = axis("cat", dim, len(first))
    before, after = first[:at], first[at + 1 :]
    for shape in shapes:
        if len(shape) != len(first) or shape[:at] != before or shape[at + 1 :] != after:
            raise ShapeError(f"cat: {first} and {shape} differ in more than dimension {at}")
    if any(a.dtype != arrays[0].dtype for a in arrays):
        given = tuple(to(x, result_type(*given)) for x in given)
    return Cat.apply(*given, dim=at)


concat = concatenate = cat


@numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join the tensors along a new axis.

    Raises:
        ShapeError: the shapes differ.

    >>> minicnn.stack([minicnn.zeros(3, 32, 32), minicnn.ones(3, 32, 32)]).shape
    minicnn.Size([2, 3, 32, 32])
    """
    given = sequence("stack", tensors)
    for x in given:
        if x.shape != given[0].shape:
            raise ShapeError(f"stack: the shapes must be equal, got {tuple(given[0].shape)} and {tuple(x.shape)}")
    at = axis("stack", dim, given[0].ndim + 1)
    return shown_as(cat([unsqueeze(x, at) for x in given], at).contiguous(), "StackBackward0")


backpropagation.stack = stack


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join the tensors side by side: along the second axis, or along the first if they are 1-d.

    >>> minicnn.hstack([minicnn.zeros(2, 3), minicnn.zeros(2, 1)]).shape
    minicnn.Size([2, 4])
    """
    given = atleast_1d(sequence("hstack", tensors))
    return cat(given, 0 if given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join the tensors one below the other: along the first axis; 1-d tensors are rows.

    >>> minicnn.vstack([minicnn.tensor([1, 2]), minicnn.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(sequence("vstack", tensors)), 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join the tensors along the third axis.

    >>> minicnn.dstack([minicnn.zeros(2, 3), minicnn.zeros(2, 3)]).shape
    minicnn.Size([2, 3, 2])
    """
    return cat(atleast_3d(sequence("dstack", tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Join the tensors side by side; 1-d tensors are columns.

    >>> minicnn.column_stack([minicnn.tensor([1, 2]), minicnn.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return hstack([x if x.ndim > 1 else reshape(x, (x.numel(), 1)) for x in sequence("column_stack", tensors)])


# --------------------------------------------------------------------------------------------------------- taking apart


class Split(Function):
    """The sections of an array along an axis, as views; the gradients are joined."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, ends: tuple[int, ...], dim: int) -> tuple[Array, ...]:
        """Cut before each of `ends`."""
        ctx.ends, ctx.dim = ends, dim
        return tuple(np.split(x, ends, dim))

    @staticmethod
    def backward(ctx: Any, *gys: Array) -> tuple[Array, None, None]:
        """Join."""
        return joined(gys, ctx.dim), None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> tuple[Array, ...]:
        """Cut."""
        return tuple(np.split(v, ctx.ends, ctx.dim))


class Unbind(Function):
    """The slices of an array along an axis, as views without that axis; the gradients are stacked."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, dim: int) -> tuple[Array, ...]:
        """Slice."""
        ctx.dim = dim
        return tuple(x[(slice(None),) * dim + (i, ...)] for i in range(x.shape[dim]))

    @staticmethod
    def backward(ctx: Any, *gys: Array) -> tuple[Array, None]:
        """Stack."""
        return np.stack(gys, ctx.dim), None

    @staticmethod
    def tangent(ctx: Any, v: Array, _: Any) -> tuple[Array, ...]:
        """Slice."""
        return Unbind.forward(ctx, v, ctx.dim)


def _pieces(op: str, x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """Split into sections of the given sizes along an axis, after checking that they add up to its size."""
    if any(n < 0 for n in sizes) or sum(sizes) != x.shape[dim]:
        raise ShapeError(
            f"{op}: the sizes {list(sizes)} must be 0 or more and add up to {x.shape[dim]}, the size of dimension "
            f"{dim} of {tuple(x.shape)}"
        )
    return tuple(Split.apply(x, tuple(itertools.accumulate(sizes))[:-1], dim)) if sizes else ()


@numpy_names
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Split along `dim` into views of one size (the last may be smaller) or of a list of sizes.

    Raises:
        ShapeError: the sizes do not add up to that of the axis.

    >>> minicnn.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    >>> minicnn.split(minicnn.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    at = axis("split", dim, tensor.ndim)
    if not tensor.ndim:
        raise ShapeError("split: a 0-d tensor has no axis to split along")
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, at)
    (size,), length = ints("split", "split_size", (split_size_or_sections,)), tensor.shape[at]
    if size < 0 or (size == 0 and length):
        raise ShapeError(f"split: the size of a section must be positive, got {size} for {length} elements")
    pieces = max(-(-length // size), 1) if size else 1
    return _pieces("split", tensor, [size] * (pieces - 1) + [length - size * (pieces - 1)], at)


unsafe_split = split


@tensor_method("split", "unsafe_split")
def _split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` as a method, in which PyTorch's second argument has another name."""
    return split(self, split_size, dim)


@tensor_method("split_with_sizes")
@numpy_names
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Split along `dim` into views of the given sizes.

    >>> minicnn.split_with_sizes(minicnn.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    sizes = ints("split_with_sizes", "split_sizes", (split_sizes,))
    return _pieces("split", input, sizes, axis("split", dim, input.ndim))


@tensor_method("chunk", "unsafe_chunk")
@numpy_names
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Split along `dim` into at most `chunks` views of one size; the last may be smaller.

    Raises:
        RuntimeError: `chunks` is below 1.

    >>> minicnn.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    chunks = whole(chunks, "chunk", "chunks")
    if chunks < 1:
        raise RuntimeError(f"chunk: expected at least one chunk, got chunks={chunks}")
    if not input.ndim:
        raise ShapeError("chunk: a 0-d tensor has no axis to split along")
    length = input.shape[axis("chunk", dim, input.ndim)]
    size = -(-length // chunks)
    if not size:
        fits("chunk", (chunks,), 256, "list of tensors")
        return _pieces("chunk", input, [0] * chunks, axis("chunk", dim, input.ndim))
    return split(input, size, dim)


unsafe_chunk = chunk


@tensor_method("tensor_split")
@numpy_names
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Split along `dim` into views: `sections` of nearly one size (the first ones larger by 1), or cut at `indices`.

    >>> minicnn.tensor_split(minicnn.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    at, given = axis("tensor_split", dim, input.ndim), indices_or_sections
    if not input.ndim:
        raise ShapeError("tensor_split: a 0-d tensor has no axis to split along")
    length = input.shape[at]
    if isinstance(given, Tensor):
        if given.dtype != np.int64 or given.ndim > 1 or given.device.type != "cpu":
            raise RuntimeError(f"tensor_split: expected an int64 tensor of at most 1 axis on the CPU, got {given!r}")
        given = given.tolist()
    if isinstance(given, (tuple, list)):
        given = [n if n is None else whole(n, "tensor_split", "indices") for n in given]
        cuts = [slice(*pair).indices(length)[:2] for pair in zip([0, *given], [*given, length], strict=True)]
        return tuple(narrow(input, at, start, max(end - start, 0)) for start, end in cuts)
    given = whole(given, "tensor_split", "sections")
    fits("tensor_split", (max(given, 0),), 256, "list of tensors")
    if given < 1:
        raise RuntimeError(f"tensor_split: the number of sections must be positive, got {given}")
    size, larger = divmod(length, given)
    return _pieces("tensor_split", input, [size + (i < larger) for i in range(given)], at)


def _directed(op: str, dim: int, least: int) -> Any:
    """Make hsplit, vsplit or dsplit: tensor_split along one axis, but into equal sections only."""

    @tensor_method(op)
    def cut(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise ShapeError(f"{op}: expected a tensor of at least {least} axes, got shape {tuple(input.shape)}")
        at = 0 if op == "hsplit" and input.ndim == 1 else dim
        given = indices_or_sections
        if isinstance(given, int) and not isinstance(given, bool) and (given < 1 or input.shape[at] % given):
            raise ShapeError(f"{op}: {input.shape[at]} elements do not divide into {given} sections; use tensor_split")
        return tensor_split(input, given, at)

    cut.__name__ = op
    cut.__doc__ = f"""Split along dimension {dim} into views: sections of equal size, or cut at indices.

>>> [part.shape[{dim}] for part in minicnn.{op}(minicnn.zeros(6, 6, 6), 3)]
[2, 2, 2]
"""
    return cut


hsplit, vsplit, dsplit = _directed("hsplit", 1, 1), _directed("vsplit", 0, 2), _directed("dsplit", 2, 3)


@tensor_method("unbind")
@numpy_names
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the slices along `dim`, without that axis, as views.

    Raises:
        IndexError: the tensor is 0-d.

    >>> minicnn.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    if not input.ndim:
        raise IndexError("unbind: a 0-d tensor has no axis to unbind")
    at = axis("unbind", dim, input.ndim)
    return tuple(Unbind.apply(input, at)) if input.shape[at] else ()


@tensor_method("__iter__")
def _iterate(self: Tensor) -> Any:
    if not self.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(self))
