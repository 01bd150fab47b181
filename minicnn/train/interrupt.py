"""Ctrl-C that loses nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..serialization.files import remedy
from .config import RunError
from .loop import SaveError


class Interrupt:
    """Inside the `with` block, the first Ctrl-C only makes calls of this object say True; the second ends the process.

    It is left alone where Ctrl-C is ignored (`nohup minicnn train &`), and outside the main thread.

    Args:
        saved: what is on the disk, in a sentence, for who thinks of the second.
    """

    def __init__(self, saved: Callable[[], str] = lambda: "") -> None:
        self.asked, self.saved = False, saved
        self._before: Any = None

    def __call__(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.asked

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._first)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _first(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # even inside a kernel the next one is obeyed at once
        so_far = f": {text}" if (text := self.saved()) else ""
        with suppress(OSError):  # nobody listens any more
            os.write(2, f"\nminicnn: finishing this step, then saving; Ctrl-C again quits at once{so_far}\n".encode())


@contextmanager
def telling(saved: Callable[[], str]) -> Iterator[None]:
    """After Ctrl-C inside the `with` block, or a file that cannot be written, the error says whether the net is lost.

    Args:
        saved: what is on the disk, in a sentence.
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
