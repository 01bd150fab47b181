"""What the user sees: output to any console, and errors in the words of the command line."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130  # exit codes

# What the library calls its arguments, and what the commands call theirs. The first that fits counts.
_OPTIONS = [
    (r"Pass root=\.\.\.,", "Pass --data DIR,"),
    (r"Pass the folder that holds them as root or in", "Pass the folder that holds them as --data DIR or in"),
    (r"with download=True they are fetched into it", "with {download} they are fetched into it"),
    (r"use download=True|\(for MNIST: download=True\)", "use {download}"),
    (r"minicnn\.datasets\.Digits needs", "--dataset digits needs"),
    (r"^compare_algorithms: 'same'", "bench conv: 'same'"),
    (r"^compare_algorithms: memory_format must be.*", "bench conv: leave --channels-last out"),
    (r"^compare_algorithms: seconds must be", "bench conv: --seconds must be"),
    (r"^compare_algorithms: x\b", "bench conv: --x"),
    (r"^compare_algorithms: w\b", "bench conv: --w"),
    (r"^compare_algorithms: no (backend|algorithm) (\S+) in a list;", r"bench conv: --\1s: there is no \2;"),
    (r"^compare_algorithms:", "bench conv:"),
    (r"^overview: image (\d+)", r"plot overview: --image \1"),
    (r"^draw: ", "plot: "),
]


@contextmanager
def any_console() -> Iterator[None]:
    r"""Let both outputs write what their encoding lacks as \xe4, so that no character of a path is an error."""
    with ExitStack() as later:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
                later.callback(_reset, stream, stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


def _reset(stream: TextIO, errors: str) -> None:
    if isinstance(stream, io.TextIOWrapper) and not stream.closed:
        stream.reconfigure(errors=errors)


def finish() -> bool:
    """Write what waits in the output, while an error can still be told; whether that went well."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        drop_output()
        say(f"minicnn: error: the output cannot be written ({error.strerror})")
    else:
        return True
    return False


def drop_output() -> None:
    """Send what still waits in the output nowhere: Python would try again at its end, and complain."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file, such as one in memory
        return


def say(text: str) -> None:
    """A line on stderr, where there is one."""
    if sys.stderr is None:  # print would take stdout
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # it is closed, or cannot be written: there is nobody to tell
        return


def one_line(error: BaseException, options: Any = None) -> str:
    """The message without line breaks; with the type where it was not written for users, such as KeyError('x').

    What the library's messages call by its arguments is called by the command's options.
    """
    text = " ".join(_plainly(error).split()) or "no message"
    download = "--download" if hasattr(options, "download") else "`minicnn train --dataset mnist --download`"
    for pattern, words in _OPTIONS:
        text = re.sub(pattern, words.replace("{download}", download), text)
    if isinstance(error, OSError | ValueError | RuntimeError | NotImplementedError | MemoryError):
        return text
    return f"{type(error).__name__}: {text} (MINICNN_DEBUG=1 shows where)"


def _plainly(error: BaseException) -> str:
    """The message; the system's own with the file first, without number. Where there is no file, it was the output."""
    if isinstance(error, OSError) and error.strerror and str(error).startswith("[Errno"):
        where = error.filename if error.filename is not None else "the output cannot be written"
        return f"{where}: {error.strerror}"
    return f"there is not enough memory: {error}" if isinstance(error, MemoryError) else str(error)
