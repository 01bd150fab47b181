"""Looking at a net without training it."""

from __future__ import annotations

from .summary import Summary, summary

__all__ = ["Summary", "summary"]
