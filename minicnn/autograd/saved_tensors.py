"""Saved arrays that hooks of the program keep in another form: compressed, on the disk, on the CPU.

While `saved_tensors_hooks(pack, unpack)` is open, each array that a node saves goes through `pack` as a tensor; the
node keeps what that returns, and the backward pass calls `unpack` on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minicnn_kernels.arrays import is_array

from . import own_order
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
    for array in node._saved:
        found.append(Packed(packed(hook, own_order.mark(tensor(array))), unpack) if is_array(array) else array)
    node._saved, node._versions, node._packed = tuple(found), (None,) * len(found), True


def packed(hook: Callable[[Any], Any], tensor: Any) -> Any:
    """Return what a hook makes of a tensor, which it may not change."""
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


# --------------------------------------------------------------------------------------- what programs see of all this

_LETTERS = {"self": "a", "input": "a", "other": "b", "exponent": "b", "result": "y", "output": "y"}


def attribute(node: Any, name: str) -> Any:
    """Return `node._saved_self` and the like, under PyTorch's names, and `node._raw_saved_self`.

    Raises:
        AttributeError: the node has not saved that.
    """
    raw = name.startswith("_raw_saved_")
    letter = _LETTERS.get(name.removeprefix("_raw_saved_" if raw else "_saved_"))
    names = vars(node).get("names", ())
    if letter not in names or not name.startswith(("_saved_", "_raw_saved_")):
        raise AttributeError(f"{type(node).__name__!r} object has no attribute {name!r}")
    i = names.index(letter)
    if raw:
        return SavedTensor(node, i)
    array = node.saved[i]
    if not is_array(array):
        return array
    return node.at_output(0, array) if letter == "y" else node.at_input(int(letter == "b"), array)


class SavedTensor:
    """A tensor that a node has saved, to which hooks can be given: `node._raw_saved_self`."""

    def __init__(self, node: Any, i: int) -> None:
        self.node, self.i = node, i

    def register_hooks(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        """Keep the tensor as pack_hook(tensor), and get it back by unpack_hook.

        Raises:
            RuntimeError: it has hooks already, or is None, or was freed.
        """
        array = self.node.saved[self.i]
        if isinstance(self.node._saved[self.i], Packed):
            raise RuntimeError("Calling register_hooks on a saved tensor whose hooks have already been set.")
        if not is_array(array):
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        saved, versions = list(self.node._saved), list(self.node._versions or [None] * len(self.node._saved))
        saved[self.i], versions[self.i] = Packed(packed(pack_hook, self.node.as_tensor(array)), unpack_hook), None
        self.node._saved, self.node._versions, self.node._packed = tuple(saved), versions, True
