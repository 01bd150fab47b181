"""What PyTorch programs set for the whole process, such as threads and precision, and small questions about objects."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

from minicnn_kernels import blas, memory, runtime

from ..dtypes import float32, set_default_dtype
from ..tensor import Tensor

__all__ = [
    "_assert", "are_deterministic_algorithms_enabled", "compile", "free_memory", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "is_tensor", "numel", "set_default_tensor_type",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads", "set_num_threads", "typename",
    "use_deterministic_algorithms",
]  # fmt: skip


def get_num_threads() -> int:
    """How many threads a compiled kernel uses: the cores of this process, unless `set_num_threads`, or the variables
    `NUMBA_NUM_THREADS`, `MKL_NUM_THREADS` or `OMP_NUM_THREADS`, the first that is set, say something else.
    """
    return runtime.threads()


def set_num_threads(num: int) -> None:
    """Let compiled kernels and the BLAS libraries of the process use `num` threads.

    There are as many as `NUMBA_NUM_THREADS` said when the first kernel ran, by default the cores of this process. Where
    more are asked for, a warning says so and all of them are taken.

    Raises:
        TypeError: not a whole number.
        ValueError: fewer than 1.
    """
    num = _count("set_num_threads", num)
    taken = runtime.set_threads(num)
    for library in blas.libraries():
        blas.set_threads(library, min(num, blas.cores()))
    if taken < num:
        there = "Numba is not installed: kernels run on one" if not runtime.have_numba() else f"there are {taken}"
        warnings.warn(f"set_num_threads: {num} threads are asked for, and {there}", stacklevel=2)


_interop_threads = 1


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was given, or 1: operations run one after another."""
    return _interop_threads


def set_num_interop_threads(num: int) -> None:
    """Remember the number and do nothing: operations run one after another.

    Raises:
        TypeError: not a whole number.
        ValueError: fewer than 1.
    """
    global _interop_threads
    _interop_threads = _count("set_num_interop_threads", num)


def _count(op: str, num: Any) -> int:
    """A number of threads."""
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
    """Nothing: the same seed, build, machine and thread count give the same bits in any case."""


def are_deterministic_algorithms_enabled() -> bool:
    """True: see `use_deterministic_algorithms`."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Nothing: products of float32 are computed in float32."""


def get_float32_matmul_precision() -> str:
    """ "highest"."""
    return "highest"


def set_flush_denormal(mode: bool) -> bool:
    """False: the mode of the processor is left as it is."""
    return False


def set_default_tensor_type(t: Any) -> None:
    """The older form of `set_default_dtype`: "torch.DoubleTensor" and the like.

    Raises:
        TypeError: a type that is not floating-point.
    """
    kinds = {"FloatTensor": float32, "DoubleTensor": "float64", "HalfTensor": "float16"}
    name = str(t).rpartition(".")[2]
    set_default_dtype(kinds.get(name, t))


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return math.prod(input.shape)


def compile(model: Any = None, **options: Any) -> Any:
    """The model, or function, itself: kernels are compiled already. Without one, a decorator."""
    return (lambda decorated: decorated) if model is None else model


def _assert(condition: Any, message: str) -> None:
    """`assert` as a function."""
    assert condition, message


def typename(obj: Any) -> str:
    """The name of an object's class, with its module."""
    kind = obj if isinstance(obj, type) else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"


def free_memory() -> int:
    """Give back to the system the memory that is kept for the next arrays, and the kernels' scratch memory.

    What `cuda.empty_cache` is for a GPU. Tensors keep theirs: `del` them first. The next step of training takes as much
    again, more slowly.

    Returns:
        How many bytes that were.
    """
    before = memory.held()
    scratch = runtime.free_workspaces()
    memory.empty_cache()
    return before - memory.held() + scratch
