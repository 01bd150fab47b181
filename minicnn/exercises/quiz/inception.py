"""The Inception module: the depth of its output and its multiplications; `minicnn.analysis.comparisons` counts."""

from __future__ import annotations

from random import Random
from typing import Any

from ...analysis.comparisons.inception import inception_module
from .question import Question, count, size_text, usual_mistakes
from .template import Template

SOURCE = "C. Szegedy et al., Going deeper with convolutions, 2014, https://arxiv.org/abs/1409.4842, figure 2"


def _rows(reduced: bool, module: dict[str, Any]) -> list[tuple[str, int, tuple[int, int, int]]]:
    """The convolutions of one of the two modules, and their total: name, multiplications, output."""
    kind = "reduced: " if reduced else "naive: "
    rows = inception_module(**module).rows
    return [(name.removeprefix(kind), n, tuple(shape)) for name, n, _, shape in rows if name.startswith(kind)]


def _words(reduced: bool, channels: int, size: int, widths: tuple[int, int, int], reductions: tuple[int, int],
           projection: int) -> str:  # fmt: skip
    one, three, five = widths
    if not reduced:
        parts = f"{one} filters of 1x1 | {three} of 3x3 | {five} of 5x5 | 3x3 max pooling, stride 1"
    else:
        parts = (
            f"{one} filters of 1x1 | {reductions[0]} of 1x1, then {three} of 3x3 | {reductions[1]} of 1x1, then "
            f"{five} of 5x5 | 3x3 max pooling, stride 1, then {projection} of 1x1"
        )
    name = "An Inception module with 1x1 reductions" if reduced else "A naive Inception module"
    return (
        f"{name} has four branches on an input of {size_text((channels, size, size))}: {parts}. The padding keeps "
        "height and width, and the outputs are concatenated."
    )


def depth(reduced: bool = False, **module: Any) -> Question:
    """Which shape has the output of the module?

    Args:
        reduced: with 1x1 convolutions before the large ones.
        module: the arguments of `minicnn.analysis.comparisons.inception_module`.
    """
    module = {**_SLIDE, **module}
    answer = _rows(reduced, module)[-1][2]
    size, widths, last = module["size"], module["widths"], module["projection"] if reduced else module["channels"]
    label = f"projection after the pooling: {last}" if reduced else f"the pooling keeps all maps: {last}"
    steps = (
        "concatenation puts the maps one behind the other: the depths add up, height and width stay",
        label,
        f"depth: {' + '.join(map(str, (*widths, last)))} = {answer[0]}",
    )
    wrong: list[tuple[Any, str]] = [
        ((sum(widths), size, size), "you forgot the branch with the pooling"),
        ((sum(widths) + module["channels"], size, size), "the 1x1 convolution after the pooling changes its depth"),
        ((max(widths), size, size), "the maps are concatenated, not added"),
        ((sum(widths) + 1, size, size), "pooling works in each map: its depth is that of the input"),
        ((sum(widths) + last + sum(module["reductions"]), size, size), "the reductions are inside of their branches"),
        ((answer[0], size - 4, size - 4), "the padding keeps height and width"),
    ]
    return Question(
        text=f"{_words(reduced, **module)} What is the shape of the output?", kind="shape", answer=answer, steps=steps,
        mistakes=usual_mistakes(answer, wrong), sources=(SOURCE,),
    )  # fmt: skip


def operations(reduced: bool = False, **module: Any) -> Question:
    """How many multiplications does the module need?"""
    module = {**_SLIDE, **module}
    *rows, (_, answer, _) = _rows(reduced, module)
    size, inputs = module["size"], module["channels"]
    steps = []
    for name, n, (filters, _, _) in rows:
        kernel = int(name.partition("x")[0])
        before = inputs
        if reduced and name in ("3x3", "5x5"):
            before = module["reductions"][0 if kernel == 3 else 1]
        steps.append(f"{name}: {size}*{size}*{filters}*{kernel}*{kernel}*{before} = {n}")
    steps.append(f"together: {' + '.join(str(n) for _, n, _ in rows)} = {answer}")
    by_name = {name: n for name, n, _ in rows}
    wrong: list[tuple[Any, str]] = [
        (2 * answer, "this counts additions, too: asked are multiplications, one a MAC"),
        (sum(n // int(name[0]) ** 2 for name, n, _ in rows), "you forgot the size of the kernels"),
        (answer // size**2, "this is one place of the image only"),
    ]
    if reduced:
        wrong.append((answer + by_name["3x3"], "you counted the 3x3 branch twice, as a course does"))
        wrong.append((_rows(False, module)[-1][1], "this is the naive module"))
        wrong.append(
            (sum(by_name[n] for n in ("1x1", "3x3", "5x5")), "you forgot the 1x1 convolutions before and after")
        )
    note = ""
    if reduced and module == _SLIDE:
        note = (
            f"A course prints 358 million: its own products add up to {count(answer)}; it counts the 3x3 branch twice."
        )
    return Question(
        text=f"{_words(reduced, **module)} How many multiplications do its convolutions need for one image?",
        kind="number",
        answer=answer, unit="multiplications", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong), note=note,
        sources=(SOURCE,),
    )  # fmt: skip


_SLIDE: dict[str, Any] = {
    "channels": 256,
    "size": 28,
    "widths": (128, 192, 96),
    "reductions": (64, 64),
    "projection": 64,
}


def _draw(random: Random) -> dict[str, Any]:
    channels = random.choice((64, 128, 192, 256, 480))
    return {
        "reduced": random.random() < 0.5, "channels": channels, "size": random.choice((7, 14, 28)),
        "widths": (random.choice((32, 64, 128)), random.choice((48, 96, 192)), random.choice((16, 32, 80))),
        "reductions": (random.choice((24, 40, 64)), random.choice((8, 20, 24))),
        "projection": random.choice((16, 32, 64)),
    }  # fmt: skip


TEMPLATES = (
    Template("inception-shape", "the output of an Inception module", depth, _draw, [{}, {"reduced": True}]),
    Template("inception-operations", "the multiplications of an Inception module", operations, _draw,
             [{}, {"reduced": True}]),
)  # fmt: skip
