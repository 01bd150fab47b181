"""The data of PyTorch's old constructor, `Tensor(3)` or `Tensor([1, 2])`, as an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from minicnn_kernels.arrays import Array, host

from ..autograd import engine, own_order
from ..device import meta, resolve
from ..dtypes import Size, default_type


def old_constructor(data: Any) -> Array:
    """Return the array of PyTorch's old constructor: `Tensor(3)` and `Tensor(size)` give uninitialised memory.

    The elements have the default type, also if the numbers in the lists are integers.
    """
    if isinstance(data, (int, Size)):
        shape, dtype = (data,) if isinstance(data, int) else tuple(data), default_type()
        return meta(shape, dtype) if resolve(None).type == "meta" else np.empty(shape, dtype)
    array = _to_array(data)
    return array.astype(default_type()) if isinstance(data, (list, tuple)) else array


def _to_array(data: Any) -> Array:
    """Return numbers and nested sequences as an array; Python floats become float32."""
    if isinstance(data, engine._tensor):
        return own_order.settle(data).array
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, Sequence) and any(isinstance(item, engine._tensor) for item in data):
        return np.asarray([host(item._array) if isinstance(item, engine._tensor) else item for item in data])
    try:
        array = np.asarray(data)
    except ValueError as error:
        _reject(data, str(error))
    if array.dtype.kind not in "fiub":
        _reject(data, f"elements of type {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _reject(data: Any, why: str) -> NoReturn:
    raise TypeError(
        f"tensor: cannot make a tensor of {type(data).__name__} ({why}); pass numbers, nested lists, or an array"
    )
