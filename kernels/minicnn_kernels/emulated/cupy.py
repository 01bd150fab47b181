"""The module that stands for `cupy`: its names, looked up when they are used."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import cuda
from .api import API, VERSION
from .cuda import is_available
from .functions import get_function
from .memory import MemoryPool, PinnedMemoryPool
from .methods import ndarray
from .raw_module import RawKernel, RawModule
from .ufunc import ufunc

__all__ = [
    "RawKernel",
    "RawModule",
    "cuda",
    "get_array_module",
    "get_default_memory_pool",
    "get_default_pinned_memory_pool",
    "is_available",
    "ndarray",
    "ufunc",
]

__version__ = VERSION
_CONSTANTS = {
    "bool", "bool_", "complex64", "complex128", "complexfloating", "dtype", "e", "euler_gamma", "finfo", "float16",
    "float32", "float64", "floating", "generic", "iinfo", "inexact", "inf", "int8", "int16", "int32", "int64", "intc",
    "integer", "intp", "nan", "newaxis", "number", "pi", "signedinteger", "uint8", "uint16", "uint32", "uint64",
    "uintp", "unsignedinteger",
}  # fmt: skip
_pool, _pinned_pool = MemoryPool(), PinnedMemoryPool()


class _Space:
    """A part of CuPy, such as `cupy.lib.stride_tricks`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return get_function(f"{self._path}.{name}")


fft = _Space("fft")
linalg = _Space("linalg")
lib = SimpleNamespace(stride_tricks=_Space("lib.stride_tricks"))


def get_array_module(*args: Any) -> Any:
    """This module if one of the arguments is on a GPU, else NumPy."""
    return sys.modules[__name__] if any(isinstance(a, ndarray) for a in args) else np


def get_default_memory_pool() -> MemoryPool:
    """The pool of device memory."""
    return _pool


def get_default_pinned_memory_pool() -> PinnedMemoryPool:
    """The pool of page-locked memory."""
    return _pinned_pool


def __getattr__(name: str) -> Any:
    if name in _CONSTANTS:
        return getattr(np, name)
    if name in API["ufunc"] or name in API["function"]:
        return get_function(name)
    raise AttributeError(f"module 'cupy' has no attribute {name!r}, or its emulation has none")
