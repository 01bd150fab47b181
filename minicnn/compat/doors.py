"""How a module of this room is reached under PyTorch's path."""

from __future__ import annotations

import sys
from typing import Any

from .missing import answer, public_path


def door(namespace: dict[str, Any]) -> None:
    """Enter the module whose globals these are under PyTorch's path, and let it say of a name it lacks what to use.

    `minicnn.compat.cuda.amp` becomes `minicnn.cuda.amp` as well, and is the same module. The last line of a module.
    """
    name = namespace["__name__"]
    path = public_path(name)
    sys.modules[path] = sys.modules[name]
    answer(namespace, path)
