"""How large is the output? Questions about kernel, stride and padding; the geometry of the library answers."""

from __future__ import annotations

from random import Random
from typing import Any

from minicnn_kernels.geometry import ShapeError, output_size

from ... import nn
from ...analysis.comparisons.costs import layer_costs
from ...device import Device as device
from .answers import NO_FIT, Shape
from .question import Question, count, size_text, usual_mistakes
from .template import CS231N, Template, padded, some

ONE_SIDE = "you padded one side only; padding goes around the image: 2*P"
NO_PADDING = "you forgot the padding"
NO_ONE = "you forgot the window at the start: + 1"
NO_STRIDE = "you forgot to divide by the stride"
Layer = tuple[int, int, int, int]  # filters, kernel, stride, padding


def side(n: int, k: int, s: int, p: int) -> str:
    """The calculation of one side: "(7 + 2*0 - 3) / 2 + 1 = 3"."""
    exact = (n + 2 * p - k) / s + 1
    return f"({n} + 2*{p} - {k}) / {s} + 1 = {count(exact)}"


def floored(n: int, k: int, s: int, p: int) -> int:
    """One side of the output, rounded down; 0 if the window is larger than the image."""
    try:
        return output_size(n, k, s, p, op="quiz")
    except ShapeError:
        return 0


def strict(n: int, k: int, s: int, p: int) -> int | None:
    """One side of the output, or None if the windows do not fill the image exactly."""
    try:
        return output_size(n, k, s, p, fit="strict", op="quiz")
    except ShapeError:
        return None


# ---------------------------------------------------------------------------------------- the size of one map


def output_size_of(size: Shape, kernel: int, stride: int = 1, padding: int = 0) -> Question:
    """How large is the output of one filter, or does it not fit?"""
    found = [strict(n, kernel, stride, padding) for n in size]
    answer = None if None in found else tuple(n for n in found if n is not None)
    steps = []
    for name, n in zip("HW", size if size[0] != size[1] else size[:1], strict=False):
        label = "side" if size[0] == size[1] else name
        steps.append(f"{label}: {side(n, kernel, stride, padding)}")
        if strict(n, kernel, stride, padding) is None:
            steps.append(_why_not(label, n, kernel, stride, padding))
    rounded = tuple(floored(n, kernel, stride, padding) for n in size)
    wrong: list[tuple[Any, str]] = []
    if answer is None and min(rounded) > 0:
        wrong.append((rounded, "you rounded down, as PyTorch does; then some rows or columns are in no window"))
    wrong += [
        (tuple(floored(n, kernel, stride, 0) for n in size), NO_PADDING),
        (tuple((n + padding - kernel) // stride + 1 for n in size), ONE_SIDE),
        (tuple((n + 2 * padding - kernel) // stride for n in size), NO_ONE),
        (tuple(n + 2 * padding - kernel + 1 for n in size), NO_STRIDE),
        (size, "this is the size of the input"),
    ]
    if answer is not None and answer[0] != answer[1]:
        wrong.append((answer[::-1], "you exchanged height and width"))
    return Question(
        text=f"A filter of {kernel}x{kernel} slides over an image of {size_text(size)} (height x width) with stride "
        f"{stride} and {padded(padding)}. How large is the output? If the windows do not fill the padded image "
        f"exactly, the answer is: {NO_FIT}.",
        kind="shape", answer=answer, steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        note="" if answer is not None or min(rounded) < 1
        else f"Frameworks round down: with PyTorch and minicnn the output has {size_text(rounded)} values.",
        sources=(CS231N,),
    )  # fmt: skip


def _why_not(label: str, n: int, k: int, s: int, p: int) -> str:
    room = n + 2 * p - k
    if room < 0:
        return f"{label}: the window of {k} is larger than the padded image of {n} + 2*{p} = {n + 2 * p}"
    lost = room % s
    rows = "1 row or column" if lost == 1 else f"{lost} rows or columns"
    return f"{label}: not whole: {rows} of {n + 2 * p} would be in no window"


def _draw_output_size(random: Random) -> dict[str, Any]:
    kernel, stride = random.choice((2, 3, 3, 5, 5, 7, 11)), random.randint(1, 4)
    padding = random.randint(0, max(kernel // 2, 1))
    fits = random.random() < 0.75
    sizes = [n for n in range(max(kernel + stride, 6), 64) if fits == (strict(n, kernel, stride, padding) is not None)]
    sizes = sizes or list(range(kernel + stride, 64))  # with stride 1 everything fits
    height = random.choice(sizes)
    width = random.choice(sizes) if random.random() < 0.35 else height
    return {"size": (height, width), "kernel": kernel, "stride": stride, "padding": padding}


# ---------------------------------------------------------------------------------------- which padding


def padding_for(size: int, kernel: int, stride: int, output: int) -> Question:
    """Which padding gives an output of a wanted size?"""
    found = [p for p in range(kernel) if floored(size, kernel, stride, p) == output]
    if not found:
        raise ValueError(
            f"padding_for: no padding below {kernel} gives {output} for an image of {size}, kernel {kernel}, stride "
            f"{stride}; possible are {sorted({floored(size, kernel, stride, p) for p in range(kernel)})}"
        )
    answer = found[0]
    steps = [f"P = {p}: {_rounded(size, kernel, stride, p)}" for p in range(answer + 1)]
    keeps = output == size and stride == 1
    if keeps:
        steps.append(f"with stride 1, (F - 1) / 2 keeps the size: ({kernel} - 1) / 2 = {answer}")
    wrong = [
        (2 * answer, "you gave the padding of both sides together"),
        (kernel // 2, "(F - 1) / 2 keeps the size only with stride 1"),
        (kernel - 1, "you gave F - 1, which is the padding of both sides together"),
        (kernel, "you gave the size of the kernel"),
    ]
    goal = f"of the same size, {output}x{output}" if keeps else f"of {output}x{output}"
    return Question(
        text=f"A layer has filters of {kernel}x{kernel} and stride {stride}. Its input is an image of {size}x{size}, "
        f"and its output must be {goal} (frameworks round down). What is the smallest padding P, on each side, that "
        "does it?",
        kind="number", answer=answer, steps=tuple(steps), mistakes=usual_mistakes(answer, wrong), sources=(CS231N,),
    )  # fmt: skip


def _rounded(n: int, k: int, s: int, p: int) -> str:
    text = side(n, k, s, p)
    return text if (n + 2 * p - k) % s == 0 else f"{text}, rounded down {floored(n, k, s, p)}"


def _draw_padding(random: Random) -> dict[str, Any]:
    kernel, stride = random.choice((3, 5, 7, 9, 11)), random.choice((1, 1, 2, 2, 3))
    size = random.randint(kernel + 3, 64)
    padding = kernel // 2 if random.random() < 0.5 else random.randint(1, kernel // 2 + 1)
    return {"size": size, "kernel": kernel, "stride": stride, "output": floored(size, kernel, stride, padding)}


def exact_padding(size: int, kernel: int, stride: int) -> Question:
    """Which padding lets the windows fill the image exactly: "whatever fits"?"""
    found = [p for p in range(kernel) if strict(size, kernel, stride, p) is not None]
    answer = found[0] if found else None
    steps = [f"P = {p}: {side(size, kernel, stride, p)}" for p in range(kernel if answer is None else answer + 1)]
    if answer is None:
        steps.append(
            f"none of these is whole: with no such P is {size} + 2*P - {kernel} a multiple of the stride {stride}"
        )
    wrong: list[tuple[Any, str]] = [
        (kernel // 2, f"this padding leaves a remainder: {_rounded_tail(size, kernel, stride)}")
    ]
    wrong += [(2 * answer, "you gave the padding of both sides together")] if answer else []
    wrong += [(p, "it fits, but a smaller padding does, too") for p in found[1:]]
    return Question(
        text=f"Filters of {kernel}x{kernel} with stride {stride} slide over an image of {size}x{size}. What is the "
        f"smallest padding P, from 0 to {kernel - 1} on each side, for which the windows fill the padded image "
        f"exactly? If there is none, the answer is: {NO_FIT}.",
        kind="number", answer=answer, steps=tuple(steps), mistakes=usual_mistakes(answer, wrong), sources=(CS231N,),
    )  # fmt: skip


def _rounded_tail(n: int, k: int, s: int) -> str:
    return side(n, k, s, k // 2).replace(" = ", " is ")


def _draw_exact_padding(random: Random) -> dict[str, Any]:
    return {"size": random.randint(12, 64), "kernel": random.choice((3, 5, 7)), "stride": random.choice((2, 3, 4))}


# ---------------------------------------------------------------------------------------- volumes


def volume(size: Shape, layers: tuple[Layer, ...], pool: bool = False) -> Question:
    """Which shape has the output of a layer, or of several one after the other?

    Args:
        size: (C, H, W) of the input.
        layers: filters, kernel, stride and padding of each.
        pool: it is one max pooling instead; the number of filters does not count.
    """
    net, channels, shapes = nn.Sequential(), size[0], [size]
    with device("meta"):
        for filters, kernel, stride, padding in layers:
            one = (
                nn.MaxPool2d(kernel, stride, padding) if pool else nn.Conv2d(channels, filters, kernel, stride, padding)
            )
            net.append(one)
            channels = channels if pool else filters
    shapes += [cost.output for cost in layer_costs(net, size).values()]
    answer = shapes[-1]
    steps, words = [], []
    for number, (before, after, (filters, k, s, p)) in enumerate(zip(shapes, shapes[1:], layers, strict=False), 1):
        label = f"layer {number}, " if len(layers) > 1 else ""
        sides = "HW" if before[1] != before[2] else "H"
        for name, n in zip(sides, before[1:], strict=False):
            steps.append(f"{label}{'side' if sides == 'H' else name}: {_rounded(n, k, s, p)}")
        depth = f"a pooling works in each map: {before[0]}" if pool else f"one map for each filter: {filters}"
        steps.append(f"{label}depth: {depth}, so {size_text(after)}")
        what = f"a max pooling of {k}x{k}" if pool else f"{some(filters, 'filter')} of {k}x{k}"
        words.append(f"{what}, stride {s}, {padded(p)}")
    _, k, s, p = layers[-1]
    before = shapes[-2]
    maps = answer[1:]
    wrong: list[tuple[Any, str]] = [
        ((answer[0], *(floored(n, k, s, 0) for n in before[1:])), NO_PADDING),
        ((answer[0], *((n + p - k) // s + 1 for n in before[1:])), ONE_SIDE),
        ((answer[0], *((n + 2 * p - k) // s for n in before[1:])), NO_ONE),
        ((answer[0], *(n + 2 * p - k + 1 for n in before[1:])), NO_STRIDE),
        (maps, "the depth is missing: there is one map for each " + ("input map" if pool else "filter")),
        ((before[0], *maps), "the depth is the number of filters, not that of the input"),
        ((1, *maps), "the depth does not become 1: there is one map for each " + ("input map" if pool else "filter")),
    ]
    if not pool:
        wrong.append(((before[0] * answer[0], *maps), "each filter sees all input maps and gives one map"))
    if len(layers) > 1:
        wrong.append((shapes[-2], "this is the output of the layer before"))
    text = " and then by ".join(f"a layer of {one}" if not pool else one for one in words)
    return Question(
        text=f"An input of {size_text(size)} (height x width x depth) is followed by {text}. What is the shape of the "
        "output (sides that are not whole are rounded down)?",
        kind="shape", answer=answer, steps=tuple(steps), mistakes=usual_mistakes(answer, wrong), sources=(CS231N,),
    )  # fmt: skip


def _draw_layer(random: Random, side: int) -> Layer:
    kernel = random.choice([k for k in (1, 3, 3, 5, 5, 7) if k < side])
    stride = random.choice((1, 1, 1, 2)) if side > 8 else 1
    padding = random.choice(sorted({0, kernel // 2}))
    return random.choice((4, 6, 8, 10, 12, 16, 20, 32, 64)), kernel, stride, padding


def _draw_size(random: Random) -> tuple[int, int, int]:
    height = random.choice((16, 20, 24, 28, 32, 48, 56, 64))
    width = random.choice((20, 28, 40, 60)) if random.random() < 0.25 else height
    return random.choice((1, 3, 3, 8, 16)), height, width


def _draw_volume(random: Random) -> dict[str, Any]:
    size = _draw_size(random)
    return {"size": size, "layers": (_draw_layer(random, min(size[1:])),)}


def _draw_chain(random: Random) -> dict[str, Any]:
    size, layers = _draw_size(random), []
    height, width = size[1:]
    for _ in range(random.choice((2, 2, 3))):
        layers.append(_draw_layer(random, min(height, width)))
        _, k, s, p = layers[-1]
        height, width = floored(height, k, s, p), floored(width, k, s, p)
    return {"size": size, "layers": tuple(layers)}


def _draw_pool(random: Random) -> dict[str, Any]:
    kernel, stride = random.choice(((2, 2), (3, 2), (3, 3), (4, 4)))
    return {"size": (random.choice((6, 16, 32, 64, 96)), *_draw_size(random)[1:]), "layers": ((0, kernel, stride, 0),),
            "pool": True}  # fmt: skip


TEMPLATES = (
    Template(
        "output-size", "the size of one map, or that the windows do not fit", output_size_of, _draw_output_size,
        [{"size": (7, 7), "kernel": 3, "stride": s} for s in (1, 2, 3)]
        + [{"size": (7, 7), "kernel": 3, "stride": 1, "padding": 1}],
    ),
    Template(
        "padding", "the padding that gives a wanted size", padding_for, _draw_padding,
        [{"size": 32, "kernel": k, "stride": 1, "output": 32} for k in (3, 5, 7)]
        + [{"size": 32, "kernel": 5, "stride": 2, "output": 16}],
    ),
    Template(
        "exact-padding", "the padding for which the windows fit exactly", exact_padding, _draw_exact_padding,
        [{"size": 32, "kernel": 5, "stride": 2}, {"size": 7, "kernel": 3, "stride": 3}],
    ),
    Template(
        "output-volume", "the shape of a layer's output", volume, _draw_volume,
        [{"size": (3, 32, 32), "layers": ((10, 5, 1, 2),)}, {"size": (3, 32, 32), "layers": ((6, 5, 1, 0),)}],
    ),
    Template(
        "chain", "the shape after several layers", volume, _draw_chain,
        [{"size": (3, 32, 32), "layers": ((6, 5, 1, 0), (10, 5, 1, 0))}],
    ),
    Template(
        "pooled-volume", "the shape of a pooling's output", volume, _draw_pool,
        [{"size": (64, 224, 224), "layers": ((0, 2, 2, 0),), "pool": True}],
    ),
)  # fmt: skip
