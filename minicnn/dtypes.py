"""The types of elements, `minicnn.dtype`, under PyTorch's names, and `Size`, a shape.

An array keeps NumPy's own dtype, and the operations compute with it. `Tensor.dtype` and the names `minicnn.float32` ...
are objects of the class `DType`, one for each type, with PyTorch's attributes and text; NumPy takes them as its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class DtypeError(TypeError, RuntimeError):
    """Elements of a type that an operation does not take, or of two types that do not fit. PyTorch: RuntimeError."""


class DType:
    """A type of elements, such as `minicnn.float32`: one object for each type, so that `is` compares them.

    It is equal to NumPy's dtype of the same type, and NumPy's functions take it. It has PyTorch's attributes, and those
    of NumPy's dtype: `kind`, `name`, `type` and the others.

    Args:
        type: anything that names a type in NumPy, such as `"float32"` or `np.float32`.

    Attributes:
        is_floating_point: whether the elements are floating-point numbers.
        is_complex: whether they are complex numbers.
        is_signed: whether there are negative ones.
        itemsize: bytes of an element.
        dtype: NumPy's dtype; by this attribute NumPy knows which type is meant.

    Raises:
        TypeError: NumPy knows no such type.

    >>> minicnn.float32, minicnn.float32.is_floating_point, minicnn.float32.itemsize
    (minicnn.float32, True, 4)
    >>> minicnn.ones(2).dtype is minicnn.float32, np.ones(2, np.float32).dtype == minicnn.float32
    (True, True)
    >>> np.zeros(2, dtype=minicnn.int64)
    array([0, 0])
    """

    __slots__ = ("__numpy_dtype__", "dtype", "is_complex", "is_floating_point", "is_signed", "itemsize", "kind", "name")

    dtype: np.dtype[Any]
    is_complex: bool
    is_floating_point: bool
    is_signed: bool
    itemsize: int
    kind: str
    name: str

    def __new__(cls, type: Any) -> DType:
        """Return the object of this type."""
        return of_array[np.dtype(type)]

    def to_real(self) -> DType:
        """Return the type of the real part: of real numbers, this type itself.

        >>> minicnn.float32.to_real()
        minicnn.float32
        """
        return self if not self.is_complex else DType(f"f{self.itemsize // 2}")

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self is other
        return other is not None and bool(self.dtype == other)  # to NumPy, None is float64

    def __hash__(self) -> int:
        return hash(self.dtype)  # equal to NumPy's, and so a key for the same entry of a dict

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"dtype: {self} cannot be changed; `{name}` stays as it is")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own protocols, such as that of copies, are not those of NumPy's object
            raise AttributeError(f"{name!r} is no attribute of dtype", name=name)
        try:
            return getattr(self.dtype, name)
        except AttributeError:
            raise AttributeError(f"'dtype' object has no attribute {name!r}", name=name) from None

    def __reduce__(self) -> Any:
        return DType, (self.dtype.str,)  # a copy, and what is read from a pickle, is the same object


class _OfArray(dict[np.dtype[Any], DType]):
    """From NumPy's dtypes to ours; one that is new is made at its first use."""

    def __missing__(self, numpys: np.dtype[Any]) -> DType:
        made = object.__new__(DType)
        for name, value in {
            "dtype": numpys,
            "__numpy_dtype__": numpys,  # the same for NumPy 2.4 and later, which looks here first
            "is_complex": numpys.kind == "c",
            "is_floating_point": numpys.kind == "f",
            "is_signed": numpys.kind in "ifc",
            "itemsize": numpys.itemsize,
            "kind": numpys.kind,
            "name": numpys.name,
        }.items():
            object.__setattr__(made, name, value)
        return self.setdefault(numpys, made)


of_array = _OfArray()

float16, float32, float64 = DType("float16"), DType("float32"), DType("float64")
uint8, int8, int16 = DType("uint8"), DType("int8"), DType("int16")
int32, int64 = DType("int32"), DType("int64")
bool_ = DType("bool")


_default = [float32.dtype]


def default_type() -> np.dtype[Any]:
    """Return the type of new floating-point arrays, as NumPy's dtype."""
    return _default[0]


def get_default_dtype() -> DType:
    """Return the type of new floating-point tensors that are created without a `dtype` argument.

    >>> minicnn.get_default_dtype()
    minicnn.float32
    """
    return of_array[_default[0]]


def set_default_dtype(d: Any) -> None:
    """Make the floating-point type `d` the type of new tensors that are created without a `dtype` argument.

    >>> minicnn.set_default_dtype(minicnn.float64)
    >>> minicnn.tensor([1.]).dtype
    minicnn.float64
    >>> minicnn.set_default_dtype(minicnn.float32)
    """
    if np.dtype(d).kind != "f":
        raise TypeError(f"set_default_dtype: only floating-point types are supported, got {DType(d)}")
    _default[0] = np.dtype(d)


class finfo:
    """The limits of a floating-point type, as Python numbers: eps, max, min, tiny, resolution, bits.

    >>> minicnn.finfo(minicnn.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        self.dtype = get_default_dtype() if type is None else DType(type)
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
        self.dtype = DType(type)
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
