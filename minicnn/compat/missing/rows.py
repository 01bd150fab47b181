"""The row type of the tables of missing names."""

from __future__ import annotations

from typing import NamedTuple


class Gap(NamedTuple):
    """Names that are missing, and the text that says what to use instead.

    places: the modules, without "minicnn.": "nn nn.functional"; "minicnn" is the package itself, "Tensor" its methods,
            "*" any place.
    names:  the names; * stands for any letters. No name that exists in the place may match: the tests check it.
    text:   what to use instead. Every minicnn.x, numpy.x and x.method in it must exist; {name} is the name that was
            looked up, {there} the names that the place has.
    """

    places: str
    names: str
    text: str
