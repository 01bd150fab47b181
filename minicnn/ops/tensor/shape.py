"""The shape of a tensor: joining, splitting, reordering, adding, removing and expanding axes.

All of these share memory with their argument if possible, as in PyTorch; the gradient gets the old shape again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import address, is_array, share_memory
from minicnn_kernels.geometry import ShapeError, SizeError

from ... import memory_formats
from ...dtypes import Size
from ...memory_formats import MemoryFormat
from ...tensor import Array, Tensor, tensor_method
from .arguments import axes, axis, check_tensor, guarded, ints, numpy_names, spread
from .linear_map import LinearMapRow, Map, View
from .operands import unbroadcast

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "broadcast_to",
    "clone", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape", "squeeze", "swapaxes", "swapdims", "t",
    "transpose", "unflatten", "unsqueeze",
]  # fmt: skip

RESHAPE = LinearMapRow("Reshape", lambda x, shape: x.reshape(shape), lambda gy, shape, _: gy.reshape(shape))
PERMUTE = LinearMapRow(
    "Permute",
    lambda x, order: x.transpose(order),
    lambda gy, _, order: gy.transpose([order.index(axis) for axis in range(gy.ndim)]),
)
EXPAND = LinearMapRow(
    "Expand",
    lambda x, shape: x[...] if x.shape == shape else np.broadcast_to(x, shape),
    lambda gy, shape, _: unbroadcast(gy, shape),
)
CLONE = LinearMapRow("Clone", memory_formats.copy, lambda gy, *_: gy)

# ----------------------------------------------------------------------------------------------------- joined and split


def _complete(op: str, shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the wanted sizes with the -1 computed.

    Raises:
        ShapeError: the number of elements does not match.
    """
    count, known = math.prod(shape), math.prod(n for n in size if n != -1)
    free = size.count(-1)
    if not free and known == count and min(size, default=0) >= 0:
        return size
    if any(n < -1 for n in size) or free > 1:
        raise ShapeError(f"{op}: sizes must be 0 or more, and at most one -1 (to be inferred), got {size}")
    if free and not known:
        raise ShapeError(
            f"{op}: the -1 in {size} can be any size, because the product of the others is 0; write the size itself"
        )
    if not free or count % known:
        raise ShapeError(f"{op}: shape {size} is invalid for {count} elements, those of the shape {tuple(shape)}")
    return tuple([count // known if n == -1 else n for n in size])


@tensor_method("reshape")
@spread("shape")
def reshape(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements, in row-major order, in another shape; one size may be -1. Copies if a view is not possible.

    Raises:
        ShapeError: the number of elements does not match.
    """
    return View.apply(input, RESHAPE, _complete("reshape", input.array.shape, shape))


@tensor_method("view")
@spread("size")
def view(input: Tensor, size: tuple[int, ...]) -> Tensor:
    """The same memory in another shape; one size may be -1.

    Raises:
        ShapeError: the number of elements does not match.
        RuntimeError: the order in memory does not allow a view (a permuted tensor, for example).
    """
    y: Tensor = View.apply(input, RESHAPE, _complete("view", input.array.shape, size))
    if y.array.size and not (input.is_meta or share_memory(input.array, y.array)):
        raise RuntimeError(
            f"view: shape {size} needs another order of memory than the strides {stride(input)} of the shape "
            f"{input.shape} give (one axis would span two that are not contiguous); use .reshape(...), which copies"
        )
    return y


@tensor_method("view_as")
@guarded
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view with the shape of `other`."""
    return view(input, tuple(other.shape))


@tensor_method("reshape_as")
@guarded
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of `other`."""
    return reshape(input, tuple(other.shape))


@tensor_method("flatten")
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes start_dim to end_dim into one: (N, C, H, W).flatten(1) is (N, C*H*W)."""
    shape = input.array.shape
    first, last = axis("flatten", start_dim, len(shape)), axis("flatten", end_dim, len(shape))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in a tensor of shape {shape}")
    if first == last and shape:
        return input
    return View.apply(input, RESHAPE, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@tensor_method("unflatten")
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split the axis `dim` into `sizes`, one of which may be -1."""
    at, shape = axis("unflatten", dim, input.ndim), input.shape
    wanted = ints("unflatten", "sizes", (sizes,))
    if not wanted:
        raise ShapeError("unflatten: sizes must not be empty")
    return View.apply(
        input, RESHAPE, (*shape[:at], *_complete("unflatten", shape[at : at + 1], wanted), *shape[at + 1 :])
    )


@tensor_method("ravel")
def ravel(input: Tensor) -> Tensor:
    """Join all axes into one."""
    return reshape(input, (-1,)) if input.numel() else reshape(input, (0,))


# ---------------------------------------------------------------------------------------------------- added, taken away


@tensor_method("squeeze")
@numpy_names
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Remove the axes of size 1: all of them, or those among `dim`."""
    rank = input.ndim
    given = set(range(rank)) if dim is None else set(axes("squeeze", dim, rank))
    return View.apply(input, RESHAPE, tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in given))


@tensor_method("unsqueeze")
@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Add an axis of size 1 at `dim`."""
    shape = input.array.shape
    at = axis("unsqueeze", dim, len(shape) + 1)
    return View.apply(input, RESHAPE, (*shape[:at], 1, *shape[at:]))


def _each(function: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """Let a function of one tensor also take several, or a sequence of them, and return a tuple."""

    def call(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return function(tensors[0])
        return tuple(map(function, tensors[0] if len(tensors) == 1 else tensors))

    call.__name__, call.__qualname__, call.__doc__ = function.__name__, function.__qualname__, function.__doc__
    return call


@tensor_method("atleast_1d")
@_each
def atleast_1d(x: Tensor) -> Tensor:
    """Add an axis to a 0-d tensor; several tensors give a tuple."""
    return x if x.ndim else reshape(x, (1,))


@tensor_method("atleast_2d")
@_each
def atleast_2d(x: Tensor) -> Tensor:
    """Add axes in front until there are two; several tensors give a tuple."""
    return x if x.ndim > 1 else reshape(x, (1, x.numel()))


@tensor_method("atleast_3d")
@_each
def atleast_3d(x: Tensor) -> Tensor:
    """Add axes until there are three: (n,) -> (1, n, 1) and (n, m) -> (n, m, 1); several tensors give a tuple."""
    return x if x.ndim > 2 else reshape(x, (1, x.numel(), 1) if x.ndim < 2 else (*x.shape, 1))


# ------------------------------------------------------------------------------------------------------------ reordered


@tensor_method("permute")
@spread("dims", empty=True)
def permute(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Reorder the axes: `x.permute(0, 2, 3, 1)` is (N, H, W, C)."""
    rank = input.ndim
    if len(dims) != rank:
        raise ShapeError(f"permute: {dims} is not an order of the {rank} axes of {input.shape}")
    return View.apply(input, PERMUTE, axes("permute", dims, rank))


@tensor_method("transpose", "swapaxes", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two axes."""
    rank = input.array.ndim
    i, j = axis("transpose", dim0, rank), axis("transpose", dim1, rank)
    order = list(range(rank))
    if rank:
        order[i], order[j] = j, i
    return View.apply(input, PERMUTE, tuple(order))


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Exchange two axes."""
    return transpose(input, axis0, axis1)


swapdims = transpose


@tensor_method("t")
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a tensor with fewer axes is returned as it is."""
    if input.ndim > 2:
        raise ShapeError(f"t: expected a tensor of at most 2 axes, got shape {input.shape}; use .transpose or .mT")
    return transpose(input, 0, -1)


@tensor_method("movedim", "moveaxis")
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move the axes `source` to the positions `destination`; the others keep their order."""
    come, go = axes("movedim", source, input.ndim), axes("movedim", destination, input.ndim)
    if len(come) != len(go):
        raise ShapeError(f"movedim: {len(come)} source axes {source} for {len(go)} destinations {destination}")
    if not input.ndim:
        return View.apply(input, PERMUTE, ())
    order = [i for i in range(input.ndim) if i not in come]
    for place, which in sorted(zip(go, come, strict=True)):
        order.insert(place, which)
    return View.apply(input, PERMUTE, tuple(order))


moveaxis = movedim


def _matrices(name: str, input: Tensor, exact: bool) -> Tensor:
    """Exchange the last two axes; with `exact`, of a matrix (or a 0-d tensor) only."""
    if (exact and input.ndim not in (0, 2)) or input.ndim == 1:
        raise ShapeError(f"{name}: expected {'a matrix' if exact else 'matrices'}, got shape {input.shape}")
    return transpose(input, -2, -1) if input.ndim else input


@tensor_method("adjoint")
def adjoint(input: Tensor) -> Tensor:
    """The (conjugate) transpose of matrices: the last two axes exchanged."""
    return _matrices("adjoint", input, exact=False)


_AXES = {
    "T": lambda self: permute(self, tuple(range(self.ndim))[::-1]),
    "mT": lambda self: _matrices("mT", self, exact=False),
    "mH": lambda self: _matrices("mH", self, exact=False),
    "H": lambda self: _matrices("H", self, exact=True),
}
for _name, _function in _AXES.items():
    setattr(Tensor, _name, property(_function))

# ------------------------------------------------------------------------------------------------------------- expanded


@tensor_method("expand")
@spread("size", empty=True)
def expand(input: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """Repeat axes of size 1, and new axes in front, without a copy; -1 keeps a size. The result is read-only.

    Raises:
        ShapeError: the size of an axis would change, but is not 1.
    """
    shape = input.array.shape
    fresh = len(size) - len(shape)
    fits = fresh >= 0 and all(n >= 0 for n in size[:fresh]) and all(
        n in (-1, old) or (old == 1 and n >= 0) for n, old in zip(size[fresh:], shape, strict=True)
    )  # fmt: skip
    if not fits:
        raise ShapeError(
            f"expand: {tuple(shape)} does not expand to {size}: aligned from the right, sizes must be equal, or 1 "
            "before expansion; -1 means the old size"
        )
    whole = (*size[:fresh], *(o if n == -1 else n for n, o in zip(size[fresh:], shape, strict=True)))
    if math.prod(whole) * input.array.itemsize >= 2**63:
        raise SizeError(f"expand: a tensor of shape {whole} has more bytes than 64 bits can count")
    return View.apply(input, EXPAND, whole)


@tensor_method("expand_as")
@guarded
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expand to the shape of `other`."""
    return expand(input, tuple(other.shape))


@tensor_method("broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expand to the shape `size`."""
    return expand(input, ints("broadcast_to", "size", (size,)))


def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that tensors of the given shapes broadcast to."""
    return Size(geometry.broadcast("broadcast_shapes", *(ints("broadcast_shapes", "shapes", (s,)) for s in shapes)))


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Expand each tensor to the shape that they all broadcast to."""
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    check_tensor("broadcast_tensors", **{f"tensor {i}": x for i, x in enumerate(given)})
    shape = geometry.broadcast("broadcast_tensors", *(tuple(x.shape) for x in given))
    return tuple(expand(x, shape) for x in given)


# --------------------------------------------------------------------------------------------------------------- memory


@tensor_method("clone")
def clone(input: Tensor, *, memory_format: MemoryFormat = memory_formats.preserve_format) -> Tensor:
    """A copy in new memory, which is recorded."""
    return Map.apply(input, CLONE, memory_format)


@tensor_method("contiguous")
def contiguous(input: Tensor, memory_format: MemoryFormat = memory_formats.contiguous_format) -> Tensor:
    """Return the tensor itself if its memory has the wanted order, else a copy that has it."""
    return input if memory_formats.is_in(input.array, memory_format) else Map.apply(input, CLONE, memory_format)


@tensor_method("is_contiguous")
def is_contiguous(input: Tensor, memory_format: MemoryFormat = memory_formats.contiguous_format) -> bool:
    """Return whether the elements lie in memory in the order of the format."""
    return memory_formats.is_in(input.array, memory_format)


@tensor_method("stride")
def stride(input: Tensor, dim: int | None = None) -> Any:
    """Return the distance in memory, in elements, between neighbours along each axis, or along `dim`."""
    x: Array = input.array
    if input.is_meta or not x.size:  # as for contiguous memory, where a size of 0 counts as 1
        sizes = [max(n, 1) for n in input.shape]
        steps = tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
    else:
        steps = tuple(step // x.itemsize for step in x.strides)
    return steps if dim is None else steps[axis("stride", dim, input.ndim)]


@tensor_method("storage_offset")
def storage_offset(input: Tensor) -> int:
    """Return the number of elements between the start of its memory and the tensor's first element."""
    root: Any = input.array
    while is_array(root.base):
        root = root.base
    return 0 if input.is_meta else (address(input.array) - address(root)) // input.array.itemsize
