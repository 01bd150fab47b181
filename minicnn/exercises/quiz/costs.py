"""What does a layer cost? Parameters, multiply-accumulates, FLOPs and memory of one layer.

The convention is that of `minicnn.analysis`: a multiply-accumulate (MAC) is 2 floating-point operations (FLOPs), adding
a bias is 1 per output, a max pooling of K pixels makes K - 1 comparisons per output, a number takes 4 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from ... import nn
from ...analysis.comparisons.costs import BYTES, Cost, cost
from ...device import Device as device
from .question import Question, size_text, usual_mistakes
from .template import CS231N, Template, padded, some

CONVENTION = "A multiply-accumulate (MAC) counts as 2 FLOPs, the addition of a bias as 1, a comparison as 1."


class Case(NamedTuple):
    """A layer and its input.

    Attributes:
        kind: "dense", "conv" or "pool".
        size: (C, H, W), or (F,) for a vector.
        outputs: the units or filters; a pooling has none.
        kernel, stride, padding: of the window.
    """

    kind: str
    size: tuple[int, ...]
    outputs: int = 0
    kernel: int = 0
    stride: int = 1
    padding: int = 0

    def cost(self) -> Cost:
        """What the layer costs, for one image."""
        with device("meta"):
            if self.kind == "dense":
                linear = nn.Linear(math.prod(self.size), self.outputs)
                net: nn.Module = linear if len(self.size) == 1 else nn.Sequential(nn.Flatten(), linear)
            elif self.kind == "conv":
                net = nn.Conv2d(self.size[0], self.outputs, self.kernel, self.stride, self.padding)
            elif self.kind == "pool":
                net = nn.MaxPool2d(self.kernel, self.stride, self.padding)
            else:
                raise ValueError(f"Case: kind must be dense, conv or pool, got {self.kind!r}")
            return cost(net, self.size)

    def words(self) -> str:
        """The layer and its input, in words."""
        if self.kind == "dense" and self.outputs == 1 and len(self.size) == 1:
            return f"A perceptron (one neuron) has {some(self.size[0], 'input')} and a bias."
        given = f"{self.size[0]} values" if len(self.size) == 1 else f"an image of {size_text(self.size)}"
        if self.kind == "dense":
            return f"A fully connected layer of {some(self.outputs, 'neuron')} with biases gets {given}."
        window = f"{self.kernel}x{self.kernel}, stride {self.stride}, {padded(self.padding)}"
        if self.kind == "pool":
            return f"A max pooling of {window}, gets {given}."
        return f"A convolution with {some(self.outputs, 'filter')} of {window}, with biases, gets {given}."

    @property
    def fan_in(self) -> int:
        """The numbers that one output is computed from."""
        return math.prod(self.size) if self.kind == "dense" else self.kernel**2 * self.size[0]

    def inputs(self) -> str:
        """The same as a product: "5*5*3"."""
        return f"{self.fan_in}" if self.kind == "dense" else f"{self.kernel}*{self.kernel}*{self.size[0]}"


def _flat(case: Case) -> list[str]:
    if case.kind == "dense" and len(case.size) == 3:
        c, h, w = case.size
        return [f"the image as a vector: {h}*{w}*{c} = {case.fan_in}"]
    return []


def _places(case: Case, found: Cost) -> list[str]:
    """The size of the output of a window."""
    steps = []
    for name, n, out in zip("HW", case.size[1:], found.output[1:], strict=False):
        steps.append(f"{name}: ({n} + 2*{case.padding} - {case.kernel}) // {case.stride} + 1 = {out}")
    return steps[:1] if case.size[1] == case.size[2] and case.kind != "dense" else steps


def parameters(case: Case) -> Question:
    """How many parameters has a layer?"""
    found = case.cost()
    answer, n, m = found.parameters, case.fan_in, case.outputs
    thing = "neuron" if case.kind == "dense" else "filter"
    if case.kind == "pool":
        steps = ["a pooling takes the largest value of each window; it has no weights: 0"]
    else:
        steps = [
            *_flat(case), f"one {thing} and its bias: {case.inputs()} + 1 = {n + 1}",
        ]  # fmt: skip
        steps += [f"{some(m, thing)}: {m}*{n + 1} = {answer}"] if m > 1 else []
    wrong: list[tuple[Any, str]] = [
        (found.weights, "you forgot the bias" + ("es" if m > 1 else "")),
        (found.weights + 1, f"there is a bias for each {thing}, not one for the layer"),
        (n + 1, f"this is one {thing} only"),
        (n, f"this is one {thing} only, without its bias"),
    ]
    if case.kind == "conv":
        k = case.kernel
        wrong += [
            (
                (k * k + 1) * m,
                "you forgot the depth of the input: each filter has a plane of weights for each input map",
            ),
            (k * k * m, "you forgot the depth of the input, and the biases"),
            (answer * math.prod(found.output[1:]), "the weights are shared: they do not count again at each place"),
            ((math.prod(case.size) + 1) * math.prod(found.output), "this is a fully connected layer"),
        ]
    elif case.kind == "pool":
        wrong = [
            (case.kernel**2, "a pooling has no weights"),
            (case.kernel**2 * case.size[0], "a pooling has no weights"),
        ]
    return Question(
        text=f"{case.words()} How many parameters does it have?", kind="number", answer=answer, unit="parameters",
        steps=tuple(steps), mistakes=usual_mistakes(answer, wrong), sources=(CS231N,),
    )  # fmt: skip


def macs(case: Case) -> Question:
    """How many multiply-accumulates does a layer need for one input?"""
    found = case.cost()
    answer, n = found.macs, case.fan_in
    if case.kind == "pool":
        steps = ["a pooling compares; it multiplies nothing: 0"]
    elif case.kind == "dense":
        steps = [*_flat(case), f"each of the outputs multiplies all inputs: {case.outputs}*{n} = {answer}"]
    else:
        _, oh, ow = found.output
        steps = [*_places(case, found), f"one output: {case.inputs()} = {some(n, 'MAC')}",
                 f"all outputs: {oh}*{ow}*{case.outputs}*{n} = {answer}"]  # fmt: skip
    wrong: list[tuple[Any, str]] = [
        (found.flops, "these are FLOPs; a multiply-accumulate is 2 of them, and biases are not multiplied"),
        (answer + math.prod(found.output), "adding a bias multiplies nothing"),
        (found.parameters, "these are the parameters; each weight is used at every place"),
        (found.weights, "these are the weights; each is used at every place"),
    ]
    if case.kind == "conv":
        wrong.append((answer // case.size[0], "you forgot the depth of the input"))
        wrong.append((answer // case.outputs, "this is one filter only"))
    return Question(
        text=f"{case.words()} How many multiply-accumulates (MACs) does it need for one input? Biases do not count.",
        kind="number", answer=answer, unit="MACs", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
    )  # fmt: skip


def flops(case: Case) -> Question:
    """How many floating-point operations does a layer need for one input?"""
    found = case.cost()
    answer, n, values = found.flops, case.fan_in, math.prod(found.output)
    if case.kind == "pool":
        pixels = case.kernel**2
        c, oh, ow = found.output
        steps = [*_places(case, found), f"the largest of {pixels}: {pixels} - 1 = {pixels - 1} comparisons",
                 f"all outputs: {oh}*{ow}*{c}*{pixels - 1} = {answer}"]  # fmt: skip
        wrong: list[tuple[Any, str]] = [
            (values * pixels, f"the largest of {pixels} numbers needs {pixels - 1} comparisons, not {pixels}"),
            (values, "an output needs more than one comparison"),
            (0, "a pooling has no weights, but it compares"),
        ]
    else:
        size = f"{case.outputs}" if case.kind == "dense" else "*".join(map(str, (*found.output[1:], case.outputs)))
        steps = [] if case.kind == "dense" else _places(case, found)
        steps += [*_flat(case), f"one output: {some(n, 'MAC')} of 2 FLOPs and a bias: 2*{n} + 1 = {2 * n + 1}"]
        if values > 1:
            steps.append(f"all outputs: {size}*{2 * n + 1} = {answer}")
        wrong = [
            (found.macs, "you counted a multiply-accumulate as one operation; it is a product and a sum"),
            (found.macs + values, "you counted a multiply-accumulate as one operation; it is a product and a sum"),
            (2 * found.macs, "you forgot to add the biases"),
            (2 * found.macs - values, "you counted n - 1 sums and no bias; here a neuron of n inputs costs 2n + 1"),
            (found.parameters, "these are the parameters"),
            (2 * n + 1, "this is one output only"),
        ]
        if case.kind == "conv":
            wrong.append((values * (2 * case.kernel**2 + 1), "you forgot the depth of the input"))
    return Question(
        text=f"{case.words()} How many floating-point operations (FLOPs) does it need for one input? {CONVENTION}",
        kind="number", answer=answer, unit="FLOPs", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
    )  # fmt: skip


def output_bytes(case: Case) -> Question:
    """How much memory does the output of a layer take?"""
    found = case.cost()
    answer, values = found.output_bytes, math.prod(found.output)
    product = "*".join(map(str, (*found.output[1:], found.output[0])))
    steps = _places(case, found) if case.kind != "dense" else []
    steps += [f"values: {product} = {values}"] if len(found.output) > 1 else []
    steps.append(f"each takes {BYTES} B: {values}*{BYTES} = {answer} B")
    wrong: list[tuple[Any, str]] = [
        (values, f"this is the number of values; a float32 takes {BYTES} bytes"),
        (answer * 8, "these are bits"),
        (answer * 2, "these are 8 bytes a value, as in float64"),
        (found.parameters * BYTES, "this is the memory of the parameters, not of the output"),
        (math.prod(case.size) * BYTES, "this is the memory of the input"),
    ]
    if len(found.output) > 1:
        wrong.append((answer // found.output[0], "this is one map only"))
    return Question(
        text=f"{case.words()} How many bytes does the output for one input take, in numbers of 4 bytes (float32)?",
        kind="number", answer=answer, unit="B", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
    )  # fmt: skip


def draw_case(random: Random, kinds: tuple[str, ...] = ("dense", "conv", "conv", "pool")) -> Case:
    """A layer whose windows fill the image."""
    kind = random.choice(kinds)
    if kind == "dense":
        if random.random() < 0.3:
            return Case("dense", (random.randint(2, 20),), 1)
        size: tuple[int, ...] = (random.choice((1, 3)), *(random.choice((8, 10, 16, 28, 32)),) * 2)
        return Case("dense", random.choice((size, (random.choice((64, 100, 400)),))), random.choice((10, 64, 100, 128)))
    side = random.choice((12, 16, 20, 28, 32))
    other = random.choice((16, 24, 40)) if random.random() < 0.25 else side
    if kind == "pool":
        kernel, stride = random.choice(((2, 2), (2, 2), (3, 3), (3, 2), (4, 4)))
        side, other = (n - (n - kernel) % stride for n in (side, other))
        return Case("pool", (random.choice((1, 6, 8, 16)), side, other), 0, kernel, stride)
    kernel = random.choice((1, 3, 3, 5, 7))
    padding = random.choice((0, kernel // 2))
    channels, filters = random.choice((1, 3, 3, 6, 16)), random.choice((6, 8, 10, 16, 32, 64))
    return Case("conv", (channels, side, other), filters, kernel, 1, padding)


def _drawer(*kinds: str) -> Callable[[Random], dict[str, Case]]:
    return lambda random: {"case": draw_case(random, kinds)}


PERCEPTRON = Case("dense", (3,), 1)
DENSE = Case("dense", (1, 28, 28), 256)
CONV = Case("conv", (1, 28, 28), 256, 3)
POOL = Case("pool", (1, 28, 28), 0, 2, 2)
TEN = Case("conv", (3, 32, 32), 10, 5, 1, 2)
C3 = Case("conv", (6, 14, 14), 16, 5)  # of LeNet-5; a course leaves its input depth out

TEMPLATES = (
    Template("parameters", "the parameters of a layer", parameters, _drawer("dense", "conv", "conv", "pool"),
             [{"case": case} for case in (TEN, C3, PERCEPTRON, DENSE, CONV, POOL)]),
    Template("macs", "the multiply-accumulates of a layer", macs, _drawer("dense", "conv", "conv"),
             [{"case": case} for case in (PERCEPTRON, DENSE, CONV)]),
    Template("flops", "the floating-point operations of a layer", flops, _drawer("dense", "conv", "conv", "pool"),
             [{"case": case} for case in (PERCEPTRON, DENSE, CONV, POOL)]),
    Template("output-bytes", "the memory of a layer's output", output_bytes, _drawer("dense", "conv", "pool"),
             [{"case": case} for case in (PERCEPTRON, DENSE, CONV, POOL)]),
)  # fmt: skip
