"""Recording the data flow of a net without computing anything: one run on shapes alone.

Every parameter and buffer has a stand-in on the meta device during the run, and the inputs are meta tensors. So nothing
is allocated, and a net of any size takes milliseconds. A net whose forward reads numbers of its tensors, for example to
decide what to do, runs on its own device on zeros instead, with copies of its tensors.

The net itself is not changed, nor the random numbers that come next: its attributes, and what is in the lists and
dictionaries among them, are restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from minicnn_kernels.arrays import host
from minicnn_kernels.geometry import ShapeError

from ..autograd import no_grad
from ..autograd.observe import Observer
from ..device import Meta, meta
from ..nn import Module
from ..nn.module import check_module
from ..nn.parameter import Parameter, is_lazy
from ..ops.tensor.creation import zeros
from ..ops.tensor.types import ToMeta
from ..random import fork_rng
from ..tensor import Tensor
from ..tensor.copying import copy_of
from .arguments import check_device, check_inputs, shapes, types
from .explanation import has_other_axes
from .graph import Call, Graph, Operation, Shape, Value, is_layer
from .restoring import as_it_was, values_as_they_were

MOST = 1 << 16  # elements of a constant whose values are kept
BATCH = 2  # images in a run: with one, `squeeze` would remove the batch axis; one for nets that take no more


def trace(
    model: Module,
    input_size: Shape | Sequence[Shape],
    *,
    dtypes: Any = None,
    device: Any = "cpu",
    training: bool = False,
    op: str = "trace",
) -> Graph:
    """Run the net once on shapes alone, and return its data flow.

    An exception in the net is no exception here: it is in `Graph.error`, and the graph goes up to there.

    Args:
        model: the net; it is not changed, but lazy layers get their parameters, as in any first run.
        input_size: the shape of one input without the batch axis, (C, H, W), or a list of shapes for several inputs.
        dtypes: the types of the inputs, such as [minicnn.int64] for class indices, or one type for all; None for the
            type of the parameters. Inputs are zeros where the net reads their numbers.
        device: where a net without parameters runs if it reads numbers; other nets run on their own device.
        training: run in training mode instead of evaluation mode.
        op: the name of the function in messages.

    Raises:
        ValueError: input_size is not a shape, or the number of types is not that of the inputs.
        TypeError: model is no Module, its forward takes another number of inputs, or dtypes are not types.
        RuntimeError: there is no such kind of device.

    >>> graph = minicnn.analysis.trace(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh()), (1, 32, 32))
    >>> [(operation.name, operation.outputs[0].shape) for operation in graph.operations]
    [('conv2d', (2, 6, 28, 28)), ('tanh', (2, 6, 28, 28))]
    """
    check_module(op, model)
    sizes = shapes(op, input_size)
    check_inputs(op, model, len(sizes))
    check_device(op, device)

    def run(batch: int) -> Graph:
        return _on_zeros(model, sizes, batch, dtypes, device, training, op)

    found = run(BATCH)
    if found.error is not None and has_other_axes(found):
        return found  # one image would pass for one without the batch axis
    if found.error is not None:
        alone = run(1)  # some nets are written for one image: x.view(1, -1)
        return alone if alone.error is None or _same_failure(found, alone) else found
    if any(_may_grow(v) for o in found.operations for v in (*o.inputs, *o.outputs)):
        _mark(found, run(BATCH + 1))
    return found


def _same_failure(a: Graph, b: Graph) -> bool:
    """Return whether two runs ended at the same call with errors of the same type: they differ in the batch alone."""
    places = [None if one.failed is None else one.failed.name for one in (a, b)]
    return places[0] == places[1] and type(a.error) is type(b.error)


def _may_grow(value: Value) -> bool:
    """Return whether a tensor that is not computed from the inputs may have been made for their number."""
    return not value.by_image and value.kind in ("constant", "result") and BATCH in value.shape


def _mark(graph: Graph, larger: Graph) -> None:
    """Mark the tensors that are larger in a run with more images."""
    if [o.name for o in graph.operations] != [o.name for o in larger.operations]:
        return
    for a, b in zip(graph.operations, larger.operations, strict=True):
        for small, large in zip((*a.inputs, *a.outputs), (*b.inputs, *b.outputs), strict=False):
            small.grows = small.size < large.size


def _on_zeros(
    model: Module, sizes: list[Shape], batch: int, dtypes: Any, device: Any, training: bool, op: str
) -> Graph:
    """Run the net on `batch` images: on shapes, or on zeros if it reads numbers."""
    first = next((p for p in model.parameters() if p.dtype.kind == "f"), None)
    kinds = types(op, dtypes, len(sizes), np.dtype(np.float32) if first is None else first.dtype.dtype)
    place = device if first is None else first.device
    lazy = any(is_lazy(t) for t in (*model.parameters(), *model.buffers()))
    if not lazy:
        inputs = [Tensor(meta((batch, *s), k)) for s, k in zip(sizes, kinds, strict=True)]
        found = _run(model, inputs, training, _meta_like)
        reads = isinstance(found.error, (NotImplementedError, RuntimeError)) and not isinstance(found.error, ShapeError)
        if not reads or str(place) == "meta":
            return found
    inputs = [zeros(batch, *s, dtype=k, device=place) for s, k in zip(sizes, kinds, strict=True)]
    return _run(model, inputs, training, None if lazy else copy_of)


StandIn = Callable[[Any], Any]  # from the array of one of the net's tensors to that of its stand-in


def _meta_like(array: Any) -> Any:
    return meta(array.shape, array.dtype)


def _run(model: Module, inputs: list[Tensor], training: bool, stand_in: StandIn | None) -> Graph:
    """Run the net on these inputs, with stand-ins for its tensors; a lazy net runs with its own."""
    tracer = _Tracer(model)
    given = [tracer.know(x, "input", f"input {i}") for i, x in enumerate(inputs)]
    error: Exception | None = None
    with as_it_was(model) if stand_in is not None else values_as_they_were(model), no_grad(), fork_rng():
        model.train(training)
        tracer.register(model, stand_in)
        try:
            with tracer:
                model(*inputs)
        except Exception as caught:
            error = caught
    return Graph(
        model, tracer.root, given, tracer.operations, inputs[0].shape[0], error, tracer.failed if error else None
    )


class _Tracer(Observer):
    """What a run told: the tree of calls, the operations, and the value behind every array.

    A tensor is known by its array: on the meta device, every result has one of its own, and `detach()` shares it.
    """

    def __init__(self, model: Module) -> None:
        self.names = {id(module): name for name, module in model.named_modules()}
        self.root = Call(model, "", None)
        self.stack: list[Call] = []
        self.operations: list[Operation] = []
        self.failed: Call | None = None
        self.count: dict[int, int] = {}
        self.values: dict[int, Value] = {}  # by the id of the array
        self.alive: list[Any] = []  # no array is freed during the run, so that no id is used twice

    # ------------------------------------------------------------------------------------------------------- values

    def know(self, tensor: Tensor, kind: str, name: str = "", behind: Tensor | None = None) -> Value:
        """Note what a tensor is."""
        array = tensor._array
        trained = kind == "parameter" and (tensor if behind is None else behind).requires_grad
        value = Value(array.shape, array.dtype, kind, name, None, behind, kind == "input", trained)
        self.alive.append(array)
        self.values[id(array)] = value
        return value

    def value(self, tensor: Tensor) -> Value:
        """Return what a tensor is."""
        found = self.values.get(id(tensor._array))
        if found is None:
            found = self.know(tensor, "constant")
            found.numbers = _numbers(tensor)
        return found

    def register(self, model: Module, stand_in: StandIn | None) -> None:
        """Note the parameters and buffers, or replace all tensors of the modules by stand-ins."""
        made: dict[int, Tensor] = {}

        def known(tensor: Tensor, kind: str, name: str) -> Tensor:
            if id(tensor) not in made:
                new = tensor
                if stand_in is not None:
                    array = stand_in(tensor._array)
                    new = Parameter(Tensor(array), tensor.requires_grad) if kind == "parameter" else Tensor(array)
                made[id(tensor)] = new
                if not is_lazy(tensor):
                    self.know(new, kind, name, tensor)
            return made[id(tensor)]

        for path, module in model.named_modules():
            own = vars(module)
            changed: dict[str, Any] = {}
            for part, kind in (("_parameters", "parameter"), ("_buffers", "buffer")):
                tensors = {n: None if t is None else known(t, kind, _joined(path, n)) for n, t in own[part].items()}
                changed[part] = tensors
            for name, tensor in own.items():
                if isinstance(tensor, Tensor):
                    changed[name] = known(tensor, "constant", _joined(path, name))
            if stand_in is not None:
                own.update(changed)

    # ------------------------------------------------------------------------------------------- what the run tells

    def operation(self, function: Any, name: str, args: Sequence[Any], options: dict[str, Any], outputs: Any) -> None:
        """Note an operation; one that ran others inside, such as a checkpoint, is not one itself."""
        writes = options.get("out") is not None or options.get("inplace") is True
        if not writes and all(id(y._array) in self.values for y in outputs):
            return
        if function is ToMeta:  # numbers that meet the tensors of the run
            source = self.value(args[0])
            if source.kind == "constant" or source.numbers is not None:
                self.know(outputs[0], "constant").numbers = source.numbers
                return
        arguments = tuple([self.value(a) if isinstance(a, Tensor) else a for a in args])
        self.note(function, _name(function, name, arguments, options), arguments, options, outputs)

    def note(
        self, function: Any, name: str, arguments: Any, options: dict[str, Any], outputs: Sequence[Tensor]
    ) -> None:
        """Add an operation to the innermost call."""
        inputs = [a for a in arguments if isinstance(a, Value)]
        by_image, wants_grad = any(v.by_image for v in inputs), any(v.wants_grad for v in inputs)
        call = self.stack[-1]
        made = Operation(name, function, arguments, options, (), call, len(self.operations))
        made.outputs = tuple([self.know(y, "result") for y in outputs])
        for value in made.outputs:
            value.producer, value.by_image = made, by_image
            value.wants_grad = wants_grad and value.dtype.kind == "f"
        if not by_image and all(v.kind in ("constant", "result") for v in inputs):
            for value, y in zip(made.outputs, outputs, strict=True):
                value.numbers = _numbers(y)
        call.children.append(made)
        self.operations.append(made)

    def written(self, x: Tensor, result: Tensor) -> None:
        """A write in place: x is from now on what the result is, and so are, in part, the views of its memory."""
        now = self.value(result)
        views = [view for reference in x._views or () if (view := reference()) is not None and view is not x]
        self.alive.append(x._array)
        self.values[id(x._array)] = now
        for view in views:
            if view._array is not x._array and id(view._array) in self.values:
                self.note(None, "overwritten", (self.value(view), now), {}, [view])

    def enter(self, module: Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Open a call."""
        inputs = tuple([self.value(t) for t in tensors((args, options))])
        if not self.stack:
            call = self.root
        else:
            parent = self.stack[-1]
            name = self.names.get(id(module), _joined(parent.name, type(module).__name__))
            call = Call(module, name, parent)
            parent.children.append(call)
        call.inputs, call.earlier = inputs, self.count.get(id(module), 0)
        self.count[id(module)] = call.earlier + 1
        self.alive.append(module)
        self.stack.append(call)

    def leave(self, module: Module, result: Any) -> Any:
        """Close a call. A layer that returns its input, such as dropout in evaluation, becomes an operation too."""
        call = self.stack[-1]
        if isinstance(result, Tensor) and not call.children and self.value(result) in call.inputs and is_layer(call):
            before, array = self.value(result), result._array
            result = Tensor(meta(array.shape, array.dtype) if type(array) is Meta else array.view())
            self.note(None, "identity", (before,), {}, [result])
        call.outputs = tuple([self.value(t) for t in tensors(result)])
        self.stack.pop()
        return result

    def fail(self, module: Module, error: BaseException) -> None:
        """Close a call that raised; the first one is the innermost."""
        call = self.stack.pop()
        call.error = error
        if self.failed is None or self.failed.error is not error:
            self.failed = call


def _numbers(tensor: Tensor) -> Any:
    """Return a copy of the values of a small tensor, which the net may change later; None if it has none."""
    array = tensor._array
    return None if tensor.is_meta or array.size > MOST else host(array).copy()


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def tensors(value: Any) -> Iterator[Tensor]:
    """Iterate over the tensors in nested tuples, lists, dictionaries and dataclasses, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from tensors(getattr(value, one.name))


# The names of operations in `nn.functional`, where the class of the function is called otherwise.
_NAMES = {
    "BatchNormEvaluation": "batch_norm", "BatchNormTraining": "batch_norm", "LocalResponseNorm": "local_response_norm",
    "PRelu": "prelu", "RandomRelu": "rrelu", "ConstantPad": "pad", "Cast": "to", "ToDevice": "to", "ToMeta": "to",
}  # fmt: skip


def _name(function: Any, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> str:
    """Return the name of an operation, in lower case."""
    row = options.get("row") or next((a for a in arguments if hasattr(a, "adjoint")), None)
    found: str = row.name if row is not None else options.get("op") or function.__name__
    inputs = [a for a in arguments if isinstance(a, Value)]
    rank = len(inputs[0].shape) - 2 if inputs else 0
    if found in ("Convolution", "TransposedConvolution"):
        return f"{'conv' if found == 'Convolution' else 'conv_transpose'}{len(inputs[1].shape) - 2}d"
    if found in ("MaxPool", "AvgPool"):
        return f"{found[:3].lower()}_pool{arguments[2] if len(arguments) > 2 else rank}d"
    if found == "Put":  # x[...] = y
        return "setitem" if options.get("inplace") else "index_put"
    if found in _NAMES:
        return _NAMES[found]
    return "".join(["_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(found.lstrip("_"))])
