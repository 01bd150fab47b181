"""The way back: gradients pass down the record of `engine.py`, node by node, and are added up at the leaves."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels import memory

from ..device import Meta, meta
from . import anomaly, engine
from .engine import Array, Edge, Node
from .modes import no_grad
from .part import Part, last_nodes

if TYPE_CHECKING:
    from ..tensor import Tensor


def backward(
    roots: Sequence[Tensor], gradients: Sequence[Array], retain_graph: bool = False, inputs: Any = None
) -> None:
    """Add to the `.grad` of every leaf, or of `inputs`, the gradient of sum_i <roots_i, gradients_i>.

    Raises:
        RuntimeError: no inputs, or one that does not require a gradient.
    """
    part = None
    if inputs is not None:
        inputs = _sequence("backward", inputs)
        for tensor in inputs:
            tensor.retain_grad()
        part = Part(roots, inputs, run=True)

    def to_leaf(leaf: Tensor, gradient: Array, fresh: bool) -> None:
        if leaf._grad is None:
            leaf._grad = engine._tensor(gradient if fresh else gradient.copy())
        elif type(gradient) is not Meta:  # into the memory that is there, which may be a view of something larger
            into = leaf._grad._array
            if not into.flags.writeable:
                raise RuntimeError(
                    f"backward: the gradient of a tensor of shape {leaf.shape} cannot be added to its .grad, "
                    "which is read-only; set .grad to None, or to a clone"
                )
            np.add(into, gradient, out=into, casting="same_kind")
            leaf._grad._version[0] += 1
        if leaf._after_hooks:
            for hook in list(leaf._after_hooks.values()):
                hook(leaf)

    _walk(roots, gradients, retain_graph, to_leaf, part)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of sum_i <outputs_i, grad_outputs_i> with respect to `inputs`, which may be leaves or results.

    `.grad` of no tensor is touched. The names and defaults are PyTorch's; `create_graph` (gradients of gradients) and
    `is_grads_batched` are not supported. With `materialize_grads`, an input that no output depends on gets zeros.

    Only what leads from the outputs to the inputs is walked through, and its saved arrays freed. The hooks of an input
    change its gradient, except, as in PyTorch, if it leads to another input.

    Raises:
        RuntimeError: an input that no output depends on, unless `allow_unused`, where its gradient is None; no inputs.
    """
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not supported; call grad() once per gradient")
    if create_graph:
        raise NotImplementedError("grad: create_graph=True (a gradient of the gradient) is not supported")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True gives zeros for unused inputs; leave out allow_unused=False")
    outputs = [outputs] if isinstance(outputs, engine._tensor) else list(outputs)
    inputs = _sequence("grad", inputs)
    given = [grad_outputs] if grad_outputs is None or isinstance(grad_outputs, engine._tensor) else list(grad_outputs)
    given = given * len(outputs) if grad_outputs is None else given
    ups = [upstream(output, g) for output, g in zip(outputs, given, strict=True)]
    for tensor in inputs:
        if not tensor.requires_grad:
            raise RuntimeError("grad: an input does not require a gradient; call requires_grad_() on it first")
    part, arrived = Part(outputs, inputs, run=False), dict[int, Array]()

    def to_leaf(leaf: Tensor, gradient: Array, fresh: bool) -> None:
        before = arrived.get(id(leaf))
        arrived[id(leaf)] = gradient if before is None else total(before, gradient)

    _walk(outputs, ups, bool(retain_graph), to_leaf, part)
    found = [part.found.get(t._edge) if t._edge else arrived.get(id(t)) for t in inputs]
    if materialize_grads:
        found = [np.zeros_like(t.array) if g is None else g for g, t in zip(found, inputs, strict=True)]
    if not allow_unused and any(gradient is None for gradient in found):
        raise RuntimeError("grad: no output depends on one of the inputs; pass allow_unused=True to get None for it")
    return tuple(None if gradient is None else engine._tensor(gradient.copy()) for gradient in found)


def _sequence(op: str, inputs: Any) -> list[Tensor]:
    """The tensors whose gradients are wanted, one or several."""
    given = [inputs] if isinstance(inputs, engine._tensor) else list(inputs)
    if not given:
        raise RuntimeError(f"{op}: inputs is empty, so there is nothing to compute; name the tensors, or leave it out")
    return given


def upstream(output: Tensor, gradient: Tensor | Array | None) -> Array:
    """The array to start a backward pass from: the given gradient, checked, or 1 for a scalar."""
    if not output.requires_grad:
        raise RuntimeError(
            "backward: the tensor does not require a gradient and was not computed from one that does; "
            "set requires_grad=True on an input, and do not compute it inside no_grad()"
        )
    if gradient is None:
        if output.array.size != 1:
            raise RuntimeError(
                f"backward: the result has shape {output.shape}; only a scalar has an implicit gradient of 1. "
                "Reduce it with .sum() or .mean(), or pass a gradient of that shape"
            )
        return output.array if type(output.array) is Meta else np.ones_like(output.array)
    array = gradient.array if isinstance(gradient, engine._tensor) else np.asarray(gradient)
    if array.shape != output.shape:
        raise RuntimeError(f"backward: the gradient has shape {array.shape}, but the tensor has {output.shape}")
    return array.astype(output.array.dtype, copy=False)


add: Callable[..., Array] = np.add  # ops/arithmetic.py, which may call kernels, enters one that uses all cores
unbroadcast: Callable[[Array, tuple[int, ...]], Array] = np.add.reduce  # ops/operands.py enters its own


def total(a: Array, b: Array, out: Array | None = None) -> Array:
    """Two gradients of one tensor, together, in new memory or in that of `out`, which is one of them."""
    return a if type(a) is Meta else add(a, b, out=out)


def fitted(gradient: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """A gradient in the type of what it belongs to; summed, where that was broadcast to the gradient's shape."""
    if gradient.shape != shape:
        try:
            broadcast = np.broadcast_shapes(gradient.shape, shape) == gradient.shape
        except ValueError:  # reported by `_gradients`
            return gradient
        gradient = unbroadcast(gradient, shape) if broadcast else gradient
    return gradient if gradient.dtype == dtype else gradient.astype(dtype)


def _owner(array: Array) -> Any:
    """The array that a view is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _alone(found: Array, held: list[Array]) -> bool:
    """Whether the memory of `found`, whose owner is once among those held, is nobody else's."""
    owner = _owner(found)  # of pictures in channels-last order, which are a view of their memory
    ours = owner.flags.owndata or isinstance(owner.base, memory.Owner)
    return ours and found.flags.writeable and owner.size == found.size and sum(a is owner for a in held) == 1


def _hooked(hooks: dict[int, Callable[[Tensor], Tensor | None]], gradient: Array) -> Array:
    """The gradient after a tensor's hooks, each of which may return another."""
    for hook in list(hooks.values()):
        changed = hook(engine._tensor(gradient))
        if changed is not None:
            if changed.shape != gradient.shape:
                raise RuntimeError(
                    f"backward: a hook turned a gradient of shape {gradient.shape} into one of {changed.shape}"
                )
            gradient = changed.array
    return gradient


def _arrived(node: Node, ups: list[Array | None]) -> None:
    """Call the hooks of a node's results, which may change their gradients; then keep those that are retained."""
    for index, up in enumerate(ups):
        if up is None:
            continue
        if node.hooks and (hooks := node.hooks.get(index)):
            ups[index] = up = _hooked(hooks, up)
        if node.retained and (keeper := node.retained.get(index)) and (tensor := keeper()) is not None:
            tensor.grad = engine._tensor(up.copy() if tensor.grad is None else total(tensor.grad.array, up))


class _Leaves:
    """Leaves with hooks: these are called once in a walk, with all of the gradient, as soon as it is there.

    The last to add to a leaf's gradient is the node with the smallest number that leads to it.
    """

    def __init__(self, to_leaf: Callable[[Tensor, Array, bool], None], part: Part | None) -> None:
        self.to_leaf, self.part = to_leaf, part
        self.last: dict[int, int] | None = None  # id of a leaf -> the number of its last node
        self.waiting: dict[int, tuple[Tensor, Array, bool]] = {}

    def add(self, leaf: Tensor, gradient: Array, fresh: bool, nodes: Iterable[Node]) -> None:
        """Take what has arrived at a leaf; `nodes` are those that gradients can still come from."""
        if self.last is None:
            self.last = last_nodes(nodes, self.part)
        if id(leaf) in self.waiting:
            gradient, fresh = total(self.waiting[id(leaf)][1], gradient), True
        self.waiting[id(leaf)] = leaf, gradient, fresh

    def pass_on(self, number: int = -1) -> None:
        """Call the hooks of each leaf that gets nothing more when the next node to run has this number."""
        for key, (leaf, gradient, fresh) in list(self.waiting.items()):
            if self.last is not None and self.last.get(key, number + 1) > number:
                del self.waiting[key]
                if leaf._hooks:
                    gradient, fresh = _hooked(leaf._hooks, gradient), False
                self.to_leaf(leaf, gradient, fresh)


def _walk(
    roots: Sequence[Tensor],
    gradients: Iterable[Array],
    retain_graph: bool,
    to_leaf: Callable[[Tensor, Array, bool], None],
    part: Part | None = None,
) -> None:
    """Pass gradients down the record, or a part of it, node by node, largest number first.

    `to_leaf(leaf, gradient, fresh)` receives those that arrive; `fresh` says that nobody else holds the array.
    """
    pending: dict[Node, list[Array | None]] = {}
    ours: dict[int, Array] = {}  # those of the pending arrays that nobody else holds, by id
    queue: list[tuple[int, Node]] = []
    hooked = _Leaves(to_leaf, part)

    def send(node: Node, index: int, gradient: Array, fresh: bool) -> None:
        waiting = pending.get(node)
        if waiting is None:
            waiting = pending[node] = [None] * len(node.outputs)
            heapq.heappush(queue, (-node.number, node))
        before = waiting[index]
        if before is not None:
            into = ours.pop(id(before), gradient if fresh else None)
            gradient, fresh = total(before, gradient, into if before.dtype == gradient.dtype else None), True
        if fresh:
            ours[id(gradient)] = gradient
        waiting[index] = gradient

    def arrive(leaf: Tensor, gradient: Array, fresh: bool, nodes: Sequence[Node]) -> None:
        if leaf._hooks or leaf._after_hooks:
            hooked.add(leaf, gradient, fresh, [*nodes, *(node for _, node in queue)])
        else:
            to_leaf(leaf, gradient, fresh)

    watched = anomaly.enabled()
    with no_grad():
        for root, gradient in zip(roots, gradients, strict=True):
            if part is not None and not part.leads_to(root._edge or root):
                continue
            if root._edge is None:
                arrive(root, gradient, False, [r._edge[0] for r in roots if r._edge])
            else:
                send(*root._edge, gradient, False)
        while queue:
            _, node = heapq.heappop(queue)
            if hooked.waiting:
                hooked.pass_on(node.number)
            ups = pending.pop(node)
            for up in ups:
                ours.pop(id(up), None)
            runs = part is None or node in part.leads
            if part is not None and runs:
                part.keep(node, ups)  # PyTorch's order: the gradient of an input that leads to another, before hooks
            if node.hooks or node.retained:
                _arrived(node, ups)
            if part is not None and not runs:
                part.keep(node, ups)
                continue
            passed = _gradients(node, ups, watched, part)
            new, fresh = node.function.new, node.function.fresh
            held: list[Array] | None = None  # what somebody has, listed where it matters
            for edge, found in zip(node.inputs, passed, strict=True):
                if edge is None or found is None or (part is not None and not part.leads_to(edge)):
                    continue
                alone, leaf = new, type(edge) is not tuple
                # whether it is owned matters at a leaf, and where another one waits for it
                if fresh and not new and (leaf or (edge[0] in pending and pending[edge[0]][edge[1]] is not None)):
                    if held is None:
                        every = (*passed, *ups, *(node._saved or ()), *vars(node).values())
                        held = [_owner(a) for a in every if isinstance(a, np.ndarray)]
                    alone = _alone(found, held)
                if leaf:
                    arrive(edge, found, alone, (node,))
                else:
                    send(edge[0], edge[1], found, alone)
            if not retain_graph:
                node.free()
        hooked.pass_on()


def _gradients(node: Node, ups: list[Array | None], watched: bool, part: Part | None) -> Sequence[Array | None]:
    """Run a node's backward and check what it gives: a gradient of the right shape for each input that needs one."""
    for index, up in enumerate(ups):
        if type(up) is Meta:
            return [None if edge is None else meta(*like(edge)) for edge in node.inputs]
        if up is None and node.materialize:
            ups[index] = np.zeros(*node.outputs[index])
    if part is None:
        found = node.function.backward(node, *ups)
    else:
        needs = node.needs_input_grad
        node.needs_input_grad = part.needs(node)
        try:
            found = node.function.backward(node, *ups)
        finally:
            node.needs_input_grad = needs
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(node.inputs):
        raise RuntimeError(f"backward: {node.name}.backward gave {len(found)} gradients for {len(node.inputs)} inputs")
    for edge, gradient in zip(node.inputs, found, strict=True):
        if edge is not None and gradient is not None and gradient.shape != like(edge)[0]:
            raise RuntimeError(
                f"backward: {node.name}.backward gave a gradient of shape {gradient.shape} for an input of shape "
                f"{like(edge)[0]}"
            )
    if watched:
        anomaly.check_backward(node.name, node.origin, found)
    return found


def like(edge: Edge) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of what an edge leads to."""
    return edge[0].outputs[edge[1]] if type(edge) is tuple else (edge._array.shape, edge._array.dtype)
