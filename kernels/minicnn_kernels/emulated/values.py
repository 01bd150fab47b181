"""What the emulation does to NumPy's arrays."""

from __future__ import annotations

import contextvars
import math
import threading
from typing import Any

import numpy as np

from .api import EmulationError


class _Quiet(threading.local):
    """A context of this thread in which NumPy does not warn of Inf and NaN; cheaper to enter than `np.errstate`."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.context.run(np.seterr, all="ignore")


_quiet = _Quiet()


def quiet(function: Any, *args: Any, **options: Any) -> Any:
    """Call a function of NumPy that calls none of ours; a GPU does not warn of Inf and NaN."""
    return _quiet.context.run(function, *args, **options)


_POISON = {"f": math.nan, "c": math.nan, "b": True, "i": -127, "u": 129}


def poisoned(a: Any) -> Any:
    """New memory, with what stands out when it is read before it was written."""
    if a.dtype.kind in _POISON:
        a.fill(_POISON[a.dtype.kind])
    return a


def cast(a: Any, dtype: np.dtype[Any]) -> Any:
    """Values as another type.

    Raises:
        EmulationError: a float that does not fit an integer type, of which a GPU makes another integer than a CPU.
    """
    if a.dtype == dtype:
        return a
    if dtype.kind in "iu" and a.dtype.kind == "f" and a.size:
        low, high, limits = float(a.min()), float(a.max()), np.iinfo(dtype)
        if not (low > limits.min - 1 and high < limits.max + 1):
            raise EmulationError(
                f"{a.dtype} from {low} to {high} as {dtype}: what does not fit is another integer on a GPU than here"
            )
    return quiet(a.astype, dtype, copy=False)


def check_places(a: Any) -> None:
    """Refuse to write to memory in which several elements share a place, as `broadcast_to` and `as_strided` make it.

    Raises:
        EmulationError: on a GPU any of the values that are written there may stay.
    """
    if a.flags.c_contiguous:
        return
    extent = a.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n > 1):
        if stride < extent:
            raise EmulationError(
                f"writing to memory in which elements share a place, shape {a.shape}, strides {a.strides}, as after a "
                "broadcast: on a GPU any of the values may stay; copy the array first"
            )
        extent += stride * (length - 1)
