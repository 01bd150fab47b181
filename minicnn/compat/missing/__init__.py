"""What of PyTorch is not here, and what to use instead: the text of the error for an unknown name.

    pytorch.py       the names of torch that are missing, each with what to use       rows of data: add one, or take
    torchvision.py   those of torchvision and torchsummary                            out what has come to be
    lookup.py        from a place and a name to a sentence
    moved.py         modules that have another path now

Every public module asks here when it is asked for a name that it lacks (`answer`), and so does Tensor. An import in
vain says the same: `import minicnn.onnx`, `from minicnn.datasets import ImageNet`.
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
    """The error for `where.name`: why PyTorch's thing of that name is not here and what to use, or a name like it."""
    text = f"{where!r} has no attribute {name!r}"
    if name.startswith("__") and name.endswith("__"):  # protocols ask for many, and want no answer
        return AttributeError(text, name=name)
    return AttributeError(f"{text}: {why(where, name, known)}", name=name)


def public_path(module: str) -> str:
    """The path that programs know a module by: `minicnn.compat.amp` is `minicnn.amp`."""
    return module.replace("minicnn.compat.", "minicnn.")


def answer(namespace: dict[str, Any], where: str = "") -> None:
    """Let the module whose globals these are say of a name it lacks what to use; the last line of a module.

    `where` is the path that programs know it by, if it is another than its own.

    With a `__path__`, even an empty one, Python asks `Imports` before it says "cannot import name" in its own words.
    """
    where = where or namespace["__name__"]

    def __getattr__(name: str) -> Any:
        raise unknown(where, name, namespace)

    namespace["__getattr__"] = __getattr__
    namespace.setdefault("__path__", [])


class Absent:
    """Stands in a class for a method of PyTorch's that it lacks, so that `Tensor.bfloat16` is answered as `x.bfloat16`.

    A metaclass could say it too, but would cost every `isinstance(..., Tensor)` its time.
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
    """The last finder of modules: an import in vain gets the answer that looking up the name would get."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Raise for a module of ours that an import has not found; `importlib.util.find_spec` gives None for it.

        One that was moved is found in its new place, for the pickles of earlier versions.
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
        remedy = why(package, last, vars(module))
        if _is_import_from():
            raise ImportError(f"cannot import name {last!r} from {package!r}: {remedy}", name=package)
        raise ModuleNotFoundError(f"No module named {public_path(name)!r}: {remedy}", name=name)


def _imports() -> bool:
    """Whether Python looks for a module to import it, and does not only ask whether there is one."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        frame = frame.f_back
    return False


def _is_import_from() -> bool:
    """Whether Python looks for a module only because `from package import name` has not found an attribute.

    Its import machinery drops a ModuleNotFoundError then, for an error of its own.
    """
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_handle_fromlist":
            return True
        frame = frame.f_back
    return False
