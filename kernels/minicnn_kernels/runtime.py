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
version compiles (`compiler.py`, `machine_code.py`).

**How work is divided.** Share t of `threads()` always holds the same tasks, has the scratch row `workspace(...)[t]`,
and its partial sums are added in the order of t: the same thread count gives the same bits, whichever thread ran which
share.

**Two Python threads** may call kernels at once: `parallel()` lets one in at a time (Numba's portable thread pool aborts
the process otherwise, and workspaces are shared). Where shares call BLAS, `with parallel(), single_blas():` has it run
on one thread: two pools of threads on the same cores cost far more than they bring.

**Ctrl-C** may raise KeyboardInterrupt between any two steps of Python code, in `__enter__` and `__exit__` too. So what
has to be undone at the end of a `with` block, a lock and the threads of BLAS, is done and undone by functions of C that
the `with` statement itself calls: between those and the block Python looks for no signal. Compiling runs apart.

**After fork** a child of a process that has used OpenMP threads may not use them again. There a driver runs as the
plain Python loop that it is, over one share, and the share is the parent's machine code. Prefer to start processes by
spawn.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from . import blas
from .compiler import apart, jit, numba

F = TypeVar("F", bound=Callable[..., Any])

# What `fastmath=` of a kernel may do: reorder a sum and fuse multiply-add, so that LLVM vectorises it. The flags that
# let the compiler assume there is no NaN or Inf stay off: those must travel through a net to where they are reported.
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
        apart(_compile_file, self.function.__globals__)
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
    if id(names) in _files:
        return
    kernels = {name: value for name, value in names.items() if isinstance(value, _Kernel)}
    _files[id(names)] = names, kernels
    try:
        if "prange" in names:
            names["prange"] = numba().prange
        if "before_compiling" in names:  # what only Numba can make
            names["before_compiling"]()
        for name, kernel in kernels.items():
            _compile_file(kernel.function.__globals__)
            if kernel.compiled is None:
                plain = _forked and kernel.options.get("parallel")
                kernel.compiled = kernel.function if plain else jit(kernel.function, kernel.options)
            names[name] = kernel.compiled
    except BaseException:  # as where there is no memory left: the next call begins anew
        del _files[id(names)]
        raise


# ---------------------------------------------------------------------------------------------------------------------
# Threads, BLAS, workspaces
# ---------------------------------------------------------------------------------------------------------------------


def threads() -> int:
    """How many shares a kernel makes of its tasks, 1 after a fork.

    At first as many as Numba has threads: `NUMBA_NUM_THREADS`, or the cores of this process; and of these no more than
    `MKL_NUM_THREADS` or else `OMP_NUM_THREADS`, which PyTorch obeys in that order.
    """
    return 1 if _forked else _threads or _first_count()


_threads = 0  # asking Numba takes a microsecond, several times a kernel


def _first_count() -> int:
    count, most = (int(apart(numba().get_num_threads)) if have_numba() else 1), _asked_for(os.environ)
    set_threads(min(count, most or count))
    return _threads


def _asked_for(environment: Mapping[str, str]) -> int | None:
    """The number of threads that the environment asks for, in the variables that other libraries obey as well."""
    if "NUMBA_NUM_THREADS" in environment:  # Numba itself obeys it
        return None
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        first = environment.get(name, "").partition(",")[0].strip()  # "4,2": 4, and 2 in each of them
        if first.isdecimal() and int(first) > 0:
            return int(first)
    return None


def set_threads(count: int) -> int:
    """Make `count` shares, 1 or more, of at most as many as Numba has threads; return how many."""
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
    """One parallel kernel at a time: `with parallel():`."""
    return _lock


def single_blas() -> Any:
    """BLAS on one thread inside, and as before outside: `with parallel(), single_blas():`."""
    return (_single_blas or _find_blas())()


_single_blas: Callable[[], Any] | None = None


def _find_blas() -> Callable[[], Any]:
    global _single_blas
    _single_blas = blas.single(_numba_blas())
    return _single_blas


@functools.cache
def _numba_blas() -> list[Any]:
    """Controllers of the BLAS libraries that `np.dot` calls in compiled code: SciPy's, not NumPy's own copy."""
    return apart(blas.load)


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
    global _forked, _lock
    _lock = threading.RLock()  # another thread of the parent may have held it
    _workspaces.clear()
    _forked = bool(_files)
    for names, kernels in _files.values():
        for name, kernel in kernels.items():
            if kernel.options.get("parallel"):
                kernel.compiled = names[name] = kernel.function


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
