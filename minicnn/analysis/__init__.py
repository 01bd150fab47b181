"""Looking at a net without training it, and at how fast its layers are."""

from __future__ import annotations

from ..missing import answer as _answer
from .compare import Comparison, compare_algorithms
from .summary import Summary, summary

__all__ = ["Comparison", "Summary", "compare_algorithms", "summary"]

_answer(globals())
