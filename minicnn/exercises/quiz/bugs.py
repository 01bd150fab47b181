"""Find the mistake in a program. The programs run: as they stand, and with each change that is offered as a remedy.

The right answer is the change with which the program does what it should; it is found by running, not written down.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np

import minicnn_kernels.dispatch as dispatch

from ... import nn
from ...nn import functional
from ...ops.tensor.concatenate import cat
from ...ops.tensor.creation import tensor
from ...random import fork_rng, manual_seed
from ...tensor import Tensor
from .question import Mistake, Question
from .template import Template, some


class Change(NamedTuple):
    """A change of a program: in words, and the text that it replaces by another one, everywhere."""

    words: str
    old: str
    new: str


class Program(NamedTuple):
    """A program with a mistake.

    Attributes:
        code: it sets `result`.
        goal: what `result` should be, in words.
        right: whether a result is so.
        shown: a result in words.
        changes: what may be tried; with exactly one of them the result is right.
        given: what the code uses besides the layers.
        sources: where the mistake is in print.
    """

    code: str
    goal: str
    right: Callable[[Any], bool]
    shown: Callable[[Any], str]
    changes: tuple[Change, ...]
    given: dict[str, Any]
    sources: tuple[str, ...] = ()


def run(code: str, given: dict[str, Any]) -> tuple[Any, str]:
    """Run a program of this file and return its `result` and "", or None and the error in one line."""
    names: dict[str, Any] = {"nn": nn, "F": functional, "cat": cat, "tensor": tensor, **given}
    try:
        with fork_rng(), dispatch.use(backend="numpy"):
            manual_seed(0)
            exec(compile(code, "<quiz>", "exec"), names)  # of this file: no text of a user is ever run
    except Exception as error:
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return names["result"], ""


def _outcome(program: Program, code: str) -> tuple[bool, str]:
    """Whether a program is right, and what became of it."""
    result, error = run(code, program.given)
    return (False, error) if error else (program.right(result), f"{program.shown(result)}")


def changed(program: Program, change: Change) -> str:
    """The program after a change."""
    if change.old not in program.code:
        raise ValueError(f"quiz: the text to replace is not in the program: {change.old!r}")
    return program.code.replace(change.old, change.new)


def find(program: Program, order: int = 0) -> Question:
    """Which change makes the program right? `order` is the seed by which the changes are shuffled."""
    changes = list(program.changes)
    Random(order).shuffle(changes)
    outcomes = [_outcome(program, changed(program, change)) for change in changes]
    answer = frozenset(i for i, (right, _) in enumerate(outcomes) if right)
    before, seen = _outcome(program, program.code)
    if before or len(answer) != 1:
        raise ValueError(f"quiz: {len(answer)} of the changes mend the program; it must be one, and not none")
    (number,) = answer
    lines = changed(program, changes[number]).splitlines()
    mended = [line.strip() for line, old in zip(lines, program.code.splitlines(), strict=False) if line != old]
    steps = (
        f"it should give {program.goal}",
        f"run as it stands: {seen}",
        *(f"changed: {line}" for line in mended),
        f"run after the change: {outcomes[number][1]}",
    )
    mistakes = tuple(
        Mistake(i, f"with this change it gives: {outcome}") for i, (right, outcome) in enumerate(outcomes) if not right
    )
    return Question(
        text=f"This program should give {program.goal}, and does not. Which change makes it right?", kind="choice",
        answer=answer, options=tuple(change.words for change in changes), steps=steps, mistakes=mistakes,
        block=program.code.strip(), sources=program.sources,
    )  # fmt: skip


def _image(channels: int, size: int) -> Tensor:
    return tensor(np.random.default_rng(0).normal(size=(1, channels, size, size)).astype(np.float32))


def _shape(result: Any) -> str:
    return f"a tensor of shape {tuple(result.shape)}"


def _has(*shape: int) -> Callable[[Any], bool]:
    return lambda result: tuple(result.shape) == shape


# ------------------------------------------------------------------------------------------------------- programs


def inception(channels: int = 512, size: int = 14, widths: tuple[int, int, int, int] = (128, 256, 64, 64),
              reductions: tuple[int, int] = (128, 24), branch: int = 3, order: int = 0) -> Question:  # fmt: skip
    """An Inception module, one of whose branches changes the size of its maps.

    Args:
        channels, size: of the input.
        widths, reductions: of the branches.
        branch: the one with the mistake, 2 (3x3), 3 (5x5) or 4 (pooling).
        order: of the answers.
    """
    if branch not in (2, 3, 4):
        raise ValueError(f"inception: branch must be 2, 3 or 4, got {branch}")
    right = {2: "3, padding=1", 3: "5, padding=2", 4: "MaxPool2d(3, stride=1, padding=1)"}
    wrong = {2: "3", 3: "5, padding=1", 4: "MaxPool2d(3, stride=1)"}
    part = {b: wrong[b] if b == branch else right[b] for b in right}
    (one, three, five, pool), (first, second) = widths, reductions
    code = f"""
class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1 = nn.Conv2d({channels}, {one}, 1)
        self.b2 = nn.Sequential(nn.Conv2d({channels}, {first}, 1), nn.Conv2d({first}, {three}, {part[2]}))
        self.b3 = nn.Sequential(nn.Conv2d({channels}, {second}, 1), nn.Conv2d({second}, {five}, {part[3]}))
        self.b4 = nn.Sequential(nn.{part[4]}, nn.Conv2d({channels}, {pool}, 1))

    def forward(self, x):
        return cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)

result = Inception()(x)  # x has the shape (1, {channels}, {size}, {size})
"""
    mend = {
        2: Change("in b2: the second convolution with padding=1", f"{three}, 3)", f"{three}, 3, padding=1)"),
        3: Change("in b3: padding=2 instead of 1", "5, padding=1", "5, padding=2"),
        4: Change("in b4: the pooling with padding=1", "stride=1)", "stride=1, padding=1)"),
    }
    spoil = {
        2: Change(
            "in b2: padding=2 instead of 1", "3, padding=1))\n        self.b3", "3, padding=2))\n        self.b3"
        ),
        3: Change("in b3: padding=3 instead of 2", "5, padding=2", "5, padding=3"),
        4: Change("in b4: the pooling with stride=2", "3, stride=1", "3, stride=2"),
    }
    others = [spoil[b] for b in spoil if b != branch]
    axis = Change("cat along axis 2 instead of 1", "self.b4(x)], 1)", "self.b4(x)], 2)")
    program = Program(
        code, f"a tensor of shape (1, {sum(widths)}, {size}, {size})", _has(1, sum(widths), size, size), _shape,
        (mend[branch], *others, axis), {"x": _image(channels, size)},
        ("C. Szegedy et al., Going deeper with convolutions, 2014, https://arxiv.org/abs/1409.4842",),
    )  # fmt: skip
    return find(program, order)


def residual(channels: int = 64, size: int = 14, order: int = 0) -> Question:
    """A residual block whose convolutions lack the size of their kernel."""
    code = f"""
class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels)
        self.conv2 = nn.Conv2d(channels, channels)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))

result = Residual({channels})(x)  # x has the shape (1, {channels}, {size}, {size})
"""
    conv = "(channels, channels)"
    changes = (
        Change(
            "both convolutions with kernel_size=3, padding=1", conv, "(channels, channels, kernel_size=3, padding=1)"
        ),
        Change("both convolutions with kernel_size=3", conv, "(channels, channels, kernel_size=3)"),
        Change(
            "both convolutions with kernel_size=5, padding=1", conv, "(channels, channels, kernel_size=5, padding=1)"
        ),
        Change("both convolutions with padding=1", conv, "(channels, channels, padding=1)"),
        Change("without x + in forward", "x + ", ""),
    )
    program = Program(
        code, f"a tensor of the shape of x, (1, {channels}, {size}, {size})", _has(1, channels, size, size), _shape,
        changes, {"x": _image(channels, size)},
        ("K. He et al., Deep residual learning for image recognition, 2015, https://arxiv.org/abs/1512.03385",),
    )  # fmt: skip
    return find(program, order)


def comparison(channels: int = 512, size: int = 14, kernel: int = 3, order: int = 0) -> Question:
    """A convolution that should keep the size of its input, and has no padding."""
    if kernel % 2 == 0 or kernel < 3:
        raise ValueError(f"comparison: kernel must be odd and at least 3, got {kernel}")
    half = kernel // 2
    code = f"""
conv = nn.Conv2d({channels}, {channels}, {kernel})
result = conv(x)  # x and result: (1, {channels}, H, W), with H = W = {size}
"""
    call = f"{channels}, {kernel})"
    changes = (
        Change(f"padding={half}", call, f"{channels}, {kernel}, padding={half})"),
        Change(f"padding={kernel - 1}", call, f"{channels}, {kernel}, padding={kernel - 1})"),
        Change(f"stride={half + 1}, padding={half}", call, f"{channels}, {kernel}, stride={half + 1}, padding={half})"),
        Change(f"{kernel + 2} instead of {kernel}, padding={half}", call, f"{channels}, {kernel + 2}, padding={half})"),
        Change("dilation=2", call, f"{channels}, {kernel}, dilation=2)"),
    )
    program = Program(
        code, f"a tensor of the shape of x, (1, {channels}, {size}, {size})", _has(1, channels, size, size), _shape,
        changes, {"x": _image(channels, size)},
    )  # fmt: skip
    return find(program, order)


def missing_argument(channels: int = 512, size: int = 14, kernel: int = 3, dilation: int = 1) -> Question:
    """The argument that is missing, to be written: all ways to write it are run, and the usual wrong ones, too."""
    if kernel % 2 == 0 or kernel < 3:
        raise ValueError(f"missing_argument: kernel must be odd and at least 3, got {kernel}")
    half = dilation * (kernel - 1) // 2
    spread = f", dilation={dilation}" if dilation > 1 else ""
    code = f"conv = nn.Conv2d({channels}, {channels}, {kernel}{spread})\nresult = conv(x)"
    wanted = (1, channels, size, size)
    program = Program(code, f"a tensor of shape {wanted}", _has(*wanted), _shape, (), {"x": _image(channels, size)})
    values = (half, f"({half}, {half})", '"same"', kernel // 2, 2 * half, kernel - 1, kernel, 1, 0, '"valid"')
    written = dict.fromkeys(f"padding={value}" for value in values)
    end = f"{kernel}{spread})"
    outcomes = {text: _outcome(program, code.replace(end, f"{end[:-1]}, {text})")) for text in written}
    right = tuple(text for text, (fits, _) in outcomes.items() if fits)
    dilated = f"pixels that the kernel spans with its dilation: {dilation}*({kernel} - 1) + 1 = {2 * half + 1}"
    steps = (
        f"run as it stands: {_outcome(program, code)[1]}",
        *((dilated,) if dilation > 1 else ()),
        f"padding on each side: ({2 * half + 1} - 1) / 2 = {half}",
        f"run with {right[0]}: {outcomes[right[0]][1]}",
    )
    mistakes = tuple(
        Mistake(text, f"with {text} it gives: {seen}") for text, (fits, seen) in outcomes.items() if not fits
    )
    return Question(
        text=f"This program should give a tensor of the shape of x, {wanted}. Which argument of nn.Conv2d is missing? "
        "Write it as name=value.",
        kind="text", answer=right[0], accepted=(*right, str(half)), steps=steps, mistakes=mistakes, block=code,
    )  # fmt: skip


def accuracy(samples: int = 10, classes: int = 5, nets: int = 3, order: int = 0, seed: int = 0) -> Question:
    """The best net is chosen by the smallest accuracy."""
    if classes == samples or samples < 6 or not 2 <= nets < samples // 2:
        raise ValueError(
            f"accuracy: {samples} samples, {classes} classes and {nets} nets give more than one right change"
        )
    generator = np.random.default_rng(seed)
    y = generator.integers(classes, size=samples)
    half = samples // 2
    hits = [
        *generator.choice(np.arange(1, half), nets - 1, replace=False).tolist(),
        int(generator.integers(half + 1, samples)),
    ]
    scores = generator.random((nets, samples, classes)).astype(np.float32)
    for net, hit in zip(scores, hits, strict=True):
        for i, row in enumerate(net):  # the first `hit` samples are right
            row[y[i] if i < hit else (y[i] + 1) % classes] = 2
    lists = [tensor(net) for net in scores[generator.permutation(nets)]]
    best = hits[-1] / samples
    code = f"""
accuracies = [float((scores.argmax(1) == y).float().mean()) for scores in scores_of_nets]
best = min(range(len(accuracies)), key=lambda net: accuracies[net])
result = accuracies[best]  # of {some(nets, "net")}, on {some(samples, "sample")} of {classes} classes
"""
    changes = (
        Change("max instead of min", "min(range", "max(range"),
        Change("sum() instead of mean()", "mean()", "sum()"),
        Change("!= instead of ==", "== y", "!= y"),
        Change("argmax(0) instead of argmax(1)", "argmax(1)", "argmax(0)"),
        Change("-accuracies[net] and max", "min(range(len(accuracies)), key=lambda net: ",
               "max(range(len(accuracies)), key=lambda net: -"),
    )  # fmt: skip
    program = Program(
        code, f"the accuracy of the best net, {best:g}", lambda result: abs(result - best) < 1e-6,
        lambda result: f"{result:g}", changes, {"scores_of_nets": lists, "y": tensor(y)},
    )  # fmt: skip
    return find(program, order)


def flatten(size: int = 28, filters: int = 6, kernel: int = 5, classes: int = 10, order: int = 0) -> Question:
    """A linear layer after a convolution and a pooling gets another number of values than it was made for."""
    side = (size - kernel + 1) // 2
    code = f"""
net = nn.Sequential(
    nn.Conv2d(1, {filters}, {kernel}), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear({filters} * {size // 2} * {size // 2}, {classes}),
)
result = net(x)  # x has the shape (1, 1, {size}, {size})
"""
    changes = (
        Change(f"nn.Linear({filters} * {side} * {side}, {classes})", f"{filters} * {size // 2} * {size // 2}",
               f"{filters} * {side} * {side}"),
        Change(f"nn.Linear({side} * {side}, {classes})", f"{filters} * {size // 2} * {size // 2}", f"{side} * {side}"),
        Change("without nn.Flatten()", " nn.Flatten(),", ""),
        Change("without the pooling", " nn.MaxPool2d(2),", ""),
        Change(f"nn.Conv2d({filters}, 1, {kernel})", f"Conv2d(1, {filters},", f"Conv2d({filters}, 1,"),
    )  # fmt: skip
    program = Program(
        code, f"a tensor of shape (1, {classes})", _has(1, classes), _shape, changes, {"x": _image(1, size)}
    )
    return find(program, order)


def _draw_inception(random: Random) -> dict[str, Any]:
    return {
        "channels": random.choice((32, 64, 96)), "size": random.choice((7, 8, 14)),
        "widths": (16, random.choice((24, 32, 48)), random.choice((8, 12, 20)), random.choice((8, 16))),
        "reductions": (random.choice((16, 24)), random.choice((4, 8))), "branch": random.choice((2, 3, 4)),
        "order": random.randrange(1000),
    }  # fmt: skip


def _draw_same(random: Random) -> dict[str, Any]:
    return {"channels": random.choice((8, 16, 32, 64)), "size": random.choice((8, 14, 16, 28)),
            "order": random.randrange(1000)}  # fmt: skip


TEMPLATES = (
    Template("bug-inception", "a branch that does not fit to the others", inception, _draw_inception, [{}]),
    Template("bug-residual", "a residual block that does not run", residual, _draw_same, [{}]),
    Template("bug-comparison", "a convolution that loses the border", comparison,
             lambda random: {**_draw_same(random), "kernel": random.choice((3, 5, 7))}, [{}]),
    Template("bug-argument", "an argument that is missing", missing_argument,
             lambda random: {"channels": random.choice((4, 8, 16)), "size": random.choice((14, 16, 28)),
                             "kernel": random.choice((3, 5, 7)), "dilation": random.choice((1, 1, 2, 3))}, [{}]),
    Template("bug-accuracy", "the wrong net is chosen", accuracy,
             lambda random: {"samples": random.choice((10, 16, 20)), "classes": random.choice((3, 5, 8)),
                             "nets": random.choice((3, 4)), "order": random.randrange(1000),
                             "seed": random.randrange(1000)},
             [{}]),
    Template("bug-flatten", "a linear layer that does not fit", flatten,
             lambda random: {"size": random.choice((20, 28, 32)), "filters": random.choice((6, 8, 16)),
                             "kernel": random.choice((3, 5, 7)), "classes": random.choice((5, 10)),
                             "order": random.randrange(1000)}, [{}]),
)  # fmt: skip
