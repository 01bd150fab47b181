"""The BLAS libraries of the process, and the kernels that OpenBLAS chooses for this CPU.

NumPy and SciPy bring an OpenBLAS each; `np.dot` in compiled code calls SciPy's. OpenBLAS knows CPUs by their model
numbers, and takes a model newer than itself for a Haswell, whose kernels reach half the speed where there is AVX-512.
The variable OPENBLAS_CORETYPE chooses the right kernels, if it is set before the library loads. NumPy's copy has
already loaded by then; its choice shows what SciPy's copy is about to choose.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}  # what the kernels named SkylakeX use
GOOD = {"skylakex", "cooperlake", "sapphirerapids"}  # OpenBLAS's kernels for AVX-512, in small letters


def cpu_flags() -> frozenset[str]:
    """The instruction sets of this CPU, by Linux's names; empty on other systems."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next((frozenset(line.split()[2:]) for line in file if line.startswith("flags")), frozenset())
    except OSError:
        return frozenset()


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def libraries() -> list[Any]:
    """A controller of threadpoolctl's for each BLAS that is loaded."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def set_threads(library: Any, count: int) -> None:
    """Set the number of threads of a BLAS, from any Python thread.

    For an OpenBLAS with a thread pool of its own, threadpoolctl 3.8 obeys the first Python thread that sets a number
    and silently ignores all others. A kernel in a second Python thread then ran as many BLAS threads in each of its
    shares as there are cores. minicnn runs one kernel at a time, so every Python thread may set the number.
    """
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(count)


def too_old(flags: frozenset[str], library: Any) -> bool:
    """Whether an OpenBLAS runs kernels without AVX-512 on a CPU that has it."""
    kernels = str(getattr(library, "architecture", None) or "").lower()
    return flags >= AVX512 and library.internal_api == "openblas" and bool(kernels) and kernels not in GOOD


def core_type(environment: Mapping[str, str], flags: frozenset[str], loaded: list[Any]) -> str | None:
    """The value of OPENBLAS_CORETYPE for the libraries that load later. None leaves the choice to OpenBLAS, or to the
    user who has set the variable.
    """
    if "OPENBLAS_CORETYPE" in environment or not any(too_old(flags, library) for library in loaded):
        return None
    return "SkylakeX"


def load() -> list[Any]:
    """Load the BLAS that `np.dot` calls in compiled code, with the right kernels, and return its controllers."""
    flags = cpu_flags()
    name = core_type(os.environ, flags, libraries()) if flags >= AVX512 else None
    if name is not None:
        os.environ["OPENBLAS_CORETYPE"] = name
    try:
        import scipy.linalg.cython_blas  # noqa: F401
    finally:
        if name is not None:  # child processes decide for themselves
            del os.environ["OPENBLAS_CORETYPE"]
    found = libraries()
    return [library for library in found if "numpy.libs" not in (library.filepath or "")] or found


def single(controllers: list[Any]) -> Callable[[], Any]:
    """A function that makes context managers: inside the `with` block the libraries run on one thread, afterwards on
    as many as before.

    SciPy's wheels bring one OpenBLAS with a thread pool of its own. There, entering and leaving the block are one call
    of its C function each, so that no exception such as KeyboardInterrupt can come between (`runtime.py`).
    """
    ask, change = _openblas(controllers[0]) if len(controllers) == 1 else (None, None)
    if ask is None or change is None:
        return lambda: _Single(controllers)

    @functools.cache
    def guard(before: int) -> Any:
        # `__exit__` gets exception, value and traceback; ctypes passes them as extra arguments, which C ignores
        enter = ctypes.CFUNCTYPE(None, ctypes.c_int)(change)
        leave = ctypes.CFUNCTYPE(None, ctypes.c_int, *[ctypes.py_object] * 3)(change)
        calls = {"__enter__": staticmethod(partial(enter, 1)), "__exit__": staticmethod(partial(leave, before))}
        return type("Single", (), calls)()

    return lambda: guard(ask())


def _openblas(library: Any) -> tuple[Callable[[], int] | None, int | None]:
    """The function that returns the number of threads of an OpenBLAS, and the address of the one that sets it."""
    if library.internal_api == "openblas" and library.threading_layer != "openmp":
        for prefix, suffix in itertools.product(("", "scipy_"), ("", "64_", "_64")):
            ask = getattr(library.dynlib, f"{prefix}openblas_get_num_threads{suffix}", None)
            change = getattr(library.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
            if ask and change:
                return ask, ctypes.cast(change, ctypes.c_void_p).value
    return None, None


class _Single:
    """`single` for all other libraries that threadpoolctl knows."""

    def __init__(self, controllers: list[Any]) -> None:
        self.before = [(library, library.num_threads) for library in controllers]

    def __enter__(self) -> None:
        for library, _ in self.before:
            set_threads(library, 1)

    def __exit__(self, *error: object) -> None:
        for library, count in self.before:
            set_threads(library, count)
