"""Following a run: an observer is told of every operation and of every module that begins or ends, in its own thread.

It is told of every step of a backward pass, too. `minicnn.analysis` records the data flow of a net that way, and
`minicnn.explain` the gradients on it. Without an observer, an operation only asks whether a dictionary is empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


class Observer:
    """What is told of a run, inside `with observer:`; the subclass overrides what it wants to know."""

    def operation(self, function: Any, name: str, args: Sequence[Any], options: dict[str, Any], outputs: Any) -> None:
        """An operation has run: the `Function`, its name, its arguments, and a tuple of tensors that it made."""

    def written(self, x: Any, result: Any) -> None:
        """The values of the tensor `result` have been written into the memory of the tensor x."""

    def enter(self, module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """A module has been called."""

    def leave(self, module: Any, result: Any) -> Any:
        """The module has returned; what is returned here is given to its caller instead."""
        return result

    def fail(self, module: Any, error: BaseException) -> None:
        """An exception leaves the module."""

    def arrived(self, node: Any, gradients: Sequence[Any]) -> None:
        """In a backward pass a node is the next to run: the gradients of its results, complete, after their hooks."""

    def returned(self, node: Any, gradients: Sequence[Any]) -> None:
        """The backward of the node has returned the gradients of its inputs, which have not yet been added anywhere."""

    def __enter__(self) -> Any:
        number = threading.get_ident()
        self._outer = observers.get(number)
        observers[number] = self
        return self

    def __exit__(self, *error: object) -> None:
        number = threading.get_ident()
        if self._outer is None:
            del observers[number]
        else:
            observers[number] = self._outer


observers: dict[int, Observer] = {}  # by thread; the innermost of each


def operation(function: Any, name: str, args: Sequence[Any], options: dict[str, Any], outputs: Any) -> None:
    """Tell the observer of this thread, if there is one, of an operation."""
    if (observer := observers.get(threading.get_ident())) is not None:
        observer.operation(function, name, args, options, outputs)


def written(x: Any, result: Any) -> None:
    """Tell the observer of this thread, if there is one, of a write in place."""
    if (observer := observers.get(threading.get_ident())) is not None:
        observer.written(x, result)


def arrived(node: Any, gradients: Sequence[Any]) -> None:
    """Tell the observer of this thread, if there is one, of a node whose backward runs next."""
    if (observer := observers.get(threading.get_ident())) is not None:
        observer.arrived(node, gradients)


def returned(node: Any, gradients: Sequence[Any]) -> None:
    """Tell the observer of this thread, if there is one, of the gradients that a node has computed."""
    if (observer := observers.get(threading.get_ident())) is not None:
        observer.returned(node, gradients)


def call(module: Any, run: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return run(*args, **options), the call of a module, and tell the observer of this thread."""
    if (observer := observers.get(threading.get_ident())) is None:
        return run(*args, **options)
    observer.enter(module, args, options)
    try:
        result = run(*args, **options)
    except BaseException as error:
        observer.fail(module, error)
        raise
    return observer.leave(module, result)
