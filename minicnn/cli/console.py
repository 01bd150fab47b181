"""The output that the user sees, on any console, and error messages in the terms of the command line."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130  # exit codes

# Texts with the library's arguments, and the same with the options of the commands. The first one that fits counts.
_OPTIONS = [
    (r"Pass root=\.\.\.,", "Pass --data DIR,"),
    (r"Pass the folder that holds them as root or in", "Pass the folder that holds them as --data DIR or in"),
    (r"with download=True they are fetched into it", "with {download} they are fetched into it"),
    (r"use download=True|\(for MNIST: download=True\)", "use {download}"),
    (r"minicnn\.models\.list_models\(\) lists", "`minicnn models` lists"),
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
    r"""Let stdout and stderr write characters that their encoding lacks as \xe4, so that no path causes an error."""
    with ExitStack() as later:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
                later.callback(_reset, stream, stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


def _reset(stream: TextIO, errors: str) -> None:
    if isinstance(stream, io.TextIOWrapper) and not stream.closed:
        stream.reconfigure(errors=errors)


def finish(said: bool = False) -> bool:
    """Flush stdout while an error can still be reported; False if it failed. `said`: that has been reported."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        drop_output()
        if not said:
            say(f"minicnn: error: the output cannot be written ({error.strerror})")
    else:
        return True
    return False


def drop_output() -> None:
    """Drop the output that is still buffered: Python would try to write it at its end, and report an error."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file, for example in memory
        return


def say(text: str) -> None:
    """Write a line to stderr, if there is one."""
    if sys.stderr is None:  # print would write to stdout instead
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # it is closed or cannot be written, so the error cannot be reported
        return


def visible(text: str) -> str:
    r"""The text with control characters as \n, \x1b: names of files may hold them, and a console obeys them.

    >>> from minicnn.cli.console import visible
    >>> print(visible("new\nline.png"))
    new\nline.png
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def one_line(error: BaseException, options: Any = None) -> str:
    """The message without line breaks; with the type of errors whose text is not made for users, such as KeyError('x').

    Arguments of the library in the message are replaced by options of the command.
    """
    text = visible(" ".join(_plainly(error).split())) or "no message"
    name = found[0].lower() if (found := re.match("CIFAR100?", text)) else "mnist"
    download = "--download" if hasattr(options, "download") else f"`minicnn train --dataset {name} --download`"
    for pattern, words in _OPTIONS:
        text = re.sub(pattern, words.replace("{download}", download), text)
    if isinstance(error, OSError | ValueError | RuntimeError | NotImplementedError | MemoryError):
        return text
    return f"{type(error).__name__}: {text} (MINICNN_DEBUG=1 shows where)"


def _plainly(error: BaseException) -> str:
    """The message. The system's own starts with the file, without a number; without a file, it concerns the output."""
    if isinstance(error, OSError) and error.strerror and str(error).startswith("[Errno"):
        where = error.filename if error.filename is not None else "the output cannot be written"
        return f"{where}: {error.strerror}"
    return f"there is not enough memory: {error}" if isinstance(error, MemoryError) else str(error)
