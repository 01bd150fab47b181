"""`minicnn.jit`: programs written for TorchScript run as plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from ...nn.lazy import LazyModuleMixin
from ...nn.module import Module
from ..doors import door as _door
from .annotations import BroadcastingList1 as BroadcastingList1  # loads the file

F = TypeVar("F")

__all__ = [
    "Final", "ScriptModule", "annotate", "export", "ignore", "interface", "is_scripting", "is_tracing", "save",
    "script", "trace", "unused",
]  # fmt: skip


class ScriptModule(Module):
    """A class without instances: `isinstance(module, ScriptModule)` is always False."""


def script(obj: F, *_: Any, **__: Any) -> F:
    """The function or module, unchanged.

    Raises:
        RuntimeError: a module has parameters or buffers without a shape.
    """
    for module in obj.modules() if isinstance(obj, Module) else ():
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            raise RuntimeError(
                f"jit.script: {type(module).__name__} has uninitialized parameters; run a forward pass, as with "
                "model(minicnn.zeros(1, 3, 32, 32)), before"
            )
    return obj


def export(function: F) -> F:
    """The function, unchanged."""
    return function


unused = interface = export


def ignore(drop: Any = False, **_: Any) -> Any:
    """The function unchanged, both as `@ignore` and as `@ignore(drop=True)`."""
    return drop if callable(drop) else export


def _overload_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, unchanged."""
    return function


def annotate(the_type: Any, the_value: F) -> F:
    """The value, unchanged."""
    return the_value


def _script_if_tracing(function: F) -> F:
    """The function, unchanged."""
    return function


def is_scripting() -> bool:
    """False: nothing is compiled by TorchScript here."""
    return False


def is_tracing() -> bool:
    """False: there is no tracing here."""
    return False


def trace(*_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: there is no tracing here."""
    raise NotImplementedError("jit.trace: minicnn runs modules as Python; call the module itself")


def save(*_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: there are no compiled modules to save."""
    raise NotImplementedError("jit.save: save the weights with minicnn.save(model.state_dict(), path)")


_door(globals())
