"""The table of all errors about shapes: the lists `ERRORS` of the files here, one for each file of the geometry."""

from __future__ import annotations

import importlib
import pkgutil

from .table import Error

ERRORS: list[Error] = [
    row
    for file in pkgutil.iter_modules(__path__)
    if file.name != "table"
    for row in importlib.import_module(f"{__name__}.{file.name}").ERRORS
]
