"""Saved arrays that hooks of the program keep in another form: compressed, on the disk, on the CPU.

While `saved_tensors_hooks(pack, unpack)` is open, each array that a node saves goes through `pack` as a tensor; the
node keeps what that returns, and the backward pass calls `unpack` on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .modes import no_grad, thread

Hooks = tuple[Callable[[Any], Any], Callable[[Any], Any]]


class Packed(NamedTuple):
    """What `pack` has made of an array, and the function that turns it into a tensor again."""

    value: Any
    unpack: Callable[[Any], Any]


def pack(node: Any, tensor: Callable[..., Any]) -> None:
    """Replace the saved arrays of a node by what the program's hook makes of them; `tensor` makes a tensor."""
    hook, unpack = thread.packing[-1]
    found: list[Any] = []
    for array, version in zip(node._saved, node._versions, strict=True):
        found.append(None if array is None else Packed(packed(hook, tensor(array), version), unpack))
    node._saved, node._versions, node._packed = tuple(found), (None,) * len(found), True


def packed(hook: Callable[[Any], Any], tensor: Any, version: Any = None) -> Any:
    """Return what a hook makes of a tensor, which it may not change."""
    if version is not None:
        tensor._counter = version[0]
    before = tensor._version
    with no_grad():
        value = hook(tensor)
    if tensor._version != before:
        raise RuntimeError(
            "saved_tensors_hooks: A saved tensor pack hook is modifying its input in place; change a clone() in it"
        )
    return value


def unpacked(node: Any, kind: Any) -> tuple[Any, ...]:
    """Return the saved arrays of a node, from the tensors that the program's hook returns."""
    found: list[Any] = []
    for each in node._saved:
        if not isinstance(each, Packed):
            found.append(each)
            continue
        with no_grad():
            tensor = each.unpack(each.value)
        if not isinstance(tensor, kind):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(tensor).__name__}"
            )
        found.append(tensor.array)
    return tuple(found)
