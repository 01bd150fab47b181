"""What a block diagram shows of a net: boxes and the tensors between them, made from a recorded run.

A run has many small steps. Here they become what a figure in a paper shows: batch norm, activation and dropout join
the box of the layer before them, whole modules are one box if that is wanted, and equal boxes in a row are one, "x 3".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..analysis.graph import Call, Graph, Node, Value, is_layer
from ..nn import Module
from .layers import Link
from .style import MINUS, TIMES, size_of


@dataclass(eq=False)
class Box:
    """One box.

    Attributes:
        title: what it is, such as "conv 3x3, 64".
        tags: what joined it, such as "batch norm" and "ReLU".
        group: its kind, which gives the colour: "conv", "depthwise", "linear", "pool", "norm", "activation", "block",
            "join", "shape", "function", "input" or "output".
        name: the dotted name of the module, or "".
        shape: of its output, without the batch axis, or None if there are several.
        count: how many equal boxes in a row it stands for.
        sources: the boxes that its inputs come from, with the tensor.
    """

    title: str
    group: str
    name: str = ""
    shape: tuple[int, ...] | None = None
    tags: list[str] = field(default_factory=list)
    count: int = 1
    sources: list[tuple[Box, Value]] = field(default_factory=list)
    parameters: int = 0


ACTIVATIONS = {
    "relu": "ReLU", "relu6": "ReLU6", "silu": "SiLU", "sigmoid": "sigmoid", "tanh": "tanh", "hardswish": "hard swish",
    "hardsigmoid": "hard sigmoid", "hard_swish": "hard swish", "hard_sigmoid": "hard sigmoid", "elu": "ELU",
    "gelu": "GELU", "softmax": "softmax", "log_softmax": "log softmax", "leaky_relu": "leaky ReLU", "swish": "SiLU",
    "hardtanh": "hard tanh",
}  # fmt: skip
NORMS = {
    "batchnorm": "batch norm", "batch_norm": "batch norm", "localresponsenorm": "LRN", "local_response_norm": "LRN",
    "groupnorm": "group norm", "group_norm": "group norm", "layernorm": "layer norm", "layer_norm": "layer norm",
}  # fmt: skip
JOINS = {"add": "+", "mul": TIMES, "cat": "concatenate", "stack": "stack", "maximum": "maximum"}
SHAPES = ("reshape", "view", "transpose", "permute", "flatten", "unflatten", "contiguous", "squeeze", "unsqueeze")
NOTHING = ("identity", "dropout", "stochasticdepth", "contiguous")


def boxes(
    graph: Graph,
    *,
    part: str = "",
    depth: int | None = None,
    whole: Iterable[str] = (),
    join: bool = True,
    repeats: bool = True,
) -> list[Box]:
    """The boxes of a net, or of one module in it, in the order of the run: each after its sources.

    Args:
        graph: a run, from `analysis.trace`.
        part: the dotted name of the module to be shown; "" for the net.
        depth: modules this deep inside are one box: with 1, those that the net's own forward calls. None: every layer.
        whole: classes of modules that are one box, such as "Bottleneck".
        join: let norm, activation and dropout join the box of the layer before.
        repeats: make equal boxes in a row one.

    Raises:
        ValueError: the net has no module of this name, or it did not run.
    """
    top = _find(graph, part)
    kept = set(whole)

    def is_box(call: Call) -> bool:
        if call is top or not _inside(call, top):
            return is_layer(call)
        return is_layer(call) or call.kind in kept or (depth is not None and call.depth - top.depth >= depth)

    nodes = [node for node in graph.grouped(is_box) if _inside(_caller(node), top)]
    made = {node: _box(node) for node in nodes}
    inputs: dict[int, Box] = {}
    found: list[Box] = []
    for node in nodes:
        box = made[node]
        for source, value in zip(node.sources, node.inputs, strict=True):
            if source in made:
                box.sources.append((made[source], value))
            else:
                if id(value) not in inputs:
                    inputs[id(value)] = Box("input", "input", shape=value.shape[1:])
                    found.append(inputs[id(value)])
                box.sources.append((inputs[id(value)], value))
        found.append(box)
    results = {id(value): value for value in (graph.outputs if top.parent is None else top.outputs)}
    home = {id(value): made[node] for node in nodes for op in node.operations for value in op.outputs}
    home |= {key: box for key, box in inputs.items() if key not in home}
    for key, value in results.items():
        if key in home:
            found.append(Box("output", "output", shape=value.shape[1:], sources=[(home[key], value)]))
    found = _without_nothing(found)
    found = _shuffles(found)
    if join:
        found = _joined(found)
    return _repeated(found) if repeats else found


def links(found: list[Box]) -> list[Link]:
    """The edges between boxes, by their numbers; inputs of a box from the same tensor are one edge."""
    number = {box: i for i, box in enumerate(found)}
    return list(dict.fromkeys(Link(number[s], number[box], id(value)) for box in found for s, value in box.sources))


def _find(graph: Graph, part: str) -> Call:
    """The first call of the module of this name."""
    calls = {call.name: call for call in reversed(list(graph.root.calls))}
    if part not in calls:
        known = dict(graph.model.named_modules())
        if part in known:
            raise ValueError(f"diagram: {part!r} did not run as a module of its own; it cannot be drawn")
        near = [name for name in known if name.startswith(part.split(".")[0])][:6] or list(known)[1:7]
        raise ValueError(f"diagram: the net has no module {part!r}; it has {', '.join(near)} ...")
    return calls[part]


def _caller(node: Node) -> Call | None:
    return node.call.parent if node.call is not None else node.operations[0].call


def _inside(call: Call | None, top: Call) -> bool:
    """Whether a call is `top` or inside it."""
    while call is not None and call is not top:
        call = call.parent
    return call is top


# ---------------------------------------------------------------------------------------------------------- one node


def _box(node: Node) -> Box:
    """The box of a node, without its sources."""
    shapes = node.output_shapes
    shape = shapes[0][1:] if len(shapes) == 1 else None
    parameters = sum(value.size for value in node.parameters)
    tags = _one_layer(node)
    group, title = _convolution(node) if tags is not None else _described(node)
    return Box(title, group, node.name, shape, tags or [], parameters=parameters)


def _one_layer(node: Node) -> list[str] | None:
    """The tags of a whole module that is a convolution with norm and activation, else None."""
    names = [op.name for op in node.operations if op.name not in NOTHING]
    if node.module is None or is_layer_class(node.module) or not names or names[0] != "conv2d":
        return None
    tags = [{**ACTIVATIONS, **NORMS}.get(name, "") for name in names[1:]]
    return tags if all(tags) and len(tags) <= 2 else None


def _described(node: Node) -> tuple[str, str]:
    """The group and the title of a node."""
    module, kind = node.module, node.kind
    low = kind.lower()
    plain = low.rstrip("123d")
    if module is not None and not is_layer_class(module):
        return "block", _block_title(module)
    if any(op.name.startswith("conv") for op in node.operations) and (module is None or hasattr(module, "kernel_size")):
        return _convolution(node)
    if low == "linear":
        return "linear", f"linear, {node.output_shapes[0][-1]:,}"
    if "pool" in low:  # an adaptive one that changes nothing, such as VGG's, is made for images of other sizes
        same = "adaptive" in low and node.input_shapes == node.output_shapes
        return ("nothing", low) if same else ("pool", _pool_title(node))
    for names, group in ((ACTIVATIONS, "activation"), (NORMS, "norm")):
        if low in names or plain in names:
            return group, names[low if low in names else plain]
    if low in JOINS and len(node.inputs) > 1:
        return "join", JOINS[low]
    if low in NOTHING or plain in NOTHING or low in ("cat", "split"):  # of one tensor, or into one
        return ("function", low) if len(node.outputs) > 1 else ("nothing", low)
    if low in SHAPES:
        return "shape", low
    if module is not None:
        return "layer", kind
    return "function", _with_number(node.operations[0].arguments, low)


def _with_number(arguments: tuple[Any, ...], name: str) -> str:
    """An operation with a number or a parameter, as a formula: "1 - x", "x + bias"."""
    signs = {"add": "+", "sub": MINUS, "mul": TIMES, "div": "/", "pow": "^"}
    if name not in signs or len(arguments) < 2:
        return name
    terms = [_term(argument) for argument in arguments[:2]]
    return f" {signs[name]} ".join(terms) if terms.count("x") == 1 and all(terms) else name


def _term(argument: Any) -> str:
    """A number, the name of a parameter, or "x" for a tensor that depends on the image."""
    if isinstance(argument, Value):
        return "x" if argument.by_image else argument.name.rpartition(".")[2] or "constant"
    return f"{argument:g}" if isinstance(argument, (int, float)) else ""


def is_layer_class(module: Module) -> bool:
    """Whether a module has no modules inside."""
    return not list(module.children())


def _block_title(module: Module) -> str:
    """The class, or for a Sequential of equal blocks their number and class."""
    if type(module).__name__ in ("Sequential", "ModuleList"):
        kinds = Counter(type(child).__name__ for child in module.children())
        if len(kinds) == 1 and not next(iter(kinds)).startswith(("Conv2d", "Linear")):
            ((kind, count),) = kinds.items()
            return f"{count} {TIMES} {kind}" if count > 1 else kind
        return " + ".join(f"{count} {TIMES} {kind}" if count > 1 else kind for kind, count in kinds.most_common(3))
    return type(module).__name__.lstrip("_")


def _pairs(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _convolution(node: Node) -> tuple[str, str]:
    """Kernel, channels, stride, dilation and groups, from the weight and the geometry of the operation."""
    from minicnn_kernels.geometry import Conv

    operation = next(op for op in node.operations if op.name.startswith("conv"))
    g = next((a for a in (*operation.arguments, *operation.options.values()) if isinstance(a, Conv)), None)
    weight = operation.inputs[1].shape
    out = operation.outputs[0].shape[1]
    name = "transposed conv" if "transpose" in operation.name else "conv"
    groups = 1 if g is None else g.groups
    text = size_of(weight[2:])
    depthwise = groups > 1 and groups == operation.inputs[0].shape[1]
    parts = [f"depthwise {text}" if depthwise else f"{name} {text}", f"{out:,}"]
    if g is not None:
        stride, dilation = (g.sh, g.sw), (g.dh, g.dw)
        if stride != (1, 1):
            parts.append(f"stride {stride[0] if stride[0] == stride[1] else size_of(stride)}")
        if dilation != (1, 1):
            parts.append(f"dilation {dilation[0] if dilation[0] == dilation[1] else size_of(dilation)}")
    if groups > 1 and not depthwise:
        parts.append(f"{groups} groups")
    return "depthwise" if depthwise else "conv", ", ".join(parts)


def _pool_title(node: Node) -> str:
    module, low = node.module, node.kind.lower()
    sort = "max" if "max" in low else "average"
    if "adaptive" in low:
        size = node.output_shapes[0][2:]
        return f"global {sort} pool" if set(size) <= {1} else f"adaptive {sort} pool"
    kernel = getattr(module, "kernel_size", None)
    stride = getattr(module, "stride", None)
    if kernel is None:
        g = next((a for op in node.operations for a in op.arguments if hasattr(a, "kh") and hasattr(a, "sh")), None)
        if g is None:
            return f"{sort} pool"
        kernel, stride = (g.kh, g.kw), (g.sh, g.sw)
    text = f"{sort} pool {size_of(_pairs(kernel))}"
    step = _pairs(kernel if stride is None else stride)
    return text if step == (1, 1) else f"{text}, stride {step[0] if step[0] == step[1] else size_of(step)}"


# ------------------------------------------------------------------------------------------------------- simplifying


def _users(found: list[Box]) -> dict[Box, list[Box]]:
    users: dict[Box, list[Box]] = {box: [] for box in found}
    for box in found:
        for source, _ in box.sources:
            users[source].append(box)
    return users


def _replace(found: list[Box], old: Box, new: Box) -> None:
    """Let the users of `old` take their tensor from `new`."""
    for box in found:
        box.sources = [(new if s is old else s, value) for s, value in box.sources]


def _without_nothing(found: list[Box]) -> list[Box]:
    """Take out layers that do nothing in evaluation; dropout leaves a tag behind."""
    for box in found:
        if box.group == "nothing":
            source, value = box.sources[0]
            for user in found:
                user.sources = [(source, value) if s is box else (s, v) for s, v in user.sources]
            if "dropout" in box.title and source.group != "input":
                source.tags.append("dropout")
    return [box for box in found if box.group != "nothing"]


def _shuffles(found: list[Box]) -> list[Box]:
    """Make one box of steps that only change the shape; reshape, transpose, reshape is a channel shuffle."""
    gone: set[Box] = set()
    for box in found:
        while box not in gone and box.group == "shape":
            users = _users([b for b in found if b not in gone])[box]
            if len(users) != 1 or users[0].group != "shape" or len(users[0].sources) != 1:
                break
            after = users[0]
            box.title, box.shape = f"{box.title}, {after.title}", after.shape
            gone.add(after)
            _replace(found, after, box)
        if box.title in ("reshape, transpose, reshape", "reshape, permute, reshape"):
            box.title = "channel shuffle" if box.shape is not None and len(box.shape) == 3 else box.title
        elif box.group == "shape" and box.shape is not None and len(box.shape) == 1:
            box.title = "flatten"
    return [box for box in found if box not in gone]


def _joined(found: list[Box]) -> list[Box]:
    """Norms and activations become tags of the box before them, if nobody else uses its output."""
    gone: set[Box] = set()
    users = _users(found)
    home: dict[Box, Box] = {}
    for box in found:
        if box.group in ("norm", "activation") and len(box.sources) == 1:
            before = home.get(box.sources[0][0], box.sources[0][0])
            alone = len({id(user) for user in users[box.sources[0][0]]}) == 1
            takes = before.group in ("conv", "depthwise", "linear", "layer") or (
                before.group == "norm" and box.group == "activation"
            )
            if alone and takes and before.shape == box.shape:
                before.tags += [box.title, *box.tags]
                before.parameters += box.parameters
                home[box] = before
                gone.add(box)
    for old, new in home.items():
        _replace(found, old, new)
    return [box for box in found if box not in gone]


def _repeated(found: list[Box]) -> list[Box]:
    """Make one box of boxes in a chain that are equal in title, tags, shape and parameters."""
    gone: set[Box] = set()
    users = _users(found)
    for box in found:
        if box in gone or box.group in ("input", "output", "join"):
            continue
        last = box
        while True:
            following = users[last]
            if len(following) != 1 or len(following[0].sources) != 1 or not _equal(box, following[0]):
                break
            last = following[0]
            gone.add(last)
            box.count += 1
        if last is not box:
            _replace(found, last, box)
    return [box for box in found if box not in gone]


def _equal(a: Box, b: Box) -> bool:
    return (a.title, a.tags, a.shape, a.parameters, a.group) == (b.title, b.tags, b.shape, b.parameters, b.group)
