"""Settings of PyTorch programs for the whole process, such as threads and precision, and small checks of objects."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

from minicnn_kernels import blas, memory, runtime

from ..device import set_default_device
from ..dtypes import float32, set_default_dtype
from ..tensor import Tensor

__all__ = [
    "_assert", "are_deterministic_algorithms_enabled", "compile", "free_memory", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "is_tensor", "numel", "set_default_tensor_type",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads", "set_num_threads", "typename",
    "use_deterministic_algorithms",
]  # fmt: skip


def get_num_threads() -> int:
    """How many threads a compiled kernel uses: the number given to `set_num_threads`; else the first one that is set of
    `NUMBA_NUM_THREADS`, `MKL_NUM_THREADS` and `OMP_NUM_THREADS`; else the number of cores of this process.

    The last two variables count only up to the number of cores.
    """
    return runtime.threads()


def set_num_threads(num: int) -> None:
    """Let compiled kernels and the BLAS libraries of the process use `num` threads.

    The limit is the value of `NUMBA_NUM_THREADS` when the first kernel ran, by default the number of cores of this
    process. If `num` is larger, this warns and takes the limit.

    Raises:
        TypeError: not a whole number.
        ValueError: fewer than 1.
    """
    num = _count("set_num_threads", num)
    taken = runtime.set_threads(num)
    for library in blas.libraries():
        blas.set_threads(library, min(num, blas.cores()))
    if taken < num:
        there = "Numba is not installed, and kernels run on one" if not runtime.have_numba() else f"there are {taken}"
        warnings.warn(f"set_num_threads: {num} threads are asked for, but {there}", stacklevel=2)


_interop_threads = 1


def get_num_interop_threads() -> int:
    """The number given to `set_num_interop_threads`, or 1; it has no effect, as operations run one after another."""
    return _interop_threads


def set_num_interop_threads(num: int) -> None:
    """Remembers the number, which has no effect: operations run one after another.

    Raises:
        TypeError: not a whole number.
        ValueError: fewer than 1.
    """
    global _interop_threads
    _interop_threads = _count("set_num_interop_threads", num)


def _count(op: str, num: Any) -> int:
    """Check a number of threads."""
    try:
        count = None if isinstance(num, bool | Tensor) else operator.index(num)
    except TypeError:
        count = None
    if count is None:
        raise TypeError(f"{op}: the number of threads must be an int, got {num!r}")
    if count < 1:
        raise ValueError(f"{op}: {count} threads compute nothing; give 1 or more")
    return count


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Does nothing: the same seed, build, machine and thread count give the same bits in any case."""


def are_deterministic_algorithms_enabled() -> bool:
    """True: see `use_deterministic_algorithms`."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Does nothing: products of float32 are always computed in float32."""


def get_float32_matmul_precision() -> str:
    """Always "highest": products of float32 are computed in float32."""
    return "highest"


def set_flush_denormal(mode: bool) -> bool:
    """False: minicnn does not change this mode of the processor."""
    return False


def set_default_tensor_type(t: Any) -> None:
    """The older form of `set_default_dtype` and `set_default_device`: "torch.DoubleTensor", "torch.cuda.FloatTensor".

    Raises:
        TypeError: a type that is not floating-point.
        RuntimeError: there is no GPU.
    """
    kinds = {"FloatTensor": float32, "DoubleTensor": "float64", "HalfTensor": "float16"}
    name = str(t).rpartition(".")[2]
    set_default_device("cuda" if ".cuda." in str(t) else "cpu")
    set_default_dtype(kinds.get(name, t))


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return math.prod(input.shape)


def compile(model: Any = None, **options: Any) -> Any:
    """The model or function, unchanged: kernels are compiled already. Without one, a decorator that does the same."""
    return (lambda decorated: decorated) if model is None else model


def _assert(condition: Any, message: str) -> None:
    """`assert` as a function."""
    assert condition, message


def typename(obj: Any) -> str:
    """The name of an object's class, with its module."""
    kind = obj if isinstance(obj, type) else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"


def free_memory() -> int:
    """Give the memory that is kept for the next arrays, and the kernels' scratch memory, back to the system.

    It does for the CPU what `cuda.empty_cache` does for a GPU. Tensors keep their memory: `del` them first. The next
    training step must allocate the memory again, which makes it slower.

    Returns:
        The number of bytes given back.
    """
    before = memory.held()
    scratch = runtime.free_workspaces()
    memory.empty_cache()
    return before - memory.held() + scratch
