"""The lines of `minicnn doctor`."""

from __future__ import annotations

from typing import NamedTuple

OK, SLOW, WRONG = "ok", "slow", "wrong"


class Line(NamedTuple):
    """One line of the report: the name, what was found, the verdict, and the remedy."""

    name: str
    found: str
    verdict: str = OK
    remedy: str = ""
