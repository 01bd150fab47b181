"""Backpropagation: the chain rule, applied from the results back through the graph of `engine.py` to its leaves.

For a node that computed y from x, and a loss L,

    dL/dx = dL/dy dy/dx        gy = dL/dy comes in, and the backward of the node's function computes gx = dL/dx from it

summed over all nodes that used x. `_backpropagate` is that loop. `ownership.py` adds the gradients up and decides in
which memory; `hooks.py` calls hooks; `subgraph.py` finds the nodes that have to run if only some inputs matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, as_array, on_device, on_device_of, writeable, xp

from ..device import Meta, meta
from ..device import of as device_of
from . import anomaly, engine, gpu, observe, second_order
from .engine import Array, Node, like, observers
from .hooks import Leaves, call_hooks
from .modes import enable_grad, no_grad, thread
from .ownership import Pending, copied, owned, total
from .subgraph import Subgraph

if TYPE_CHECKING:
    from ..tensor import Tensor


def backward(
    roots: Sequence[Tensor],
    gradients: Sequence[Array],
    retain_graph: bool = False,
    inputs: Any = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of sum_i <roots_i, gradients_i> to the `.grad` of every leaf, or of the tensors in `inputs`.

    With `create_graph`, the gradients are tensors, and so are those in `.grad`, which get places in the graph.

    Raises:
        RuntimeError: `inputs` is empty, or one of them does not require a gradient.
    """
    subgraph = None
    if inputs is not None:
        inputs = _sequence("backward", inputs)
        for tensor in inputs:
            tensor.retain_grad()
        subgraph = Subgraph(roots, inputs, run=True)

    def to_leaf(leaf: Tensor, gradient: Array, owned: bool) -> None:
        if not leaf._requires_grad:  # it has been frozen since the forward pass
            return
        if create_graph:  # not in place: the sum is recorded too
            recorded: Any = gradient
            leaf._grad = recorded.clone() if leaf._grad is None else leaf._grad + recorded
        elif leaf._grad is None:
            leaf._grad = engine._tensor(gradient if owned else copied(gradient))
        elif type(gradient) is not Meta:  # add in place: .grad may be a view of a larger array
            into = leaf._grad._array
            there = type(into) in GPU_TYPES
            if (there or type(gradient) in GPU_TYPES) and device_of(into) != device_of(gradient):
                raise RuntimeError(
                    f"backward: the gradient of a tensor of shape {leaf.shape} is on {device_of(gradient)}, but its "
                    f".grad is on {device_of(into)}; set .grad to None after moving the tensor"
                )
            if not (writeable(into) if there else into.flags.writeable):
                raise RuntimeError(
                    f"backward: the gradient of a tensor of shape {leaf.shape} cannot be added to its .grad, "
                    "which is read-only; set .grad to None, or to a clone"
                )
            if there:
                total(into, gradient, into)
            else:
                np.add(into, gradient, out=into, casting="same_kind")
            leaf._grad._version[0] += 1
        if leaf._after_hooks:
            for hook in list(leaf._after_hooks.values()):
                hook(leaf)

    _backpropagate(roots, gradients, retain_graph, to_leaf, subgraph, create_graph)


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
    """Return the gradients of sum_i <outputs_i, grad_outputs_i> with respect to `inputs`, leaves or results.

    The `.grad` of every tensor stays as it is. The names and defaults are PyTorch's; `is_grads_batched` is not
    supported. With `create_graph`, the gradients have places in the graph, so that gradients of them can be computed;
    `retain_graph` is then True by default. With `materialize_grads`, an input that no output depends on gets zeros.

    Only the nodes between the outputs and the inputs run, and only their saved arrays are freed. The hooks of an input
    change its gradient, except, as in PyTorch, if that input leads to another input.

    Raises:
        RuntimeError: `inputs` is empty, or no output depends on one of them (with `allow_unused` its gradient is None).

    >>> x, w = minicnn.tensor(3.0, requires_grad=True), minicnn.tensor(2.0, requires_grad=True)
    >>> minicnn.autograd.grad(w * x**2, [x, w])  # 2 w x and x^2
    (tensor(12.), tensor(9.))
    >>> (gx,) = minicnn.autograd.grad(w * x**3, [x], create_graph=True)
    >>> minicnn.autograd.grad(gx, [x, w])  # of 3 w x^2: 6 w x and 3 x^2
    (tensor(36.), tensor(27.))
    """
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not supported; call grad() once per gradient")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True gives zeros for unused inputs; leave out allow_unused=False")
    outputs = [outputs] if isinstance(outputs, engine._tensor) else list(outputs)
    inputs = _sequence("grad", inputs)
    given = [grad_outputs] if grad_outputs is None or isinstance(grad_outputs, engine._tensor) else list(grad_outputs)
    given = given * len(outputs) if grad_outputs is None else given
    ups = [upstream(output, g, create_graph) for output, g in zip(outputs, given, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    for tensor in inputs:
        if not tensor.requires_grad:
            raise RuntimeError("grad: an input does not require a gradient; call requires_grad_() on it first")
    subgraph, arrived = Subgraph(outputs, inputs, run=False), dict[int, Array]()

    def to_leaf(leaf: Tensor, gradient: Array, owned: bool) -> None:
        before = arrived.get(id(leaf))
        arrived[id(leaf)] = gradient if before is None else total(before, gradient)

    _backpropagate(outputs, ups, retain, to_leaf, subgraph, create_graph)
    found = [subgraph.found.get(t._edge) if t._edge else arrived.get(id(t)) for t in inputs]
    if materialize_grads:
        for i, tensor in enumerate(inputs):
            if found[i] is None:
                with on_device_of(tensor.array):
                    found[i] = np.zeros_like(tensor.array)
                    found[i] = engine._tensor(found[i]) if create_graph else found[i]
    if not allow_unused and any(gradient is None for gradient in found):
        raise RuntimeError("grad: no output depends on one of the inputs; pass allow_unused=True to get None for it")
    if create_graph:
        recorded: Any = found
        return tuple(recorded)
    return tuple(None if gradient is None else engine._tensor(copied(gradient)) for gradient in found)


def _sequence(op: str, inputs: Any) -> list[Tensor]:
    """Return the tensors whose gradients are wanted as a list; `inputs` is one tensor or several."""
    given = [inputs] if isinstance(inputs, engine._tensor) else list(inputs)
    if not given:
        raise RuntimeError(f"{op}: inputs is empty, so there is nothing to compute; name the tensors, or leave it out")
    return given


def upstream(output: Tensor, gradient: Tensor | Array | None, create_graph: bool = False) -> Any:
    """Return what a backward pass starts from: the given gradient, checked, or 1 for a scalar.

    It is an array; with `create_graph` a tensor, of a given tensor with its place in the graph.
    """
    array = _checked(output, gradient)
    if not create_graph:
        return array
    if not isinstance(gradient, engine._tensor):
        return engine._tensor(array)
    return gradient.to(output.dtype)


def _checked(output: Tensor, gradient: Tensor | Array | None) -> Array:
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
        if type(output.array) in GPU_TYPES:
            with on_device_of(output.array):
                return np.ones_like(output.array)
        return output.array if type(output.array) is Meta else np.ones_like(output.array)
    array = gradient.array if isinstance(gradient, engine._tensor) else as_array(gradient)
    if array.shape != output.shape:
        raise RuntimeError(f"backward: the gradient has shape {array.shape}, but the tensor has {output.shape}")
    if (type(array) is not type(output.array) or type(array) in GPU_TYPES) and device_of(array) != output.device:
        raise RuntimeError(
            f"backward: the gradient is on {device_of(array)}, but the tensor is on {output.device}; move the gradient "
            f"with .to('{output.device}')"
        )
    return array.astype(output.array.dtype, copy=False)


def _backpropagate(
    roots: Sequence[Tensor],
    gradients: Iterable[Array],
    retain_graph: bool,
    to_leaf: Callable[[Tensor, Array, bool], None],
    subgraph: Subgraph | None = None,
    create_graph: bool = False,
) -> None:
    """Pass gradients backwards through the graph, or a part of it, node by node, the largest number first.

    `to_leaf(leaf, gradient, owned)` receives the gradients of leaves; `owned` is explained in `ownership.py`. With
    `create_graph`, all gradients are tensors, computed by operations that are recorded.
    """
    pending = Pending()
    leaves = Leaves(to_leaf, pending, subgraph)
    with enable_grad() if create_graph else no_grad():
        # Leaves last: then it is known which nodes gradients can still come from.
        for root, gradient in sorted(zip(roots, gradients, strict=True), key=lambda pair: pair[0]._edge is None):
            if subgraph is not None and not subgraph.leads_to(root._edge or root):
                continue
            if root._edge is None:
                leaves.add(root, gradient, False, None)
            else:
                pending.add(root._edge, gradient, None)
        while pending.queue:
            node, gys = pending.next()
            if leaves.waiting:
                leaves.pass_on(node.number)
            ends = subgraph is not None and node not in subgraph.runs  # the pass ends at an input
            if subgraph is not None and not ends:
                subgraph.keep(node, gys)  # PyTorch's order: before the hooks, where an input leads to another
            if node.hooks or node.retained:
                call_hooks(node, gys)
            if subgraph is not None and ends:
                subgraph.keep(node, gys)
                continue
            if observers:
                observe.arrived(node, _arrays(gys))
            gxs = _run_backward(node, gys, subgraph, create_graph)
            if observers:
                observe.returned(node, _arrays(gxs))
            step = node, gys, gxs
            for edge, gx in zip(node.inputs, gxs, strict=True):
                if edge is None or gx is None or (subgraph is not None and not subgraph.leads_to(edge)):
                    continue
                if type(edge) is tuple:  # the result of another node
                    pending.add(edge, gx, step)
                else:
                    leaves.add(edge, gx, owned(gx, step), node)
            if not retain_graph:
                node.free()
        leaves.pass_on()


def _arrays(gradients: Sequence[Any]) -> tuple[Any, ...]:
    """Return gradients as arrays; those that are recorded are tensors."""
    return tuple([g.array if isinstance(g, engine._tensor) else g for g in gradients])


def _zeros(gys: Sequence[Array | None], shape: tuple[int, ...], dtype: Any) -> Array:
    """Return the gradient of a result that nothing depends on, beside the gradients of the other results."""
    other = next(gy for gy in gys if gy is not None)
    with on_device_of(other):
        return xp(other).zeros(shape, dtype)


def _run_backward(node: Node, gys: list[Any], subgraph: Subgraph | None, create_graph: bool = False) -> Sequence[Any]:
    """Run a node's backward and check that each input that needs a gradient gets one of the right shape."""
    for index, gy in enumerate(gys):
        if type(gy) is Meta:
            return [None if edge is None else meta(*like(edge)) for edge in node.inputs]
        if gy is None and node.materialize:
            gys[index] = (second_order.zeros if create_graph else _zeros)(gys, *node.outputs[index])
    run: Callable[..., Any] = node.function.backward if node.gpu is None else gpu.backward
    if create_graph:
        run = _recorded
    if subgraph is None:
        found = run(node, *gys)
    else:
        needs = node.needs_input_grad
        node.needs_input_grad = subgraph.needs(node)
        try:
            found = run(node, *gys)
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
    if thread.watching:
        anomaly.check_backward(node.name, node.origin, _arrays(found))
    return found


def _recorded(node: Node, *gys: Tensor | None) -> Sequence[Tensor | None]:
    """Run a node's backward as operations on tensors, on the GPU that its forward ran on."""
    if node.gpu is None:
        return second_order.derivative(node, gys)
    with on_device(node.gpu):
        found = second_order.derivative(node, gys)
    return tuple([g.cpu() if i in node.from_cpu and g is not None else g for i, g in enumerate(found)])
