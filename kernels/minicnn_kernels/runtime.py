"""The runtime of the kernels: Numba if it is installed, threads, BLAS, and workspaces that are kept between calls.

Numba is imported at the first call of a compiled kernel, never when minicnn is imported. A kernel file looks like this:

    from .runtime import njit, parallel, prange, threads

    @njit()
    def _scale_share(t, shares, x, a, y):        # share t of the work, in Numba's Python
        for i in range(t * x.size // shares, (t + 1) * x.size // shares):
            y[i] = a * x[i]

    @njit(parallel=True)
    def _scale(shares, x, a, y):                 # all shares; `drivers.py` says how it is compiled
        for t in prange(shares):
            _scale_share(np.intp(t), shares, x, a, y)    # t is unsigned; without np.intp the share is compiled twice

    def scale_numba(x, a):
        y = np.empty_like(x)
        with parallel():                         # one parallel kernel at a time
            _scale(threads(), x, a, y)
        return y

`njit` compiles a function when it is first called; with `NUMBA_DISABLE_JIT=1` it stays plain Python for a debugger.
Machine code is kept on disk under a hash of the sources it comes from, so that only the first run of a version compiles
(`compiler.py`, `machine_code.py`).

**How work is divided.** A *task* is a unit of work, such as one output row. A *share* is all tasks of one thread: share
t of `threads()` always holds the same tasks, has the scratch row `workspace(...)[t]`, and its partial sums are added in
the order of t. So the same number of threads gives the same bits, whichever thread ran which share.

**Two Python threads** may call kernels at once: `parallel()` lets one in at a time. (Otherwise Numba's portable thread
pool would abort the process, and two kernels would use the same workspaces.) If shares call BLAS, write
`with parallel(), single_blas():`. BLAS then runs on one thread: two thread pools on the same cores are slower than one.

**Ctrl-C** may raise KeyboardInterrupt between any two steps of Python code, in `__enter__` and `__exit__` too. So the
lock and the threads of BLAS, which must be restored at the end of a `with` block, are changed and restored by functions
of C that the `with` statement itself calls. Python checks for no signal between these functions and the block.
Compiling runs in a thread of its own (`compiler.apart`).

**After fork** a child of a process that has used OpenMP threads must not use them. There is one share then, which a
driver calls without threads. It is better to start processes by spawn.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from . import blas
from .compiler import apart, numba, types_of
from .dispatchers import jit
from .drivers import make_prange

F = TypeVar("F", bound=Callable[..., Any])

# What `fastmath=` allows in a kernel: to reorder a sum and to fuse multiply-add, so that LLVM vectorises the loop. The
# flags that let the compiler assume that there is no NaN or Inf stay off: NaN and Inf must pass through a net to where
# they are reported.
FAST = {"reassoc", "contract", "nsz"}

prange = range  # becomes numba.prange in a kernel's file when a kernel of that file is first called


@functools.cache
def have_numba() -> bool:
    """Whether Numba can be imported; this does not import it."""
    return importlib.util.find_spec("numba") is not None


# ---------------------------------------------------------------------------------------------------------------------
# Compiling at the first call
# ---------------------------------------------------------------------------------------------------------------------


class _Kernel:
    """A function that Numba compiles when it is first called; the compiled function then replaces it in its module."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        calls = getattr(_recording, "calls", None)
        if calls is not None:
            calls.append(Call(self.function.__module__, self.function.__name__, types_of(args)))
            return None
        apart(_compile_file, self.function.__globals__)
        assert self.compiled is not None
        return self.compiled(*args)


_files: dict[
    int, tuple[dict[str, Any], dict[str, _Kernel]]
] = {}  # files in use: their globals, and the kernels with names there


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(nogil=True, cache=True, **options)`, delayed until the first call; see the module's docstring."""

    def decorate(function: F) -> F:
        return _Kernel(function, options)  # type: ignore[return-value]

    return decorate


def _compile_file(names: dict[str, Any]) -> None:
    """Replace a file's kernels, the kernels it imports, and `prange` by Numba's functions."""
    if id(names) in _files:
        return
    kernels = {name: value for name, value in names.items() if isinstance(value, _Kernel)}
    _files[id(names)] = names, kernels
    try:
        if "prange" in names:
            names["prange"] = range if numba().config.DISABLE_JIT else make_prange()
        if "before_compiling" in names:  # for functions that only Numba can make
            names["before_compiling"]()
        for name, kernel in kernels.items():
            _compile_file(kernel.function.__globals__)
            if kernel.compiled is None:
                kernel.compiled = jit(kernel.function, kernel.options)
            names[name] = kernel.compiled
    except BaseException:  # for example when memory runs out: the next call starts again
        del _files[id(names)]
        raise


class Call(NamedTuple):
    """A call of a kernel: its file, its name, and Numba's types of the arguments."""

    module: str
    name: str
    types: tuple[Any, ...]


_recording = threading.local()  # `calls` is a list while the kernels that this thread calls are recorded


@contextmanager
def recording() -> Iterator[list[Call]]:
    """Inside the block, kernels that this thread calls do nothing but enter a list; their results are left as they are.

    So a training step inside the block, on copies of everything, shows within milliseconds which kernels it needs.
    """
    numba()
    calls: list[Call] = []
    _recording.calls = calls
    try:
        for names, kernels in list(_files.values()):
            names.update(kernels)
        yield calls
    finally:
        _recording.calls = None
        for names, kernels in list(_files.values()):
            names.update({name: kernel.compiled for name, kernel in kernels.items() if kernel.compiled is not None})


def compiled(module: str, name: str) -> Any:
    """The kernel of a file, as Numba's function."""
    names = vars(importlib.import_module(module))
    apart(_compile_file, names)
    return names[name]


# ---------------------------------------------------------------------------------------------------------------------
# Threads, BLAS, workspaces
# ---------------------------------------------------------------------------------------------------------------------


def threads() -> int:
    """The number of shares into which a kernel divides its tasks; 1 after a fork.

    The first value is the number of Numba's threads, which is `NUMBA_NUM_THREADS` or the cores of this process, but at
    most `MKL_NUM_THREADS` or else `OMP_NUM_THREADS`, which PyTorch obeys in that order.
    """
    return 1 if _forked else _threads or _first_count()


_threads = 0  # kept here: a kernel needs it several times, and asking Numba takes a microsecond


def _first_count() -> int:
    count, most = (int(apart(numba().get_num_threads)) if have_numba() else 1), _asked_for(os.environ)
    set_threads(min(count, most or count))
    return _threads


def _asked_for(environment: Mapping[str, str]) -> int | None:
    """The number of threads from the environment variables that other libraries obey as well."""
    if "NUMBA_NUM_THREADS" in environment:  # Numba itself reads it
        return None
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        first = environment.get(name, "").partition(",")[0].strip()  # "4,2": 4 threads, and 2 inside each of them
        if first.isdecimal() and int(first) > 0:
            return int(first)
    return None


def set_threads(count: int) -> int:
    """Divide work into `count` shares, at least 1 and at most the number of Numba's threads; return how many."""
    global _threads
    if have_numba():
        count = min(count, numba().config.NUMBA_NUM_THREADS)
        if not _forked:
            numba().set_num_threads(count)
    else:
        count = 1
    _threads = count
    return count


_lock = threading.RLock()


def parallel() -> Any:
    """A context manager that lets one parallel kernel run at a time: `with parallel():`."""
    return _lock


def single_blas() -> Any:
    """A context manager in which BLAS runs on one thread: `with parallel(), single_blas():`."""
    return (_single_blas or _find_blas())()


_single_blas: Callable[[], Any] | None = None


def _find_blas() -> Callable[[], Any]:
    global _single_blas
    _single_blas = blas.single(_numba_blas())
    return _single_blas


@functools.cache
def _numba_blas() -> list[Any]:
    """Controllers of the BLAS libraries that `np.dot` calls in compiled code: SciPy's, not NumPy's own."""
    return apart(blas.load)


_workspaces: dict[tuple[str, Any], np.ndarray[Any, Any]] = {}


def workspace(name: str, size: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Scratch memory of shape (threads(), >= size), kept between calls; it contains what an earlier call left there.

    A megabyte allocated inside a parallel loop maps and unmaps pages each time, which can cost more than the kernel.
    Use a workspace only inside `with parallel():`, and never return it to a caller.
    """
    key = (name, dtype)
    have = _workspaces.get(key)
    if have is None or have.shape[0] != threads() or have.shape[1] < size:
        have = _workspaces[key] = _aligned(threads(), size, np.dtype(dtype))
    return have


def free_workspaces() -> int:
    """Free all workspaces, and return how many bytes they had. The next call of a kernel makes new ones."""
    with parallel():  # no workspace is in use now
        size = sum(array.nbytes for array in _workspaces.values())
        _workspaces.clear()
    return size


def _aligned(rows: int, size: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Uninitialised memory whose rows begin at cache lines, so that no vector of 64 bytes spans two lines.

    Rows are more than a cache line apart: threads that write to the same line wait for each other.
    """
    size += -size % (64 // dtype.itemsize) + 64 // dtype.itemsize
    raw = np.empty(rows * size * dtype.itemsize + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    return raw[start : start + rows * size * dtype.itemsize].view(dtype).reshape(rows, size)


# ---------------------------------------------------------------------------------------------------------------------
# After fork
# ---------------------------------------------------------------------------------------------------------------------

_forked = False  # whether this process is a fork of a process that had used compiled kernels


def _after_fork() -> None:
    global _forked, _lock
    _lock = threading.RLock()  # another thread of the parent may have held it
    _workspaces.clear()
    _forked = bool(_files)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
