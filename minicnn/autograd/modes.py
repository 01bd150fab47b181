"""Recording on and off, per thread.

Ctrl-C may raise KeyboardInterrupt before the first step of any Python function, `__exit__` too, and then a block would
leave recording off for good. So what a `with` statement calls at the end of a block is a function of C, chosen before
the block begins.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

GENERATOR = 0x20  # the flag of a generator function, inspect.CO_GENERATOR

F = TypeVar("F", bound=Callable[..., Any])


class _Thread(threading.local):
    """What is on in this thread; operations look here, without a call, since each of them does."""

    recording = True  # the default of every new thread
    watching = 0  # the number of `detect_anomaly` blocks around


thread = _Thread()


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return thread.recording


# setattr(thread, "recording", ...), which is given exception, value and traceback as well, and in C ignores them
_set = ctypes.PYFUNCTYPE(ctypes.c_int, *[ctypes.py_object] * 6)(("PyObject_SetAttr", ctypes.pythonapi))
_restore = {on: functools.partial(_set, thread, "recording", on) for on in (False, True)}


class _Exit:
    """`__exit__` of `_Recording`. A `with` statement looks it up on the object before it calls `__enter__`."""

    def __get__(self, block: _Recording | None, kind: type[_Recording]) -> Callable[..., Any]:
        if block is None:  # an ExitStack looks it up on the class
            return _Recording._leave
        if block.__dict__.get("_outer"):  # `__enter__` was called by its name
            return block._leave
        block._statement = True
        return _restore[thread.recording]


class _Recording:
    """A state of recording as a `with` block, and as a decorator of a function or of a generator."""

    mode: bool
    _outer: list[bool]
    _statement = False  # a `with` statement has found out what to restore

    def __enter__(self) -> None:
        if self._statement:
            self._statement = False
        else:
            self.__dict__.setdefault("_outer", []).append(thread.recording)
        thread.recording = self.mode  # the last step

    def _leave(self, *error: object) -> None:
        thread.recording = self._outer.pop()

    __exit__ = _Exit()

    def clone(self) -> _Recording:
        """One of the same kind: a decorated function may run in several threads at once."""
        again = object.__new__(type(self))
        again.mode = self.mode
        return again

    def __call__(self, function: F) -> F:
        """Decorate a function, or a generator."""
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & GENERATOR:

            @functools.wraps(function)
            def generator(*args: Any, **options: Any) -> Any:
                steps, sent = function(*args, **options), None  # the state holds while the generator runs, not between
                try:
                    while True:
                        with self.clone():
                            value = steps.send(sent)
                        sent = yield value
                except StopIteration as end:
                    return end.value
                finally:
                    steps.close()

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def decorated(*args: Any, **options: Any) -> Any:
            with self.clone():
                return function(*args, **options)

        return decorated  # type: ignore[return-value]


class set_grad_enabled(_Recording):
    """Record operations or not, from now on in this thread; as a `with` block or decorator, until its end."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._outer = [thread.recording]
        thread.recording = self.mode

    def __enter__(self) -> None:
        if self.__dict__.get("_outer"):  # kept by __init__: the state before it
            thread.recording = self.mode
        else:
            super().__enter__()

    def __call__(self, function: F) -> F:
        """As a decorator it says nothing about the code around it."""
        thread.recording = self._outer.pop()
        return super().__call__(function)


class no_grad(_Recording):
    """Record nothing inside: `with no_grad():`, or `@no_grad()` on a function. Thread-local; blocks may nest."""

    mode = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` without parentheses decorates at once."""
        made = super().__new__(cls)
        return made if function is None else made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None: ...


class enable_grad(no_grad):
    """Record inside, also within a `no_grad` block."""

    mode = True


class inference_mode(_Recording):
    """As `no_grad`; `inference_mode(False)` leaves recording as it is."""

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        """`@inference_mode` without parentheses decorates at once."""
        made = super().__new__(cls)
        made.mode = not mode and thread.recording
        return made if isinstance(mode, bool) else made(mode)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None: ...


def is_inference_mode_enabled() -> bool:
    """Whether recording is off, which is all that inference mode is here."""
    return not thread.recording
