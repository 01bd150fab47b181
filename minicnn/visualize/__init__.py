"""Pictures for papers, READMEs and lessons; each function returns a matplotlib Figure and writes it to `out` if asked.

Files:
    training.py    curves, confusion, errors       net.py    filters, overview
    style.py       how they all look               run.py    all of them from a run folder
"""

from __future__ import annotations

from .net import filters, overview
from .run import draw
from .style import check_format
from .training import confusion, curves, errors

__all__ = ["check_format", "confusion", "curves", "draw", "errors", "filters", "overview"]
