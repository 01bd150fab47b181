"""Hooks: functions that are called at an event until they are removed; this file calls those of tensors and nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..device import of as device_of
from . import engine, own_order
from .engine import Array, Node
from .handles import RemovableHandle as RemovableHandle
from .modes import thread
from .nodes import LeafHooks
from .ownership import Pending, copied, total
from .subgraph import Subgraph, last_nodes

if TYPE_CHECKING:
    from ..tensor import Tensor


def _after(hooks: dict[int, Callable[[Tensor], Tensor | None]], gradient: Any) -> Any:
    """Return the gradient after a tensor's hooks have run; each hook may return another one."""
    recorded = isinstance(gradient, engine._tensor)
    for hook in list(hooks.values()):
        given = gradient if recorded else own_order.mark(engine._tensor(gradient))
        changed = hook(given)
        if changed is None:  # it may have written into the memory that it was given
            gradient = gradient if recorded else given._array
        else:
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
                tensor._grad = gy if tensor._grad is None else tensor._grad + gy
            else:
                tensor._grad = engine._tensor(copied(gy) if tensor._grad is None else total(tensor._grad.array, gy))


def _tensors(gradients: Sequence[Any]) -> tuple[Any, ...]:
    """Return gradients as tensors; those that are recorded are tensors already."""
    return tuple(
        [g if g is None or isinstance(g, engine._tensor) else own_order.mark(engine._tensor(g)) for g in gradients]
    )


def _replaced(hook: Callable[..., Any], before: Sequence[Any], *others: Sequence[Any]) -> Sequence[Any]:
    """Return gradients after a hook of a node, which may return others instead; in the form that they had."""
    given = _tensors(before)
    found = hook(given, *[_tensors(o) for o in others])
    if found is None:  # it may have written into the memory that it was given
        return [
            t if g is None or isinstance(g, engine._tensor) else t._array for g, t in zip(before, given, strict=True)
        ]
    found = (found,) if isinstance(found, engine._tensor) else tuple(found)
    if len(found) != len(before):
        raise RuntimeError(f"backward: hook has returned an incorrect number of values ({len(found)}, {len(before)})")
    return list(found) if thread.recording else [None if g is None else g.array for g in found]


def call_prehooks(node: Node, gys: list[Array | None]) -> None:
    """Call the hooks that run before the backward of a node; they may change the gradients of its results."""
    for hook in list((node.pre_hooks or {}).values()):
        gys[:] = _replaced(hook, gys)


def call_posthooks(node: Node, gxs: Sequence[Array | None], gys: Sequence[Array | None]) -> Sequence[Array | None]:
    """Return the gradients of a node's inputs after the hooks that run after its backward."""
    places, found = node.function.shown(node), list(gxs)
    for hook in list((node.post_hooks or {}).values()):
        for i, gx in zip(places, _replaced(hook, [found[i] for i in places], gys), strict=True):
            found[i] = gx
    return found


def before_leaf(hooks: LeafHooks, gradient: Array) -> Array:
    """Return the gradient of a leaf after the hooks of its node."""
    for hook in list(hooks.pre.values()):
        (gradient,) = _replaced(hook, [gradient])
    return gradient


def after_leaf(leaf: Tensor, hooks: LeafHooks, gradient: Array) -> None:
    """Call the hooks of a leaf that run after its `.grad` has changed.

    Raises:
        RuntimeError: a hook returned something.
    """
    for hook in list(hooks.after.values()):
        if hook(leaf) is not None:
            raise RuntimeError("register_post_accumulate_grad_hook: hooks should return None.")
    for hook in list(hooks.post.values()):
        hook((), _tensors([gradient]))


class Leaves:
    """The leaves that gradients have reached; a leaf with hooks waits until its gradient is complete.

    The hooks of a leaf are called once per backward pass, as soon as its gradient is complete. The last node to add to
    it is the node with the smallest number that leads to the leaf.

    Args:
        to_leaf: called with (leaf, gradient, owned), where `owned` is as in `ownership.py`.
        pending: the nodes that have still to run.
        subgraph: if given, only its nodes run.
    """

    _numbers = itertools.count()

    def __init__(
        self, to_leaf: Callable[[Tensor, Array, bool], None], pending: Pending, subgraph: Subgraph | None
    ) -> None:
        self.to_leaf, self.pending, self.subgraph = to_leaf, pending, subgraph
        self.number = next(Leaves._numbers)  # of the backward pass
        self.node: Node | None = None  # the node that runs
        self.last: dict[int, int] | None = None  # id of a leaf -> the number of its last node
        self.waiting: dict[int, tuple[Tensor, Array, bool]] = {}

    def coming(self) -> list[Node]:
        """Return the nodes that run or wait."""
        waiting = [node for _, node in self.pending.queue]
        return waiting if self.node is None else [self.node, *waiting]

    def add(self, leaf: Tensor, gradient: Array, owned: bool) -> None:
        """Take a gradient of a leaf that a node has computed."""
        if not (leaf._hooks or leaf._leaf_hooks):
            self.to_leaf(leaf, gradient, owned)
            return
        if self.last is None:
            self.last = last_nodes(self.coming(), self.subgraph)
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
