"""Figures for papers, READMEs and lessons. Each function returns a Matplotlib Figure, and writes it to `out` if given.

Files:
    training.py    curves, confusion, errors       net.py    filters, overview
    style.py       the style of them all               run.py    the figures of a run folder
    comparison.py  the speed of algorithms
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .comparison import algorithms
from .net import filters, overview
from .run import draw
from .style import check_format
from .training import confusion, curves, errors

__all__ = ["algorithms", "check_format", "confusion", "curves", "draw", "errors", "filters", "overview"]

_answer(globals())
