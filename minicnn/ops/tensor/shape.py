"""The shape of a tensor: joining, splitting, reordering, adding and removing axes.

All of these share memory with their argument if possible, as in PyTorch; the gradient gets the old shape again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import share_memory
from minicnn_kernels.geometry import ShapeError

from ...autograd import own_order
from ...autograd.nodes import shown_as
from ...dtypes import DType
from ...tensor import Tensor, tensor_method
from .arguments import axes, axis, guarded, ints, numpy_names, spread
from .linear_map import LinearMapRow, View
from .strides import stride

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "flatten", "moveaxis", "movedim", "permute", "ravel",
    "reshape", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip

RESHAPE = LinearMapRow("Reshape", lambda x, shape: x.reshape(shape), lambda gy, shape, _: gy.reshape(shape))
PERMUTE = LinearMapRow(
    "Permute",
    lambda x, order: x.transpose(order),
    lambda gy, _, order: gy.transpose([order.index(axis) for axis in range(gy.ndim)]),
)

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

    >>> minicnn.arange(6).reshape(2, 3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    >>> minicnn.zeros(8, 3, 5, 5).reshape(8, -1).shape
    minicnn.Size([8, 75])
    """
    return View.apply(input, RESHAPE, _complete("reshape", input.array.shape, shape))


@spread("size")
def view(input: Tensor, size: tuple[int, ...]) -> Tensor:
    """The same memory in another shape; one size may be -1.

    Raises:
        ShapeError: the number of elements does not match.
        RuntimeError: the order in memory does not allow a view (a permuted tensor, for example).

    >>> x = minicnn.zeros(2, 3)
    >>> x.view(6)[0] = 1
    >>> x
    tensor([[1., 0., 0.],
            [0., 0., 0.]])
    """
    y: Tensor = View.apply(input, RESHAPE, _complete("view", input.array.shape, size))
    if y.array.size and not (input.is_meta or share_memory(input.array, y.array)):
        raise RuntimeError(
            f"view: shape {size} needs another order of memory than the strides {stride(input)} of the shape "
            f"{input.shape} give (one axis would span two that are not contiguous); use .reshape(...), which copies"
        )
    return y


@tensor_method("view")
def _view(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """`view` of another shape, or the same memory as elements of another type, without a gradient.

    >>> minicnn.ones(2).view(minicnn.int32)  # the bits of 1.0
    tensor([1065353216, 1065353216], dtype=minicnn.int32)
    """
    kind = size[0] if len(size) == 1 and isinstance(size[0], DType) else dtype
    if kind is None:
        return view(self, *size, **options)
    if self.is_meta:
        raise NotImplementedError("view: a tensor on device 'meta' has no memory to be read in another type")
    try:
        array = own_order.settle(self).array.view(np.dtype(kind))
    except (ValueError, TypeError) as error:
        raise RuntimeError(f"view: {tuple(self.shape)} of {self.dtype} cannot be read as {kind}: {error}") from None
    return self if array.dtype == self.array.dtype else Tensor(array, _counter=self._counter)


@tensor_method("view_as")
@guarded
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view with the shape of `other`.

    >>> minicnn.zeros(6).view_as(minicnn.ones(2, 3)).shape
    minicnn.Size([2, 3])
    """
    return view(input, tuple(other.shape))


@tensor_method("reshape_as")
@guarded
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of `other`.

    >>> minicnn.zeros(6).reshape_as(minicnn.ones(2, 3)).shape
    minicnn.Size([2, 3])
    """
    return reshape(input, tuple(other.shape))


@tensor_method("flatten")
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes start_dim to end_dim into one: (N, C, H, W).flatten(1) is (N, C*H*W).

    Raises:
        ShapeError: `start_dim` comes after `end_dim`.
        IndexError: there is no such axis.

    >>> minicnn.zeros(8, 16, 5, 5).flatten(1).shape
    minicnn.Size([8, 400])
    """
    shape = input.array.shape
    first, last = axis("flatten", start_dim, len(shape)), axis("flatten", end_dim, len(shape))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in a tensor of shape {shape}")
    if first == last and shape:
        return input
    return View.apply(input, RESHAPE, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@tensor_method("unflatten")
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split the axis `dim` into `sizes`, one of which may be -1.

    Raises:
        ShapeError: the sizes do not make up the axis.

    >>> minicnn.zeros(8, 400).unflatten(1, (16, 5, 5)).shape
    minicnn.Size([8, 16, 5, 5])
    """
    at, shape = axis("unflatten", dim, input.ndim), input.shape
    wanted = ints("unflatten", "sizes", (sizes,))
    if not wanted:
        raise ShapeError("unflatten: sizes must not be empty")
    return View.apply(
        input, RESHAPE, (*shape[:at], *_complete("unflatten", shape[at : at + 1], wanted), *shape[at + 1 :])
    )


@tensor_method("ravel")
def ravel(input: Tensor) -> Tensor:
    """Join all axes into one.

    >>> minicnn.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return reshape(input, (-1,)) if input.numel() else reshape(input, (0,))


# ---------------------------------------------------------------------------------------------------- added, taken away


@tensor_method("squeeze")
@numpy_names
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Remove the axes of size 1: all of them, or those among `dim`.

    Raises:
        IndexError: there is no such axis.

    >>> minicnn.zeros(8, 512, 1, 1).squeeze().shape
    minicnn.Size([8, 512])
    >>> minicnn.zeros(1, 512, 1, 1).squeeze((2, 3)).shape
    minicnn.Size([1, 512])
    """
    rank = input.ndim
    given = set(range(rank)) if dim is None else set(axes("squeeze", dim, rank))
    shape = tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in given)
    y = View.apply(input, RESHAPE, shape, title="Squeeze")
    return y if dim is None else shown_as(y, f"SqueezeBackward{1 if isinstance(dim, int) else 2}")


@tensor_method("unsqueeze")
@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Add an axis of size 1 at `dim`.

    Raises:
        IndexError: there is no such place.

    >>> minicnn.zeros(3, 32, 32).unsqueeze(0).shape
    minicnn.Size([1, 3, 32, 32])
    """
    shape = input.array.shape
    at = axis("unsqueeze", dim, len(shape) + 1)
    return View.apply(input, RESHAPE, (*shape[:at], 1, *shape[at:]), title="Unsqueeze")


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
    """Add an axis to a 0-d tensor; several tensors give a tuple.

    >>> minicnn.atleast_1d(minicnn.tensor(5.))
    tensor([5.])
    """
    return x if x.ndim else reshape(x, (1,))


@tensor_method("atleast_2d")
@_each
def atleast_2d(x: Tensor) -> Tensor:
    """Add axes in front until there are two; several tensors give a tuple.

    >>> minicnn.atleast_2d(minicnn.tensor([1., 2.]))
    tensor([[1., 2.]])
    """
    return x if x.ndim > 1 else reshape(x, (1, x.numel()))


@tensor_method("atleast_3d")
@_each
def atleast_3d(x: Tensor) -> Tensor:
    """Add axes until there are three: (n,) -> (1, n, 1) and (n, m) -> (n, m, 1); several tensors give a tuple.

    >>> minicnn.atleast_3d(minicnn.zeros(4, 5)).shape
    minicnn.Size([4, 5, 1])
    """
    return x if x.ndim > 2 else reshape(x, (1, x.numel(), 1) if x.ndim < 2 else (*x.shape, 1))


# ------------------------------------------------------------------------------------------------------------ reordered


@tensor_method("permute")
@spread("dims", empty=True)
def permute(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Reorder the axes: `x.permute(0, 2, 3, 1)` is (N, H, W, C).

    Raises:
        ShapeError: the order does not have as many axes as the tensor.
        RuntimeError: an axis is named twice.

    >>> minicnn.zeros(8, 3, 32, 24).permute(0, 2, 3, 1).shape
    minicnn.Size([8, 32, 24, 3])
    """
    rank = input.ndim
    if len(dims) != rank:
        raise ShapeError(f"permute: {dims} is not an order of the {rank} axes of {input.shape}")
    return View.apply(input, PERMUTE, axes("permute", dims, rank))


@tensor_method("transpose", "swapaxes", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two axes.

    Raises:
        IndexError: there is no such axis.

    >>> minicnn.tensor([[1, 2, 3], [4, 5, 6]]).transpose(0, 1)
    tensor([[1, 4],
            [2, 5],
            [3, 6]])
    """
    rank = input.array.ndim
    i, j = axis("transpose", dim0, rank), axis("transpose", dim1, rank)
    order = list(range(rank))
    if rank:
        order[i], order[j] = j, i
    return View.apply(input, PERMUTE, tuple(order), title="Transpose")


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Exchange two axes.

    >>> minicnn.swapaxes(minicnn.zeros(2, 3, 4), 0, 2).shape
    minicnn.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


swapdims = transpose


@tensor_method("t")
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a tensor with fewer axes is returned as it is.

    Raises:
        ShapeError: the tensor has more than two axes.

    >>> minicnn.tensor([[1, 2, 3]]).t().shape
    minicnn.Size([3, 1])
    """
    if input.ndim > 2:
        raise ShapeError(f"t: expected a tensor of at most 2 axes, got shape {input.shape}; use .transpose or .mT")
    return shown_as(transpose(input, 0, -1), "TBackward0")


@tensor_method("movedim", "moveaxis")
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move the axes `source` to the positions `destination`; the others keep their order.

    Raises:
        ShapeError: the numbers of sources and destinations differ.

    >>> minicnn.zeros(8, 32, 24, 3).movedim(-1, 1).shape
    minicnn.Size([8, 3, 32, 24])
    """
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
    """The (conjugate) transpose of matrices: the last two axes exchanged.

    >>> minicnn.zeros(8, 2, 3).adjoint().shape
    minicnn.Size([8, 3, 2])
    """
    return _matrices("adjoint", input, exact=False)


_AXES = {
    "T": lambda self: permute(self, tuple(range(self.ndim))[::-1]),
    "mT": lambda self: _matrices("mT", self, exact=False),
    "mH": lambda self: _matrices("mH", self, exact=False),
    "H": lambda self: _matrices("H", self, exact=True),
}
for _name, _function in _AXES.items():
    setattr(Tensor, _name, property(_function))
