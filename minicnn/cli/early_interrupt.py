"""Ctrl-C while the command line program starts: one line and exit code 130 instead of Python's traceback.

The program `minicnn` imports this package, which takes most of a second, before its own code runs. So this file is the
first that the package imports. It has an effect in that program only: other programs get their KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import PurePath
from types import FrameType


def is_command(words: list[str]) -> bool:
    """Whether a process with this command line is the program `minicnn` or `python -m minicnn`."""
    rest = iter(words[1:])
    for word in rest:
        if word == "-m":
            return next(rest, "") in ("minicnn", "minicnn.cli")
        if word in ("-X", "-W"):
            next(rest, "")
        elif word.startswith("-c"):
            return False
        elif not word.startswith("-"):
            return PurePath(word).stem == "minicnn"
    return False


def interrupt(number: int, frame: FrameType | None) -> None:
    """End at once; once `program.main` runs, raise KeyboardInterrupt as usual: it has its own way to end."""
    at = frame
    while at is not None:
        if at.f_code.co_name == "main" and at.f_globals.get("__name__") == "minicnn.cli.program":
            signal.default_int_handler(number, frame)
        at = at.f_back
    os.write(2, b"minicnn: interrupted\n")
    os._exit(130)


if (
    is_command(sys.orig_argv)
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, interrupt)
