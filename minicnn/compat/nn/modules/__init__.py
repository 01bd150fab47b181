"""The layers under the names of PyTorch's files, as in `from minicnn.nn.modules.conv import _ConvNd`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from ....nn.hooks import EVERYWHERE as _EVERYWHERE
from ....nn.hooks import KINDS as _KINDS
from ...doors import door as _door
from ...missing import answer as _answer
from . import utils as utils

_FILES = {  # PyTorch's file: the files here that have its names
    "activation": "activation multihead_attention softmax",
    "batchnorm": "batchnorm lazy",
    "channelshuffle": "pixel_shuffle",
    "container": "container parameter_container",
    "conv": "conv lazy",
    "distance": "distance",
    "dropout": "dropout",
    "flatten": "linear",
    "fold": "fold",
    "instancenorm": "normalization lazy",
    "lazy": "lazy",
    "linear": "linear lazy",
    "loss": "loss_base margin_loss loss",
    "module": "hook_gates hooks parameter module",
    "normalization": "normalization",
    "padding": "padding",
    "pixelshuffle": "pixel_shuffle",
    "pooling": "pooling pooling3d",
    "sparse": "embedding",
    "transformer": "transformer",
    "upsampling": "upsampling",
}


def _shared(kind: str) -> property:
    """One dict of the hooks of all modules; a program that assigns another one replaces it for every module."""
    return property(lambda file: _EVERYWHERE[kind], lambda file, hooks: _EVERYWHERE.update({kind: hooks}))


_Module = type("_Module", (ModuleType,), {f"_global{kind}": _shared(kind) for kind in _KINDS})

for _name, _sources in _FILES.items():
    _make = _Module if _name == "module" else ModuleType
    _file = _make(f"minicnn.nn.modules.{_name}", f"The names of {_sources}.")
    for _source in _sources.split():
        _names = vars(import_module(f"minicnn.nn.{_source}"))
        vars(_file).update({name: value for name, value in _names.items() if not name.startswith("__")})
        globals().update({name: _names[name] for name in _names.get("__all__", ())})
    _answer(vars(_file))
    sys.modules[_file.__name__] = globals()[_name] = _file

_door(globals())
