"""Nested lists, tuples and dictionaries, seen as a row of entries and built again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """The entries of nested lists, tuples and dictionaries, in order; anything else is one entry."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree


def rebuilt(tree: Any, entries: Iterator[Any]) -> Any:
    """A tree of the same form with other entries."""
    if isinstance(tree, dict):
        made = {key: rebuilt(value, entries) for key, value in tree.items()}
        return made if type(tree) is dict else type(tree)(made)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(rebuilt(value, entries) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(rebuilt(value, entries) for value in tree)
    return next(entries)


def mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    """A tree of the same form whose entries are changed."""
    return rebuilt(tree, iter([change(entry) for entry in leaves(tree)]))
