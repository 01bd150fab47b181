"""The table of a net's layers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..compat.missing import unknown
from .summary import Summary, summary

__all__ = ["Summary", "summary"]


def __getattr__(name: str) -> Any:
    if name in ("Comparison", "compare_algorithms"):  # they were here before `minicnn.bench`, which lies above
        return getattr(import_module("minicnn.bench"), name)
    raise unknown(__name__, name, globals())
