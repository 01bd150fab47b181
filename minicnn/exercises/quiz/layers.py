"""What kinds of layers are: whether they have parameters, what they need and see, and what they do to a shifted image.

Parameters are counted. What a layer needs and sees comes from `minicnn.analysis.properties`. What it does to a shift is
measured: the layer runs on an image of random numbers, and on the same image a few pixels further right and down.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.dispatch import use

from ... import nn
from ...analysis.properties import properties
from ...autograd.modes import no_grad
from ...ops.tensor.creation import tensor
from ...random import fork_rng, manual_seed
from .question import Mistake, Question
from .template import Template

CHANNELS, SIDE, BORDER = 4, 24, 8  # of the image; the border is 0, so that the shift loses nothing
SHIFT = 4  # a multiple of all strides here
EQUIVARIANT, INVARIANT, NEITHER = "equivariant", "invariant", "neither"

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(CHANNELS, 6, 3, padding=1),
    "1x1 convolution": lambda: nn.Conv2d(CHANNELS, 6, 1),
    "depthwise convolution": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS),
    "transposed convolution": lambda: nn.ConvTranspose2d(CHANNELS, 3, 2, stride=2),
    "max pooling": lambda: nn.MaxPool2d(2),
    "average pooling": lambda: nn.AvgPool2d(2),
    "global average pooling": lambda: nn.AdaptiveAvgPool2d(1),
    "ReLU": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "PReLU": lambda: nn.PReLU(CHANNELS),
    "batch normalisation": lambda: nn.BatchNorm2d(CHANNELS),
    "local response normalisation": lambda: nn.LocalResponseNorm(3),
    "dropout": lambda: nn.Dropout(0.5),
    "softmax over the channels": lambda: nn.Softmax(1),
    "fully connected layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * SIDE * SIDE, 10)),
    "flatten": nn.Flatten,
}


class Shifted(NamedTuple):
    """What a layer does to a shift, measured.

    Attributes:
        unmoved: the largest difference between the output for the shifted image and that for the image itself.
        moved: the same, for the output of the image, shifted as far; infinite if the output is no map.
        scale: the largest absolute value of the output.
    """

    unmoved: float
    moved: float
    scale: float

    @property
    def verdict(self) -> str:
        """ "equivariant", "invariant" or "neither"; a difference of 1e-4 of the largest value is one of rounding."""
        limit = 1e-4 * self.scale
        return INVARIANT if self.unmoved <= limit else EQUIVARIANT if self.moved <= limit else NEITHER


def shifted(layer: nn.Module, seed: int = 0) -> Shifted:
    """Run a layer, in evaluation mode, on an image and on the same image, `SHIFT` pixels further right and down."""
    generator = np.random.default_rng(seed)
    image = np.zeros((1, CHANNELS, SIDE, SIDE), np.float32)
    inside = slice(BORDER, SIDE - BORDER)
    image[..., inside, inside] = generator.normal(size=(1, CHANNELS, SIDE - 2 * BORDER, SIDE - 2 * BORDER))
    training = layer.training
    try:
        with no_grad(), use(backend="numpy"):
            layer.eval()
            here = layer(tensor(image)).numpy()
            there = layer(tensor(np.roll(image, (SHIFT, SHIFT), (2, 3)))).numpy()
    finally:
        layer.train(training)
    moved = np.inf
    if here.ndim == 4 and here.shape[2] > 1:
        step = SHIFT * here.shape[2] // SIDE
        # Along the edge, biases and padding may make a difference: the interior is compared.
        edge = slice(1, -1)
        moved = float(np.abs(there - np.roll(here, (step, step), (2, 3)))[..., edge, edge].max())
    return Shifted(float(np.abs(there - here).max()), moved, float(np.abs(here).max()))


def parametric(names: tuple[str, ...]) -> Question:
    """Which of these layers have parameters?"""
    layers = _made(names)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    answer = frozenset(i for i, n in enumerate(counts) if n)
    steps = [f"{name}: {_with(n)}" for name, n in zip(names, counts, strict=True)]
    mistakes = []
    for i, name in enumerate(names):
        if name == "batch normalisation":
            mistakes.append(Mistake(i, "batch normalisation learns a scale and a shift for each channel"))
        elif i not in answer:
            mistakes.append(Mistake(i, f"{name} learns nothing"))
    return Question(
        text=f"Which of these layers have parameters, that is, numbers that training changes? (For {CHANNELS} input "
        "channels; several may be right.)",
        kind="choice", answer=answer, options=names, several=True, steps=tuple(steps), mistakes=tuple(mistakes),
    )  # fmt: skip


def _with(parameters: int) -> str:
    return f"{parameters} parameters" if parameters else "none"


def _made(names: tuple[str, ...]) -> list[nn.Module]:
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise ValueError(f"quiz: there is no layer {unknown[0]!r}; there are {', '.join(LAYERS)}")
    with fork_rng():
        manual_seed(0)
        return [LAYERS[name]() for name in names]


_MEANS = {
    EQUIVARIANT: "the output shifts with the image",
    INVARIANT: "the output stays the same",
    NEITHER: "the output changes in another way",
}


def equivariance(name: str) -> Question:
    """What does a layer do to a shift of its input?"""
    (layer,) = _made((name,))
    found = shifted(layer)
    options = tuple(f"{kind}: {meaning}" for kind, meaning in _MEANS.items())
    answer = frozenset({list(_MEANS).index(found.verdict)})
    moved = "the output is no map: there is nothing to shift"
    if np.isfinite(found.moved):
        moved = f"difference to the shifted output of the image, away from the edge: {_small(found.moved)}"
    steps = (
        f"measured, with an image of random numbers that moves {SHIFT} pixels right and down; the largest output is "
        f"{found.scale:.2g}",
        f"difference to the output before: {_small(found.unmoved)}",
        moved,
        f"so it is {found.verdict}",
    )
    mistakes: tuple[Mistake, ...] = ()
    if found.verdict == NEITHER:
        reason = (
            "each output has weights of its own for each place" if "connected" in name else "its places have an order"
        )
        mistakes = tuple(Mistake(i, reason) for i in (0, 1))
    elif found.verdict == EQUIVARIANT:
        mistakes = (Mistake(1, "the output is a map, and what is in it moves with the image"),
                    Mistake(2, "the same is computed at each place"))  # fmt: skip
    return Question(
        text="An image is shifted by a few pixels (a multiple of the stride; nothing leaves the image). What does "
        f"this layer do, in evaluation mode: {name}?",
        kind="choice", answer=answer, options=options, steps=steps, mistakes=mistakes,
    )  # fmt: skip


_ASKED = {
    "fixed_size": "work for one size of the input image only, because the number of their weights depends on it",
    "global_context": "give outputs each of which depends on the whole image",
}


def needs(names: tuple[str, ...], what: str = "fixed_size") -> Question:
    """Which of these layers need a fixed size of the input, or see all of it?

    Args:
        names: keys of `LAYERS`.
        what: "fixed_size" or "global_context", as in `minicnn.analysis.Properties`.
    """
    if what not in _ASKED:
        raise ValueError(f"needs: what must be one of {', '.join(_ASKED)}, got {what!r}")
    size = (CHANNELS, SIDE, SIDE)
    found = [getattr(properties(layer, size), what) for layer in _made(names)]
    reason = {
        "fixed_size": ("it uses the same weights at every place, or has none, so that any size will do",
                       "it has a weight for each value of the input"),
        "global_context": ("an output depends on a window, or on one place",
                           "each output depends on all values of the input"),
    }[what]  # fmt: skip
    steps = tuple(f"{name}: {'yes' if yes else 'no'}, {reason[yes]}" for name, yes in zip(names, found, strict=True))
    mistakes = tuple(Mistake(i, f"{name}: {reason[0]}") for i, name in enumerate(names) if not found[i])
    return Question(
        text=f"Which of these layers {_ASKED[what]}? (In evaluation mode, for an input of {SIDE} x {SIDE} x "
        f"{CHANNELS}; several may be right, or none.)",
        kind="choice", answer=frozenset(i for i, yes in enumerate(found) if yes), options=names, several=True,
        steps=steps, mistakes=mistakes,
    )  # fmt: skip


def _small(difference: float) -> str:
    return "0" if difference == 0 else f"{difference:.2g}"


_SLIDE = ("ReLU", "convolution", "max pooling", "batch normalisation", "dropout", "fully connected layer",
          "softmax over the channels")  # fmt: skip


def _draw_parametric(random: Random) -> dict[str, Any]:
    return {"names": tuple(random.sample(list(LAYERS), random.choice((5, 6, 7))))}


def _draw_needs(random: Random) -> dict[str, Any]:
    return {**_draw_parametric(random), "what": random.choice(list(_ASKED))}


TEMPLATES = (
    Template("parametric", "which layers have parameters", parametric, _draw_parametric, [{"names": _SLIDE}]),
    Template("layer-needs", "which layers need one input size, or see all of the image", needs, _draw_needs,
             [{"names": ("fully connected layer", "convolution", "max pooling"), "what": what} for what in _ASKED]),
    Template("equivariance", "what a layer does to a shifted image", equivariance,
             lambda random: {"name": random.choice([name for name in LAYERS if name != "flatten"])},  # in its own order
             [{"name": name} for name in ("fully connected layer", "convolution", "global average pooling")]),
)  # fmt: skip
