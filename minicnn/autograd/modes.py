"""Switching the recording of operations on and off, per thread.

Ctrl-C may raise KeyboardInterrupt before the first step of any Python function, also of `__exit__`. Recording would
then stay off for good. So the end of a `with` block calls a function written in C, which is chosen before the block
begins.
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
    """The modes of this thread; every operation reads them, so they are plain attributes and not function calls."""

    recording = True  # the default of every new thread
    watching = 0  # the number of open `detect_anomaly` blocks
    packing: tuple[Any, ...] = ()  # the open hooks on saved arrays, the innermost at the end; see saved_tensors.py
    walk: Any = None  # the backward pass that is running, the `Leaves` of hooks.py
    packing_refused: str | None = None  # the error for such hooks


thread = _Thread()


def is_grad_enabled() -> bool:
    """Return whether operations are recorded in this thread.

    >>> with minicnn.no_grad():
    ...     minicnn.is_grad_enabled()
    False
    """
    return thread.recording


# setattr(thread, "recording", on); it is also given exception, value and traceback, which the C function ignores
_set = ctypes.PYFUNCTYPE(ctypes.c_int, *[ctypes.py_object] * 6)(("PyObject_SetAttr", ctypes.pythonapi))
_restore = {on: functools.partial(_set, thread, "recording", on) for on in (False, True)}


class _Exit:
    """`__exit__` of `_Recording`; a `with` statement looks it up on the object before it calls `__enter__`."""

    def __get__(self, block: _Recording | None, kind: type[_Recording]) -> Callable[..., Any]:
        if block is None:  # an ExitStack looks it up on the class
            return _Recording._leave
        if block.__dict__.get("_outer"):  # the program itself called `__enter__`
            return block._leave
        block._statement = True
        return _restore[thread.recording]


class _Recording:
    """A mode of recording, as a `with` block and as a decorator of a function or of a generator."""

    mode: bool
    _outer: list[bool]
    _statement = False  # True after a `with` statement has looked up what to restore

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
        """Return another one of the same kind, since a decorated function may run in several threads at once."""
        again = object.__new__(type(self))
        again.mode = self.mode
        return again

    def __call__(self, function: F) -> F:
        """Decorate a function, or a generator."""
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & GENERATOR:

            @functools.wraps(function)
            def generator(*args: Any, **options: Any) -> Any:
                steps = function(*args, **options)
                step: Callable[[Any], Any] = steps.send
                sent: Any = None
                try:
                    while True:
                        with self.clone():  # the mode holds only while the generator runs
                            value = step(sent)
                        try:
                            step, sent = steps.send, (yield value)
                        except GeneratorExit:
                            raise
                        except BaseException as error:  # what the caller has thrown is the generator's to handle
                            step, sent = steps.throw, error
                except StopIteration as end:
                    return end.value
                finally:
                    with self.clone():
                        steps.close()

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def decorated(*args: Any, **options: Any) -> Any:
            with self.clone():
                return function(*args, **options)

        return decorated  # type: ignore[return-value]


class set_grad_enabled(_Recording):
    """Switch recording on or off, from now on in this thread; as a `with` block or decorator, until its end.

    >>> x = minicnn.tensor(3.0, requires_grad=True)
    >>> with minicnn.set_grad_enabled(False):
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._outer = [thread.recording]
        thread.recording = self.mode

    def __enter__(self) -> None:
        if self.__dict__.get("_outer"):  # the mode before, kept by __init__
            thread.recording = self.mode
        else:
            super().__enter__()

    def __call__(self, function: F) -> F:
        """Decorate a function; a decorator leaves the mode of the code around it as it was."""
        thread.recording = self._outer.pop()
        return super().__call__(function)


class no_grad(_Recording):
    """Record no operation inside: `with no_grad():`, or `@no_grad()` on a function. Thread-local; blocks may nest.

    >>> x = minicnn.tensor(3.0, requires_grad=True)
    >>> with minicnn.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    mode = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """Decorate at once if it is used as `@no_grad`, without parentheses."""
        made = super().__new__(cls)
        return made if function is None else made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None: ...


class enable_grad(no_grad):
    """Record operations inside, also within a `no_grad` block.

    >>> x = minicnn.tensor(3.0, requires_grad=True)
    >>> with minicnn.no_grad(), minicnn.enable_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    True
    """

    mode = True


class inference_mode(_Recording):
    """The same as `no_grad`; `inference_mode(False)` leaves recording as it is.

    >>> with minicnn.inference_mode():
    ...     (2 * minicnn.tensor(3.0, requires_grad=True)).requires_grad
    False
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        """Decorate at once if it is used as `@inference_mode`, without parentheses."""
        made = super().__new__(cls)
        made.mode = not mode and thread.recording
        return made if isinstance(mode, bool) else made(mode)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None: ...


class set_multithreading_enabled:
    """Do nothing: a backward pass runs in the thread that called it. As a statement or a `with` block.

    >>> with minicnn.autograd.set_multithreading_enabled(False):
    ...     minicnn.ones(1, requires_grad=True).backward()
    """

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def is_inference_mode_enabled() -> bool:
    """Return whether recording is off; in minicnn, inference mode means nothing more than that.

    >>> with minicnn.inference_mode():
    ...     minicnn.is_inference_mode_enabled()
    True
    """
    return not thread.recording
