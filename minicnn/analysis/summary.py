"""The table of a net's layers: shapes and the arithmetic behind them, parameters, MACs, memory, receptive fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minicnn_kernels.geometry import ShapeError, shown, whole

from ..nn import Module
from ..nn.parameter import is_lazy
from . import report
from .costs import arithmetic, flops, im2col_bytes, macs
from .explanation import explained
from .graph import Call, Graph, Operation, Value, is_layer
from .receptive_field import ReceptiveField, fields, has_fields
from .saved import kept
from .trace import trace

Size = tuple[int, ...]


class LayerRow(NamedTuple):
    """One layer: its dotted name, type, output shape without the batch axis, and own parameters."""

    name: str
    kind: str
    output: Size
    parameters: int
    trainable: int


@dataclass
class Layer:
    """A module that was called, or a function that was called between modules. All costs are those of one image.

    Those of a module with others inside are sums over the rows inside it.

    Attributes:
        name: the dotted name; of a function, the module that called it and the function.
        kind: the class, or the name of the function.
        depth: 0 for the net, 1 for what it calls itself ...
        leaf: whether there are no rows inside it.
        function: whether it is a function and not a module.
        inputs, outputs: the shapes of its tensors, without the batch axis.
        scalar: whether its first output is one number for the whole batch.
        arithmetic: how the size of the output follows, such as "(224 + 2*3 - 7) // 2 + 1 = 112".
        parameters, trainable: in it, without those of earlier rows.
        shared: whether it has parameters that an earlier row has counted.
        again: whether the module had been called before.
        macs: multiply-accumulates of convolutions, transposed ones and linear layers; biases are not counted.
        flops: floating-point operations, 2 for each MAC; the table is in `minicnn/analysis/costs.py`.
        output_bytes: the memory of its outputs.
        saved_bytes: what the tape keeps of it for the backward pass in training; the rules are in
            `minicnn/analysis/saved.py`. Layers that run fused keep less. None if the net does not run in training mode.
        im2col_bytes: the matrix of the windows of one image; of a module with others inside, the largest of theirs.
        field: the receptive field of its output, or None.
        failed: whether the run ended in it with an error.
    """

    name: str
    kind: str
    depth: int
    leaf: bool
    function: bool
    inputs: list[Size]
    outputs: list[Size]
    arithmetic: str = ""
    parameters: int = 0
    trainable: int = 0
    shared: bool = False
    again: bool = False
    macs: int = 0
    flops: int = 0
    output_bytes: int = 0
    saved_bytes: int | None = 0
    im2col_bytes: int = 0
    field: ReceptiveField | None = field(default=None, repr=False)
    failed: bool = False
    scalar: bool = False

    @property
    def output(self) -> Size:
        """The shape of the first output; () if there is none."""
        return self.outputs[0] if self.outputs else ()


@dataclass
class Summary:
    """The result of `summary`; `print` shows it as a table, and `to` gives other formats.

    Attributes:
        model: the class of the net.
        layers: its modules and the functions between them, each before those inside it.
        inputs: the shapes of the inputs.
        total_params, trainable_params: the parameters of the net, each counted once, called or not.
        total_macs, total_flops, output_bytes, saved_bytes, im2col_bytes: of the run for one image; see `Layer`.
            `output_bytes` is the sum over layers and functions, `im2col_bytes` the largest buffer.
        param_bytes, input_bytes: memory of the parameters, and of one input.
        unused: the modules with parameters that were not called in evaluation mode, and how many parameters they have;
            and the parameters of other modules that nothing was computed from.
        batch_size: what the table prints for the batch axis; -1 for any.
        bytes_per_value: of the parameters' type.
        error: the explanation of the error that ended the run, or "".
        depth, verbose: what the table shows.
    """

    model: str
    layers: list[Layer]
    inputs: list[Size]
    total_params: int
    trainable_params: int
    total_macs: int
    total_flops: int
    output_bytes: int
    saved_bytes: int | None
    im2col_bytes: int
    param_bytes: int
    input_bytes: int
    unused: dict[str, int]
    batch_size: int
    bytes_per_value: int
    error: str = ""
    depth: int | None = None
    verbose: int = 1

    @property
    def rows(self) -> list[LayerRow]:
        """The modules without modules inside: torchsummary's table."""
        leaves = (layer for layer in self.layers if layer.leaf and not layer.function)
        return [LayerRow(r.name or r.kind, r.kind, r.output, r.parameters, r.trainable) for r in leaves]

    @property
    def parameters(self) -> int:
        """`total_params`."""
        return self.total_params

    @property
    def trainable(self) -> int:
        """`trainable_params`."""
        return self.trainable_params

    @property
    def activations(self) -> int:
        """The number of values in the outputs of all layers, for one image."""
        return sum(math.prod(row.output) for row in self.rows)

    def __str__(self) -> str:
        return report.text(self)

    def to(self, format: str) -> str:
        """Return the table as "text", "markdown", "csv", "json" or "html" (a page of its own).

        Raises:
            ValueError: there is no such format.

        >>> found = minicnn.summary(nn.Linear(4, 2), (4,), verbose=0)
        >>> found.to("csv").splitlines()[0][:20]
        'name,type,depth,func'
        """
        if format not in report.FORMATS:
            raise ValueError(f"to: no format {format!r}; there are: {', '.join(report.FORMATS)}")
        return report.FORMATS[format](self)

    def markdown(self) -> str:
        """Return the table for a Markdown file."""
        return report.markdown(self)

    def csv(self) -> str:
        """Return the table for a spreadsheet, numbers without separators."""
        return report.csv(self)

    def json(self) -> str:
        """Return layers and totals as JSON."""
        return report.json(self)

    def html(self) -> str:
        """Return a web page of its own."""
        return report.html(self)


def summary(
    model: Module,
    input_size: Size | Sequence[Size],
    batch_size: int = -1,
    device: str = "cpu",
    dtypes: Any = None,
    *,
    depth: int | None = None,
    verbose: bool | int = True,
) -> Summary:
    """Print what each layer of a net gives and costs; the first arguments are those of torchsummary.

    Nothing is computed: the net runs in evaluation mode on shapes alone (`trace`), and so does a training step, for the
    memory of the backward pass. It is not changed; only lazy layers get their parameters, as in any first run. Costs
    are those of one image. Modules that share parameters count them once, in the first row; MACs and FLOPs are counted
    for every call.

    Args:
        model: the net.
        input_size: the shape of one input without the batch axis, (C, H, W), or a list of shapes for several inputs.
        batch_size: what the table prints for the batch axis, at least 1; -1 for any. Memory at the end is for it.
        device: "cpu", "cuda" or "meta"; used only for a net without parameters that reads numbers of its input.
        dtypes: the types of the inputs, such as [minicnn.int64] for class indices, or one type for all; None for the
            type of the parameters. Where a net reads numbers, they are zeros: class 0.
        depth: the table shows modules down to this depth, 0 for the net alone; None for all.
        verbose: 0 prints nothing, 1 the table, 2 all columns and also functions that only move numbers.

    Returns:
        The `Summary`, whose layers are data and whose str is the table.

    Raises:
        ValueError: input_size is not a shape, the number of types is not that of the inputs, or a number is out of
            range.
        TypeError: model is no Module, its forward takes another number of inputs, or an argument is of another kind.
        RuntimeError: there is no such kind of device.
        ShapeError: the net does not take this input. The table up to there is printed before, and is the attribute
            `summary` of the error; the message names the layer, its input, what it needs and the remedy. Other errors
            of the net are raised as they are, with this attribute too.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
    >>> found = minicnn.summary(net, (3, 32, 32), verbose=0)
    >>> [(layer.name, layer.output, layer.parameters, layer.macs) for layer in found.layers if layer.parameters]
    [('', (10,), 16298, 133280), ('0', (8, 14, 14), 608, 117600), ('3', (10,), 15690, 15680)]
    >>> found.layers[1].arithmetic, found.total_params
    ('(32 + 2*0 - 5) // 2 + 1 = 14', 16298)
    """
    if depth is not None:
        depth = _number("depth", depth, "0 or more, or None for all", lambda n: n >= 0)
    flag = int(verbose) if isinstance(verbose, bool) else verbose
    level = _number("verbose", flag, "0, 1 or 2", lambda n: 0 <= n <= 2)
    batch_size = _number("batch_size", batch_size, "1 or more, or -1 for any", lambda n: n == -1 or n >= 1)
    graph = trace(model, input_size, dtypes=dtypes, device=device, op="summary")
    result = _summary(graph, _saved(graph, model, input_size, dtypes, device))
    result.batch_size, result.depth, result.verbose = batch_size, depth, level
    error: Any = explained(graph)
    if error is not None:
        result.error = str(error) if isinstance(error, ShapeError) else f"{type(error).__name__}: {error}"
    if level:
        print(result)
    if error is not None:
        error.summary = result
        raise error
    return result


def _number(name: str, value: Any, range: str, fits: Callable[[int], bool]) -> int:
    """Return an argument as an int, after a check.

    Raises:
        TypeError, ValueError: it is none, or is not in the range.
    """
    try:
        found = whole(value, "summary", name)
    except ShapeError:
        raise TypeError(f"summary: {name} must be {range}, got {shown(value)}") from None
    if not fits(found):
        raise ValueError(f"summary: {name} must be {range}, got {shown(value)}")
    return found


Saved = tuple[dict[str, int], int] | None  # by node, and together


def _saved(graph: Graph, model: Module, input_size: Any, dtypes: Any, device: Any) -> Saved:
    """Return the bytes that a step of training keeps of each node; None if the net does not run in training mode."""
    if graph.error is not None:
        return None
    step = trace(model, input_size, dtypes=dtypes, device=device, training=True, op="summary")
    if step.error is not None:
        return None
    parts = {o: of_image + constant for o, (of_image, constant) in kept(step).items()}
    return {node.name: sum(parts[o] for o in node.operations) for node in step.nodes}, sum(parts.values())


def _summary(graph: Graph, saved: Saved) -> Summary:
    """Return the summary of a run."""
    rows = _Rows(graph, None if saved is None else saved[0])
    model = graph.model
    parameters = [p for p in model.parameters() if not is_lazy(p)]  # a lazy layer that did not run has none yet
    called = {id(call.module) for call in graph.root.calls}
    top = rows.layers[0]
    return Summary(
        model=type(model).__name__,
        layers=rows.layers,
        inputs=[value.shape[1:] for value in graph.inputs],
        total_params=sum(p.numel() for p in parameters),
        trainable_params=sum(p.numel() for p in parameters if p.requires_grad),
        total_macs=top.macs,
        total_flops=top.flops,
        output_bytes=sum(layer.output_bytes for layer in rows.layers if layer.leaf),
        saved_bytes=None if saved is None else saved[1],
        im2col_bytes=top.im2col_bytes,
        param_bytes=sum(p.numel() * p.dtype.itemsize for p in parameters),
        input_bytes=sum(value.nbytes for value in graph.inputs) // graph.batch,
        unused=dict(_unused(model, "", called)) | ({} if graph.error is not None else _untouched(graph, called)),
        batch_size=-1,
        bytes_per_value=parameters[0].dtype.itemsize if parameters else graph.inputs[0].dtype.itemsize,
    )


def _unused(module: Module, name: str, called: set[int]) -> Iterator[tuple[str, int]]:
    """Iterate over the outermost modules of which nothing was called, and their numbers of parameters."""
    if any(id(m) in called for m in module.modules()):
        for child, inside in module.named_children():
            yield from _unused(inside, f"{name}.{child}" if name else child, called)
    elif "parametrizations" not in name.split("."):
        count = sum(p.numel() for p in module.parameters() if not is_lazy(p))
        if count:
            yield name, count


def _untouched(graph: Graph, called: set[int]) -> dict[str, int]:
    """Return the parameters of called modules that no operation had as an operand, and their sizes."""
    used = {id(v.tensor) for o in graph.operations for v in o.inputs if v.kind == "parameter"}
    used |= {id(v.tensor) for v in graph.outputs if v.kind == "parameter"}
    return {
        f"{name}.{own}" if name else own: p.numel()
        for name, module in graph.model.named_modules()
        if id(module) in called and "parametrizations" not in name.split(".")
        for own, p in module.named_parameters(recurse=False)
        if not is_lazy(p) and id(p) not in used
    }


class _Rows:
    """The rows of a run, made in its order, so that the first one has the shared parameters."""

    def __init__(self, graph: Graph, saved: dict[str, int] | None) -> None:
        self.graph, self.saved = graph, saved
        self.layers: list[Layer] = []
        self.seen: set[int] = set()
        self.costs = {o: self._costs(o) for o in graph.operations}
        self.names = {id(n.call if n.call is not None else n.operations[0]): n.name for n in graph.nodes}
        self.fields = fields(graph) if has_fields(graph.inputs[0].shape[1:]) else {}
        self.call(graph.root, 0)

    def _costs(self, operation: Operation) -> tuple[int, int, int]:
        """MACs and FLOPs for one image, and the buffer of im2col."""
        images = self.graph.batch if any(v.of_batch for v in operation.outputs) else 1
        return macs(operation) // images, flops(operation) // images, im2col_bytes(operation)

    def call(self, call: Call, depth: int) -> Layer:
        """Add the rows of a call and of what is inside."""
        leaf = is_layer(call)
        layer = Layer(call.name, call.kind, depth, leaf, False, _sizes(call.inputs), _sizes(call.outputs))
        layer.again, layer.failed = call.earlier > 0, call is self.graph.failed
        self.layers.append(layer)
        before = set(self.seen)
        if not leaf:
            inside = [
                self.call(c, depth + 1) if isinstance(c, Call) else self.function(c, depth + 1) for c in call.children
            ]
            saved = [one.saved_bytes for one in inside]
            layer.saved_bytes = None if self.saved is None else sum(s for s in saved if s is not None)
            layer.leaf = not inside
        own = [p for p in call.module.parameters() if not is_lazy(p)]
        self._count(layer, own, before)
        self._measure(layer, list(call.operations), call.outputs, id(call) if leaf else None)
        return layer

    def function(self, operation: Operation, depth: int) -> Layer:
        """Add the row of a function."""
        inputs = [v for v in operation.inputs if v.kind in ("input", "result")]
        name = f"{operation.call.name}.{operation.name}".lstrip(".")
        layer = Layer(name, operation.name, depth, True, True, _sizes(inputs), _sizes(operation.outputs))
        self.layers.append(layer)
        used = [v.tensor for v in operation.inputs if v.kind == "parameter" and v.tensor is not None]
        self._count(layer, used, set(self.seen))
        self._measure(layer, [operation], operation.outputs, id(operation))
        return layer

    def _count(self, layer: Layer, parameters: Sequence[Any], before: set[int]) -> None:
        """Count the parameters that no earlier row has."""
        new = {id(p): p for p in parameters if id(p) not in before}
        layer.shared = any(id(p) in before for p in parameters)
        layer.parameters = sum(p.numel() for p in new.values())
        layer.trainable = sum(p.numel() for p in new.values() if p.requires_grad)
        self.seen.update(new)

    def _measure(self, layer: Layer, operations: list[Operation], outputs: Sequence[Value], node: int | None) -> None:
        """Add up the costs of the operations; `node` is None for a module with others inside."""
        layer.macs, layer.flops = (sum(self.costs[o][i] for o in operations) for i in (0, 1))
        layer.im2col_bytes = max((self.costs[o][2] for o in operations), default=0)
        layer.output_bytes = sum(v.nbytes // (self.graph.batch if v.of_batch else 1) for v in outputs)
        layer.scalar = bool(outputs) and not outputs[0].shape
        layer.field = self.fields.get(id(outputs[0])) if outputs else None
        if node is not None:
            layer.saved_bytes = None if self.saved is None else self.saved.get(self.names[node], 0)
            layer.arithmetic = "; ".join(filter(None, dict.fromkeys(map(arithmetic, operations))))


def _sizes(values: Sequence[Value]) -> list[Size]:
    return [tuple(value.shape[1:]) for value in values]
