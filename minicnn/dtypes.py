"""The types of elements under PyTorch's names (they are NumPy's dtypes), and `Size`, a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
float16 = np.dtype(np.float16)
uint8, int8, int16 = np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.int16)
int32, int64 = np.dtype(np.int32), np.dtype(np.int64)
bool_ = np.dtype(np.bool_)


_default = [float32]


def get_default_dtype() -> np.dtype[Any]:
    """Return the type of new floating-point tensors that are created without a `dtype` argument.

    >>> minicnn.get_default_dtype()
    dtype('float32')
    """
    return _default[0]


def set_default_dtype(dtype: Any) -> None:
    """Make the floating-point type `dtype` the type of new tensors that are created without a `dtype` argument.

    >>> minicnn.set_default_dtype(minicnn.float64)
    >>> minicnn.tensor([1.]).dtype
    dtype('float64')
    >>> minicnn.set_default_dtype(minicnn.float32)
    """
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"set_default_dtype: only floating-point types are supported, got {np.dtype(dtype)}")
    _default[0] = np.dtype(dtype)


class finfo:
    """The limits of a floating-point type, as Python numbers: eps, max, min, tiny, resolution, bits.

    >>> minicnn.finfo(minicnn.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        self.dtype = get_default_dtype() if type is None else np.dtype(type)
        if self.dtype.kind != "f":
            raise TypeError(f"finfo: {self.dtype} is not a floating-point type; use iinfo")
        limits = np.finfo(self.dtype)
        self.bits = self.dtype.itemsize * 8
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = float(limits.resolution)

    def __repr__(self) -> str:
        return f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g})"


class iinfo:
    """The limits of an integer type, as Python numbers: min, max, bits.

    >>> minicnn.iinfo(minicnn.uint8).max
    255
    """

    def __init__(self, type: Any) -> None:
        self.dtype = np.dtype(type)
        if self.dtype.kind not in "iu":
            raise TypeError(f"iinfo: {self.dtype} is not an integer type; use finfo")
        limits = np.iinfo(self.dtype)
        self.bits, self.min, self.max = limits.bits, int(limits.min), int(limits.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


class Size(tuple[int, ...]):
    """A shape: a tuple of ints that prints as PyTorch's `Size` and knows its number of elements.

    >>> shape = minicnn.zeros(8, 3, 32, 32).shape
    >>> shape, shape.numel(), shape[1:]
    (minicnn.Size([8, 3, 32, 32]), 24576, minicnn.Size([3, 32, 32]))
    """

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements: the product of the sizes."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"minicnn.Size({list(self)})"

    def __format__(self, spec: str) -> str:
        return format(str(tuple(self)), spec)  # in an f-string: (2, 3)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(tuple(other)))
