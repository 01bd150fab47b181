"""Recording on and off, per thread."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import ClassVar


class _Mode(threading.local):
    enabled = True  # the default of every new thread


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return _mode.enabled


class set_grad_enabled(ContextDecorator):
    """Record operations or not, from now on in this thread; as a `with` block or decorator, until its end."""

    def __init__(self, mode: bool) -> None:
        self.mode, self._outer = bool(mode), _mode.enabled
        _mode.enabled = self.mode

    def _recreate_cm(self) -> set_grad_enabled:
        outer = _mode.enabled
        again = type(self)(self.mode)
        again._outer = outer
        return again

    def __enter__(self) -> None:
        _mode.enabled = self.mode

    def __exit__(self, *error: object) -> None:
        _mode.enabled = self._outer


class no_grad(ContextDecorator):
    """Record nothing inside: `with no_grad():`, or `@no_grad()` on a function. Thread-local; blocks may nest."""

    _enabled: ClassVar[bool] = False

    def __init__(self) -> None:
        self._outer: list[bool] = []

    def _recreate_cm(self) -> no_grad:
        return type(self)()  # a decorated function may run in several threads at once

    def __enter__(self) -> None:
        self._outer.append(_mode.enabled)
        _mode.enabled = self._enabled

    def __exit__(self, *error: object) -> None:
        _mode.enabled = self._outer.pop()


class enable_grad(no_grad):
    """Record inside, also within a `no_grad` block."""

    _enabled = True
