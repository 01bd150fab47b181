"""The switches that several backends have: they are set and given back, and change nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def switched(module: str, **values: Any) -> Iterator[None]:
    """Set attributes of a module for a while."""
    there = vars(sys.modules[module])
    before = {name: there[name] for name in values}
    there.update(values)
    try:
        yield
    finally:
        there.update(before)
