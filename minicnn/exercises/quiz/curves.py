"""What do the curves of a training say? Asked are phenomenon, epoch, causes and cures of curves that are made up."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from .question import Curves, Mistake, Question, usual_mistakes
from .template import Template

WIDTH = 44  # characters of the chart
TOO_HIGH, TOO_LOW = "a learning rate that is too high", "a learning rate that is too low"


class Phenomenon(NamedTuple):
    """What curves can show.

    Attributes:
        sign: how it is seen.
        causes, cures: where it comes from, and what helps.
        useless: what does not help, or makes it worse.
        unlike: phenomena that have other causes.
    """

    sign: str
    causes: tuple[str, ...]
    cures: tuple[str, ...]
    useless: tuple[str, ...]
    unlike: tuple[str, ...] = ()


PHENOMENA = {
    "overfitting": Phenomenon(
        "the training loss goes on falling while the validation loss rises",
        ("too few training samples", "a net with too many parameters for the data", "training for too many epochs"),
        ("more training data, or augmentation", "weight decay or dropout", "stopping at the lowest validation loss",
         "a smaller net"),
        ("a larger net", "more epochs", "no dropout and no weight decay"),
        ("underfitting", TOO_LOW),
    ),
    "underfitting": Phenomenon(
        "both losses level off soon, near each other and high",
        ("a net with too few parameters", "too much weight decay or dropout", "input without the needed information"),
        ("a larger net", "less weight decay or dropout", "better input, such as images of higher resolution"),
        ("more dropout", "a smaller net", "stopping earlier"),
        ("overfitting",),  # a learning rate that is too high, or lowered too early, can look alike
    ),
    TOO_HIGH: Phenomenon(
        "the losses jump up and down and do not settle",
        ("steps that are too long", "a learning rate of a smaller net, taken over unchanged"),
        ("a learning rate that is ten times smaller", "a schedule that lowers the learning rate",
         "clipping the gradients"),
        ("more dropout", "a learning rate that is ten times larger", "a larger net"),
        ("overfitting", TOO_LOW),
    ),
    TOO_LOW: Phenomenon(
        "both losses fall slowly and in a straight line, and still fall at the end",
        ("steps that are too short", "a schedule that lowers the learning rate too early"),
        ("a learning rate that is ten times larger", "more epochs", "a warm-up to a higher learning rate"),
        ("more weight decay", "a learning rate that is ten times smaller", "stopping earlier"),
        ("overfitting", TOO_HIGH),
    ),
    "data that are prepared differently for training and validation": Phenomenon(
        "the training loss falls, and the validation loss stays where it was from the first epoch",
        ("validation images that are not normalised as the training images are", "labels in another order",
         "a validation set from another source"),
        ("the same preparation for both sets", "a look at images and labels of both sets",
         "a validation set split off from the training data"),
        ("more epochs", "a larger net", "a learning rate that is ten times larger"),
        ("underfitting", TOO_LOW),
    ),
    "a good fit": Phenomenon(
        "both losses fall, then level off near each other and low",
        ("a net and settings that suit the data",), (), ("a larger net", "a smaller net", "more dropout"),
    ),
}  # fmt: skip
CURABLE = tuple(name for name, one in PHENOMENA.items() if one.cures)


def curves(phenomenon: str, epochs: int = 14, classes: int = 10, seed: int = 0) -> Curves:
    """Made-up losses of a training, from about ln(classes), that of chance, on.

    Args:
        phenomenon: a key of `PHENOMENA`.
        epochs: how many, at least 8.
        classes: of the task.
        seed: of the random numbers.
    """
    if phenomenon not in PHENOMENA:
        raise ValueError(f"curves: there is no phenomenon {phenomenon!r}; there are {', '.join(PHENOMENA)}")
    if epochs < 8 or classes < 2:
        raise ValueError(f"curves: at least 8 epochs and 2 classes are needed, got {epochs} and {classes}")
    random, chance = Random(f"{phenomenon}:{seed}"), math.log(classes)
    training, validation = _MADE[phenomenon](random, epochs, chance)
    t = [round(max(v + random.gauss(0, 0.004 * chance), 0.005), 3) for v in training]
    v = [round(max(v + random.gauss(0, 0.006 * chance), 0.005), 3) for v in validation]
    if v.count(min(v)) > 1:  # so that one epoch is the best
        v[v.index(min(v))] = round(min(v) - 0.001, 3)
    return Curves(tuple(t), tuple(v))


Pair = tuple[list[float], list[float]]


def _falling(epochs: int, start: float, end: float, rate: float) -> list[float]:
    return [end + (start - end) * math.exp(-rate * e) for e in range(1, epochs + 1)]


def _overfitting(random: Random, epochs: int, chance: float) -> Pair:
    best = random.randint(3, epochs // 2)
    rate = 2.2 / best
    training = _falling(epochs, chance, 0.02 * chance, rate)
    fall = _falling(epochs, chance, 0.30 * chance, 1.3 * rate)
    rise = random.uniform(0.035, 0.06) * chance
    return training, [v + rise * max(0, e - best + 0.3) for e, v in enumerate(fall, 1)]


def _underfitting(random: Random, epochs: int, chance: float) -> Pair:
    level = random.uniform(0.68, 0.78) * chance
    training = _falling(epochs, chance, level, 0.9)
    return training, [v + 0.03 * chance for v in training]


def _too_high(random: Random, epochs: int, chance: float) -> Pair:
    training = [
        chance * random.uniform(0.62, 0.78) + (0.45 * chance * random.random() if e % 2 else 0) for e in range(epochs)
    ]
    return training, [v + chance * random.uniform(-0.05, 0.25) for v in training]


def _too_low(random: Random, epochs: int, chance: float) -> Pair:
    fall = random.uniform(0.22, 0.35) * chance / epochs
    training = [chance - fall * e for e in range(1, epochs + 1)]
    return training, [v + 0.015 * chance for v in training]


def _different(random: Random, epochs: int, chance: float) -> Pair:
    training = _falling(epochs, chance, 0.06 * chance, random.uniform(0.3, 0.5))
    return training, [chance * random.uniform(1.0, 1.08) for _ in range(epochs)]


def _good(random: Random, epochs: int, chance: float) -> Pair:
    training = _falling(epochs, chance, 0.07 * chance, random.uniform(0.4, 0.55))
    return training, [v + 0.05 * chance * (1 - math.exp(-0.4 * e)) for e, v in enumerate(training, 1)]


_MADE: dict[str, Callable[[Random, int, float], Pair]] = dict(
    zip(PHENOMENA, (_overfitting, _underfitting, _too_high, _too_low, _different, _good), strict=True)
)


def chart(found: Curves) -> str:
    """The curves as text: a row an epoch, with the losses, and t and v where they are on a line from 0; x is both."""
    most = max(*found.training, *found.validation)
    top = math.ceil(most * 2) / 2  # the end of the line, in steps of 0.5
    lines = [f"epoch  training  validation  0{f'{top:g}':>{WIDTH - 1}}"]
    for epoch, (t, v) in enumerate(zip(*found, strict=True), 1):
        marks = [" "] * WIDTH
        for value, mark in ((t, "t"), (v, "v")):
            at = min(int(value / top * WIDTH), WIDTH - 1)
            marks[at] = mark if marks[at] == " " else "x"
        lines.append(f"{epoch:>5}  {t:>8.3f}  {v:>10.3f}  {''.join(marks)}".rstrip())
    return "\n".join(lines)


_SHOWN = "These are the losses of a training (t) and of the validation (v), for {} classes, where chance gives {:.2f}."


def phenomenon(phenomenon: str, epochs: int = 14, classes: int = 10, seed: int = 0) -> Question:
    """What do the curves show?"""
    found, options = curves(phenomenon, epochs, classes, seed), tuple(PHENOMENA)
    answer = frozenset({options.index(phenomenon)})
    t, v = found
    steps = (
        f"training loss: from {t[0]:.3f} to {t[-1]:.3f}; validation loss: from {v[0]:.3f} to {v[-1]:.3f}, lowest in "
        f"epoch {v.index(min(v)) + 1}",
        f"so {PHENOMENA[phenomenon].sign}: {phenomenon}",
    )
    mistakes = tuple(
        Mistake(i, f"that would look like this: {PHENOMENA[name].sign}")
        for i, name in enumerate(options)
        if i not in answer
    )
    return Question(
        text=f"{_SHOWN.format(classes, math.log(classes))} What do they show?", kind="choice", answer=answer,
        options=options, steps=steps, mistakes=mistakes, block=chart(found), curves=found,
    )  # fmt: skip


def best_epoch(phenomenon: str = "overfitting", epochs: int = 14, classes: int = 10, seed: int = 0) -> Question:
    """The weights of which epoch would you keep?"""
    found = curves(phenomenon, epochs, classes, seed)
    t, v = found
    answer = v.index(min(v)) + 1
    rises = next((e for e in range(2, epochs + 1) if v[e - 1] > v[e - 2]), None)
    wrong: list[tuple[Any, str]] = [
        (t.index(min(t)) + 1, "there the training loss is lowest; the validation loss counts"),
        (epochs, "this is the last epoch; the validation loss was lower before"),
    ]
    if rises is not None:
        wrong.append((rises, "there the validation loss has already risen"))
    wrong.append((answer - 1, "one epoch later, the validation loss is still lower; epochs count from 1"))
    steps = (f"the lowest validation loss is {min(v):.3f}, in epoch {answer}",
             f"the training loss there is {t[answer - 1]:.3f}; that it falls further says nothing about new "
             f"images")  # fmt: skip
    return Question(
        text=f"{_SHOWN.format(classes, math.log(classes))} The weights of which epoch would you keep?", kind="number",
        answer=answer, unit="epoch", steps=steps, mistakes=usual_mistakes(answer, wrong), block=chart(found),
        curves=found,
    )  # fmt: skip


def _several(
    what: str, shown: str, right: tuple[str, ...], wrong: tuple[str, ...], found: Curves, seed: int
) -> Question:
    options = [*right, *wrong]
    Random(seed).shuffle(options)
    return Question(
        text=what, kind="choice", answer=frozenset(options.index(one) for one in right), options=tuple(options),
        several=True, steps=(shown, *(f"yes: {one}" for one in right)), block=chart(found), curves=found,
    )  # fmt: skip


def causes(phenomenon: str, epochs: int = 14, classes: int = 10, seed: int = 0) -> Question:
    """Which causes can it have?"""
    found, one = curves(phenomenon, epochs, classes, seed), PHENOMENA[phenomenon]
    if not one.unlike:
        raise ValueError(f"causes: {phenomenon} has no causes to ask for; there are {', '.join(CURABLE)}")
    wrong = Random(seed).sample([cause for other in one.unlike for cause in PHENOMENA[other].causes], 3)
    text = f"{_SHOWN.format(classes, math.log(classes))} What can be the cause? (Several may be right.)"
    return _several(text, f"the curves show {phenomenon}: {one.sign}", one.causes, tuple(wrong), found, seed)


def cures(phenomenon: str, epochs: int = 14, classes: int = 10, seed: int = 0) -> Question:
    """What helps?"""
    found, one = curves(phenomenon, epochs, classes, seed), PHENOMENA[phenomenon]
    if not one.cures:
        raise ValueError(f"cures: {phenomenon} needs no cure; there are {', '.join(CURABLE)}")
    text = f"{_SHOWN.format(classes, math.log(classes))} What can help? (Several may be right.)"
    return _several(text, f"the curves show {phenomenon}: {one.sign}", one.cures, one.useless, found, seed)


def _drawer(names: tuple[str, ...]) -> Callable[[Random], dict[str, Any]]:
    return lambda random: {
        "phenomenon": random.choice(names), "epochs": random.randint(10, 20),
        "classes": random.choice((5, 10, 10, 100)),
        "seed": random.randrange(10_000),
    }  # fmt: skip


_SLIDE = [{"phenomenon": "overfitting"}]
TEMPLATES = (
    Template("curve-phenomenon", "what curves of a training show", phenomenon, _drawer(tuple(PHENOMENA)), _SLIDE),
    Template("curve-epoch", "the epoch whose weights are kept", best_epoch, _drawer(("overfitting",)), _SLIDE),
    Template("curve-causes", "the causes of what curves show", causes, _drawer(CURABLE), _SLIDE),
    Template("curve-cures", "what helps against it", cures, _drawer(CURABLE), _SLIDE),
)
