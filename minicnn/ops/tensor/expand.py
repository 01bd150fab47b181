"""Broadcasting: repeating axes of size 1 without a copy; the gradients of the copies are added up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import ShapeError, SizeError

from ...dtypes import Size
from ...tensor import Tensor, tensor_method
from .arguments import check_tensor, guarded, ints, spread
from .linear_map import LinearMapRow, View
from .operands import unbroadcast

__all__ = ["broadcast_shapes", "broadcast_tensors", "broadcast_to"]


EXPAND = LinearMapRow(
    "Expand",
    lambda x, shape: x[...] if x.shape == shape else np.broadcast_to(x, shape),
    lambda gy, shape, _: unbroadcast(gy, shape),
)


@tensor_method("expand")
@spread("size", empty=True)
def expand(input: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """Repeat axes of size 1, and new axes in front, without a copy; -1 keeps a size. The result is read-only.

    Raises:
        ShapeError: the size of an axis would change, but is not 1.

    >>> minicnn.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
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
    """Expand to the shape of `other`.

    Raises:
        ShapeError: the size of an axis would change, but is not 1.

    >>> minicnn.tensor([1, 2]).expand_as(minicnn.zeros(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, tuple(other.shape))


@tensor_method("broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expand to the shape `size`.

    Raises:
        ShapeError: the size of an axis would change, but is not 1.

    >>> minicnn.broadcast_to(minicnn.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, ints("broadcast_to", "size", (size,)))


def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that tensors of the given shapes broadcast to.

    Raises:
        ShapeError: two sizes of an axis differ, and neither is 1.

    >>> minicnn.broadcast_shapes((8, 3, 1, 1), (32, 32))
    minicnn.Size([8, 3, 32, 32])
    """
    return Size(geometry.broadcast("broadcast_shapes", *(ints("broadcast_shapes", "shapes", (s,)) for s in shapes)))


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Expand each tensor to the shape that they all broadcast to.

    Raises:
        ShapeError: two sizes of an axis differ, and neither is 1.

    >>> a, b = minicnn.broadcast_tensors(minicnn.zeros(2, 1), minicnn.zeros(3))
    >>> a.shape, b.shape
    (minicnn.Size([2, 3]), minicnn.Size([2, 3]))
    """
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    check_tensor("broadcast_tensors", **{f"tensor {i}": x for i, x in enumerate(given)})
    shape = geometry.broadcast("broadcast_tensors", *(tuple(x.shape) for x in given))
    return tuple(expand(x, shape) for x in given)
