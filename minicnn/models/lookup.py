"""Find a model by its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, TypeVar

from ..nn import Module
from .registry import MODELS

B = TypeVar("B", bound=Callable[..., Module])
_registered: dict[str, Callable[..., Module]] = {}  # those of users


def register_model(name: str | None = None) -> Callable[[B], B]:
    """A decorator for a function that builds a net, which `get_model` then finds: `@register_model()`.

    Args:
        name: the model's name; by default, that of the function.

    Raises:
        ValueError: there is a model of this name.

    `list_models` lists it, too:

        @register_model()
        def tiny(num_classes=10):
            return nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))

        net = get_model("tiny", num_classes=5)
    """

    def register(builder: B) -> B:
        key = (name or builder.__name__).lower()
        if key in MODELS or key in _registered:
            raise ValueError(
                f"register_model: there is a model {key!r} already; give another name: register_model(name)"
            )
        _registered[key] = builder
        return builder

    return register


def list_models(
    module: None = None, include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None
) -> list[str]:
    """The names of all models, sorted: `list_models(include="resnet*")`.

    Args:
        module: None, or `minicnn.models`, which has all models.
        include, exclude: patterns of the shell, or several: names that match any of them are listed, or left out.

    >>> minicnn.models.list_models(include="lenet*")
    ['lenet5', 'lenet5_1998']
    """
    if module is not None and getattr(module, "__name__", None) != "minicnn.models":
        raise ValueError(f"list_models: all models are in minicnn.models; leave module out, got {module!r}")

    def matches(name: str, patterns: str | Iterable[str]) -> bool:
        return any(fnmatchcase(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))

    names = [name for name in (*MODELS, *_registered) if include is None or matches(name, include)]
    return sorted(name for name in names if exclude is None or not matches(name, exclude))


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds a model: `get_model_builder("resnet18")` is `minicnn.models.resnet18`.

    Raises:
        ValueError: there is no such model; the message names similar ones.

    >>> minicnn.models.get_model_builder("resnet18") is minicnn.models.resnet18
    True
    """
    found = str(name).lower()
    if found in _registered:
        return _registered[found]
    if found not in MODELS:
        near = difflib.get_close_matches(found, [*MODELS, *_registered], n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"Unknown model {name!r}: {hint}minicnn.models.list_models() lists all {len(MODELS)}")
    builder: Callable[..., Module] = getattr(import_module(f"minicnn.models.{MODELS[found].file}"), found)
    return builder


def get_model(name: str, **config: Any) -> Module:
    """Build a model: `get_model("resnet18", num_classes=10)`; case does not matter.

    Raises:
        ValueError: there is no such model; the message names similar ones.

    >>> minicnn.models.get_model("LeNet5", num_classes=26)(minicnn.zeros(1, 1, 32, 32)).shape
    minicnn.Size([1, 26])
    """
    return get_model_builder(name)(**config)
