"""Compiling ahead: the kernels that a program is about to need, in processes of their own, all cores at once.

    with ahead.compiled():
        one_step(copies)             # every kernel that is called here is entered in a list, and does nothing
    one_step(model)                  # all machine code is there

To run the block takes a few tenths of a second. `is_done` tells whether a block with the same name was run before, on
this machine and with the same sources, so that it can be left out.

At the end of the block, the kernels of the list whose machine code is not on disk are compiled, and a line says how
many there are and how far it is. Each process compiles one kernel after another and writes its machine code to disk
like every process that uses kernels (`machine_code.py`); this process finds it there. What a process does not compile,
because it failed or was ended, is compiled when it is called, as always; Ctrl-C ends all of them.

The processes are started as `python -c`, not by fork, which could copy a lock that is held, nor by `multiprocessing`,
which would run the user's main program once more.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import machine_code, runtime

FEWEST = 3  # kernels; a process takes more than a second to start, as long as a kernel takes to compile
PATIENCE = 0.2  # seconds between two looks at the state


class Progress(NamedTuple):
    """How far the compiling is."""

    done: int
    total: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"compiling {self.total} kernels for this machine, once: {self.done} of {self.total}, {self.seconds:.0f} s"
        )


def _note(name: str) -> tuple[Path, bytes] | None:
    """The file that says that the block of this name was run, and its key."""
    folder = machine_code.folder_of(str(__package__))  # named by a hash of all sources
    if folder is None or not runtime.have_numba():
        return None
    from numba.core.registry import cpu_target

    machine = runtime.numba().__version__, cpu_target.target_context.codegen().magic_tuple()
    key = hashlib.sha256(repr((name, machine)).encode())
    return folder / f"ahead-{key.hexdigest()[:16]}.nbc", key.digest()


def is_done(name: str) -> bool:
    """Whether the kernels of the block of this name have been compiled, by this or another process."""
    with contextlib.suppress(OSError, machine_code.DamagedError):
        note = _note(name)
        return note is not None and machine_code.read(*note) is not None
    return False


@contextlib.contextmanager
def compiled(name: str = "", tell: Any = None) -> Iterator[list[int]]:
    """Record the kernels that are called in the block, and at its end compile those whose machine code is not there.

    The value of `as` is a list, which at the end has the number of kernels that were compiled.

    An error in the block ends the recording; what was recorded before it is compiled.

    Args:
        name: for `is_done`.
        tell: called with a `Progress` now and then, and with None at the end; None prints it on stderr.
    """
    calls: list[runtime.Call] = []
    done: list[int] = []
    if _possible():
        with contextlib.suppress(Exception), runtime.recording() as calls:
            yield done
    else:
        yield done
    done.append(compile_all(calls, tell))
    if calls and name and not missing(calls):
        note = _note(name)
        with contextlib.suppress(OSError):
            if note is not None:
                machine_code.write(*note, b"")


def _possible() -> bool:
    """Whether kernels are compiled at all, and kept."""
    if not runtime.have_numba() or runtime.numba().config.DISABLE_JIT or not sys.executable:
        return False
    base = machine_code.root()
    return base is not None and not machine_code.refusal(base)


def missing(calls: Sequence[runtime.Call]) -> list[runtime.Call]:
    """The calls whose machine code is not on disk, each once, those that take the longest to compile first."""
    found = []
    for call in dict.fromkeys(calls):
        kernel = runtime.compiled(call.module, call.name)
        if call.types not in kernel.overloads and not kernel._cache.has(call.types, kernel.targetctx):
            found.append(call)
    return sorted(found, key=_size, reverse=True)


def _size(call: runtime.Call) -> int:
    """The length of the bytecode of a kernel and of all functions that it calls: about how long it takes to compile."""
    seen: set[Any] = set()
    waiting = [runtime.compiled(call.module, call.name).py_func]
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            used = [function.__globals__.get(name) for name in function.__code__.co_names]
            waiting += [f for f in (getattr(one, "py_func", None) for one in used) if f is not None]
    return sum(len(function.__code__.co_code) for function in seen)


def compile_all(calls: Sequence[runtime.Call], tell: Any = None) -> int:
    """Compile the kernels of some calls in as many processes as there are cores, wait for them, and return how many."""
    needed = missing(calls)
    if len(needed) < FEWEST:
        return 0
    machine_code._told.add("compiling")  # the line below says the same
    tell, start = tell or _tell, time.perf_counter()
    tasks: queue.SimpleQueue[runtime.Call] = queue.SimpleQueue()
    for call in needed:
        tasks.put(call)
    finished: list[runtime.Call] = []
    processes: list[subprocess.Popen[bytes]] = []
    try:
        threads = []
        for _ in range(min(_cores(), len(needed))):
            processes.append(_start())
            threads.append(threading.Thread(target=_serve, args=(processes[-1], tasks, finished), daemon=True))
            threads[-1].start()
        told = (-1, -1)
        while any(thread.is_alive() for thread in threads):
            now = Progress(len(finished), len(needed), time.perf_counter() - start)
            if (now.done, int(now.seconds)) != told:
                told = now.done, int(now.seconds)
                tell(now)
            for thread in threads:
                thread.join(PATIENCE / len(threads))
    finally:
        tell(None)
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
    return len(finished)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> subprocess.Popen[bytes]:
    """A process that runs `work`, with the modules of this one."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import work; work()"
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=nothing)


def _serve(process: subprocess.Popen[bytes], tasks: Any, finished: list[runtime.Call]) -> None:
    """Give a process one task after another, until there is none left or the process has ended."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(OSError, ValueError, queue.Empty):
        while True:
            call = tasks.get_nowait()
            process.stdin.write(base64.b64encode(pickle.dumps(call)) + b"\n")
            process.stdin.flush()
            if process.stdout.readline() != b"done\n":
                return
            finished.append(call)


def work() -> None:
    """Compile the kernels that come on the standard input; the main program of a process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C goes to all processes of a terminal
    importlib.import_module(str(__package__))
    for line in sys.stdin.buffer:
        call = pickle.loads(base64.b64decode(line))
        with contextlib.suppress(Exception):  # the error comes again when the kernel is called
            runtime.compiled(call.module, call.name).compile(call.types)
        sys.stdout.write("done\n")
        sys.stdout.flush()


_said = [-1.0]  # the last time that a line was printed, where lines are not overwritten


def _tell(progress: Progress | None) -> None:
    """Print the progress on stderr: in a terminal in one line that is overwritten, else a line now and then."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            print("\r\x1b[K" + (f"minicnn: {progress}" if progress else ""), end="", file=sys.stderr, flush=True)
        elif progress and (progress.seconds - _said[0] >= 5 or progress.seconds < _said[0]):
            _said[0] = progress.seconds
            print(f"minicnn: {progress}", file=sys.stderr, flush=True)
