"""Questions about the layers of published nets, as `minicnn.models` builds them on the meta device."""

from __future__ import annotations

import functools
from random import Random
from typing import Any, NamedTuple

from ... import nn
from ...analysis.summary import Layer, Summary, summary
from ...device import Device as device
from ...models.lookup import get_model
from ...models.registry import MODELS
from .question import Question, count, size_text, usual_mistakes
from .sizes import NO_ONE, NO_PADDING, NO_STRIDE, ONE_SIDE, floored
from .template import CS231N, Template, padded, some

TITLES = {
    "lenet5": "LeNet-5",
    "convnetjs": "the net of the ConvNetJS demo",
    "alexnet_lrn": "AlexNet (in one tower)",
    "zfnet": "ZFNet",
    "vgg16": "VGG-16",
    "nin_cifar": "Network in Network for CIFAR-10",
    "all_cnn_c": "All-CNN-C",
    "alphago": "the policy net of AlphaGo",
}
_KINDS = {"Conv2d": "convolution", "MaxPool2d": "max pooling", "Linear": "fully connected layer"}


class Place(NamedTuple):
    """A layer of a net: its row of the summary, the module, and which one of its kind it is, from 1."""

    row: Layer
    module: Any
    number: int

    def words(self) -> str:
        """Such as "convolution 1, 96 filters of 11x11, stride 4, no padding"."""
        m, name = self.module, f"{_KINDS[self.row.kind]} {self.number}"
        if isinstance(m, nn.Linear):
            return f"{name}, {some(m.out_features, 'neuron')}"
        kernel, stride, padding = (_one(v) for v in (m.kernel_size, m.stride, m.padding))
        what = f"{some(m.out_channels, 'filter')} of " if isinstance(m, nn.Conv2d) else ""
        groups = f", in {m.groups} groups" if getattr(m, "groups", 1) > 1 else ""
        bias = ", without biases" if isinstance(m, nn.Conv2d) and m.bias is None else ""
        up = ", rounding up" if getattr(m, "ceil_mode", False) else ""
        return f"{name}, {what}{kernel}x{kernel}, stride {stride}, {padded(padding)}{groups}{bias}{up}"


def _one(value: Any) -> int:
    return int(value[0]) if isinstance(value, (tuple, list)) else int(value)


@functools.cache
def _run(model: str) -> tuple[nn.Module, Summary]:
    with device("meta"):
        net = get_model(model)
    return net, summary(net, MODELS[model].input_size, verbose=0)


def places(model: str) -> dict[str, Place]:
    """The convolutions, max poolings and linear layers of a net, by name, in the order of the run."""
    net, found = _run(model)
    modules, seen, result = dict(net.named_modules()), dict.fromkeys(_KINDS, 0), {}
    for row in found.layers:
        if row.kind in seen and not row.again:
            seen[row.kind] += 1
            result[row.name] = Place(row, modules[row.name], seen[row.kind])
    return result


def _place(model: str, layer: str) -> Place:
    known = places(model)
    if layer not in known:
        raise ValueError(f"quiz: {model} has no layer {layer!r}; its layers are {', '.join(known)}")
    return known[layer]


def _title(model: str) -> str:
    return TITLES.get(model, model)


def layer_shape(model: str, layer: str) -> Question:
    """Which shape has the output of a layer of a net?"""
    place = _place(model, layer)
    row, m = place.row, place.module
    before, answer = row.inputs[0], row.output
    wrong: list[tuple[Any, str]] = [(before, "this is the shape of its input")]
    if isinstance(m, nn.Linear):
        steps = [f"one value for each neuron: {m.out_features}"]
    else:
        k, s, p = (_one(v) for v in (m.kernel_size, m.stride, m.padding))
        pool = not isinstance(m, nn.Conv2d)
        depth = f"a pooling works in each map: {before[0]}" if pool else f"one map for each filter: {answer[0]}"
        steps = [f"side: {row.arithmetic}", f"depth: {depth}, so {size_text(answer)}"]
        down = (answer[0], *(floored(n, k, s, p) for n in before[1:]))
        if down != answer:
            wrong.append((down, "this pooling rounds up: the last window may stand out over the edge"))
        wrong += [
            ((answer[0], *(floored(n, k, s, 0) for n in before[1:])), NO_PADDING),
            ((answer[0], *((n + p - k) // s + 1 for n in before[1:])), ONE_SIDE),
            ((answer[0], *(n - 1 for n in answer[1:])), NO_ONE),
            ((answer[0], *(n + 2 * p - k + 1 for n in before[1:])), NO_STRIDE),
            (answer[1:], "the depth is missing"),
            ((before[0], *answer[1:]), "the depth is the number of filters, not that of the input"),
        ]
    return Question(
        text=f"In {_title(model)}, {place.words()}, gets {_given(before)}. What is the shape of its "
        "output (sides that are not whole are rounded down, where nothing else is said)?",
        kind="shape", answer=answer, steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        sources=_sources(model),
    )  # fmt: skip


def _given(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} values" if len(shape) == 1 else f"an input of {size_text(shape)} (height x width x depth)"


def _sources(model: str) -> tuple[str, ...]:
    return (f"minicnn.models.{model}, whose documentation names the paper", CS231N)


def layer_parameters(model: str, layer: str) -> Question:
    """How many parameters has a layer of a net?"""
    place = _place(model, layer)
    row, m = place.row, place.module
    answer, wrong = row.parameters, []
    if row.kind == "MaxPool2d":
        steps = ["a pooling takes the largest value of each window; it has no weights: 0"]
        wrong.append((_one(m.kernel_size) ** 2, "a pooling has no weights"))
    else:
        steps = [_product(place)]
        outputs = m.weight.shape[0]
        weights = m.weight.numel()
        wrong += [
            (weights, "you forgot the biases"),
            (weights + 1, "there is a bias for each output, not one for the layer"),
            (weights // outputs + 1, "this is one output only"),
            (weights // outputs, "this is one output only, without its bias"),
            (weights + outputs, "this layer has no biases"),
        ]
        if isinstance(m, nn.Conv2d):
            depth = m.weight.shape[1]
            wrong += [(weights // depth + outputs, "you forgot the depth of the input"),
                      (weights // depth, "you forgot the depth of the input, and the biases")]  # fmt: skip
    return Question(
        text=f"In {_title(model)}, {place.words()}, gets {_given(row.inputs[0])}. How many parameters does it have?",
        kind="number", answer=answer, unit="parameters", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        sources=_sources(model),
    )  # fmt: skip


def _product(place: Place) -> str:
    """The parameters of a layer as a calculation: "convolution 1: (11*11*3 + 1)*96 = 34944"."""
    m = place.module
    if isinstance(m, nn.Linear):
        inside = f"{m.in_features}"
    else:
        inside = "*".join(map(str, (*m.weight.shape[2:], m.weight.shape[1])))
    label = f"{_KINDS[place.row.kind]} {place.number}"
    bias = " + 1" if m.bias is not None else ""
    return f"{label}: ({inside}{bias})*{m.weight.shape[0]} = {place.row.parameters}"


def net_parameters(model: str) -> Question:
    """How many parameters has a whole net?"""
    found, known = _run(model)[1], places(model)
    with_weights = [place for place in known.values() if place.row.parameters]
    answer = sum(place.row.parameters for place in with_weights)
    rest = found.total_params - answer
    steps = [_product(place) for place in with_weights]
    if rest:
        steps.append(f"other parameters: {rest}")
        answer += rest
    sums = [*(place.row.parameters for place in with_weights), *([rest] if rest else [])]
    steps.append(f"together: {' + '.join(map(str, sums))} = {answer}")
    biases = sum(place.module.weight.shape[0] for place in with_weights if place.module.bias is not None)
    wrong: list[tuple[Any, str]] = [(answer - biases, "you forgot the biases")]
    for place in with_weights:
        m = place.module
        if isinstance(m, nn.Conv2d) and (depth := m.weight.shape[1]) > 1:
            less = m.weight.numel() - m.weight.numel() // depth
            name = f"{_KINDS[place.row.kind]} {place.number}"
            wrong.append((answer - less, f"you forgot the depth of the input of {name}"))
    rows = [f"{size_text(found.inputs[0]):>14}  input"]
    rows += [f"{size_text(place.row.output):>14}  {place.words()}" for place in known.values()]
    if rest:
        rows.append(f"{'':>14}  and {rest} parameters that belong to no such layer")
    note = "A course prints 59,706 for LeNet-5: it leaves out the 6 input maps of the second convolution."
    return Question(
        text=f"These are the layers of {_title(model)}, with the shapes of their outputs. How many parameters does "
        "the net have?",
        kind="number", answer=answer, unit="parameters", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        block="\n".join(rows), note=note if model == "lenet5" else "", sources=_sources(model),
    )  # fmt: skip


def net_values(model: str) -> Question:
    """How many numbers do the outputs of all layers of a net have?"""
    found, known = _run(model)[1], list(places(model).values())
    shapes = [found.inputs[0], *(place.row.output for place in known)]
    sizes = [_size(shape) for shape in shapes]
    answer = sum(sizes)
    names = ["input", *(f"{_KINDS[place.row.kind]} {place.number}" for place in known)]
    steps = [
        f"{name}: {'*'.join(map(str, (*s[1:], s[0])))} = {n}" if len(s) > 1 else f"{name}: {n}"
        for name, s, n in zip(names, shapes, sizes, strict=True)
    ]
    steps.append(f"together: {' + '.join(map(str, sizes))} = {answer}")
    wrong: list[tuple[Any, str]] = [(answer - sizes[0], "you forgot the input"), (4 * answer, "these are bytes")]
    width = max(map(len, names))
    rows = [f"{name:<{width}}  {size_text(shape)}" for name, shape in zip(names, shapes, strict=True)]
    note = f"In float32 these are {count(4 * answer)} B."
    if model == "vgg16":
        wrong.append((24_000_000, "a course prints 24 million, but its own lines add up to 15.2 million"))
        note += " A course prints 24 million values, 96 MB, as their sum; its own lines add up to 15.2 million."
    return Question(
        text=f"These are the shapes of the outputs of {_title(model)}, for one image. How many values are these "
        "together, with the input?",
        kind="number", answer=answer, unit="values", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        block="\n".join(rows), note=note, sources=_sources(model),
    )  # fmt: skip


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


def _draw_layer(random: Random) -> dict[str, str]:
    model = random.choice(list(TITLES))
    return {"model": model, "layer": random.choice(list(places(model)))}


def _draw_small(random: Random) -> dict[str, str]:
    return {"model": random.choice(("lenet5", "convnetjs", "zfnet", "alexnet_lrn", "nin_cifar"))}


_ALEXNET = [{"model": "alexnet_lrn", "layer": "features.0"}, {"model": "alexnet_lrn", "layer": "features.2"}]
_ALPHAGO = [{"model": "alphago", "layer": layer} for layer in ("features.0", "features.2", "scores")]

TEMPLATES = (
    Template("net-shape", "the shape of a layer's output in a published net", layer_shape, _draw_layer,
             [*_ALEXNET, *_ALPHAGO]),
    Template("net-parameters", "the parameters of a layer in a published net", layer_parameters, _draw_layer,
             [*_ALEXNET, _ALPHAGO[0], _ALPHAGO[1]]),
    Template("net-total", "the parameters of a published net", net_parameters, _draw_small,
             [{"model": "lenet5"}, {"model": "alexnet_lrn"}]),
    Template("net-values", "the memory of a published net's outputs", net_values, _draw_small,
             [{"model": "vgg16"}]),
)  # fmt: skip
