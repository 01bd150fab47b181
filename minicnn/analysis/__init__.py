"""Looking at a net without training it."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .summary import Summary, summary

__all__ = ["Summary", "summary"]

_answer(globals())
