"""Hooks: functions that are called at an event until they are removed; this file calls those of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..device import of as device_of
from . import engine
from .engine import Array, Node
from .handles import RemovableHandle as RemovableHandle
from .ownership import Pending, copied, total
from .subgraph import Subgraph, last_nodes

if TYPE_CHECKING:
    from ..tensor import Tensor


def _after(hooks: dict[int, Callable[[Tensor], Tensor | None]], gradient: Any) -> Any:
    """Return the gradient after a tensor's hooks have run; each hook may return another one."""
    recorded = isinstance(gradient, engine._tensor)
    for hook in list(hooks.values()):
        changed = hook(gradient if recorded else engine._tensor(gradient))
        if changed is not None:
            if changed.shape != gradient.shape:
                raise RuntimeError(
                    f"backward: a hook turned a gradient of shape {gradient.shape} into one of {changed.shape}"
                )
            there = gradient.device if recorded else device_of(gradient)
            if changed.device != there:
                raise RuntimeError(f"backward: a hook turned a gradient on {there} into one on {changed.device}")
            gradient = changed if recorded else changed.array
    return gradient


def call_hooks(node: Node, gys: list[Array | None]) -> None:
    """Call the hooks of a node's results, which may change their gradients; then store the retained gradients."""
    for index, gy in enumerate(gys):
        if gy is None:
            continue
        if node.hooks and (hooks := node.hooks.get(index)):
            gys[index] = gy = _after(hooks, gy)
        if node.retained and (keeper := node.retained.get(index)) and (tensor := keeper()) is not None:
            if isinstance(gy, engine._tensor):
                tensor.grad = gy if tensor.grad is None else tensor.grad + gy
            else:
                tensor.grad = engine._tensor(copied(gy) if tensor.grad is None else total(tensor.grad.array, gy))


class Leaves:
    """The leaves that gradients have reached; a leaf with hooks waits until its gradient is complete.

    The hooks of a leaf are called once per backward pass, as soon as its gradient is complete. The last node to add to
    it is the node with the smallest number that leads to the leaf.

    Args:
        to_leaf: called with (leaf, gradient, owned), where `owned` is as in `ownership.py`.
        pending: the nodes that have still to run.
        subgraph: if given, only its nodes run.
    """

    def __init__(
        self, to_leaf: Callable[[Tensor, Array, bool], None], pending: Pending, subgraph: Subgraph | None
    ) -> None:
        self.to_leaf, self.pending, self.subgraph = to_leaf, pending, subgraph
        self.last: dict[int, int] | None = None  # id of a leaf -> the number of its last node
        self.waiting: dict[int, tuple[Tensor, Array, bool]] = {}

    def add(self, leaf: Tensor, gradient: Array, owned: bool, node: Node | None) -> None:
        """Take a gradient of a leaf that a node has computed."""
        if not (leaf._hooks or leaf._after_hooks):
            self.to_leaf(leaf, gradient, owned)
            return
        if self.last is None:
            coming = [node for _, node in self.pending.queue]
            self.last = last_nodes(coming if node is None else [node, *coming], self.subgraph)
        if id(leaf) in self.waiting:
            gradient, owned = total(self.waiting[id(leaf)][1], gradient), True
        self.waiting[id(leaf)] = leaf, gradient, owned

    def pass_on(self, number: int = -1) -> None:
        """Call the hooks of each leaf whose gradient is complete, given the number of the next node to run."""
        for key, (leaf, gradient, owned) in list(self.waiting.items()):
            if self.last is not None and self.last.get(key, number + 1) > number:
                del self.waiting[key]
                if leaf._hooks:
                    gradient, owned = _after(leaf._hooks, gradient), False
                self.to_leaf(leaf, gradient, owned)
