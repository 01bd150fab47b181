"""The data flow of one run of a net: which layers and functions ran, on which tensors, inside which modules.

`trace` records it. There are three views of the same run:

- `Graph.operations`: every operation in the order of the run, with all its arguments;
- `Graph.root`: the tree of module calls, each with the calls and operations inside it in their order;
- `Graph.nodes`: what a drawing shows. A node is a layer (a module without modules inside) or a function that was called
  between layers, such as `add`, `cat` or `flatten`. Edges are the tensors between nodes.

    x --- conv1 --- relu --- conv2 --- add --- y        nodes of y = x + conv2(relu(conv1(x)))
     '---------------------------------'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module
from ..tensor import Array, Tensor

Shape = tuple[int, ...]


@dataclass(eq=False)
class Value:
    """A tensor of the run, without its numbers.

    Attributes:
        shape, dtype: of the tensor, with the batch axis.
        kind: "input" of the net, "parameter", "buffer", "result" of an operation, or "constant": made without one.
        name: the dotted name of a parameter or buffer, "input 0" of the first input, else "".
        producer: the operation that computed a result, else None.
        tensor: the net's own tensor behind a parameter or buffer, else None.
        by_image: whether the tensor depends on the inputs.
        wants_grad: whether training sends a gradient to it: a parameter that is trained, or a result of one.
        grows: whether it has the batch axis without depending on the inputs, such as `zeros_like(x)`.
        numbers: the values of a small tensor that the net made itself, if they are known, such as indices; else None.
    """

    shape: Shape
    dtype: np.dtype[Any]
    kind: str = "constant"
    name: str = ""
    producer: Operation | None = field(default=None, repr=False)
    tensor: Tensor | None = field(default=None, repr=False)
    by_image: bool = False
    wants_grad: bool = False
    grows: bool = False
    numbers: Array | None = field(default=None, repr=False)

    @property
    def of_batch(self) -> bool:
        """Whether its size is in proportion to the number of images."""
        return self.by_image or self.grows

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The memory of the values."""
        return self.size * self.dtype.itemsize


@dataclass(eq=False)
class Operation:
    """One operation.

    Attributes:
        name: in lower case, as in `nn.functional`: "conv2d", "relu", "add", "reshape", "cat" ...
        function: the `Function` behind it; None for the passage through a layer that does nothing, such as dropout in
            evaluation.
        arguments: the positional arguments, with a `Value` for each tensor: the geometry of a convolution is there.
        options: the keyword arguments.
        inputs, outputs: the tensors.
        call: the innermost module call that it belongs to.
        number: its place in the run.
    """

    name: str
    function: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outputs: tuple[Value, ...]
    call: Call = field(repr=False)
    number: int

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The tensors among the arguments."""
        return tuple(a for a in self.arguments if isinstance(a, Value))

    def argument(self, kind: type) -> Any:
        """Return the first argument of a type, such as the geometry of a convolution."""
        return next(a for a in self.arguments if isinstance(a, kind))


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes:
        module: the module.
        name: its dotted name in the net; "" for the net itself. A module that is in the net twice has its first name.
        parent: the call inside which it was called; None for the net.
        inputs: the tensors among its arguments.
        outputs: the tensors of its result, from nested tuples, lists and dictionaries too, in their order.
        earlier: how many times the module had been called before.
        children: the calls and operations directly inside, in their order.
        error: the exception that ended it, else None.
    """

    module: Module = field(repr=False)
    name: str
    parent: Call | None = field(repr=False)
    inputs: tuple[Value, ...] = field(default=(), repr=False)
    outputs: tuple[Value, ...] = field(default=(), repr=False)
    earlier: int = 0
    children: list[Call | Operation] = field(default_factory=list, repr=False)
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        """The class of the module."""
        return type(self.module).__name__

    @property
    def depth(self) -> int:
        """The number of calls around it: 0 for the net."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def operations(self) -> Iterator[Operation]:
        """Iterate over all operations inside, in the order of the run."""
        for child in self.children:
            if isinstance(child, Call):
                yield from child.operations
            else:
                yield child

    @property
    def calls(self) -> Iterator[Call]:
        """Iterate over this call and all inside it, each before those inside it."""
        yield self
        for child in self.children:
            if isinstance(child, Call):
                yield from child.calls


class Edge(NamedTuple):
    """A tensor on its way: `source` is None for an input of the net, `target` for an output."""

    source: Node | None
    target: Node | None
    value: Value


@dataclass(eq=False)
class Node:
    """A layer, or a function between layers.

    Attributes:
        name: the dotted name of the layer; for a function, that of the module which called it, and the function's name,
            such as "layer1.0.add". Names are unique: the second use of "relu" is "relu (2)".
        kind: the class of the layer, or the name of the function.
        call: the call of the layer; None for a function.
        operations: what ran in it: one operation for a function.
        inputs, outputs: the tensors that come from other nodes (no parameters), and those that others use.
    """

    name: str
    kind: str
    call: Call | None
    operations: list[Operation] = field(repr=False)
    inputs: list[Value] = field(default_factory=list, repr=False)
    outputs: list[Value] = field(default_factory=list, repr=False)
    sources: list[Node | None] = field(default_factory=list, repr=False)  # for each of `inputs`; None: the net's input

    @property
    def module(self) -> Module | None:
        """The layer, or None for a function."""
        return None if self.call is None else self.call.module

    @property
    def within(self) -> str:
        """The dotted name of the module in whose forward it was called; "" for the net."""
        call = self.call.parent if self.call is not None else self.operations[0].call
        return "" if call is None else call.name

    @property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the inputs, with the batch axis."""
        return [value.shape for value in self.inputs]

    @property
    def output_shapes(self) -> list[Shape]:
        """The shapes of the outputs, with the batch axis."""
        return [value.shape for value in self.outputs]

    @property
    def parameters(self) -> list[Value]:
        """The parameters that its operations use, each once."""
        used = [v for operation in self.operations for v in operation.inputs if v.kind == "parameter"]
        return list({id(v): v for v in used}.values())


def is_layer(call: Call) -> bool:
    """Return whether a call is a layer: a module without modules inside.

    Parametrisations do not count as modules inside. A net that was written without any modules inside is no layer.
    """
    inside = [name for name, _ in call.module.named_children() if name != "parametrizations"]
    written_here = (type(call.module).forward.__module__ or "").startswith("minicnn.nn.")
    return not inside and (call.parent is not None or written_here)


@dataclass(eq=False)
class Graph:
    """One run of a net; see this file.

    Attributes:
        model: the net.
        root: the call of the net.
        inputs, outputs: of the net; the outputs of nested results in their order.
        operations: all of them, in their order.
        batch: the number of images in the run.
        error: the exception that ended the run before its end, else None.
        failed: the innermost call that the exception left, else None.
    """

    model: Module = field(repr=False)
    root: Call
    inputs: list[Value]
    operations: list[Operation] = field(repr=False)
    batch: int
    error: Exception | None = None
    failed: Call | None = None
    _nodes: list[Node] | None = field(default=None, repr=False)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The results of the net."""
        return self.root.outputs

    @property
    def nodes(self) -> list[Node]:
        """The layers and the functions between them, in the order of the run."""
        if self._nodes is None:
            self._nodes = self.grouped()
        return self._nodes

    @property
    def edges(self) -> list[Edge]:
        """The tensors between the nodes, from the inputs of the net to its outputs."""
        return edges(self, self.nodes)

    def grouped(self, layer: Callable[[Call], bool] = is_layer) -> list[Node]:
        """Return the nodes, where `layer` says which calls are one node: `lambda call: call.kind == "Bottleneck" or
        is_layer(call)` shows whole blocks of a ResNet.
        """
        found = list(_nodes(self.root, layer))
        _name(found)
        _connect(found, self.outputs)
        return found


def _nodes(call: Call, layer: Callable[[Call], bool]) -> Iterator[Node]:
    """Iterate over the nodes inside a call, or the call as one."""
    if layer(call):
        yield Node(call.name, call.kind, call, list(call.operations))
        return
    for child in call.children:
        if isinstance(child, Call):
            yield from _nodes(child, layer)
        else:
            yield Node(f"{call.name}.{child.name}" if call.name else child.name, child.name, None, [child])


def _name(nodes: list[Node]) -> None:
    """Make the names unique."""
    seen: dict[str, int] = {}
    for node in nodes:
        name = node.name or node.kind
        seen[name] = seen.get(name, 0) + 1
        node.name = name if seen[name] == 1 else f"{name} ({seen[name]})"


def _connect(nodes: list[Node], results: tuple[Value, ...]) -> None:
    """Find the tensors that each node takes from the others and gives to them."""
    home = {operation: node for node in nodes for operation in node.operations}
    used: dict[Node, dict[int, Value]] = {node: {} for node in nodes}

    def use(value: Value, by: Node | None) -> None:
        source = None if value.producer is None else home.get(value.producer)
        if source is not None and source is not by:
            used[source].setdefault(id(value), value)
        from_outside = source is not by and value.kind in ("input", "result")
        if by is not None and from_outside and not any(value is known for known in by.inputs):
            by.inputs.append(value)
            by.sources.append(source)

    for node in nodes:
        for operation in node.operations:
            for value in operation.inputs:
                use(value, node)
    for value in results:
        use(value, None)
    for node in nodes:
        last = node.operations[-1].outputs if node.operations else ()
        node.outputs = list(used[node].values()) or list(last)


def edges(graph: Graph, nodes: list[Node]) -> list[Edge]:
    """Return the tensors between nodes of `grouped`, from the inputs of the net to its outputs."""
    found = [Edge(s, node, v) for node in nodes for s, v in zip(node.sources, node.inputs, strict=True)]
    home = {operation: node for node in nodes for operation in node.operations}
    return found + [Edge(None if v.producer is None else home.get(v.producer), None, v) for v in graph.outputs]
