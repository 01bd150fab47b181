"""Batches in page-locked memory, from which a GPU copies while the program goes on."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, NamedTuple

from ... import cuda
from .collate import like
from .fetch import Task
from .stream import AnyFetcher

__all__ = ["pin_memory"]


def pin_memory(data: Any, device: Any = None) -> Any:
    """The data with all tensors in page-locked memory, by PyTorch's rules.

    An object with a method `pin_memory`, such as a tensor, is what that method returns. Mappings, tuples and other
    sequences are copied, with their values. All else stays as it is.
    """
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        items = {key: pin_memory(value) for key, value in data.items()}
        if not isinstance(data, MutableMapping):
            return like(data, items)
        copied = copy.copy(data)  # it may hold more than its items, as a defaultdict does
        copied.update(items)
        return copied
    if isinstance(data, str | bytes) or not isinstance(data, Sequence):
        return data
    values = [pin_memory(value) for value in data]
    if hasattr(data, "_fields"):
        return type(data)(*values)
    try:
        if not isinstance(data, MutableSequence):
            return type(data)(values)  # type: ignore[call-arg]
        changed = copy.copy(data)
        changed[:] = values
        return changed
    except TypeError:  # a sequence that cannot be made from a list, such as a range
        return values


def pins(wanted: bool) -> bool:
    """Whether batches are pinned; warns the caller's caller if they should be, but there is no GPU."""
    if wanted and not cuda.is_available():
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, "
            "then device pinned memory won't be used.",
            stacklevel=3,
        )
        return False
    return wanted


class Pinned(NamedTuple):
    """A fetcher of this process that pins its batches, on the GPU that was the current one when it was made."""

    fetch: AnyFetcher
    gpu: int

    def __call__(self, task: Task) -> Any:
        """The batch."""
        with cuda.device(self.gpu):  # a thread has a current GPU of its own
            return pin_memory(self.fetch(task))
