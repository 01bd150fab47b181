"""The BLAS libraries of the process, and the kernels that OpenBLAS chooses for this CPU.

NumPy and SciPy bring an OpenBLAS each; `np.dot` in compiled code calls SciPy's. OpenBLAS knows CPUs by their model
numbers, and takes a model newer than itself for a Haswell, whose kernels reach half the speed where there is AVX-512.
The variable OPENBLAS_CORETYPE names the right ones, if it is set before the library loads. NumPy's copy has loaded by
then, and says what SciPy's is about to choose.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}  # what the kernels named SkylakeX use
GOOD = {"skylakex", "cooperlake", "sapphirerapids"}  # OpenBLAS's kernels for AVX-512, in small letters


def cpu_flags() -> frozenset[str]:
    """The instruction sets of this CPU, by Linux's names; empty where the system is another."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next((frozenset(line.split()[2:]) for line in file if line.startswith("flags")), frozenset())
    except OSError:
        return frozenset()


def libraries() -> list[Any]:
    """A controller of threadpoolctl's for each BLAS that is loaded."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def set_threads(library: Any, count: int) -> None:
    """Set the threads of a BLAS, from whichever Python thread.

    For an OpenBLAS with a pool of its own, threadpoolctl 3.8 obeys the first Python thread that sets a number
    and ignores all others, without a word. A kernel in a second Python thread then had as many BLAS threads in each of
    its shares as there are cores. Here one kernel runs at a time, so any of them may set it.
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
    """What OPENBLAS_CORETYPE should be for the libraries still to load: None to leave the choice to OpenBLAS, as where
    the user has made it.
    """
    if "OPENBLAS_CORETYPE" in environment or not any(too_old(flags, library) for library in loaded):
        return None
    return "SkylakeX"


def load() -> list[Any]:
    """Load the BLAS that `np.dot` calls in compiled code, with the right kernels; its controllers, not NumPy's."""
    flags = cpu_flags()
    name = core_type(os.environ, flags, libraries()) if flags >= AVX512 else None
    if name is not None:
        os.environ["OPENBLAS_CORETYPE"] = name
    try:
        import scipy.linalg.cython_blas  # noqa: F401
    finally:
        if name is not None:  # processes started from here decide for themselves
            del os.environ["OPENBLAS_CORETYPE"]
    found = libraries()
    return [library for library in found if "numpy.libs" not in (library.filepath or "")] or found
