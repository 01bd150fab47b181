"""Functions of several benchmarks: load the libraries to compare in the right order, and describe the machine."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np


def threads() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def libraries(torch: bool) -> dict[str, Any]:
    """{"torch": ..., "minicnn": ...}. PyTorch is imported first, so that its OpenMP starts with its own settings."""
    found: dict[str, Any] = {}
    if torch:
        import torch as library

        library.set_num_threads(threads())
        library.ones(64, 64) @ library.ones(64, 64)
        found["torch"] = library
    import minicnn

    found["minicnn"] = minicnn
    return found


def machine(libraries: dict[str, Any]) -> str:
    """Versions and threads, for the head of a table."""
    versions = ", ".join(f"{name} {library.__version__}" for name, library in libraries.items())
    return f"Python {platform.python_version()}, NumPy {np.__version__}, {versions}; {threads()} threads"
