"""Checks the names in a recipe and the options that go with them, before anything is built from them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from ... import models
from ...device import Device
from ...nn import Parameter
from ...ops.tensor.creation import zeros
from ...optim import SGD
from ..views import named_views
from .building import build_schedule, build_transform
from .checking import LARGEST, shown
from .names import (
    LOSSES,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    TRANSFORMS,
    SettingError,
    UnknownNameError,
    find,
    find_dataset,
)  # fmt: skip
from .settings import CHAINS, Recipe, Step

_SIMPLE: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "int": (int,), "float": (int, float), "str": (str,), "None": (type(None),),
}  # fmt: skip
_WORDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
_REFUSALS = (ValueError, TypeError, RuntimeError, NotImplementedError, OverflowError)


def checked(recipe: Recipe) -> Recipe:
    """The recipe, with all names spelt as in the tables.

    Every name is looked up, and the options of each are tried: transforms, loss, optimiser and schedule are made, the
    net on the meta device.

    Raises:
        UnknownNameError: a name, or an option, does not exist; the message names the nearest one.
        SettingError: an option has a wrong type or value.
    """
    named: dict[str, Any] = {
        "model": find("model", recipe.model, MODELS),
        "dataset": find_dataset(recipe.dataset),
        "loss": find("loss", recipe.loss, LOSSES),
        "optimizer": find("optimizer", recipe.optimizer, OPTIMIZERS),
        "schedule": None if recipe.schedule is None else find("schedule", recipe.schedule, SCHEDULES),
    }
    named |= {key: _steps(getattr(recipe, key)) for key in CHAINS}
    new = replace(recipe, **named)
    _try("loss", LOSSES[new.loss], new.loss_options)
    with _told("loss"), Device("meta"):
        value = LOSSES[new.loss](**new.loss_options)(zeros(2, 3), zeros(2).long())
        if value.ndim:
            raise ValueError("it gives a number for each image; set loss.reduction to 'mean' or 'sum', or leave it out")
    if new.tta is not None:
        with _told("tta"):
            named_views(new.tta)
    with Device("meta"):
        parameter = Parameter(zeros(1))
    _try("optimizer", OPTIMIZERS[new.optimizer], new.optimizer_options, [parameter])
    if new.schedule is not None:
        known = _parameters(SCHEDULES[new.schedule])
        _check_names("schedule", new.schedule, new.schedule_options, known)
        make = partial(build_schedule, new.schedule, new.schedule_options)
        with _told(f"schedule {new.schedule}"):
            make(SGD([parameter], lr=0.1, momentum=0.9), new.epochs, 100, new.schedule_every)
    for key in CHAINS:
        for name, options in getattr(new, key):
            if (name, dict(options)) != ("Normalize", {}):  # the statistics of the dataset
                _check_sizes(f"{key}.{name}", options)
                _check_names(f"{key}.{name}", name, options, _parameters(TRANSFORMS[name]))
                with _told(f"{key}.{name}"):
                    build_transform([(name, options)])
    build = models.get_model_builder(MODELS[new.model])
    for name in ("weights", "weights_backbone", "pretrained", "progress"):
        if name in new.model_options:
            raise SettingError(
                f"model: a recipe has no option {name}; set weights to a run folder or a file of weights"
            )
    with Device("meta"):
        try:
            _try(f"model {new.model}", build, new.model_options)
        except SettingError as error:
            _check_keyword(new.model, build, error)
            raise
    return new


def _steps(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple((find("transform", name, TRANSFORMS), options) for name, options in steps)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turns what a constructor refuses into a SettingError that says where."""
    try:
        yield
    except SettingError:
        raise
    except _REFUSALS as error:
        text = re.sub(r"\w+\.__init__\(\)", "it", str(error))
        raise SettingError(f"{where}: {text}") from error


def _try(where: str, make: Callable[..., Any], options: Mapping[str, Any], first: Any = None) -> None:
    """Make an object with the options, as a check of them."""
    parameters = _parameters(make)
    _check_names(where, getattr(make, "__name__", where), options, parameters)
    for name, value in options.items():
        allowed = _kinds(parameters.get(name))
        if allowed and (type(value) not in allowed):
            kinds = allowed - {int} if float in allowed else allowed
            words = [words for kind, words in _WORDS.items() if kind in kinds]
            raise SettingError(f"{where}: {name} must be {' or '.join(words)}, got {shown(value)}")
    with _told(where):
        make(*([] if first is None else [first]), **options)


def _parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(make).parameters)


def _check_keyword(model: str, build: Callable[..., Any], error: Exception) -> None:
    """Refuse an option that a net does not take, with the nearest one of its class."""
    wrong = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    made = getattr(inspect.unwrap(build), "__globals__", {}).get(inspect.signature(build).return_annotation)
    if wrong and isinstance(made, type):
        known = {name: one for name, one in _parameters(made).items() if one.kind is not inspect.Parameter.VAR_KEYWORD}
        _check_names("model", model, {wrong[1]: None}, known)


def _check_names(where: str, owner: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> None:
    """Refuse options that do not exist; what takes any keyword names its own when it is made."""
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return
    hidden = {"params", "optimizer", "last_epoch", "self"}
    offered = [name for name in known if name not in hidden]
    for name in options:
        if name not in offered:
            try:
                found = find("option", name, offered)
            except UnknownNameError as error:
                raise UnknownNameError(
                    f"{where}: {owner} has no option {shown(name)}; {str(error).partition('; ')[2]}"
                ) from None
            raise UnknownNameError(f"{where}: {owner} has no option {shown(name)}. Did you mean {found!r}?")


def _kinds(parameter: inspect.Parameter | None) -> set[type]:
    """The types that an annotation allows, if it is made of simple ones; else none, which means any."""
    parts = [part.strip() for part in str(parameter.annotation).split("|")] if parameter is not None else ["?"]
    return {kind for part in parts for kind in _SIMPLE[part]} if all(part in _SIMPLE for part in parts) else set()


def _check_sizes(where: str, options: Mapping[str, Any]) -> None:
    """Refuse images that no memory holds."""
    for name, value in options.items():
        for one in _numbers(value):
            if abs(one) > LARGEST:
                raise SettingError(f"{where}: {name} must be at most {LARGEST:,}, got {shown(value)}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, Mapping):
        yield from _numbers(list(value.values()))
    elif isinstance(value, int | float):
        yield value
