"""The graph of a net as TensorBoard reads it: a node for each operation, named after the modules around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import shown

from ..autograd import no_grad
from ..autograd.observe import Observer
from ..nn import Module
from ..random import fork_rng
from ..tensor import Tensor


def graph_of(model: Module, inputs: Any) -> Any:
    """The GraphDef of one run of the net on the inputs, in evaluation mode."""
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if not isinstance(model, Module) or not given or not all(isinstance(one, Tensor) for one in given):
        raise TypeError(
            "add_graph: takes a module and its input, a tensor or a tuple of tensors; got "
            f"{type(model).__name__} and {shown(inputs)}"
        )
    nodes = _Nodes(model)
    modes = [(module, module.training) for module in model.modules()]
    for number, one in enumerate(given):
        nodes.add("input" if len(given) == 1 else f"input_{number}", "IO Node", [], one)
    model.eval()  # in which nothing but the result is computed: batch norm keeps its statistics
    try:
        with no_grad(), fork_rng(), nodes:
            result = model(*given)
    finally:
        for module, mode in modes:
            module.training = mode
    for number, one in enumerate(result if isinstance(result, list | tuple) else [result]):
        if isinstance(one, Tensor):
            nodes.add("output" if number == 0 else f"output_{number}", "IO Node", [one], None, shape=one.shape)
    return nodes.graph()


class _Nodes(Observer):
    """Collects the nodes while the net runs."""

    def __init__(self, model: Module) -> None:
        root = type(model).__name__
        self.names = {
            id(module): f"{root}/{name.replace('.', '/')}".rstrip("/") for name, module in model.named_modules()
        }
        self.kinds: dict[int, tuple[str, str]] = {}  # the id of an array -> the name of the tensor and its kind
        for kind, tensors in (("Parameter", model.named_parameters()), ("Buffer", model.named_buffers())):
            self.kinds.update({id(one._array): (f"{root}/{name.replace('.', '/')}", kind) for name, one in tensors})
        self.stack: list[str] = [root]
        self.found: list[tuple[str, str, list[str], tuple[int, ...], str]] = []
        self.taken: dict[str, int] = {}
        self.made: dict[int, str] = {}  # the id of an array -> the node that it comes from
        self.alive: list[Any] = []  # so that no id is used twice

    def add(self, name: str, op: str, inputs: Sequence[Tensor], made: Tensor | None, *, shape: Any = None) -> str:
        """Note a node and the tensor that it gives; its name gets a number if it is taken."""
        sources = [self._source(one) for one in inputs]
        name = re.sub(r"[^A-Za-z0-9_./]", "_", name)
        number = self.taken[name] = self.taken.get(name, -1) + 1
        name = f"{name}_{number}" if number else name
        if made is not None:
            self.made[id(made._array)] = name
            self.alive.append(made._array)
        sizes = tuple(shape if made is None else made.shape)
        self.found.append((name, op, sources, sizes, "" if made is None else str(made.dtype)))
        return name

    def _source(self, tensor: Tensor) -> str:
        """The node that a tensor comes from: an operation, or a new one for a parameter or a constant."""
        key = id(tensor._array)
        if key not in self.made:
            self.add(*self.kinds.get(key, (f"{self.stack[-1]}/constant", "Constant")), [], tensor)
        return self.made[key]

    def operation(self, function: Any, name: str, args: Sequence[Any], options: dict[str, Any], outputs: Any) -> None:
        """An operation becomes a node in the box of its module."""
        inputs = [one for one in _flat([*args, *options.values()]) if isinstance(one, Tensor)]
        node = self.add(f"{self.stack[-1]}/{name}", name, inputs, outputs[0])
        for number, one in enumerate(outputs[1:], 1):
            self.made[id(one._array)] = f"{node}:{number}"
            self.alive.append(one._array)

    def enter(self, module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """The box of a module begins."""
        self.stack.append(self.names.get(id(module), self.stack[-1]))

    def leave(self, module: Any, result: Any) -> Any:
        """It ends."""
        self.stack.pop()
        return result

    def graph(self) -> Any:
        """All nodes as a GraphDef."""
        from tensorboardX.proto.attr_value_pb2 import AttrValue
        from tensorboardX.proto.graph_pb2 import GraphDef
        from tensorboardX.proto.node_def_pb2 import NodeDef
        from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboardX.proto.versions_pb2 import VersionDef

        nodes = []
        for name, op, sources, sizes, kind in self.found:
            shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
            attributes = {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=[shape]))}
            if kind:
                attributes["dtype"] = AttrValue(s=kind.encode())
            nodes.append(NodeDef(name=name, op=op, input=sources, attr=attributes))
        return GraphDef(node=nodes, versions=VersionDef(producer=22))


def _flat(values: Sequence[Any]) -> list[Any]:
    """The values, those in lists and tuples too."""
    return [x for one in values for x in (_flat(one) if isinstance(one, list | tuple) else [one])]
