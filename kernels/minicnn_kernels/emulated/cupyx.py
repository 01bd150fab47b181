"""The module that stands for `cupyx`: `cupyx.scipy.special`, scattering, and page-locked arrays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .api import API
from .memory import alloc_pinned_memory
from .methods import ndarray
from .traffic import DeviceSynchronized
from .ufunc import get_special, get_ufunc

__all__ = ["DeviceSynchronized", "empty_pinned", "scatter_add", "scatter_max", "scatter_min", "scipy", "zeros_pinned"]


class _Special:
    """`cupyx.scipy.special`, computed by SciPy."""

    def __getattr__(self, name: str) -> Any:
        if name not in API["special"]:
            raise AttributeError(f"module 'cupyx.scipy.special' has no attribute {name!r}")
        return get_special(name)


scipy = SimpleNamespace(special=_Special())


def scatter_add(a: ndarray, slices: Any, value: Any) -> None:
    """a[slices] += value, where an index may come up several times."""
    get_ufunc("add").at(a, slices, value)


def scatter_max(a: ndarray, slices: Any, value: Any) -> None:
    """a[slices] = maximum(a[slices], value), where an index may come up several times."""
    get_ufunc("maximum").at(a, slices, value)


def scatter_min(a: ndarray, slices: Any, value: Any) -> None:
    """a[slices] = minimum(a[slices], value), where an index may come up several times."""
    get_ufunc("minimum").at(a, slices, value)


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    """A NumPy array in page-locked memory."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    memory = alloc_pinned_memory(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return np.ndarray(shape, dtype, memory, order="F" if order == "F" else "C")


def zeros_pinned(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    """A NumPy array of zeros in page-locked memory."""
    a = empty_pinned(shape, dtype, order)
    a[...] = 0
    return a
