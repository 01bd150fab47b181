"""Copies between CPU and GPU that run beside the program, and the page-locked memory that they need.

A GPU itself reads and writes page-locked memory of the CPU, while the program goes on. Ordinary memory it cannot: the
system may move it at any time. So an array in ordinary memory is staged: its values are copied to a page-locked buffer
first, and the GPU copies from there. The program may then change its array as soon as the call returns.

A copy is one piece of work in the queue of the current stream. Its buffer must stay until the copy is done: memory that
is freed goes back to CuPy's pool, and the next array that gets it would write into values that are still to be read. So
each copy keeps its buffer in `_copies`, with an event that comes when the copy is done.

`module` is CuPy or its emulation (arrays.py).
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

import numpy as np

_copies: deque[tuple[Any, Any]] = deque()  # of each copy that may not be done: the event behind it, and its buffer
_lock = threading.Lock()


def empty_locked(module: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A NumPy array in page-locked memory, not initialised."""
    _release()
    kind, count = np.dtype(dtype), math.prod(shape)
    if not count:
        return np.empty(shape, kind)
    return np.frombuffer(module.cuda.alloc_pinned_memory(count * kind.itemsize), kind, count).reshape(shape)


def is_locked(module: Any, x: Any) -> bool:
    """Whether a NumPy array lies in memory of CuPy's page-locked pool, as a view or as a whole."""
    owner = x
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, memoryview) and isinstance(owner.obj, module.cuda.PinnedMemoryPointer)


def to_gpu(module: Any, x: Any, non_blocking: bool = False) -> Any:
    """A copy of a NumPy array on the current GPU. The program does not wait for it.

    With `non_blocking`, an array in page-locked memory is not staged: the program must not change it before the copy is
    done.
    """
    if not x.ndim or not x.size:
        return module.asarray(x)  # a number goes along with the call
    if not (non_blocking and x.flags.c_contiguous and is_locked(module, x)):
        staged = empty_locked(module, x.shape, x.dtype)
        staged[...] = x
        x = staged
    there = module.empty(x.shape, x.dtype)
    there.set(x)
    _keep(module, x)
    return there


def to_cpu(module: Any, x: Any, non_blocking: bool = False) -> Any:
    """The values of an array of the current GPU as a NumPy array. The program waits for them.

    With `non_blocking` it does not: the NumPy array is in page-locked memory and gets its values later.
    """
    if not non_blocking or not x.size:
        return x.get()
    there = empty_locked(module, x.shape, x.dtype)
    x.get(out=there, blocking=False)
    _keep(module, there)
    return there


def to_other_gpu(module: Any, x: Any, number: int) -> Any:
    """A copy of an array on another GPU; the program does not wait.

    The streams of both GPUs wait: that of the target until x is computed, and that of the source until x is copied, for
    its memory may be freed and used again right after this call.
    """
    with module.cuda.Device(x.device.id):
        source = module.cuda.get_current_stream()
        x = x.astype(x.dtype, order="C", copy=False)  # CuPy copies between GPUs only what is contiguous
        computed = source.record(module.cuda.Event(disable_timing=True))
    with module.cuda.Device(number):
        target = module.cuda.get_current_stream()
        target.wait_event(computed)
        there = module.asarray(x)
        copied = target.record(module.cuda.Event(disable_timing=True))
    with module.cuda.Device(x.device.id):
        source.wait_event(copied)
    return there


def _keep(module: Any, buffer: Any) -> None:
    """Keep the buffer of a copy that was just put in the queue until the copy is done."""
    event = module.cuda.Event(disable_timing=True)
    event.record()
    _release()
    with _lock:
        _copies.append((event, buffer))


def _release() -> None:
    """Give back the buffers of copies that are done, the oldest first; those after one that is not done stay, too."""
    with _lock:
        while _copies and _copies[0][0].done:
            _copies.popleft()
