"""Backpropagation: the chain rule, applied from the results back through the graph of `engine.py` to its leaves.

For a node that computed y from x, and a loss L,

    dL/dx = dL/dy dy/dx        gy = dL/dy comes in, and the backward of the node's function computes gx = dL/dx from it

summed over all nodes that used x. `_backpropagate` is that loop. `ownership.py` adds the gradients up and decides in
which memory; `hooks.py` calls hooks; `subgraph.py` finds the nodes that have to run if only some inputs matter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, on_device, on_device_of, writeable, xp

from ..device import Meta, meta
from ..device import of as device_of
from . import anomaly, engine, gpu, observe, own_order, second_order
from .ends import end, sequence, upstream
from .engine import Array, Edge, Node, like, observers
from .hooks import Leaves, after_leaf, before_leaf, call_hooks, call_posthooks, call_prehooks
from .modes import enable_grad, no_grad, thread
from .nodes import GradientEdge
from .ownership import Pending, copied, owned, total
from .subgraph import Subgraph

if TYPE_CHECKING:
    from ..tensor import Tensor


def backward(
    roots: Sequence[Tensor | GradientEdge],
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
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            stacklevel=3,
        )
    subgraph, places = None, [end(root) for root in roots]
    if inputs is not None:
        inputs = sequence(inputs)
        if not inputs:
            raise RuntimeError("backward: `inputs` argument to `backward` cannot be empty; leave it out for all leaves")
        for tensor in inputs:
            if isinstance(tensor, engine._tensor):
                tensor.retain_grad()
        subgraph = Subgraph(places, [end(each) for each in inputs], run=True)

    def to_leaf(leaf: Tensor, gradient: Array, owned: bool) -> None:
        if not leaf._requires_grad:  # it has been frozen since the forward pass
            return
        hooks = leaf._leaf_hooks
        if hooks and hooks.pre:
            gradient, owned = before_leaf(hooks, gradient), False
        if create_graph:  # not in place: the sum is recorded too
            recorded: Any = gradient
            summed = recorded.clone() if leaf._grad is None else leaf._grad + recorded
            leaf._grad = own_order.mark_like(summed, leaf)
        elif leaf._grad is None:
            leaf._grad = engine._tensor(gradient if owned else copied(gradient))
            if not leaf._grad._array.flags.c_contiguous:
                own_order.mark_like(leaf._grad, leaf)
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
            leaf._grad._counter[0] += 1
        if hooks:
            after_leaf(leaf, hooks, gradient)

    _backpropagate(places, gradients, retain_graph, to_leaf, subgraph, create_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of sum_i <outputs_i, grad_outputs_i> with respect to `inputs`, leaves or results.

    The `.grad` of every tensor stays as it is. The names and defaults are PyTorch's. With `create_graph`, the gradients
    have places in the graph, so that gradients of them can be computed; `retain_graph` is then True by default. With
    `is_grads_batched`, the first axis of each of `grad_outputs` counts several gradients, and so does that of each
    result. With `materialize_grads`, an input that no output depends on gets zeros.

    Only the nodes between the outputs and the inputs run, and only their saved arrays are freed. The hooks of an input
    change its gradient, except, as in PyTorch, if that input leads to another input. An output or an input may also be
    the edge of a tensor that exists no more, `autograd.graph.get_gradient_edge(tensor)`.

    Raises:
        RuntimeError: `inputs` is empty, or no output depends on one of the inputs (with `allow_unused` its gradient
            is None).

    >>> x, w = minicnn.tensor(3.0, requires_grad=True), minicnn.tensor(2.0, requires_grad=True)
    >>> minicnn.autograd.grad(w * x**2, [x, w])  # 2 w x and x^2
    (tensor(12.), tensor(9.))
    >>> (gx,) = minicnn.autograd.grad(w * x**3, [x], create_graph=True)
    >>> minicnn.autograd.grad(gx, [x, w])  # of 3 w x^2: 6 w x and 3 x^2
    (tensor(36.), tensor(27.))
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "grad: Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    outputs, inputs = sequence(outputs), sequence(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    retain = create_graph if retain_graph is None else retain_graph
    given = [None] * len(outputs) if grad_outputs is None else sequence(grad_outputs)
    if is_grads_batched:
        return _batched(outputs, inputs, given, retain, create_graph, bool(allow_unused), materialize_grads)
    ups = [upstream(output, g, create_graph, i) for i, (output, g) in enumerate(zip(outputs, given, strict=True))]
    if not all(isinstance(each, GradientEdge) or each.requires_grad for each in inputs):
        raise RuntimeError(
            "grad: One of the differentiated Tensors does not require grad; call requires_grad_() on it before the "
            "forward pass"
        )
    if materialize_grads and any(isinstance(each, GradientEdge) for each in inputs):
        raise RuntimeError("grad: materialize_grads cannot be used when the given input is a GradientEdge")
    roots, ends = [end(output) for output in outputs], [end(each) for each in inputs]
    subgraph, arrived = Subgraph(roots, ends, run=False), dict[int, Array]()

    def to_leaf(leaf: Tensor, gradient: Array, owned: bool) -> None:
        before = arrived.get(id(leaf))
        arrived[id(leaf)] = gradient if before is None else total(before, gradient)

    _backpropagate(roots, ups, retain, to_leaf, subgraph, create_graph)
    found: list[Any] = [subgraph.found.get(e) if type(e) is tuple else arrived.get(id(e)) for e in ends]
    if materialize_grads:
        for i, tensor in enumerate(inputs):
            if found[i] is None:
                with on_device_of(tensor.array):
                    found[i] = engine._tensor(np.zeros_like(tensor.array), True)
    if not allow_unused and any(gradient is None for gradient in found):
        raise RuntimeError(
            "grad: One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True "
            "if this is the desired behavior; its gradient is then None"
        )
    if create_graph:
        tensors = [
            own_order.mark_like(g, t) if isinstance(t, engine._tensor) else g
            for g, t in zip(found, inputs, strict=True)
        ]
        return tuple(tensors)
    return tuple([g if g is None or isinstance(g, engine._tensor) else engine._tensor(copied(g)) for g in found])


def _batched(
    outputs: list[Any], inputs: list[Any], given: list[Any], retain: bool, create_graph: bool, *options: bool
) -> tuple[Tensor | None, ...]:
    """Return the gradients of `grad` for each of several upstream gradients, stacked along a new first axis."""
    for i, (output, up) in enumerate(zip(outputs, given, strict=True)):
        shape = like(end(output))[0]
        if up is not None and (not up.ndim or tuple(up.shape[1:]) != tuple(shape)):
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                "dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{i}] has a shape of {tuple(up.shape)} and "
                f"output[{i}] has a shape of {tuple(shape)}."
            )
    count = next(len(up) for up in given if up is not None)
    rows = [
        grad(
            outputs, inputs, [None if up is None else up[i] for up in given], retain or i < count - 1, create_graph,
            True, options[0], False, options[1],
        )
        for i in range(count)
    ]  # fmt: skip
    return tuple([None if any(g is None for g in column) else stack(column) for column in zip(*rows, strict=True)])


stack: Callable[..., Any] = np.stack  # ops/tensor/concatenate.py replaces it by the one for tensors


def _backpropagate(
    roots: Sequence[Edge],
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
    outer, packing, thread.walk = thread.walk, thread.packing, leaves
    try:
        with enable_grad() if create_graph else no_grad():
            # Leaves last: then it is known which nodes gradients can still come from.
            for root, up in sorted(zip(roots, gradients, strict=True), key=lambda pair: type(pair[0]) is not tuple):
                if subgraph is not None and not subgraph.leads_to(root):
                    continue
                if type(root) is tuple:
                    pending.add(root, up, None)
                else:
                    leaves.add(root, up, False)
            while pending.queue:
                leaves.node, gys = pending.next()
                if leaves.waiting:
                    leaves.pass_on(leaves.node.number)
                _run_node(leaves.node, gys, pending, leaves, retain_graph, create_graph)
            leaves.node = None
            leaves.pass_on()
    finally:
        thread.walk, thread.packing = outer, packing


def _run_node(
    node: Node, gys: list[Any], pending: Pending, leaves: Leaves, retain_graph: bool, create_graph: bool
) -> None:
    """Run the backward of a node, with the hooks around it, and pass its gradients on."""
    subgraph = leaves.subgraph
    ends = subgraph is not None and node not in subgraph.runs  # the pass ends at an input
    if subgraph is not None and not ends:
        subgraph.keep(node, gys)  # PyTorch's order: before the hooks, where an input leads to another
    if node.hooks or node.retained:
        call_hooks(node, gys)
    if subgraph is not None and ends:
        subgraph.keep(node, gys)
        return
    if observers:
        observe.arrived(node, _arrays(gys))
    if node.pre_hooks:
        call_prehooks(node, gys)
    gxs = _run_backward(node, gys, subgraph, create_graph)
    if node.post_hooks:
        gxs = call_posthooks(node, gxs, gys)
    if observers:
        observe.returned(node, _arrays(gxs))
    step = None if node.pre_hooks or node.post_hooks or node._packed else (node, gys, gxs)
    for edge, gx in zip(node.inputs, gxs, strict=True):
        if edge is None or gx is None or (subgraph is not None and not subgraph.leads_to(edge)):
            continue
        if type(edge) is tuple:  # the result of another node
            pending.add(edge, gx, step)
        else:
            leaves.add(edge, gx, owned(gx, step))
    if not retain_graph:
        node.free()


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
        raise RuntimeError(f"backward: {node.title}.backward gave {len(found)} gradients for {len(node.inputs)} inputs")
    for edge, gradient in zip(node.inputs, found, strict=True):
        if edge is not None and gradient is not None and gradient.shape != like(edge)[0]:
            raise RuntimeError(
                f"backward: {node.title}.backward gave a gradient of shape {gradient.shape} for an input of shape "
                f"{like(edge)[0]}: an invalid gradient, expected shape compatible with that of the input"
            )
    if thread.watching:
        anomaly.check_backward(node.title, node.origin, _arrays(found))
    return found


def _recorded(node: Node, *gys: Tensor | None) -> Sequence[Tensor | None]:
    """Run a node's backward as operations on tensors, on the GPU that its forward ran on."""
    if node.gpu is None:
        return second_order.derivative(node, gys)
    with on_device(node.gpu):
        found = second_order.derivative(node, gys)
    return tuple([g.cpu() if i in node.from_cpu and g is not None else g for i, g in enumerate(found)])
