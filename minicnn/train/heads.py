"""A new head for a net that has been trained for other classes.

The head is found in the data flow: the net runs once on shapes alone, and from its scores the way goes back, through
poolings, activations, reshapes and sums, to the linear layers or convolutions that made them. So it may have any name,
and a net with auxiliary classifiers has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from minicnn_kernels.geometry import whole

from ..analysis.graph import Graph, Value
from ..analysis.trace import trace
from ..nn import Conv2d, Linear, Module
from ..nn.module import check_module
from ..nn.parameter import is_lazy
from ..tensor import Tensor

SIDES = (224, 32, 28, 299, 64, 96, 128, 227, 331, 256, 384, 48, 24, 19, 16, 12, 8)  # of images that nets are made for


class NewHead(NamedTuple):
    """A layer that `replace_head` has replaced. Printed, it says what became of it.

    Attributes:
        name: of the layer in the net.
        old, new: the layers.
    """

    name: str
    old: Module
    new: Module

    def __str__(self) -> str:
        return f"{self.name}: {self.old!r} -> {self.new!r}"


def replace_head(model: Module, num_classes: int, images: Tensor | None = None) -> list[NewHead]:
    """Give a net new layers for its scores, with random weights, for another number of classes.

    Other layers keep their weights. All classifiers are replaced, also those of auxiliary heads, which count in
    training. The new layers are of the same kind (`Linear`, or `Conv2d` as in SqueezeNet), type and device as the old
    ones, and are trained, even if the net is frozen. An optimiser that was made before does not know them.

    Args:
        model: the net; it is changed in place.
        num_classes: of the new task.
        images: a batch that the net takes, whose shape is used; None: sizes of common data sets are tried.

    Returns:
        What was replaced; print it.

    Raises:
        ValueError: the net takes no image of a common size (then give `images`) or has lazy layers, its scores do not
            come from one linear layer or convolution for all classes, or num_classes is below 1; the net stays as it
            was.
        TypeError: the layer is of a class of its own.

    >>> net = minicnn.models.resnet18(num_classes=10)
    >>> print(*minicnn.train.replace_head(net, 5))
    fc: Linear(in_features=512, out_features=10, bias=True) -> Linear(in_features=512, out_features=5, bias=True)
    >>> tuple(net.fc.weight.shape)
    (5, 512)
    """
    op = "replace_head"
    check_module(op, model)
    count = whole(num_classes, op, "num_classes", 1)
    graph, training = _flow(op, model, images)
    scores, names = classifiers(op, model, graph)
    heads = [NewHead(name, old, _like(op, name, old, count)) for name, old in names.items()]
    _put(model, heads, [head.new for head in heads])
    again = trace(model, tuple(graph.inputs[0].shape[1:]), training=training, op=op)
    found = [] if again.error else [value.shape[1] for value in again.outputs if len(value.shape) == 2]
    if found[:1] != [count]:
        _put(model, heads, [head.old for head in heads])
        got = again.error or f"the net then gives scores of the shape {again.outputs[0].shape}"
        raise ValueError(
            f"{op}: with {count} instead of {scores} outputs of {', '.join(names)} the {type(model).__name__} does not "
            f"work: {got}. It stays as it was; build it with num_classes={count} and load the other weights: "
            "minicnn.models.load_weights(model, weights, skip_head=True)"
        )
    for module in model.modules():
        if module.__dict__.get("num_classes") == scores:
            module.num_classes = count
    return heads


def classifiers(op: str, model: Module, graph: Graph) -> tuple[int, dict[str, Module]]:
    """The number of classes of a net, and the layers that give its scores, by name: of all outputs of this width.

    Args:
        op: the function in messages.
        model: the net.
        graph: a run of it.

    Raises:
        ValueError: the scores are not (N, classes), or do not come from one layer for all classes.
    """
    main, name = graph.outputs[0], type(model).__name__
    if len(main.shape) != 2:
        raise ValueError(
            f"{op}: the {name} gives the shape {main.shape}, and a classifier gives scores (N, classes); replace its "
            "last layer by hand: model.set_submodule(name, layer)"
        )
    names = {id(module): path for path, module in model.named_modules()}
    found: dict[str, Module] = {}
    for output in graph.outputs:
        if output.shape == main.shape:
            for module in _behind(op, name, output, set()):
                width = module.weight.shape[0]
                if width != main.shape[1]:
                    raise ValueError(
                        f"{op}: the {name} gives {main.shape[1]} scores, and its last layer, "
                        f"{names[id(module)]}, has {width} outputs; replace it by hand: "
                        "model.set_submodule(name, layer)"
                    )
                found[names[id(module)]] = module
    if "" in found:
        raise ValueError(f"{op}: the net is one layer, {model!r}; make a new one by hand instead")
    if not found:
        raise ValueError(f"{op}: the scores of the {name} do not come from a linear layer or a convolution")
    return int(main.shape[1]), found


def _behind(op: str, net: str, value: Value, seen: set[int]) -> Iterator[Any]:
    """The layers that a value comes from, without going through other layers with weights."""
    operation = value.producer
    if operation is None or id(value) in seen:
        return
    seen.add(id(value))
    if any(one.kind == "parameter" for one in operation.inputs):
        module = operation.call.module
        if isinstance(module, (Linear, Conv2d)):
            yield module
            return
        raise ValueError(
            f"{op}: between the scores of the {net} and its last linear layer or convolution is "
            f"{operation.call.name or operation.name!r} ({type(module).__name__}), whose weights belong to the "
            "classes; replace both by hand: model.set_submodule(name, layer)"
        )
    for one in operation.inputs:
        if one.by_image:
            yield from _behind(op, net, one, seen)


def _flow(op: str, model: Module, images: Tensor | None) -> tuple[Graph, bool]:
    """A run of the net on shapes, and whether it is in training mode, where auxiliary heads give scores too."""
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise ValueError(
            f"{op}: the {type(model).__name__} has lazy layers, without weights yet; run it once on images"
        )
    sizes = list(_sizes(model)) if images is None else [tuple(images.shape[1:])]
    first: Graph | None = None
    for training in (True, False):  # in training, batch normalisation refuses maps of one pixel
        for size in sizes:
            graph = trace(model, size, training=training, op=op)
            if graph.error is None and graph.outputs:
                return graph, training
            first = first or graph
    tried = "no image size was found" if first is None else f"{sizes[0]}: {first.error}"
    what = f"images of common sizes ({tried}); give a batch of its images: images=" if images is None else tried
    raise ValueError(f"{op}: the {type(model).__name__} does not take {what}")


def _sizes(model: Module) -> Iterator[tuple[int, ...]]:
    """Shapes of images (C, H, W), or of vectors, that a net may be made for."""
    convolution = next((one for one in model.modules() if isinstance(one, Conv2d)), None)
    if convolution is not None:
        yield from ((convolution.in_channels, side, side) for side in SIDES)
    linear = next((one for one in model.modules() if isinstance(one, Linear)), None)
    if linear is not None:
        yield (linear.in_features,)
        for channels in (1, 3):
            side = round((linear.in_features / channels) ** 0.5)
            if channels * side**2 == linear.in_features:
                yield channels, side, side


def _like(op: str, name: str, old: Any, count: int) -> Module:
    """A layer as another one, with other outputs."""
    where = {"device": old.weight.device, "dtype": old.weight.dtype}
    if type(old) is Linear:
        new: Module = Linear(old.in_features, count, bias=old.bias is not None, **where)
    elif type(old) is Conv2d and old.groups == 1:
        new = Conv2d(
            old.in_channels, count, old.kernel_size, old.stride, old.padding, old.dilation, 1, old.bias is not None,
            old.padding_mode, **where,
        )  # fmt: skip
    else:
        raise TypeError(
            f"{op}: the head {name} is {old!r}, and only a plain Linear or a Conv2d without groups can be made anew; "
            f"replace it by hand: model.set_submodule({name!r}, layer)"
        )
    return new.train(old.training)


def _put(model: Module, heads: Iterable[NewHead], layers: Iterable[Module]) -> None:
    for head, layer in zip(heads, layers, strict=True):
        present = {id(head.old), id(head.new)}
        for parent in list(model.modules()):  # a layer may be in several places
            for name, child in list(parent._modules.items()):
                if id(child) in present:
                    setattr(parent, name, layer)
