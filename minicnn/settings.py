"""What PyTorch programs set for the whole process, such as threads and precision, and small questions about objects."""

from __future__ import annotations

import math
from typing import Any

from minicnn_kernels import memory, runtime

from .dtypes import float32, set_default_dtype
from .tensor import Tensor

__all__ = [
    "_assert", "are_deterministic_algorithms_enabled", "compile", "free_memory", "get_float32_matmul_precision",
    "get_num_threads", "is_tensor", "numel", "set_default_tensor_type", "set_float32_matmul_precision",
    "set_flush_denormal", "set_num_interop_threads", "set_num_threads", "typename", "use_deterministic_algorithms",
]  # fmt: skip


def get_num_threads() -> int:
    """How many threads a compiled kernel uses."""
    return runtime.threads()


def set_num_threads(num: int) -> None:
    """Let compiled kernels use `num` threads, of those that Numba started with (`NUMBA_NUM_THREADS`).

    Raises:
        TypeError: not a whole number.
        ValueError: fewer than 1, or more than there are.
    """
    if not isinstance(num, int) or isinstance(num, bool):
        raise TypeError(f"set_num_threads: the number of threads must be an int, got {num!r}")
    runtime.set_threads(num)


def set_num_interop_threads(num: int) -> None:
    """Nothing: operations run one after another."""


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
