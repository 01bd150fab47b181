"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import minicnn
import minicnn_kernels
from minicnn import nn

FOLDERS = [Path(minicnn.__file__).parent, Path(minicnn_kernels.__file__).parent]
MODULES = [
    ".".join([folder.name, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
    for folder in FOLDERS
    for path in sorted(folder.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
NAMES = {"minicnn": minicnn, "nn": nn, "F": nn.functional, "np": np}


@pytest.mark.cpu_only("shows CPU tensors")
@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), globs=dict(NAMES))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for each in found:
        minicnn.manual_seed(0)
        runner.run(each, out=said.append)
    assert runner.tries and not runner.failures, "".join(said)
