"""What the kernels run on: optional Numba, its threads and BLAS, and the workspaces that outlive a call.

Numba is imported at the first call of a compiled kernel, never at import time. A kernel file writes

    from .runtime import njit, parallel, prange, threads

    @njit()
    def _scale_share(t, chunks, x, a, y):        # share t of the work, in Numba's Python
        for i in range(t * x.size // chunks, (t + 1) * x.size // chunks):
            y[i] = a * x[i]

    @njit(parallel=True)
    def _scale(chunks, x, a, y):                 # all shares; this is all that Numba's parallel compiler has to see
        for t in prange(chunks):
            _scale_share(np.intp(t), chunks, x, a, y)    # Numba's t is unsigned: else it compiles the share twice

    def scale_numba(x, a):
        y = np.empty_like(x)
        with parallel():                         # one parallel kernel at a time
            _scale(threads(), x, a, y)
        return y

`njit` keeps a function uncompiled until it is first called; `NUMBA_DISABLE_JIT=1` leaves it plain Python for a
debugger. Machine code is kept on disk under a key made of the sources it comes from, so that only the first run of a
version compiles.

**How work is divided.** Share t of `threads()` always holds the same tasks, has the scratch row `workspace(...)[t]`,
and
its partial sums are added in the order of t: the same thread count gives the same bits, whichever thread ran which
share.

**Two Python threads** may call kernels at once: `parallel()` lets one in at a time (Numba's portable thread pool aborts
the process otherwise, and workspaces are shared). Inside, BLAS runs on one thread: two pools of threads on the same
cores cost far more than they bring.

**After fork** a child of a process that has used OpenMP threads may not use them again; there the kernels are compiled
once more without threads. Prefer to start processes by spawn.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from . import blas, machine_code
from .blas import set_threads as set_blas_threads

F = TypeVar("F", bound=Callable[..., Any])

# What `fastmath=` of a kernel may do: reorder a sum and fuse multiply-add, so that LLVM vectorises it. The flags that
# let
# the compiler assume there is no NaN or Inf stay off: those must travel through a net to where they are reported.
FAST = {"reassoc", "contract", "nsz"}

prange = range  # becomes numba.prange in a kernel's file when a kernel of that file is first called


@functools.cache
def have_numba() -> bool:
    """Whether Numba can be imported, found out without importing it."""
    return importlib.util.find_spec("numba") is not None


# ---------------------------------------------------------------------------------------------------------------------
# Compiling at the first call
# ---------------------------------------------------------------------------------------------------------------------


class _Kernel:
    """A function that Numba compiles when it is first called; from then on the compiled one has its global name."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        _compile_file(self.function.__globals__)
        assert self.compiled is not None
        return self.compiled(*args)


_files: dict[
    int, tuple[dict[str, Any], dict[str, _Kernel]]
] = {}  # files in use: their globals, the kernels named there


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(nogil=True, cache=True, **options)`, put off to the first call; see the module's docstring."""

    def decorate(function: F) -> F:
        return _Kernel(function, options)  # type: ignore[return-value]

    return decorate


def _compile_file(names: dict[str, Any]) -> None:
    """Put Numba's functions in the place of a file's kernels, of those it imports, and of `prange`."""
    with parallel._lock:  # two threads may get here at once
        if id(names) in _files:
            return
        kernels = {name: value for name, value in names.items() if isinstance(value, _Kernel)}
        _files[id(names)] = names, kernels
        if "prange" in names:
            names["prange"] = _numba().prange
        if "before_compiling" in names:  # what only Numba can make
            names["before_compiling"]()
        for name, kernel in kernels.items():
            _compile_file(kernel.function.__globals__)
            if kernel.compiled is None:
                kernel.compiled = _jit(kernel)
            names[name] = kernel.compiled


def _jit(kernel: _Kernel) -> Callable[..., Any]:
    numba = _numba()
    options = {"nogil": True, **kernel.options}
    if _forked:  # without threads, and without the cache, which does not tell the two ways of compiling apart
        return numba.njit(**{**options, "parallel": False})(kernel.function)
    theirs, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _cache_folder(kernel.function.__module__)
    try:
        return numba.njit(cache=True, **options)(kernel.function)
    except RuntimeError:  # no folder to keep machine code in can be written
        return numba.njit(**options)(kernel.function)
    finally:
        numba.config.CACHE_DIR = theirs


@functools.cache
def _cache_folder(module: str) -> str:
    """Where machine code of a file is kept: NUMBA_CACHE_DIR or the user's cache, in a folder named by the sources that
    went into it, which are those of the file and of all kernel files that it imports from, near or far.

    Numba itself looks only at the date and size of the one file, which misses a changed function imported from another.
    """
    sources = hashlib.sha256()
    for name in sorted(_reached(module)):
        path = sys.modules[name].__file__
        sources.update(Path(path).read_bytes() if path else b"")
    folder = cache_root() / sources.hexdigest()[:16]
    machine_code.note_use(folder)
    return str(folder)


def cache_root() -> Path:
    """The folder of all machine code that is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(base) / "minicnn" / "numba")


def _reached(module: str) -> set[str]:
    """The module and the kernel modules that it imports from, directly or through others."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


# `from .a import b, c` and `from . import (a, b)`; parsing the syntax of all files took 0.2 s of each process's start
_FROM = re.compile(r"^ *from (\.+)([\w.]*) import (?:\(([^)]*)\)|([^\n]*))", re.MULTILINE)


@functools.cache
def _imports(name: str) -> list[str]:
    """The kernel modules that a module imports from."""
    here = sys.modules[name]
    parts = (here.__package__ or "").split(".")
    found = set()
    for dots, origin, several, plain in _FROM.findall(Path(here.__file__ or "").read_text(encoding="utf-8")):
        base = ".".join([*parts[: len(parts) - len(dots) + 1], *origin.split(".")]).rstrip(".")
        found |= {base, *(f"{base}.{imported}" for imported in re.findall(r"\w+", several or plain))}
    return sorted(full for full in found if _is_kernel(full))


def _is_kernel(name: str) -> bool:
    return name in sys.modules and name.startswith(f"{__package__}.")


@functools.cache
def _numba() -> Any:
    """Import Numba once, and have it say so when it compiles.

    A GNU OpenMP thread that has nothing to do spins for milliseconds before it sleeps. Where a threaded NumPy product
    came just before a kernel, its threads spin as well, and on two cores a kernel of 0.25 ms then took 3.7 ms. A thread
    that sleeps, on the other hand, takes 40 microseconds to wake, 28 times in a training step of LeNet-5: at batch 1 it
    took 1.76 ms with a spin of 10 microseconds, and 1.34 ms with 100, which lasts from one kernel to the next. What
    the user has set goes first.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "30000")  # about 100 microseconds
    import numba
    from numba.core import event

    _widen(numba.config)

    class Announce(event.Listener):
        told = False

        def on_start(self, started: Any) -> None:
            compiled = started.data["dispatcher"].py_func.__module__
            if not Announce.told and compiled.startswith(__package__):
                Announce.told = True
                print("minicnn: compiling kernels for this machine; the next run finds them on disk", file=sys.stderr)

        def on_end(self, ended: Any) -> None:
            pass

    event.register("numba:compile", Announce())
    return numba


def _widen(config: Any) -> None:
    """Have LLVM use vectors of 512 bits where the processor has them.

    For Intel's processors LLVM prefers 256 bits, since the first of them with AVX-512 lowered their clock for the wider
    ones. Convolution in registers ran at 48 GFLOP/s a core with 256 bits and at 85 with 512. A choice of the user's
    (`NUMBA_CPU_NAME`, `NUMBA_CPU_FEATURES`) goes first.
    """
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        from numba.core.codegen import get_host_cpu_features

        features = get_host_cpu_features()
        if "+avx512f" in features:
            config.CPU_FEATURES = f"{features},-prefer-256-bit"


# ---------------------------------------------------------------------------------------------------------------------
# Threads, BLAS, workspaces
# ---------------------------------------------------------------------------------------------------------------------


def threads() -> int:
    """How many shares a kernel makes of its tasks: Numba's thread count (`NUMBA_NUM_THREADS`), 1 after a fork."""
    return 1 if _forked else _threads or _first_count()


_threads = 0  # asking Numba takes a microsecond, several times a kernel


def _first_count() -> int:
    global _threads
    _threads = int(_numba().get_num_threads()) if have_numba() else 1
    return _threads


def set_threads(count: int) -> None:
    """Make as many shares, of at most the threads that Numba started with.

    Raises:
        ValueError: fewer than 1, or more than there are.
    """
    most = _numba().config.NUMBA_NUM_THREADS if have_numba() else 1
    if not 1 <= count <= most:
        raise ValueError(f"set_num_threads: {count} is not between 1 and {most}, the value of NUMBA_NUM_THREADS")
    global _threads
    if have_numba():
        _numba().set_num_threads(count)
    _threads = count


@functools.cache
def _numba_blas() -> list[Any]:
    """Controllers of the BLAS libraries that `np.dot` calls in compiled code: SciPy's, not NumPy's own copy."""
    return blas.load()


class parallel:
    """One parallel kernel at a time; with `blas=True`, BLAS runs on one thread inside, and as before outside."""

    _lock = threading.RLock()

    def __init__(self, *, blas: bool = False) -> None:
        self.blas = blas

    def __enter__(self) -> None:
        parallel._lock.acquire()
        if self.blas:
            self.before = [library.num_threads for library in _numba_blas()]
            for library, count in zip(_numba_blas(), self.before, strict=True):
                if count != 1:
                    set_blas_threads(library, 1)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.blas:
            for library, count in zip(_numba_blas(), self.before, strict=True):
                if count != 1:
                    set_blas_threads(library, count)
        parallel._lock.release()


_workspaces: dict[tuple[str, Any], np.ndarray[Any, Any]] = {}


def workspace(name: str, size: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Scratch memory of shape (threads(), >= size), kept from call to call; its contents are whatever was left.

    Asking for a megabyte inside a parallel loop maps and unmaps pages each time, which can cost more than the kernel.
    Valid inside `with parallel():` only, and never returned to a caller.
    """
    key = (name, dtype)
    have = _workspaces.get(key)
    if have is None or have.shape[0] != threads() or have.shape[1] < size:
        have = _workspaces[key] = _aligned(threads(), size, np.dtype(dtype))
    return have


def free_workspaces() -> int:
    """Let the workspaces go; how many bytes that were. The next call of a kernel makes its own anew."""
    with parallel():  # none is in use
        size = sum(array.nbytes for array in _workspaces.values())
        _workspaces.clear()
    return size


def _aligned(rows: int, size: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Uninitialised memory whose rows begin at cache lines, so that a vector of 64 bytes is not in two of them.

    Between rows there is more than a line: threads that write to the same one wait for each other.
    """
    size += -size % (64 // dtype.itemsize) + 64 // dtype.itemsize
    raw = np.empty(rows * size * dtype.itemsize + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    return raw[start : start + rows * size * dtype.itemsize].view(dtype).reshape(rows, size)


# ---------------------------------------------------------------------------------------------------------------------
# After fork
# ---------------------------------------------------------------------------------------------------------------------

_forked = False  # this process is a fork of one in which compiled kernels had been used


def _after_fork() -> None:
    global _forked
    parallel._lock = threading.RLock()  # another thread of the parent may have held it
    _workspaces.clear()
    _forked = bool(_files)
    for _, kernels in _files.values():
        for kernel in kernels.values():
            kernel.compiled = None
    for names, kernels in _files.values():
        for name, kernel in kernels.items():
            kernel.compiled = names[name] = kernel.compiled or _jit(kernel)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
