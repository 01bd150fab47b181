"""NumPy's arrays on the CPU, CuPy's on a GPU, and the little in which they differ.

Most code is the same for both: methods (`x.sum(0)`, `x.reshape(-1)`), operators, slices, and NumPy's functions of
arrays, which hand CuPy's arrays on to CuPy (`np.where(x > 0, x, 0)`). A function that has no array among its arguments,
or that promises a NumPy array, goes through this file:

    xp(x).zeros(shape, x.dtype)     on the device of x; np.zeros would be on the CPU
    as_array(x.sum())               an array of rank 0; np.asarray would take it to the CPU
    contiguous(x)                   np.ascontiguousarray for both
    host(x)                         the values as a NumPy array, for which a program waits

`gpu()` is CuPy, or its emulation on the CPU (`emulated/`). It is imported when the first array goes to a GPU; before
that, a program that computes on the CPU pays nothing for GPUs.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from abc import ABC
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np

from . import transfer

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # in annotations it stands for CuPy's arrays, too

# Compiled loops walk flat memory by unsigned offsets. A signed index may be negative and then counts from the end, so
# the loop has to test for that, and is not vectorised. An unsigned index needs no such test.
U = np.uintp


class AnyArray(ABC):  # noqa: B024
    """For `isinstance(x, AnyArray)`: an array of NumPy or, once a GPU is in use, of CuPy."""


AnyArray.register(np.ndarray)

GPU_TYPES: set[type] = set()  # the class of CuPy's arrays, once a GPU is in use
_gpu: Any = None
_HERE = nullcontext()  # for the CPU, and for the GPU that is the current one

_NO_CUPY = (
    "a GPU needs CuPy: pip install 'minicnn[cuda13]' (or [cuda12]) for the version of the driver; "
    "`minicnn doctor` shows what is missing, and minicnn.cuda.emulate() runs GPU programs on the CPU"
)


def gpu() -> Any:
    """CuPy, or its emulation; imported at the first call.

    Raises:
        RuntimeError: CuPy is not installed, or cannot be imported.
    """
    if _gpu is None:
        if os.environ.get("MINICNN_CUDA") == "emulated":
            emulate()
        else:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # two CuPys at once: `minicnn doctor` says so
                    import cupy
            except Exception as error:  # a broken installation fails in many ways
                raise RuntimeError(f"{_NO_CUPY} ({type(error).__name__}: {error})") from error
            _use(cupy)
    return _gpu


def emulate() -> None:
    """Let the emulated CuPy stand for a GPU in this process.

    Raises:
        RuntimeError: the program already uses a GPU.
    """
    from .emulated import cupy

    if _gpu is not None and _gpu is not cupy and _gpu.cuda.is_available():  # not so with CuPy, but without a driver
        raise RuntimeError("emulate: this process already uses a GPU; call it before the first array goes there")
    _use(cupy)


@contextmanager
def emulated() -> Iterator[Any]:
    """The emulated CuPy stands for a GPU inside the block, and after it there is again what was there before.

    For tests: arrays of another GPU must not be used in the block, and those of the emulated one not after it.
    """
    from .emulated import cupy

    before = _gpu
    _use(cupy)
    try:
        yield cupy
    finally:
        _use(before)


def _use(module: Any) -> None:
    global _gpu
    GPU_TYPES.clear()
    if module is not None:
        GPU_TYPES.add(module.ndarray)
        AnyArray.register(module.ndarray)
    _gpu = module


class _Forked:
    """Stands for CuPy in the child of a fork: CUDA works only in the process that started it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            "a GPU cannot be used in a forked child of a process that has used one; start processes by 'spawn', as in "
            "multiprocessing.get_context('spawn')"
        )


def _after_fork() -> None:
    global _gpu
    _gpu = None if _gpu is None else _Forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def on_gpu(x: Any) -> bool:
    """Whether x is an array on a GPU."""
    return type(x) in GPU_TYPES


LIKE_ARRAYS: set[type] = set()  # classes of other packages whose objects answer to NumPy's functions as arrays do


def is_array(x: Any) -> bool:
    """Whether x is an array of NumPy or CuPy, `isinstance(x, AnyArray)`, but fast; or one of LIKE_ARRAYS."""
    return isinstance(x, np.ndarray) or type(x) in GPU_TYPES or type(x) in LIKE_ARRAYS


def xp(x: Any) -> Any:
    """The module that x is an array of: NumPy or CuPy."""
    return _gpu if type(x) in GPU_TYPES else np


def as_array(x: Any) -> Any:
    """An array as it is, a NumPy scalar or a number as an array of rank 0."""
    return x if type(x) in GPU_TYPES or type(x) in LIKE_ARRAYS else np.asarray(x)


def host(x: Any, non_blocking: bool = False) -> Array:
    """The values as a NumPy array; from a GPU a copy, for which the program waits.

    With `non_blocking`, the program must wait itself before it reads the values (`cuda.synchronize`).
    """
    if type(x) not in GPU_TYPES:
        return np.asarray(x)
    with on_device(device_number(x)):
        found: Array = transfer.to_cpu(_gpu, x, non_blocking)
    return found


def contiguous(x: Any, dtype: Any = None) -> Any:
    """x itself if its memory is in C order and it has the type, else a copy."""
    return xp(x).ascontiguousarray(x, dtype)


def beside(values: Any, x: Any) -> Any:
    """The values of a NumPy array on the device of x; the program does not wait for a copy to a GPU."""
    return upload(values, device_number(x)) if type(x) in GPU_TYPES else values


def constant(make: Callable[..., Any], x: Any, *args: Any) -> Any:
    """`make(*args)`, a NumPy array or a tuple of them, beside x. A GPU keeps it, so that it is uploaded only once.

    The arguments must be hashable.
    """
    if type(x) not in GPU_TYPES:
        return make(*args)
    number = device_number(x)
    return _kept(number, _gpu.cuda.get_current_stream(number).ptr, make, *args)


@functools.lru_cache(256)
def _kept(number: int, stream: int, make: Callable[..., Any], *args: Any) -> Any:
    """Each stream has its own: no other waits for the copy."""
    made = make(*args)
    return tuple([upload(a, number) for a in made]) if isinstance(made, tuple) else upload(made, number)


def writeable(x: Any) -> bool:
    """Whether x may be written to: not if it is read-only, or if several elements share a place."""
    if type(x) in GPU_TYPES:  # CuPy has no such flag
        return not x.size or 0 not in [stride for stride, size in zip(x.strides, x.shape, strict=True) if size > 1]
    return bool(x.flags.writeable)


def special(x: Any) -> Any:
    """The module of special functions for x: SciPy's, or CuPy's of the same names."""
    if type(x) not in GPU_TYPES:
        from scipy import special as functions
    elif is_emulated():
        from .emulated import cupyx

        functions = cupyx.scipy.special
    else:
        functions = importlib.import_module("cupyx.scipy.special")
    return functions


def share_memory(a: Any, b: Any) -> bool:
    """Whether the memory of two arrays may overlap."""
    if type(a) in GPU_TYPES or type(b) in GPU_TYPES:
        if type(a) is not type(b) or device_number(a) != device_number(b):
            return False
        with on_device(device_number(a)):
            return bool(np.may_share_memory(a, b))
    return bool(np.may_share_memory(a, b))


def address(x: Any) -> int:
    """Where the first element is in memory."""
    return int(x.data.ptr if type(x) in GPU_TYPES else x.__array_interface__["data"][0])


# ------------------------------------------------------------------------------------------------------------ devices


def in_use() -> bool:
    """Whether this process has asked for a GPU, and found CuPy."""
    return _gpu is not None


def is_emulated() -> bool:
    """Whether the emulation stands for the GPU."""
    return _gpu is not None and _gpu.__name__.startswith(__package__)


def gpu_memory() -> int:
    """The bytes of the current GPU's memory; 0 if no GPU is in use."""
    return int(_gpu.cuda.Device().mem_info[1]) if GPU_TYPES else 0


def device_number(x: Any) -> int:
    """The number of the GPU that holds x."""
    return int(x.device.id)


def on_device(number: int) -> AbstractContextManager[Any]:
    """Make a GPU the current one, which computes and allocates."""
    if gpu().cuda.Device().id == number:
        return _HERE
    context: AbstractContextManager[Any] = gpu().cuda.Device(number)
    return context


def on_device_of(x: Any) -> AbstractContextManager[Any]:
    """Make the GPU that holds x the current one; nothing for a NumPy array."""
    return on_device(device_number(x)) if type(x) in GPU_TYPES else _HERE


def upload(x: Any, number: int, non_blocking: bool = False) -> Any:
    """A copy of x on a GPU; x itself if it is there. The program does not wait for the copy.

    With `non_blocking`, the program must not change an x in page-locked memory before the copy is done.
    """
    if type(x) not in GPU_TYPES:
        with on_device(number):
            return transfer.to_gpu(_gpu, np.asarray(x), non_blocking)
    return x if device_number(x) == number else transfer.to_other_gpu(_gpu, x, number)


def is_page_locked(x: Any) -> bool:
    """Whether x is a NumPy array in memory that a GPU can copy from and to by itself."""
    return _gpu is not None and isinstance(x, np.ndarray) and transfer.is_locked(_gpu, x)


def page_locked(x: Array) -> Array:
    """A copy of a NumPy array in page-locked memory."""
    copy: Array = transfer.empty_locked(gpu(), x.shape, x.dtype)
    copy[...] = x
    return copy
