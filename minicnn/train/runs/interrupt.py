"""Handling Ctrl-C and SIGTERM so that a training loses nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...serialization.files import remedy
from ..loop import SaveError
from .config import RunError


class Interrupt:
    """Inside the `with` block, after the first Ctrl-C or SIGTERM a call of this object returns True; the second ends
    the process.

    A signal that is ignored (`nohup minicnn train &`) stays so. Outside the main thread nothing is changed.

    Args:
        saved: gives a sentence that says what is saved on the disk, for users who consider a second Ctrl-C.

    >>> from minicnn.train import Interrupt
    >>> with Interrupt() as stop:  # `train(..., stop=stop)` ends after Ctrl-C
    ...     print(stop())
    False
    """

    def __init__(self, saved: Callable[[], str] = lambda: "") -> None:
        self.asked, self.saved = False, saved
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether the program was asked to stop."""
        return self.asked

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._first)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _first(self, number: int, frame: Any) -> None:
        self.asked = True
        for each in self._before:  # the next one works at once, even inside a kernel
            signal.signal(each, signal.SIG_DFL)
        so_far = f": {text}" if (text := self.saved()) else ""
        with suppress(OSError):  # stderr is closed
            os.write(2, f"\nminicnn: finishing this step, then saving; Ctrl-C again quits at once{so_far}\n".encode())


@contextmanager
def telling(saved: Callable[[], str]) -> Iterator[None]:
    """Inside the `with` block, errors of Ctrl-C and of files that cannot be written also say what is saved.

    Args:
        saved: gives a sentence that says what is saved on the disk.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(saved()) from error
    except SaveError as error:
        raise RunError(f"{error}. What there is: {saved()}") from error
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise RunError(f"{error}; {remedy(error)}. What there is: {saved()}") from error
