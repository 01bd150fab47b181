"""Registers a module of this package under PyTorch's path."""

from __future__ import annotations

import sys
from typing import Any

from .missing import answer, public_path


def door(namespace: dict[str, Any]) -> None:
    """Register a module, given by its globals, under PyTorch's path; `missing` answers for names that it lacks.

    `minicnn.compat.cuda.amp` and `minicnn.cuda.amp` are then the same module. The call is the last line of a module.
    """
    name = namespace["__name__"]
    path = public_path(name)
    sys.modules[path] = sys.modules[name]
    answer(namespace, path)
