"""In-place writes to memory that several tensors share, and what they mean for the graph.

After `y.mul_(2)`, and also after `y[0].mul_(2)`, every tensor that is a view of this memory has new values, so each
gets a new place in the graph, as in PyTorch. Let x be the tensor that was written and t another tensor on the memory.
At the elements that they share, the gradient of t goes to the new place of x; at the others, to the old place of t.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minicnn_kernels.arrays import address, beside, share_memory, xp

from .engine import Array, Function

if TYPE_CHECKING:
    from ..tensor import Tensor

Places = tuple[int, tuple[int, ...], tuple[int, ...]]  # offset of the first element, shape, and strides in elements


class Overwritten(Function):
    """t after a write to x: the same array; its gradient is divided between x and the old t."""

    @staticmethod
    def forward(ctx: Any, t: Array, x: Array) -> Array:
        """Note which elements of the memory belong to t and which to x."""
        first = min(_start(t), _start(x))
        ctx.places = _places(t, first), _places(x, first)
        return t

    @staticmethod
    def layouts(ctx: Any) -> tuple[int, Array, Array]:
        """Return the size of the memory, and the positions in it of the elements of t and of x, on the CPU."""
        size = 1 + max(at + sum((n - 1) * s for n, s in zip(*rest, strict=True)) for at, *rest in ctx.places)
        memory = np.arange(size)
        in_t, in_x = (
            np.lib.stride_tricks.as_strided(memory[at:], shape, [s * memory.itemsize for s in strides])
            for at, shape, strides in ctx.places
        )
        return size, in_t, in_x

    @staticmethod
    def tangent(ctx: Any, of_t: Array | None, of_x: Array | None) -> Array:
        """Write the changes of t, then those of x, into the memory, and read it with the layout of t."""
        size, in_t, in_x = Overwritten.layouts(ctx)
        given: Any = of_x if of_t is None else of_t
        changes = xp(given).zeros(size, given.dtype)
        for where, change in ((in_t, of_t), (in_x, of_x)):
            changes[beside(where, changes)] = 0 if change is None else change
        return changes[beside(in_t, changes)]

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, Array]:
        """Write gy into an array laid out like the memory of t, and read it with the layout of x."""
        size, in_t, in_x = Overwritten.layouts(ctx)
        written = np.zeros(size, bool)
        written[in_x] = True
        gradient = xp(gy).zeros(size, gy.dtype)
        np.add.at(gradient, beside(in_t, gy), gy)
        return np.where(beside(written[in_t], gy), 0, gy).astype(gy.dtype, copy=False), gradient[beside(in_x, gy)]


class Spoiled(Function):
    """A view that a user's function made of its input, after a write to the input: its values have no gradient."""

    @staticmethod
    def forward(ctx: Any, t: Array) -> Array:
        """Return the same array."""
        return t

    @staticmethod
    def backward(ctx: Any, gy: Array) -> NoReturn:
        """Raise an error: the user's backward is not defined for the new values."""
        raise RuntimeError(
            "backward: a result that shares the memory of an input of a user's Function was used after that memory "
            "was changed in place, so its gradient is not defined; return a clone() from forward"
        )


def _from_user(t: Tensor) -> bool:
    """Return whether a tensor is a view that a user's function made of its input, or a view of such a view."""
    edge = t._edge
    while type(edge) is tuple:
        node, index = edge
        if index in node.tied:
            return True
        edge = node.inputs[0] if node.function.view else None
    return False


def _start(a: Array) -> int:
    """Return the lowest address that the array uses."""
    below = sum((n - 1) * s for n, s in zip(a.shape, a.strides, strict=True) if s < 0)
    return address(a) + below


def _places(a: Array, first: int) -> Places:
    """Return where the elements of an array are, counted from the address `first`."""
    at = (address(a) - first) // a.itemsize
    return at, a.shape, tuple(s // a.itemsize for s in a.strides)


def others(x: Tensor) -> list[Tensor]:
    """Return the other views of the same memory that may overlap with x."""
    tensors = [t for ref in x._views or () if (t := ref()) is not None and t is not x]
    return [t for t in tensors if not x.is_meta and x.array.size and share_memory(t.array, x.array)]


def check_writable(x: Tensor, op: str) -> None:
    """Check that the graph can represent a recorded write to x.

    Raises:
        RuntimeError: x is a leaf that requires a gradient, a view of one, one of several views that a function made, or
            a view that a user's function made.
    """
    check_view(x, op)
    if any(t._requires_grad and t._edge is None for t in (x, *others(x))):
        raise RuntimeError(
            f"{op}: {'' if x._requires_grad and x._edge is None else 'a view of '}a leaf Variable that requires grad "
            "is being used in an in-place operation. To update parameters, use no_grad() or write through .data; "
            "otherwise compute a new tensor, or change a clone()"
        )
    edge = x._edge
    while type(edge) is tuple:
        node, index = edge
        if index in node.tied:
            raise RuntimeError(
                f"{op}: Output {index} of {node.name()} is a view and is being modified inplace. This view was created "
                "inside a custom Function, whose backward does not know the change; return a clone() from forward, or "
                "change a clone()"
            )
        if node.function.view and len(node.outputs) > 1:
            raise RuntimeError(
                f"{op}: Output {index} of {node.name()} is a view and is being modified inplace. This view is the "
                "output of a function that returns multiple views. Such functions do not allow the output views to be "
                "modified inplace. Use an operation that is not in place, or change a clone()"
            )
        edge = node.inputs[0] if node.function.view else None


def check_view(x: Tensor, op: str) -> None:
    """Check, while recording, that a tensor that does not require a gradient shares no memory with one that does.

    Raises:
        RuntimeError: it was made in no_grad(), or before the other one got its requires_grad.
    """
    if x._views and not x._requires_grad and any(t._requires_grad for t in others(x)):
        raise RuntimeError(
            f"{op}: A view was created in no_grad mode and is being modified inplace with grad mode enabled (or its "
            "base requires a gradient since then): the tensor that it is a view of requires a gradient, which the "
            "write would make wrong. Write inside no_grad(), or change a clone()"
        )


def replace(x: Tensor, result: Tensor) -> None:
    """Give x, into which `result` was written, the place of the result in the graph, and update the views of x."""
    take_place(x, result)
    if result.requires_grad:
        for t in others(x):
            take_place(t, Spoiled.apply(t) if _from_user(t) else Overwritten.apply(t, x))


def take_place(x: Tensor, result: Tensor) -> None:
    """Give x the place of `result` in the graph; a gradient that x retains is from now on that of the new place."""
    before, now = x._edge, result._edge
    x._requires_grad, x._edge = result._requires_grad, now
    if before is not None and now is not None and (retained := before[0].retained):
        keeper = retained.pop(before[1], None)
        if keeper is not None:
            now[0].retained = {**(now[0].retained or {}), now[1]: keeper}
