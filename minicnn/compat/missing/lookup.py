"""From a place and a name to the sentence that says what to use instead."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module

import numpy as np

from . import pytorch, torchvision

# Where to look for a name that a program has looked for in another place, in this order.
PLACES = (
    "minicnn", "minicnn.nn", "minicnn.nn.functional", "minicnn.nn.init", "minicnn.nn.utils", "minicnn.optim",
    "minicnn.optim.lr_scheduler", "minicnn.utils.data", "minicnn.utils.checkpoint", "minicnn.autograd",
    "minicnn.transforms", "minicnn.datasets", "minicnn.models",
)  # fmt: skip
_NUMPY = {"minicnn": "", "Tensor": "", "minicnn.linalg": "linalg."}  # places whose functions NumPy may have


def why(where: str, name: str, known: Iterable[str]) -> str:
    """What to use instead of `where.name`; `known` are the names that exist in `where`."""
    here = sorted(n for n in known if not n.startswith("_"))
    text = _row(where, name)
    if text is not None:
        there = ", ".join(_public(where)) if "{there}" in text else ""
        return text.replace("{name}", name).replace("{there}", there)
    base = name.removesuffix("_")
    if base != name and base in here:
        return f"minicnn does not have it in place; use x = x.{base}(...)" if where == "Tensor" else f"use {base}"
    elsewhere = _elsewhere(where, name)
    if elsewhere:
        return f"it is {elsewhere}"
    same = [n for n in here if n.lower() == name.lower()]
    if same:
        return f"minicnn does not have it; use {same[0]}?"
    if where in _NUMPY and not name.startswith("_"):
        library = np.linalg if where == "minicnn.linalg" else np
        if callable(getattr(library, name, None)):
            return f"minicnn does not have it; use numpy.{_NUMPY[where]}{name} on x.numpy(), without gradients"
    close = difflib.get_close_matches(name, here, 3, 0.75)
    if close:
        return f"minicnn does not have it; use {' or '.join(close)}?"
    return "minicnn does not have it; docs/pytorch.md lists what there is"


def absent(place: str) -> Iterator[str]:
    """The names, without those that have a star, that the rows list as missing in a place."""
    for row in (*pytorch.ROWS, *torchvision.ROWS):
        if place in row.places.split():
            yield from (word for word in row.names.split() if "*" not in word)


def _row(where: str, name: str) -> str | None:
    place = where.removeprefix("minicnn.")
    exact, patterns = _tables()
    for key in (place, "*"):  # rows for a place come before rows for all places
        found = exact.get((key, name))
        if found is not None:
            return found
        for pattern, text in patterns.get(key, ()):
            if pattern.fullmatch(name):
                return text
    return None


@cache
def _tables() -> tuple[dict[tuple[str, str], str], dict[str, list[tuple[re.Pattern[str], str]]]]:
    """By place: the text of each name, and of each pattern. The first row that has a name counts."""
    exact: dict[tuple[str, str], str] = {}
    patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for row in (*pytorch.ROWS, *torchvision.ROWS):
        for place in row.places.split():
            for word in row.names.split():
                if "*" in word:
                    pattern = re.compile(word.replace("*", r"\w*"))
                    patterns.setdefault(place, []).append((pattern, row.text))
                else:
                    exact.setdefault((place, word), row.text)
    return exact, patterns


def _public(where: str) -> list[str]:
    """The public names of a module."""
    module = sys.modules[where] if where in sys.modules else import_module(where)
    return sorted(getattr(module, "__all__", ()), key=str.lower)


def _elsewhere(where: str, name: str) -> str | None:
    """The full name of something with this name in another place of minicnn; None if there is none."""
    if name.startswith("_"):
        return None
    for place in PLACES:
        if where == "Tensor" and place not in ("minicnn", "minicnn.nn.functional"):
            continue
        module = sys.modules.get(place) or (None if sys.is_finalizing() else import_module(place))
        value = vars(module).get(name) if module is not None else None
        lazy = value is None and name in getattr(module, "__all__", ())
        if lazy or str(getattr(value, "__module__", "")).startswith("minicnn"):
            return f"{place}.{name}"
    return None
