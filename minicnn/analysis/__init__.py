"""The table of a net's layers."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .summary import Summary, summary

__all__ = ["Summary", "summary"]

_answer(globals())
