"""The shape of the tables of what is missing."""

from __future__ import annotations

from typing import NamedTuple


class Gap(NamedTuple):
    """Names that are missing, and what is said of them.

    places: where, without "minicnn.": "nn nn.functional"; "minicnn" is the top, "Tensor" the methods, "*" anywhere.
    names:  the names; * stands for any letters. None may match what exists there: the tests tell.
    text:   what to use instead. Every minicnn.x, numpy.x and x.method in it must exist; {name} is the name that was
            looked up, {there} the names that the place has.
    """

    places: str
    names: str
    text: str
