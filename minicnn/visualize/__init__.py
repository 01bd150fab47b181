"""Pictures for papers, READMEs and lessons; each function returns a matplotlib Figure and writes it to `out` if asked.

Files:
    training.py    curves, confusion, errors       net.py    filters, overview
    style.py       how they all look               run.py    all of them from a run folder
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
