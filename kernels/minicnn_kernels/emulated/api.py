"""What CuPy has: names, argument names and the types of ufuncs, from `cupy_api.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class EmulationError(RuntimeError):
    """A GPU would go on here, with an undefined result or with a copy that nobody asked for."""


# kind, name, and what the line of the name says: arguments, or the loops of a ufunc
API: dict[str, dict[str, list[str]]] = {
    kind: {} for kind in ("version", "function", "ufunc", "by_dtype", "special", "method", "attribute")
}
for _line in Path(__file__).with_name("cupy_api.txt").read_text(encoding="utf-8").splitlines():
    _kind, _name, *_rest = _line.split()
    API[_kind][_name] = _rest

VERSION = next(iter(API["version"]))
DTYPES = "?bBhHiIlLqQefdFD"


def supported(dtype: Any) -> np.dtype[Any]:
    """A type that a GPU computes with.

    Raises:
        ValueError: it is none, as `object` or a text.
    """
    found = np.dtype(dtype)
    if (found.char not in DTYPES and found.names is None) or not found.isnative:
        raise ValueError(f"Unsupported dtype {found}")
    return found


def check_arguments(kind: str, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Refuse arguments that CuPy's function or method of that name does not have.

    Raises:
        TypeError: as Python raises it.
    """
    known = API[kind][name]
    if len(args) > len(known) and not any(p.startswith("*") for p in known):
        raise TypeError(f"cupy.{name}() takes {len(known)} positional arguments but {len(args)} were given")
    for option in options:
        if option not in known and not (known and known[-1].startswith("**")):
            raise TypeError(f"cupy.{name}() got an unexpected keyword argument {option!r}")
