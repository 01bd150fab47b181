"""Sizes given as one number or as several, with PyTorch's names for these helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    """Make a function that returns an iterable as a tuple, and any other value (also a 0-d tensor) n times."""

    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) and getattr(x, "ndim", True) else (x,) * n

    parse.__name__ = name
    return parse


_single, _pair = _ntuple(1, "_single"), _ntuple(2, "_pair")
_triple, _quadruple = _ntuple(3, "_triple"), _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: Iterable[Any], n: int) -> tuple[Any, ...]:
    """(PH, PW) -> (PW, PW, PH, PH) for n = 2: the padding of a convolution in the form of `functional.pad`."""
    return tuple(x for x in reversed(tuple(t)) for _ in range(n))
