"""The table of test samples of the kernels, one row per kernel table; `test_tables.py` puts each through every check.

A sample makes the arguments of one call from random numbers and a floating-point type. A new kernel is tested through
its operation's row in `tests/samples`. A row here is for special cases that do not reach the kernel through the
operation. The `SAMPLES` of all files are merged into one table.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from .foundation import CONVS, MAX_POOLS, POOLS, Arguments, Sample, arrays_in, every_array, run

SAMPLES: dict[str, list[Sample]] = {}
for _module in pkgutil.iter_modules(__path__):
    for _name, _samples in getattr(import_module(f"{__name__}.{_module.name}"), "SAMPLES", {}).items():
        SAMPLES.setdefault(_name, []).extend(_samples)

__all__ = ["CONVS", "MAX_POOLS", "POOLS", "SAMPLES", "Arguments", "Sample", "arrays_in", "every_array", "run"]
