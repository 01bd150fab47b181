"""Checks the settings of a recipe: the type and range of each, and that they do not contradict each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from .names import DECAYS, EVERY, INITS, PLATEAU, SettingError

_MOST = 1_000_000  # epochs, images in a batch: more is a slip of the hand
_DEEP = 8  # lists and tables inside each other
LARGEST = 10_000  # pixels of a side, or another whole number among the options of a transform


class Rule(NamedTuple):
    """What a setting may be: a test, and the words for it."""

    fits: Callable[[Any], bool]
    words: str


def whole(least: int, most: int = _MOST) -> Rule:
    """A whole number in a range."""
    return Rule(lambda value: type(value) is int and least <= value <= most, f"a whole number from {least} to {most:,}")


def number(fits: Callable[[float], bool], words: str) -> Rule:
    """A finite number with a property."""
    return Rule(lambda value: _is_number(value) and fits(value), words)


def either(*values: str | None) -> Rule:
    """One of some texts."""
    listed = ", ".join(repr(value) for value in values if value is not None)
    return Rule(lambda value: value is None or (isinstance(value, str) and value in values), f"one of {listed}")


def optional(rule: Rule) -> Rule:
    """What the rule says, or None."""
    return Rule(lambda value: value is None or rule.fits(value), f'{rule.words}, or "none"')


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e300 < value < 1e300  # not NaN, and no integer that is too large


def _is_data(value: Any, depth: int = _DEEP) -> bool:
    """Finite numbers up to 1e12, texts, booleans, and lists and tables of them."""
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(key, str) and _is_data(one, depth - 1) for key, one in value.items())
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_data(one, depth - 1) for one in value)
    return isinstance(value, str | bool) or value is None or (_is_number(value) and abs(value) <= 1e12)


def _is_step(value: Any) -> bool:
    """("Resize", {"size": [32, 32]})"""
    return isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str) and _is_options(value[1])


def _is_options(value: Any) -> bool:
    return isinstance(value, Mapping) and _is_data(value)


def _is_progress(value: Any) -> bool:
    """((0.0, 24), (0.5, 32)): shares that rise, sides in pixels."""
    pairs: list[Any] = list(value) if isinstance(value, tuple | list) else [None]
    if not pairs:
        return True
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 and _is_number(pair[0]) for pair in pairs):
        return False
    shares, sides = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rising = bool(shares) and shares[0] == 0 and all(one < following for one, following in pairwise(shares))
    return rising and all(0 <= share < 1 for share in shares) and all(whole(1, LARGEST).fits(side) for side in sides)


def _are_classes(value: Any) -> bool:
    chosen = list(value) if isinstance(value, tuple | list) else []
    kinds = {type(one) for one in chosen}
    natural = all(one >= 0 for one in chosen if type(one) is int)
    return len(chosen) >= 2 and kinds in ({int}, {str}) and natural and len(set(chosen)) == len(chosen)


_TEXT = Rule(lambda value: isinstance(value, str) and value != "", "a text")
_OPTIONS = Rule(_is_options, "a table of options, which are finite numbers, texts, true, false, and lists of them")
_STEPS = Rule(
    lambda value: isinstance(value, tuple | list) and all(map(_is_step, value)),
    'a list of transforms, such as ["ToTensor", {RandomCrop = {size = 32, padding = 4}}]',
)
_TEXTS = Rule(lambda value: isinstance(value, tuple | list) and all(map(_TEXT.fits, value)), "a list of texts")
_FLAG = Rule(lambda value: isinstance(value, bool), "true or false")
_ALPHA = number(lambda value: 0 <= value <= 100, "a number from 0 to 100")
_SHARE = number(lambda value: 0 <= value < 1, "a number from 0 to below 1")

RULES: dict[str, Rule] = {
    "name": Rule(
        lambda value: isinstance(value, str) and re.fullmatch(r"[\w][\w.+-]{0,99}", value) is not None,
        "a name of at most 100 letters, digits, dots and dashes",
    ),
    "model": _TEXT,
    "dataset": _TEXT,
    "about": Rule(lambda value: isinstance(value, str), "a text"),
    "epochs": whole(1),
    "batch_size": whole(1),
    "eval_batch_size": whole(1),
    "optimizer": _TEXT,
    "optimizer_options": _OPTIONS,
    "decay": either(*DECAYS),
    "schedule": optional(_TEXT),
    "schedule_options": _OPTIONS,
    "schedule_every": either(*EVERY),
    "loss": _TEXT,
    "loss_options": _OPTIONS,
    "model_options": _OPTIONS,
    "transforms": _STEPS,
    "augmentation": _STEPS,
    "evaluation": _STEPS,
    "augment_after": optional(whole(0)),
    "device": Rule(
        lambda value: isinstance(value, str) and re.fullmatch(r"cpu|cuda(:\d{1,3})?", value) is not None,
        '"cpu", "cuda", or a GPU with its number, such as "cuda:1"',
    ),
    "notes": _TEXTS,
    "validation": Rule(
        lambda value: value == "test" or _SHARE.fits(value),
        'a share of the training images, from 0 to below 1, or "test"',
    ),
    "early_stopping": optional(whole(1)),
    "warmup": _SHARE,
    "clip_norm": optional(number(lambda value: value > 0, "a number above 0")),
    "mixup": _ALPHA,
    "cutmix": _ALPHA,
    "ema": _SHARE,
    "tta": optional(_TEXT),
    "progressive": Rule(_is_progress, "a list of [share of the training, side in pixels] with shares that rise from 0"),
    "init": optional(either(*INITS)),
    "whiten": whole(0, 10**6),
    "freeze": _TEXTS,
    "rates": Rule(
        lambda value: isinstance(value, Mapping)
        and all(isinstance(key, str) and _is_number(factor) and 0 < factor <= 1e6 for key, factor in value.items()),
        "a table from patterns of names to factors above 0, such as {\"features.*\" = 0.1}",
    ),
    "weights": optional(_TEXT),
    "head": _FLAG,
    "classes": optional(Rule(_are_classes, "a list of two or more different classes, all numbers or all names")),
    "train_size": optional(whole(1, 10**9)),
    "workers": whole(0, 256),
}  # fmt: skip


def check(values: Mapping[str, Any]) -> None:
    """Check the settings of a recipe, by their names as attributes.

    Raises:
        SettingError: a value has another type, is out of range, or contradicts another one.
    """
    for where, value in _options(values):
        if not _is_data(value):
            raise SettingError(
                f"{where} must be a finite number, at most 1e12, a text, true, false, or a list of these, got "
                f"{shown(value)}"
            )
    for key, rule in RULES.items():
        if not rule.fits(values[key]):
            raise SettingError(f"{key} must be {rule.words}, got {shown(values[key])}")
    if not _is_number(lr := values["optimizer_options"].get("lr", 0.0)) or lr < 0:
        raise SettingError(f"optimizer.lr must be a number from 0, got {shown(lr)}")
    for message, wrong in _contradictions(values):
        if wrong:
            raise SettingError(message)


def _options(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The options of everything that is named, with the keys of a recipe's file."""
    for table in ("model", "optimizer", "schedule", "loss"):
        options = values[f"{table}_options"]
        for name, value in options.items() if isinstance(options, Mapping) else ():
            yield f"{table}.{name}", value
    for chain in ("transforms", "augmentation", "evaluation"):
        for step in values[chain] if isinstance(values[chain], tuple | list) else ():
            if isinstance(step, tuple | list) and len(step) == 2 and isinstance(step[1], Mapping):
                yield from ((f"{chain}.{step[0]}.{name}", value) for name, value in step[1].items())


def _contradictions(values: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Combinations that make no sense, each with a message, and whether this is one."""
    schedule = str(values["schedule"] or "").lower()
    plateau = schedule == PLATEAU.lower()
    unseen = f"validation is {values['validation']!r}; set validation to a share above 0, such as 0.1"
    no_validation = values["validation"] in (0, "test")
    return [
        (f"early_stopping looks at validation images, but {unseen}", values["early_stopping"] and no_validation),
        (f"the schedule {PLATEAU} looks at validation images, but {unseen}", plateau and no_validation),
        (
            f'the schedule {PLATEAU} looks at the validation after each epoch: set schedule_every = "epoch"',
            plateau and values["schedule_every"] != "epoch",
        ),
        (
            "warmup and the schedule OneCycleLR contradict each other, since the latter has a warm-up of its own: "
            "leave out warmup, and set schedule.pct_start to its share",
            values["warmup"] and schedule == "onecyclelr",
        ),
        (
            f"warmup cannot come before the schedule {PLATEAU}: leave out one of them",
            values["warmup"] and plateau,
        ),
        (
            f"mixup and cutmix make soft targets, which {values['loss']} does not take: set loss.name to "
            "CrossEntropyLoss",
            (values["mixup"] or values["cutmix"]) and values["loss"].lower() != "crossentropyloss",
        ),
        (
            "mixup and cutmix are both above 0: set one of them to 0",
            values["mixup"] and values["cutmix"],
        ),
        (
            f"augment_after is {values['augment_after']}, but there are {len(values['transforms'])} transforms: set it "
            "to 0 for an augmentation before all of them, or leave it out for one after them",
            (values["augment_after"] or 0) > len(values["transforms"]),
        ),
        (
            "schedule.* are options of a schedule, but there is none: set schedule.name, or leave them out",
            values["schedule"] is None and values["schedule_options"],
        ),
        (
            "head replaces the last layer of a trained net, but weights names none: set weights to a run folder or a "
            "file of weights, or leave head out",
            values["head"] and values["weights"] is None,
        ),
        (
            "init draws new weights, but weights loads trained ones: leave out one of them",
            values["init"] is not None and values["weights"] is not None,
        ),
        (
            "whiten computes the first layer, but weights loads a trained one: leave out one of them",
            values["whiten"] and values["weights"] is not None,
        ),
    ]  # fmt: skip


def shown(value: Any) -> str:
    """The repr of a value, at most 60 characters of it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__} that is too long to print"
    return text if len(text) <= 60 else f"{text[:57]}..."
