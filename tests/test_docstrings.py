"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from collections import Counter
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
    if re.search(r">>> |elementwise import .*\b(unary|binary)\b", path.read_text(encoding="utf-8"))
}
NAMES = {"minicnn": minicnn, "nn": nn, "F": nn.functional, "np": np}


class Finder(doctest.DocTestFinder):
    """Finds also the functions that a factory or a decorator of another file has made."""

    def _from_module(self, module: Any, object: Any) -> bool:
        origin, name = sys.modules.get(getattr(object, "__module__", "")), getattr(object, "__name__", "")
        made = name in getattr(module, "__all__", ()) and getattr(origin, name, None) is not object
        wrapped = getattr(object, "__module__", "") == module.__name__
        return made or wrapped or super()._from_module(module, object)


@pytest.mark.cpu_only("shows CPU tensors")
@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    """Every example that the file has is run; those with {braces} are filled in by a factory."""
    found = Finder(exclude_empty=True).find(importlib.import_module(module), globs=dict(NAMES))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for each in found:
        minicnn.manual_seed(0)
        runner.run(each, out=said.append)
    assert not runner.failures, "".join(said)
    source = MODULES[module].read_text(encoding="utf-8")
    written = Counter(
        line for line in re.findall(r"^ *>>> (.*)$", source, re.M) if not re.search(r"\{\w+[^ ]*\}", line)
    )
    run = Counter(example.source.split("\n")[0] for each in found for example in each.examples)
    assert not written - run


@pytest.mark.cpu_only("shows CPU tensors")
def test_examples_of_methods_that_a_loop_made() -> None:
    """Those of `Tensor.float` and others that no module has under their name."""
    runner = doctest.DocTestRunner()
    for name, method in vars(minicnn.Tensor).items():
        home = sys.modules.get(getattr(method, "__module__", "")) if callable(method) else None
        if home is not None and getattr(home, name, None) is not method:
            for each in Finder(exclude_empty=True).find(method, name, module=False, globs=dict(NAMES)):
                runner.run(each)
    assert runner.tries and not runner.failures
