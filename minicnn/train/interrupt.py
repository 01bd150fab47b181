"""Ctrl-C that loses nothing."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any


class Interrupt:
    """Inside the `with` block, the first Ctrl-C only makes calls of this object say True; the second ends the process.

    It is left alone where Ctrl-C is ignored (`nohup minicnn train &`), and outside the main thread.
    """

    def __init__(self) -> None:
        self.asked = False
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
        os.write(2, b"\nminicnn: finishing this step, then saving; Ctrl-C again quits at once\n")
