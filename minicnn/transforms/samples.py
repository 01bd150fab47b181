"""Samples made of several things: nested tuples, lists and dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["each_leaf", "leaves"]


def leaves(sample: Any) -> Iterator[Any]:
    """Everything in a sample that is not a tuple, list or dictionary, in order."""
    if isinstance(sample, tuple | list):
        for part in sample:
            yield from leaves(part)
    elif isinstance(sample, Mapping):
        for part in sample.values():
            yield from leaves(part)
    else:
        yield sample


def each_leaf(sample: Any, change: Callable[[Any], Any]) -> Any:
    """A sample of the same structure, with `change(leaf)` in the place of each leaf."""
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):  # a named tuple
        return type(sample)(*(each_leaf(part, change) for part in sample))
    if isinstance(sample, tuple | list):
        return type(sample)(each_leaf(part, change) for part in sample)
    if isinstance(sample, Mapping):
        return type(sample)((key, each_leaf(part, change)) for key, part in sample.items())  # type: ignore[call-arg]
    return change(sample)
