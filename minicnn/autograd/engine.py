"""The tape: functions record what they did, `backward` walks the record from the result to the leaves.

A tensor that came out of a `Function` points to a `Node`; the node points to the nodes (or leaf tensors) of its inputs,
never to its output. So the record is a tree of references without cycles: it goes when the last result goes, without
waiting for the garbage collector.

    x ----.                        leaf tensors: x, w
          Conv2d --- Tanh --- y    nodes; y.grad_fn is the Tanh node
    w ----'

Nodes carry a number that counts up. An input's node always has a smaller one, so taking the largest number first is an
order in which every node has received all of its gradient before it passes any on; no recursion, any depth.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import anomaly
from .modes import is_grad_enabled, no_grad

if TYPE_CHECKING:
    from ..tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]


_tensor: Any = None  # the class Tensor: tensor.py, which is built on this file, enters it here


# ---------------------------------------------------------------------------------------------------------------------
# Nodes and functions
# ---------------------------------------------------------------------------------------------------------------------


class Node:
    """One recorded call of a `Function`, and the `ctx` that its forward and backward get.

    Attributes:
        needs_input_grad: for each positional argument of `apply`, whether its gradient is wanted.
        saved: the arrays kept by `save_for_backward`.

    A forward may keep anything else as an attribute of its own choice.
    """

    _numbers = itertools.count()

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        self.function = function
        self.needs_input_grad = needs_input_grad
        self.number = next(Node._numbers)
        self.inputs: tuple[Edge, ...] = ()
        self.outputs: list[tuple[tuple[int, ...], Any]] = []  # shape and dtype of each
        self.hooks: dict[int, dict[int, Callable[[Tensor], Tensor | None]]] = {}  # output -> hooks of that tensor
        self.origin: anomaly.Origin | None = None
        self.name = function.__name__
        self._saved: tuple[Array | None, ...] | None = ()
        self._versions: list[tuple[list[int], int] | None] = []
        self._constant: set[int] = set()  # ids of outputs without a gradient

    def save_for_backward(self, *arrays: Array | None) -> None:
        """Keep arrays for the backward pass; changing one of them before then is noticed."""
        self._saved = arrays

    def mark_non_differentiable(self, *arrays: Array) -> None:
        """Declare outputs, such as indices, that have no gradient."""
        self._constant.update(map(id, arrays))

    @property
    def saved(self) -> tuple[Any, ...]:
        """The saved arrays, checked to be there still and unchanged."""
        if self._saved is None:
            raise RuntimeError(
                f"backward: {self.name} was already walked through and its saved arrays were freed; "
                "call backward(retain_graph=True) the first time to walk twice"
            )
        for array, version in zip(self._saved, self._versions, strict=True):
            if version is not None and version[0][0] != version[1]:
                shape = None if array is None else array.shape
                raise RuntimeError(
                    f"backward: an array of shape {shape} that {self.name} saved was changed in place afterwards "
                    "(version "
                    f"{version[0][0]}, saved at version {version[1]}), so its gradient would be wrong; "
                    "change a clone, or call backward() before changing it"
                )
        return self._saved

    def free(self) -> None:
        """Let go of the saved arrays."""
        self._saved = None

    def __repr__(self) -> str:
        return f"<{self.name}>"


Edge = Any  # what an input's gradient goes to: (Node, output index), a leaf Tensor, or None


class Function:
    """A differentiable function on arrays; subclasses give it as two static methods.

        class Square(Function):
            @staticmethod
            def forward(ctx, x):            # arrays in, an array or a tuple of arrays out
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, gy):          # a gradient per output in; a gradient, or None, per argument of forward out
                (x,) = ctx.saved
                return 2 * x * gy

        y = Square.apply(tensor)

    Keyword arguments of `apply` go to `forward` and have no gradient. `view = True` says that the output shares its
    input's memory, so that writing to one counts as changing the other.
    """

    view = False

    @staticmethod
    def forward(ctx: Any, *args: Any, **options: Any) -> Any:
        """Compute the output; to be given by the subclass."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the inputs; to be given by the subclass."""
        raise NotImplementedError("a Function that is recorded needs a static method backward(ctx, gy)")

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Run `forward` on the tensors' arrays and record the call where a gradient will be wanted."""
        from_tensors = [a if isinstance(a, _tensor) else None for a in args]
        needs = (
            tuple(t is not None and t.requires_grad for t in from_tensors)
            if is_grad_enabled()
            else (False,) * len(args)
        )
        node = Node(cls, needs)
        arrays = [a if t is None else t.array for a, t in zip(args, from_tensors, strict=True)]
        if anomaly.enabled():
            node.origin = anomaly.Origin.here()
        result = cls.forward(node, *arrays, **options)
        results = result if isinstance(result, tuple) else (result,)
        if anomaly.enabled():
            anomaly.check_forward(node.name, node.origin, results, arrays)
        recorded = any(needs)
        shared = next((t._version for t in from_tensors if t is not None), None) if cls.view else None
        outputs = tuple(_tensor(array, _version=shared) for array in results)
        if recorded:
            node.inputs = tuple(_edge(t) if wanted else None for t, wanted in zip(from_tensors, needs, strict=True))
            node.outputs = [(array.shape, array.dtype) for array in results]
            versions = {id(t.array): t._version for t in (*from_tensors, *outputs) if t is not None}
            node._versions = [
                (version, version[0]) if (version := versions.get(id(array))) else None for array in node._saved or ()
            ]
            for index, output in enumerate(outputs):
                if id(output.array) not in node._constant and output.array.dtype.kind in "fc":
                    output.requires_grad, output._edge = True, (node, index)
        return outputs if isinstance(result, tuple) else outputs[0]


def _edge(tensor: Tensor | None) -> Edge:
    """Where a tensor's gradient goes: to the node that made it, or to itself."""
    return None if tensor is None else tensor._edge or tensor


# ---------------------------------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------------------------------


def backward(roots: Sequence[Tensor], gradients: Sequence[Array], retain_graph: bool = False) -> None:
    """Add to the `.grad` of every leaf the gradient of sum_i <roots_i, gradients_i>."""
    owned: set[int] = set()  # arrays that are some leaf's gradient already: a second leaf gets a copy

    def to_leaf(leaf: Tensor, gradient: Array) -> None:
        gradient = _hooked(leaf._hooks, gradient)
        if leaf.grad is not None:
            gradient = leaf.grad.array + gradient
        elif id(gradient) in owned or gradient.base is not None or not gradient.flags.owndata:
            gradient = gradient.copy()
        owned.add(id(gradient))
        leaf.grad = _tensor(gradient)

    owned.update(map(id, gradients))
    _walk(roots, gradients, retain_graph, to_leaf, {})


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of sum_i <outputs_i, grad_outputs_i> with respect to `inputs`, which may be leaves or results.

    `.grad` of no tensor is touched. The names and defaults are PyTorch's; `create_graph` (gradients of gradients) is
    not supported.

    Raises:
        RuntimeError: an input that no output depends on, unless `allow_unused`, where its gradient is None.
    """
    if create_graph:
        raise NotImplementedError("grad: create_graph=True (a gradient of the gradient) is not supported")
    outputs = [outputs] if isinstance(outputs, _tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, _tensor) else list(inputs)
    given = [grad_outputs] if grad_outputs is None or isinstance(grad_outputs, _tensor) else list(grad_outputs)
    given = given * len(outputs) if grad_outputs is None else given
    ups = [upstream(output, g) for output, g in zip(outputs, given, strict=True)]
    wanted: dict[tuple[int, int], Array | None] = dict.fromkeys(map(_key, inputs))
    for tensor in inputs:
        if not tensor.requires_grad:
            raise RuntimeError("grad: an input does not require a gradient; call requires_grad_() on it first")

    def to_leaf(leaf: Tensor, gradient: Array) -> None:
        if _key(leaf) in wanted:
            gradient = _hooked(leaf._hooks, gradient)
            before = wanted[_key(leaf)]
            wanted[_key(leaf)] = gradient if before is None else before + gradient

    _walk(outputs, ups, bool(retain_graph), to_leaf, wanted)
    found = [wanted[_key(tensor)] for tensor in inputs]
    if not allow_unused and any(gradient is None for gradient in found):
        raise RuntimeError("grad: no output depends on one of the inputs; pass allow_unused=True to get None for it")
    return tuple(None if gradient is None else _tensor(gradient.copy()) for gradient in found)


def _key(tensor: Tensor) -> tuple[int, int]:
    """What stands for a tensor in the record: its node and output number, or itself where it is a leaf."""
    return (id(tensor._edge[0]), tensor._edge[1]) if tensor._edge else (id(tensor), -1)


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
        return np.ones_like(output.array)
    array = np.asarray(gradient.array if isinstance(gradient, _tensor) else gradient)
    if array.shape != output.shape:
        raise RuntimeError(f"backward: the gradient has shape {array.shape}, but the tensor has {output.shape}")
    return array.astype(output.array.dtype, copy=False)


def _hooked(hooks: dict[int, Callable[[Tensor], Tensor | None]] | None, gradient: Array) -> Array:
    """The gradient after a tensor's hooks, each of which may return another."""
    for hook in list((hooks or {}).values()):
        changed = hook(_tensor(gradient))
        if changed is not None:
            if changed.shape != gradient.shape:
                raise RuntimeError(
                    f"backward: a hook turned a gradient of shape {gradient.shape} into one of {changed.shape}"
                )
            gradient = changed.array
    return gradient


def _walk(
    roots: Iterable[Tensor],
    gradients: Iterable[Array],
    retain_graph: bool,
    to_leaf: Callable[[Tensor, Array], None],
    wanted: dict[tuple[int, int], Array | None],
) -> None:
    """Pass gradients down the record, node by node, largest number first."""
    pending: dict[Node, list[Array | None]] = {}
    queue: list[tuple[int, Node]] = []

    def send(edge: Edge, gradient: Array) -> None:
        if not isinstance(edge, tuple):
            to_leaf(edge, gradient)
            return
        node, index = edge
        if node not in pending:
            pending[node] = [None] * len(node.outputs)
            heapq.heappush(queue, (-node.number, node))
        before = pending[node][index]
        pending[node][index] = gradient if before is None else before + gradient

    for root, gradient in zip(roots, gradients, strict=True):
        send(_edge(root), gradient)
    with no_grad():
        while queue:
            _, node = heapq.heappop(queue)
            ups = pending.pop(node)
            for index, up in enumerate(ups):
                if up is not None:
                    ups[index] = final = _hooked(node.hooks.get(index), up)
                    if (id(node), index) in wanted:
                        wanted[id(node), index] = final
            for edge, found in zip(node.inputs, _gradients(node, ups), strict=True):
                if edge is not None and found is not None:
                    send(edge, found)
            if not retain_graph:
                node.free()


def _gradients(node: Node, ups: list[Array | None]) -> Sequence[Array | None]:
    """Run a node's backward and check what it gives: a gradient of the right shape for each input that needs one."""
    filled = [np.zeros(*node.outputs[i]) if up is None else up for i, up in enumerate(ups)]
    found = node.function.backward(node, *filled)
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(node.inputs):
        raise RuntimeError(f"backward: {node.name}.backward gave {len(found)} gradients for {len(node.inputs)} inputs")
    for edge, gradient in zip(node.inputs, found, strict=True):
        if edge is not None and gradient is not None:
            shape = edge[0].outputs[edge[1]][0] if isinstance(edge, tuple) else edge.shape
            if gradient.shape != shape:
                raise RuntimeError(
                    f"backward: {node.name}.backward gave a gradient of shape {gradient.shape} for an input of shape "
                    f"{shape}"
                )
    if anomaly.enabled():
        anomaly.check_backward(node.name, node.origin, found)
    return found
