"""Which names of PyTorch are missing, and what to use instead: the text of the error for an unknown name.

    pytorch.py       the missing names of torch, each with what to use instead        tables: a name that minicnn gets
    torchvision.py   the missing names of torchvision and torchsummary                is removed from its row
    lookup.py        from a place and a name to a sentence
    moved.py         modules that have another path now

Every public module, and Tensor, takes its error from here when a program asks for a name that it lacks (`answer`).
A failed import gives the same text: `import minicnn.onnx`, `from minicnn.datasets import ImageNet`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from typing import Any

from .lookup import absent, why
from .moved import MOVED, Moved

__all__ = ["Absent", "Imports", "absent", "answer", "methods", "public_path", "unknown"]


def unknown(where: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for `where.name`: it says what to use instead of PyTorch's name, or suggests a similar name."""
    text = f"{where!r} has no attribute {name!r}"
    if name.startswith("__") and name.endswith("__"):  # protocols look for many such names, and ignore the text
        return AttributeError(text, name=name)
    return AttributeError(f"{text}: {why(where, name, known)}", name=name)


def public_path(module: str) -> str:
    """The path that programs know a module by: `minicnn.compat.amp` is `minicnn.amp`."""
    return module.replace("minicnn.compat.", "minicnn.")


def answer(namespace: dict[str, Any], where: str = "") -> None:
    """Make a module, given by its globals, say what to use instead of a missing name. The last line of a module.

    `where` is the public path of the module, if it differs from its real one.

    A module with a `__path__`, even an empty one, makes Python ask `Imports` before it raises its own "cannot import
    name".
    """
    where = where or namespace["__name__"]

    def __getattr__(name: str) -> Any:
        raise unknown(where, name, namespace)

    namespace["__getattr__"] = __getattr__
    namespace.setdefault("__path__", [])


class Absent:
    """Stands for a missing method of PyTorch: `Tensor.bfloat16` gives the same error as `x.bfloat16`.

    A metaclass could do the same, but would slow down every `isinstance(..., Tensor)`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        raise unknown("Tensor", self.name, methods(owner))


def methods(owner: type) -> list[str]:
    """The names that a class really has."""
    lacks = {name for cls in owner.__mro__ for name, value in vars(cls).items() if isinstance(value, Absent)}
    return [name for name in dir(owner) if name not in lacks]


class Imports:
    """The last finder of modules: a failed import gives the same error as looking up the name."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Raise an error for a module of minicnn that an import has not found; give None to `importlib.util.find_spec`.

        A module that was moved is found in its new place, for the pickles of earlier versions.
        """
        if name in MOVED:
            return ModuleSpec(name, Moved(MOVED[name]))
        if not name.startswith("minicnn.") or not _imports():
            return None
        package, _, last = name.rpartition(".")
        module = sys.modules.get(package)
        if module is None or getattr(module.__spec__, "_initializing", False):
            return None
        package = public_path(package)
        remedy = why(package, last, dir(module))  # with the names of a lazy package
        if _is_import_from():
            raise ImportError(f"cannot import name {last!r} from {package!r}: {remedy}", name=package)
        raise ModuleNotFoundError(f"No module named {public_path(name)!r}: {remedy}", name=name)


def _imports() -> bool:
    """Whether Python looks for a module in order to import it, not only to see if it exists."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        frame = frame.f_back
    return False


def _is_import_from() -> bool:
    """Whether Python looks for a module only because `from package import name` has not found an attribute.

    In that case Python's import machinery replaces a ModuleNotFoundError by its own error.
    """
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_handle_fromlist":
            return True
        frame = frame.f_back
    return False
