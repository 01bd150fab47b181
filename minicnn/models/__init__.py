"""Architectures."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .lenet import LeNet5

__all__ = ["LeNet5"]

_answer(globals())
