"""How much of the image does a value depend on? `minicnn.analysis.receptive_field` answers."""

from __future__ import annotations

import functools
from random import Random
from typing import Any, NamedTuple

from ... import nn
from ...analysis.receptive_field import ReceptiveField, receptive_field
from ...device import Device as device
from ...models.lookup import get_model
from ...models.registry import MODELS
from .nets import TITLES, Place, places
from .question import Mistake, Question, usual_mistakes
from .template import Template, sentence

SOURCE = "A. Araujo et al., Computing receptive fields, 2019, https://distill.pub/2019/computing-receptive-fields"
RULE = "kernel K with dilation D adds (K - 1)*D*step pixels, where step is the product of the strides before it"


class Window(NamedTuple):
    """A convolution or pooling along one side."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    pool: bool = False

    def words(self) -> str:
        """Such as "3x3 convolution, stride 2"."""
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        dilation = f", dilation {self.dilation}" if self.dilation > 1 else ""
        return f"{self.kernel}x{self.kernel} {'pooling' if self.pool else 'convolution'}{stride}{dilation}"


def _steps(windows: list[tuple[str, Window]]) -> list[str]:
    """The calculation, layer by layer."""
    size, jump, steps = 1, 1, [RULE]
    for number, (name, (k, s, d, _)) in enumerate(windows, 1):
        new = size + (k - 1) * d * jump
        steps.append(f"{name}: {size} + ({k} - 1)*{d}*{jump} = {new}")
        size, jump = new, jump * s
        if s > 1 and number < len(windows):
            steps.append(f"{name}, step after its stride of {s}: {jump // s}*{s} = {jump}")
    return steps


def _wrong(windows: list[Window]) -> list[tuple[Any, str]]:
    product = 1
    for one in windows:
        product *= one.kernel
    flat = 1 + sum((w.kernel - 1) * w.dilation for w in windows)
    undilated, jump = 1, 1
    for w in windows:
        undilated += (w.kernel - 1) * jump
        jump *= w.stride
    late, jump = 1, 1
    for w in windows:
        jump *= w.stride
        late += (w.kernel - 1) * w.dilation * jump
    return [
        (sum(w.kernel for w in windows), "you added the kernels; neighbouring windows overlap: a layer adds K - 1"),
        (flat, "you forgot the strides: after a stride, a step in the map is several pixels"),
        (undilated, "you forgot the dilation: it spreads the kernel over (K - 1)*D + 1 pixels"),
        (late, "the stride of a layer counts for the layers after it, not for itself"),
        (product, "you multiplied the kernels"),
        (windows[-1].kernel, "this is the window of the last layer in its input, not in the image"),
    ]


def stack(windows: tuple[Window, ...]) -> Question:
    """How many pixels across does a value after several layers see?"""
    net = nn.Sequential()
    with device("meta"):
        for k, s, d, pool in windows:
            net.append(nn.MaxPool2d(k, s, dilation=d) if pool else nn.Conv2d(1, 1, k, s, dilation=d))
        side = 8
        for k, s, d, _ in reversed(windows):  # an image that gives a map of 8 x 8
            side = (side - 1) * s + d * (k - 1) + 1
        found = receptive_field(net, (1, side, side))
    answer = int(found.size[0])
    names = [(f"layer {i}, {w.words()}", w) for i, w in enumerate(windows, 1)]
    steps = _steps(names)
    layers = "; ".join(w.words() for w in windows)
    return Question(
        text=f"Layers one after the other: {layers}. How many pixels across is the receptive field of a value at the "
        "end?",
        kind="number", answer=answer, unit="pixels", steps=tuple(steps),
        mistakes=usual_mistakes(answer, _wrong(list(windows))), sources=(SOURCE,),
    )  # fmt: skip


@functools.cache
def _fields(model: str) -> ReceptiveField:
    with device("meta"):
        return receptive_field(get_model(model), MODELS[model].input_size)


def _chain(model: str) -> dict[str, tuple[Place, Window]]:
    """The windows of a net that is a chain of layers, by name."""
    found = {}
    for name, place in places(model).items():
        m = place.module
        if not isinstance(m, nn.Linear):
            k, s, d = (v[0] if isinstance(v, tuple) else v for v in (m.kernel_size, m.stride, m.dilation))
            found[name] = (place, Window(int(k), int(s), int(d), not isinstance(m, nn.Conv2d)))
    return found


def net_field(model: str, layer: str) -> Question:
    """How many pixels across does a value of a published net see?"""
    chain = _chain(model)
    if layer not in chain:
        raise ValueError(f"net_field: {model} has no window layer {layer!r}; it has {', '.join(chain)}")
    used = [chain[name] for name in list(chain)[: list(chain).index(layer) + 1]]
    answer = next(int(one.field.size[0]) for one in _fields(model).layers if one.name == layer)
    steps = _steps([(place.words().split(",")[0], window) for place, window in used])
    lines = [place.words() for place, _ in used]
    pixels = MODELS[model].input_size[1]
    more = (
        f"The image has {pixels} pixels across: a value in the middle can depend on all of it; near the edge, part of "
        "the field is padding."
        if answer >= pixels
        else ""
    )
    return Question(
        text=f"{sentence(TITLES.get(model, model))} begins with these layers, for images of {pixels}x{pixels}. How "
        "many pixels across is the receptive field of a value after the last of them?",
        kind="number", answer=answer, unit="pixels", steps=tuple(steps),
        mistakes=usual_mistakes(answer, _wrong([window for _, window in used])), block="\n".join(lines), note=more,
        sources=(SOURCE,),
    )  # fmt: skip


def decision(model: str) -> Question:
    """Which is the first layer whose values can depend on the whole image?"""
    known, found = places(model), _fields(model)
    names = list(known)
    if found.decision is None or found.decision.name not in known:
        raise ValueError(
            f"decision: no convolution, pooling or linear layer of {model} is the first to see its whole image"
        )
    pixels = MODELS[model].input_size[1]
    sizes = {one.name: int(one.field.size[0]) for one in found.layers}
    options = tuple(known[name].words() for name in names)
    answer = frozenset({names.index(found.decision.name)})
    mistakes = []
    for i, name in enumerate(names):
        if i < min(answer):
            mistakes.append(Mistake(i, f"its receptive field has {sizes[name]} pixels across, and the image {pixels}"))
        elif i > min(answer):
            mistakes.append(Mistake(i, f"{options[min(answer)]}, comes before it and sees the whole image"))
    steps = tuple(
        f"{option.split(',')[0]}: sees {_seen(sizes[name], pixels)}"
        for name, option in zip(names, options, strict=True)
    )[: min(answer) + 1]
    return Question(
        text=f"{sentence(TITLES.get(model, model))} gets images of {pixels}x{pixels}. Which is its first layer whose "
        "values can depend on the whole image (the decision layer)?",
        kind="choice", answer=answer, options=options, steps=steps, mistakes=tuple(mistakes), sources=(SOURCE,),
    )  # fmt: skip


def _seen(size: int, pixels: int) -> str:
    return "the whole image" if size >= pixels else f"{size} pixels across"


def _draw_stack(random: Random) -> dict[str, Any]:
    windows = list[Window]()
    for _ in range(random.choice((2, 3, 3, 4))):
        if random.random() < 0.25 and windows:
            windows.append(Window(2, 2, 1, True))
        else:
            dilation = 2 if random.random() < 0.15 else 1
            windows.append(Window(random.choice((3, 3, 5, 7)), random.choice((1, 1, 1, 2)), dilation))
    return {"windows": tuple(windows)}


CHAINS = ("lenet5", "convnetjs", "alexnet_lrn", "zfnet", "vgg16", "alphago")


def _draw_net(random: Random) -> dict[str, Any]:
    model = random.choice(CHAINS)
    return {"model": model, "layer": random.choice(list(_chain(model))[1:])}


TEMPLATES = (
    Template("receptive-field", "what a value after several layers sees", stack, _draw_stack,
             [{"windows": (Window(3),) * 3}, {"windows": (Window(3),) * 2}]),
    Template("net-field", "what a value in a published net sees", net_field, _draw_net,
             [{"model": "lenet5", "layer": "features.5"}, {"model": "vgg16", "layer": "features.30"}]),
    Template("decision-layer", "the first layer that sees the whole image", decision,
             lambda random: {"model": random.choice(CHAINS)}, [{"model": "lenet5"}, {"model": "vgg16"}]),
)  # fmt: skip
