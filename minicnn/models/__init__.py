"""Architectures, under torchvision's names: `minicnn.models.resnet18(num_classes=10)`.

    registry.py    the list of all models            lookup.py      a model by its name
    weights.py     trained weights for them          adapting.py    state dicts of other nets or with other names
    published.py   which weights are published       the others     one family of nets each

A family's file is imported when one of its names is asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from ..compat.missing import unknown
from .lookup import get_model, get_model_builder, list_models, register_model
from .published import ENUMS, WeightsEnum, get_model_weights, get_weight, weights_enum
from .registry import CLASSES, MODELS
from .weights import load_weights

_FILES = {name: entry.file for name, entry in MODELS.items()} | {
    name: file for file, names in CLASSES.items() for name in names
}
_MODULES = {*_FILES.values(), "feature_extraction"}

__all__ = [
    "WeightsEnum", "get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models", "load_weights",
    "register_model", *_FILES, *ENUMS,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _FILES:
        value = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    elif name in ENUMS:
        value = weights_enum(name)
    elif name in _MODULES:
        return import_module(f"{__name__}.{name}")
    else:
        raise unknown(__name__, name, __dir__())
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})


def _with_enums(file: ModuleType, name: str) -> None:
    """Let a family's file give the enumerations of its nets: `from minicnn.models.resnet import ResNet18_Weights`."""

    def __getattr__(asked: str) -> Any:
        if asked in ENUMS and _FILES.get(ENUMS[asked]) == name:
            return weights_enum(asked)
        raise unknown(file.__name__, asked, vars(file))

    vars(file).setdefault("__getattr__", __getattr__)


class _Package(ModuleType):
    """`models.alexnet` is the function, although it is in a file of the same name, as in torchvision.

    When Python has imported that file, it enters the module as an attribute of the package. This is not let through.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULES and isinstance(value, ModuleType):
            _with_enums(value, name)
        if not (name in _FILES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
