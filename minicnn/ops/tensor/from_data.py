"""The conversion of data by `minicnn.tensor`: PyTorch's rules of shape and type for numbers, lists and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from minicnn_kernels.arrays import Array, as_array, gpu, is_array, on_device_of

from ...tensor import Tensor
from .promotion import number_type, promoted

_DLPACK_CUDA = (2, 13)  # DLPack's numbers of memory on a GPU
KINDS = tuple(np.dtype(k) for k in ("f2", "f4", "f8", "u1", "i1", "i2", "i4", "i8", "?"))


def to_array(op: str, data: Any, dtype: np.dtype[Any] | None = None) -> Array:
    """Return the data as an array: that of a tensor, or a given array itself if its type fits, else a new one.

    Python floats get the default type, ints int64; NumPy numbers and 0-d tensors keep their type. The widest type wins.

    Raises:
        ValueError: lists have different lengths, or an integer needs more than 64 bits.
        TypeError, RuntimeError: an element is not a number.
    """
    if isinstance(data, Tensor):
        array = data.array
    elif isinstance(data, np.generic) or is_array(data):
        array = known(op, as_array(data))
    else:
        shape = _shape(op, data)
        leaves: list[Any] = []
        _collect(op, data, shape, 0, leaves)
        return _fill(op, leaves, dtype or _kind(op, leaves), shape)
    return array if dtype is None or array.dtype == dtype else _cast(array, dtype)


def known(op: str, array: Array) -> Array:
    """Return the array in this machine's byte order, after checking that tensors can have its type.

    Raises:
        TypeError: tensors cannot have its type.
    """
    if array.dtype not in KINDS:
        raise TypeError(
            f"{op}: cannot make a tensor of an array of {array.dtype}; convert it with .astype(...) to one of "
            f"{', '.join(map(str, KINDS))}"
        )
    return array


def from_protocol(obj: Any) -> Array:
    """Return an array of NumPy, or CuPy for memory on a GPU, on the memory of an object with DLPack's protocol."""
    on_a_gpu = hasattr(obj, "__dlpack_device__") and obj.__dlpack_device__()[0] in _DLPACK_CUDA
    made: Array = gpu().from_dlpack(obj) if on_a_gpu else np.from_dlpack(obj)
    return made


def _sequence(data: Any) -> bool:
    return isinstance(data, (Sequence, np.ndarray))  # a tensor counts as a number


def _shape(op: str, data: Any) -> tuple[int, ...]:
    """Return the shape, measured along the first elements."""
    shape: list[int] = []
    while _sequence(data):
        if isinstance(data, str):
            reject(op, data)
        if isinstance(data, np.ndarray) and not data.ndim:
            reject(op, data)
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    return tuple(shape)


def _collect(op: str, data: Any, shape: tuple[int, ...], axis: int, leaves: list[Any]) -> None:
    """Append the numbers to `leaves` in row-major order."""
    if axis == len(shape):
        leaves.append(data)
        return
    if not _sequence(data):
        raise TypeError(f"{op}: expected a sequence of length {shape[axis]} at dim {axis}, got {type(data).__name__}")
    if len(data) != shape[axis]:
        raise ValueError(f"{op}: expected sequence of length {shape[axis]} at dim {axis} (got {len(data)})")
    if axis == len(shape) - 1:
        leaves.extend(data)
        return
    for part in data:
        _collect(op, part, shape, axis + 1, leaves)


def _kind(op: str, leaves: list[Any]) -> np.dtype[Any]:
    """Return the type of a tensor of these numbers."""
    if not leaves:
        return number_type(0.0)
    found: np.dtype[Any] | None = None
    for kind in set(map(type, leaves)):
        for leaf in leaves if issubclass(kind, Tensor) else (next(v for v in leaves if type(v) is kind),):
            one = leaf.array.dtype if isinstance(leaf, Tensor) else leaf.dtype if isinstance(leaf, np.generic) else None
            if one is None:
                if not isinstance(leaf, (bool, int, float)):
                    reject(op, leaf)
                one = number_type(leaf)
            elif one not in KINDS:
                reject(op, leaf)
            found = one if found is None else promoted(found, one)
    assert found is not None
    return found


def _fill(op: str, leaves: list[Any], kind: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Make an array of the numbers."""
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.numel() != 1:
            raise ValueError(
                f"{op}: a tensor of shape {leaf.shape} among numbers must have one element; use minicnn.stack"
            )
    plain = [leaf.item() if isinstance(leaf, (Tensor, np.generic)) else leaf for leaf in leaves]
    try:
        wide = np.array(plain, np.float64 if kind.kind == "f" else None)
    except (ValueError, OverflowError, TypeError):
        wide = np.array(None)
    if wide.dtype.kind not in "biuf" or wide.ndim != 1:
        for leaf in plain:
            if isinstance(leaf, int) and not -(2**63) <= leaf < 2**63:
                raise ValueError(f"{op}: {leaf} does not fit in 64 bits (overflow)")
            if not isinstance(leaf, (bool, int, float)):
                reject(op, leaf)
    if wide.size and wide.dtype.kind == "u":
        raise ValueError(f"{op}: {wide.max()} does not fit in a signed 64-bit integer (overflow)")
    return _cast(check_range(wide, kind), kind).reshape(shape)  # flat -> nested


def check_range(values: Array, kind: np.dtype[Any]) -> Array:
    """Return the values after checking that they fit an integer type; in an unsigned type negative ones wrap around,
    as in PyTorch.

    Raises:
        RuntimeError: a value does not fit.
    """
    if kind.kind in "iu" and values.size and values.dtype.kind in "if" and values.dtype != kind:
        most = np.iinfo(kind).max
        least = -most if kind.kind == "u" else np.iinfo(kind).min
        fits = (values >= least) & (values <= most)
        if not fits.all():
            raise RuntimeError(f"value {values[~fits][0]} cannot be converted to type {kind} without overflow")
    return values


def _cast(array: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(all="ignore"), on_device_of(array):
        return array.astype(dtype)


def reject(op: str, data: Any) -> NoReturn:
    """Raise the error for data that is not numbers."""
    if isinstance(data, str):
        raise TypeError(f"{op}: invalid data type 'str': {data!r}; pass numbers, nested lists, or an array")
    if isinstance(data, complex):
        raise TypeError(f"{op}: tensors are real, got {data!r}; keep the real and imaginary part as two tensors")
    raise (TypeError if _sequence(data) else RuntimeError)(
        f"{op}: could not infer a dtype of {type(data).__name__}: cannot make a tensor of it; pass numbers, nested "
        "lists or an array"
    )
