"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn_kernels
from minicnn import nn

FOLDERS = [Path(minicnn.__file__).parent, Path(minicnn_kernels.__file__).parent]
MODULES = {
    ".".join([folder.name, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in sorted(folder.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
}
NAMES = {"minicnn": minicnn, "nn": nn, "F": nn.functional, "np": np}


class Finder(doctest.DocTestFinder):
    """Finds also the public functions that a factory in another file has made."""

    def _from_module(self, module: Any, object: Any) -> bool:
        origin, name = sys.modules.get(getattr(object, "__module__", "")), getattr(object, "__name__", "")
        made = name in getattr(module, "__all__", ()) and getattr(origin, name, None) is not object
        return made or super()._from_module(module, object)


@pytest.mark.cpu_only("shows CPU tensors")
@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    """Every example that the file has is run once."""
    found = Finder(exclude_empty=True).find(importlib.import_module(module), globs=dict(NAMES))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for each in found:
        minicnn.manual_seed(0)
        runner.run(each, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries == MODULES[module].read_text(encoding="utf-8").count(">>> ")
